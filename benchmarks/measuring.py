"""Processes and what they take: seconds, processor seconds, memory of all of them together.

Knows commands; nothing of what they do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Run:
    """What a finished process took. ``peak_mb`` is of it and its children at one time."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    code: int
    out: str
    err: str


def geodeforest(*words: object) -> list[str]:
    """The command line, run by the Python at work."""
    return [sys.executable, "-m", "geodeforest", *map(str, words)]


def run(
    command: Sequence[object],
    cwd: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    interrupt_after: float | None = None,
    limit: float | None = None,
    code: int | None = 0,
) -> Run:
    """Run a command to its end.

    With ``interrupt_after`` it gets SIGINT after so many seconds, and ``seconds`` are those
    from there to the end; after ``limit`` seconds it is killed. ``code`` is what it has to end
    with, None for anything.

    Raises:
        RuntimeError: it ended with another code.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdout=out,
            stderr=err,
            # A shell starts what runs in the background with it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        watch = _Watch(process.pid)
        if interrupt_after is not None:
            time.sleep(interrupt_after)
            started = time.perf_counter()
            process.send_signal(signal.SIGINT)
        timer = threading.Timer(limit or threading.TIMEOUT_MAX, process.kill)
        timer.daemon = True
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)  # else it would be waited for again
        told = [_text(file) for file in (out, err)]
    found = Run(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=watch.stop() / 2**20,
        code=process.returncode,
        out=told[0],
        err=told[1],
    )
    if code is not None and found.code != code:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {found.code}: {found.err}")
    return found


def _text(file: object) -> str:
    file.seek(0)  # type: ignore[attr-defined]
    return file.read().decode("utf-8", "replace")  # type: ignore[attr-defined]


class _Watch:
    """Looks at the resident memory of a process and its children, again and again.

    Of several at one time the sum counts, of one alone the kernel's own maximum. What the kernel
    tells when a process has ended is no use: it may be what the parent held as it was started.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._peak, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            with suppress(psutil.Error, OSError):
                children = self._root.children(recursive=True)
                family = sum(each.memory_info().rss for each in (self._root, *children))
                self._peak = max(self._peak, family, _maximum(self._root.pid))

    def stop(self) -> int:
        """The most that was seen, in bytes."""
        self._over.set()
        self._thread.join()
        return self._peak


def _maximum(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    lines = (line.split() for line in status.splitlines())
    return next((1024 * int(words[1]) for words in lines if words[0] == "VmHWM:"), 0)
