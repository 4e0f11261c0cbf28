"""Runs commands of geodeforest in forked children, and tells how each ended and what it cost.

The parent has loaded what all of them need, so that a child costs what its command does. It
has to stay without threads and small, since a child begins with its memory: tests therefore
ask ``Forks``, a process of its own; scripts call ``run`` themselves.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

Inspect = Callable[[int, str], Iterable[str]]

HEARD = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")
HEARD += ("socket.connect", "socket.getaddrinfo")
"""What Python's audit hook tells of code that is run and of the network."""

SECONDS, BYTES = 60, 6 * 2**30
"""Limits of a child: processor time, and addresses, which libraries reserve more of than use."""


@dataclass(frozen=True)
class Ending:
    """How a command ended: its exit code (minus a signal's number), words, cost, events heard."""

    code: int
    said: list[str]
    printed: str
    seconds: float
    peak_mb: int
    heard: list[str]

    @property
    def traceback(self) -> bool:
        return any(line.startswith("Traceback") for line in self.said)


def warm() -> None:
    """Load what a scan loads, and nothing that starts threads."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"

    import geodeforest.cli.model
    import geodeforest.cli.scan
    import geodeforest.workflows.load_model
    import geodeforest.workflows.scan_scene

    with contextlib.suppress(ImportError):
        import geodeforest.runtime.onnx_predictor  # noqa: F401


def run(
    arguments: list[str], cwd: Path, *, stub: bool = False, inspect: Inspect | None = None
) -> Ending:
    """Run a command in a child whose limits hold, in the folder ``cwd``.

    ``inspect(code, printed)`` looks at the outputs there, in the child; what it yields counts
    as heard.
    """
    files = tuple(os.memfd_create(name) for name in ("out", "err", "heard"))
    try:
        child = os.fork()
        if child == 0:
            _be_the_child(arguments, cwd, files, stub, inspect)
        _, status, used = os.wait4(child, 0)
        printed, said, heard = map(_text, files)
    finally:
        for each in files:
            os.close(each)
    code = os.waitstatus_to_exitcode(status)
    seconds, peak_mb = used.ru_utime + used.ru_stime, used.ru_maxrss // 1024
    return Ending(code, said.splitlines(), printed, seconds, peak_mb, heard.splitlines())


def _text(file: int) -> str:
    return os.pread(file, 2**20, 0).decode("utf-8", "replace")


def _be_the_child(
    arguments: list[str],
    cwd: Path,
    files: tuple[int, ...],
    stub: bool,
    inspect: Inspect | None,
) -> None:
    code = 99
    try:
        os.dup2(files[0], 1)
        os.dup2(files[1], 2)
        os.chdir(cwd)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        signal.alarm(10 * SECONDS)  # for what waits and uses no time
        from geodeforest import cli

        if stub:
            _put_in_a_stub()
        sys.addaudithook(lambda event, _: _note(event, files[2]))
        try:
            cli.main(arguments)
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 98
        sys.stdout.flush()
        for fault in inspect(code, _text(files[0])) if inspect else ():
            os.write(files[2], f"{fault}\n".encode())
    except BaseException:  # nothing may run the parent's code a second time
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _note(event: str, file: int) -> None:
    if event in HEARD:
        os.write(file, event.encode() + b"\n")


def _put_in_a_stub() -> None:
    """A model of one band and any pixel size, which costs nothing."""
    from dataclasses import replace

    from geodeforest import testing
    from geodeforest.workflows import load_model

    spec = replace(testing.small_spec(bands=("grey",), chip=64), gsd_m=None)
    stub = testing.ThresholdPredictor(spec=spec)
    load_model.load_model = lambda *_: stub


class Forks:
    """A small process that forks the children."""

    def __init__(self, *, stub: bool = False) -> None:
        root = Path(__file__).resolve().parents[1]
        environment = {**os.environ, "PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, __file__, *(["--stub"] if stub else [])]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, *arguments: object, cwd: Path) -> Ending:
        """How a command ends in the folder ``cwd``."""
        asked = {"arguments": [str(a) for a in arguments], "cwd": str(cwd)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], 12 * SECONDS)[0]:
            raise TimeoutError(f"no answer to {asked}")
        return Ending(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)


def main() -> None:
    warm()
    for line in sys.stdin:
        asked = json.loads(line)
        ending = run(asked["arguments"], Path(asked["cwd"]), stub="--stub" in sys.argv)
        os.write(1, json.dumps(asdict(ending)).encode() + b"\n")


if __name__ == "__main__":
    main()
