"""The fork server, worlds to disturb, and what a machine has to offer for that."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from faults.running import Server
from faults.worlds import EVERYTHING, OUTPUTS, World

LINUX = os.path.isdir("/proc/self/fd")


def pytest_collection_modifyitems(items):
    """Faults are injected by what Linux has: fork, strace, tmpfs."""
    skip = pytest.mark.skip(reason="faults are injected on Linux only")
    here = os.path.dirname(__file__)
    for item in items:
        if not LINUX and str(item.path).startswith(here):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def server():
    """Runs commands with a threshold for a model, as forks of one process."""
    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="session")
def worlds(server, tmp_path_factory):
    """A world by the output that is looked at, ``everything`` for all of them; made once."""
    made = {}

    def world(name, old=False):
        if name not in made:
            options = EVERYTHING if name == "everything" else OUTPUTS[name]
            arguments = ["scan", "../scene.tif", "-q", *options]
            made[name] = World(server, tmp_path_factory.mktemp("world") / name, arguments)
        made[name].clear(old)
        return made[name]

    return world


@pytest.fixture(scope="session")
def strace():
    """Skips where system calls cannot be made to fail."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not on this machine")
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True)
    if tried.returncode:
        pytest.skip("this machine does not let processes be traced")


@pytest.fixture
def disk():
    """Mounts a small disk in memory on a folder: ``disk(folder, bytes)``; again to resize it."""
    mounted = []

    def mount(folder, size):
        options = f"size={size}" if folder not in mounted else f"remount,size={size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode and folder not in mounted:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        mounted.append(folder)

    yield mount
    for folder in set(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=True)
