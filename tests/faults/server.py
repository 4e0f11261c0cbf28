"""Runs the command line many times at the price of one start: each job is a fork of this process.

Takes lines of JSON on stdin, answers each with one on stdout. ``start`` forks a child that
waits, so that strace can be attached or others be started; ``go`` lets it run; ``wait`` tells how
it ended. The model is a threshold, so that no network is loaded and no thread is there to fork.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module

import pyproj

import geodeforest  # noqa: F401  # what a test takes away is named from here
import geodeforest.workflows.load_model as loading
from geodeforest.cli import main
from geodeforest.testing import ThresholdPredictor

LOADED = (
    *("workflows.side_by_side", "workflows.scan_scene", "workflows.polygonize_map"),
    *("workflows.cut_chips", "geo.labels"),
    *("geo.raster_sinks", "geo.geojson", "geo.gpkg", "geo.flatgeobuf", "geo.geoparquet"),
)

INFERRED = 99
"""The exit code of a child whose model was called though it was told ``never``."""


class Model:
    """A threshold that does something at one of its chips."""

    def __init__(self, chip=None, command=None):
        self._inner = ThresholdPredictor()
        self.spec = self._inner.spec
        self._chip, self._command = chip, command
        self._chips, self._lock = 0, threading.Lock()

    def predict(self, chips, scene_level=None):
        with self._lock:
            self._chips += 1
            now = self._chips == self._chip
        if now and self._command == "never":
            os._exit(INFERRED)
        if now:
            subprocess.run(self._command, shell=True, check=True)
        return self._inner.predict(chips, scene_level)


def taken_bytes():
    """The address space of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def child(job, gate):
    """Run one command and end the process."""
    os.setsid()
    os.chdir(job["cwd"])
    streams = [os.open(os.devnull, os.O_RDONLY)]
    streams += [
        os.open(job[each], os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for each in ("out", "err")
    ]
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.read(gate, 1)
    os.closerange(3, 100)
    os.environ.update(job.get("env", {}))
    time.tzset()
    for name, size in job.get("limits", {}).items():
        size += taken_bytes() if job.get("relative") else 0
        resource.setrlimit(getattr(resource, name), (size, size))
    if "user" in job:
        os.setgroups([])
        os.setgid(job["user"])
        os.setuid(job["user"])
    loading.load_model = lambda *_: Model(*job.get("hook", ()))
    for name, value in job.get("without", {}).items():
        exec(f"{name} = {value}", globals())  # a test takes a safeguard away
    code = 1
    try:
        main(job["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Jobs:
    """The children that were started and not waited for."""

    def __init__(self):
        self._gates = {}

    def start(self, job):
        """Fork a child that waits."""
        inner, outer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(outer)
            child(job, inner)
        os.close(inner)
        self._gates[pid] = outer
        return {"pid": pid}

    def go(self, pid):
        """Let a child run."""
        os.write(self._gates[pid], b"!")
        os.close(self._gates.pop(pid))
        return {}

    def is_over(self, pid):
        """Whether a child has ended; ``wait`` tells how."""
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, pid, seconds):
        """How a child ended, and the most memory it held; it is killed if it does not end."""
        until, hung = time.monotonic() + seconds, False
        while True:
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > until and not hung:
                hung = True
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        return {
            "code": None if hung else os.waitstatus_to_exitcode(status),
            "peak_mb": usage.ru_maxrss / 1024,
            "cpu": usage.ru_utime + usage.ru_stime,
        }


def warm():
    """Import what commands would, and begin what a forked child could not."""
    for name in ("difflib", "pyarrow.parquet"):  # of click and of GeoParquet, when needed
        import_module(name)
    for name in ("cli.scan", "cli.polygonize", "cli.chip", *LOADED):
        import_module(f"geodeforest.{name}")
    pyproj.CRS(32721).to_json_dict()


def serve():
    """Answer until stdin ends."""
    warm()
    jobs = Jobs()
    for line in sys.stdin:
        call = json.loads(line)
        answer = getattr(jobs, call.pop("call"))(**call)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
