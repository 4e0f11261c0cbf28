"""Runs commands with a fault in them, by the fork server or as processes of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WRITES = "write,pwrite64,writev,pwritev,pwritev2"
"""All system calls that put bytes into a file. Strace counts each by itself, in each thread."""

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``code`` is negative for a signal and None if it hung."""

    code: int | None
    out: str
    err: str
    peak_mb: float = 0
    cpu: float = 0
    calls: Mapping[str, int] = field(default_factory=dict)
    struck: tuple[str, ...] = ()

    @property
    def injected(self) -> int:
        """How many calls were made to fail."""
        return len(self.struck)


class Server:
    """The fork server, and the place where its children's words go."""

    def __init__(self):
        self._place = Path(tempfile.mkdtemp(prefix="gdf-faults-"))
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENVIRONMENT,
            text=True,
        )
        self._number = 0

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        shutil.rmtree(self._place, ignore_errors=True)

    def _call(self, call, **what):
        self._process.stdin.write(json.dumps({"call": call, **what}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the fork server is gone")
        return json.loads(line)

    def start(self, arguments, cwd, **job):
        """Fork a child that waits; returns what ``go`` and ``wait`` take."""
        self._number += 1
        words = {each: str(self._place / f"{self._number}.{each}") for each in ("out", "err")}
        job = {"arguments": [str(a) for a in arguments], "cwd": str(cwd), **words, **job}
        return Started(self._call("start", job=job)["pid"], words)

    def go(self, started):
        self._call("go", pid=started.pid)

    def is_over(self, started):
        """Whether a child has ended; ``wait`` tells how."""
        return self._call("is_over", pid=started.pid)

    def wait(self, started, seconds=60.0):
        ended = self._call("wait", pid=started.pid, seconds=seconds)
        said = {e: Path(p).read_text(errors="replace") for e, p in started.words.items()}
        return Ended(**ended, **said)

    def run(self, arguments, cwd, **job):
        """Run a command to its end."""
        started = self.start(arguments, cwd, **job)
        self.go(started)
        return self.wait(started)

    def run_injected(self, arguments, cwd, calls, fault, only=(), **job):
        """Run a command whose system calls fail: ``fault`` is strace's, ``only`` limits the files.

        With an empty fault the calls are just counted.
        """
        started = self.start(arguments, cwd, **job)
        log = self._place / "strace.log"
        with attached(started.pid, calls, fault, only, log):
            self.go(started)
            ended = self.wait(started)
        lines = log.read_text(errors="replace").splitlines()
        hits = tuple(line for line in lines if "(INJECTED)" in line)
        return replace(ended, calls=_made(lines), struck=hits)


def _made(lines: Iterable[str]) -> dict[str, int]:
    """How many calls of each kind the busiest thread made: strace counts threads apart."""
    made = Counter(call.groups() for line in lines if (call := re.match(r"(\d+) +(\w+)\(", line)))
    return {call: max(n for (_, name), n in made.items() if name == call) for _, call in made}


@dataclass(frozen=True)
class Started:
    """A child of the fork server."""

    pid: int
    words: dict[str, str]


@contextmanager
def attached(pid: int, calls: str, fault: str, only: Sequence[Path], log: Path):
    """Strace a process, inside which ``calls`` fail by ``fault``."""
    command = ["strace", "-f", "-y", "-p", str(pid), "-o", str(log), "-e", f"trace={calls}"]
    command += ["-e", f"inject={calls}:{fault}"] if fault else []
    for path in only:
        command += ["-P", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        for line in tracer.stderr:
            if "attached" in line:
                break
        else:
            raise RuntimeError("strace cannot attach")
        yield
        tracer.wait(20)


def faulty_file(ended: Ended, finals: Iterable[str]) -> str | None:
    """The output in whose scratch a call was made to fail, by its final name."""
    for name in finals:
        if any(f"/.{name}.gdf-" in call for call in ended.struck):
            return name
    return None
