"""The user's geodeforest: where it is, what to tell it, and how it runs.

It runs as a process of its own, in its own Python, because its packages and those of QGIS do
not mix. Knows processes and what the program prints; nothing of Qt or Processing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from codecs import getincrementaldecoder
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from queue import Empty, Queue
from threading import Thread
from typing import IO, Protocol, Union

EXECUTABLE = "GEODEFOREST_EXECUTABLE"
"""The environment variable, and the setting of QGIS, that name the executable."""

Value = Union[str, bool]
"""What a parameter holds: a text, empty if it is not set, or whether a box is ticked."""

# What makes QGIS find its own Python, GDAL and PROJ would make the program find them too.
_OF_QGIS = frozenset(
    {
        *("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "PYTHONSTARTUP", "PYTHONPLATLIBDIR"),
        *("__PYVENV_LAUNCHER__", "GDAL_DATA", "GDAL_DRIVER_PATH", "OGR_DRIVER_PATH"),
        *("GEOTIFF_CSV", "PROJ_LIB", "PROJ_DATA"),
    }
)
_BAR = re.compile(r".*: +(\d+)%\|")
_OWN_LINE = re.compile(r"geodeforest: (?:(error|warning|note): )?(.*)")
_POLL_S = 0.1
_GRACE_S = 30.0


class ProgramError(Exception):
    """geodeforest is not there, or did not do what it was told; the text says why."""


class Feedback(Protocol):
    """The part of ``QgsProcessingFeedback`` that is used here."""

    def isCanceled(self) -> bool:
        """Whether the user wants it to end."""
        ...

    def setProgress(self, progress: float) -> None:
        """Move the bar, in percent."""
        ...

    def pushWarning(self, warning: str) -> None:
        """Show what the user should heed."""
        ...

    def pushInfo(self, info: str) -> None:
        """Show what the user may like to know."""
        ...

    def pushCommandInfo(self, info: str) -> None:
        """Show the command that runs."""
        ...

    def pushConsoleInfo(self, info: str) -> None:
        """Show what the command printed."""
        ...


def find_program(setting: str = "") -> str:
    """The executable: what the setting names, else the environment variable, else the PATH.

    Raises:
        ProgramError: there is no such program.
    """
    named = setting or os.environ.get(EXECUTABLE, "")
    found = shutil.which(os.path.expanduser(named or "geodeforest"))
    if found is None:
        what = f"{named}: is no program that can be run" if named else "geodeforest was not found"
        raise ProgramError(
            f"{what}; install geodeforest in a Python of its own and name its executable in "
            "Settings > Options > Processing > Providers > geodeforest"
        )
    return found


def arguments(
    command: str, values: Mapping[str, Value], repeated: Collection[str] = ()
) -> list[str]:
    """The words of a command line; a parameter's name is its option's, ``INPUT`` has none.

    The texts of ``repeated`` parameters are lists with commas, for options given repeatedly.
    """
    words = [command, "--progress", "--overwrite"]  # QGIS asked the user before it replaces
    for name, value in values.items():
        option = "--" + name.lower().replace("_", "-")
        if isinstance(value, bool):
            words += [option] * value
        elif name != "INPUT":
            texts = value.split(",") if name in repeated else [value]
            words += [f"{option}={text.strip()}" for text in texts if text.strip()]
    return [*words, "--", str(values["INPUT"])]


def run(command: Sequence[str], feedback: Feedback) -> None:
    """Run a command to its end, and tell what it prints; end it early if that is asked for.

    Raises:
        ProgramError: it cannot be run, or it failed.
    """
    feedback.pushCommandInfo(subprocess.list2cmdline(command))
    process = _start(command)
    try:
        said = _follow(process, feedback)
        if not feedback.isCanceled() and process.wait() != 0:
            crash = f"{command[0]}: ended with code {process.returncode}: {said.get('print', '')}"
            raise ProgramError(said.get("error") or crash)
    finally:
        _stop(process)


def environment() -> dict[str, str]:
    """The environment of the program: the user's own, without what QGIS put there for itself."""
    kept = {name: text for name, text in os.environ.items() if name.upper() not in _OF_QGIS}
    return {**kept, "PYTHONIOENCODING": "utf-8"}


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
            # On Windows a program of the console would open a black window.
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise ProgramError(f"{command[0]}: cannot be run ({error.strerror})") from error


def _follow(process: subprocess.Popen[bytes], feedback: Feedback) -> dict[str, str]:
    """Tell what a process prints until it ends or is cancelled; the last text of each kind."""
    tell: dict[str, Callable[[str], object]] = {
        "bar": lambda percent: feedback.setProgress(float(percent)),
        "warning": feedback.pushWarning,
        "note": feedback.pushInfo,
        "print": feedback.pushConsoleInfo,
    }
    lines: Queue[str | None] = Queue()
    # Reading waits for the process, and meanwhile nobody would see that the user cancels.
    Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    said: dict[str, str] = {}
    while not feedback.isCanceled():
        try:
            line = lines.get(timeout=_POLL_S)
        except Empty:
            continue
        if line is None:
            break
        kind, text = kind_and_text(line)
        said[kind] = text
        if kind in tell:  # an error is raised at the end
            tell[kind](text)
    return said


def kind_and_text(line: str) -> tuple[str, str]:
    """What a line of the program is, ``error``, ``warning``, ``note``, ``bar`` or ``print``.

    The text of a bar is its percentage.
    """
    own, bar = _OWN_LINE.match(line), _BAR.match(line)
    if own is not None:
        return own[1] or "error", own[2]  # "terminated; ..." has no such word
    return ("print", line) if bar is None else ("bar", bar[1])


def _read(output: IO[bytes], lines: Queue[str | None]) -> None:
    with output:
        for line in split_lines(iter(lambda: os.read(output.fileno(), 2**16), b"")):
            lines.put(line)
    lines.put(None)


def split_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines in a stream of bytes, empty ones left out; a carriage return ends a line too.

    A progress bar begins with its carriage return and then stands: it comes at once, and again
    when its line ends.
    """
    decode = getincrementaldecoder("utf-8")("replace").decode
    rest = ""
    for chunk in chunks:
        *lines, rest = re.split(r"[\r\n]", rest + decode(chunk))
        yield from filter(None, lines)
        if _BAR.match(rest):
            yield rest
    if rest:
        yield rest


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs. It clears its scratch files away, but not on Windows."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
