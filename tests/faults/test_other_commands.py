"""``polygonize``, ``chip`` and ``records build`` on disks that are full: whole outputs, or none."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
from faults.running import ENVIRONMENT, WRITES, Ended
from faults.worlds import World, blotches, check_words

from geodeforest.testing import make_scene

COMMANDS = {
    "polygonize": ["polygonize", "../scene.tif", "-q", "-o", "p.gpkg", "-o", "p.fgb"],
    "chip": ["chip", "../scene.tif", "-o", "chips", "--chip", "300"],
}
POINTS = 6


@pytest.fixture(scope="module")
def others(server, tmp_path_factory):
    """A world by the name of its command."""

    def make(name):
        classes = (blotches()[0] > 127).astype(np.uint8)
        values = classes if name == "polygonize" else blotches()
        return World(server, tmp_path_factory.mktemp(name) / "world", COMMANDS[name], values)

    made = {name: make(name) for name in COMMANDS}

    def world(name, old=False):
        made[name].clear(old)
        return made[name]

    return world


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_at_any_write(others, strace, command, tell_counts):
    world = others(command)
    made = world.injected(WRITES, "").calls
    points = [(call, number) for call, count in made.items() for number in range(1, count + 1)]
    codes = []
    for index in range(POINTS):
        call, when = points[(2 * index + 1) * len(points) // (2 * POINTS)]
        old = bool(index % 2)
        world.clear(old)
        more = ["--overwrite"] if old else []
        ended = world.injected(call, f"error=ENOSPC:when={when}", *more)
        assert ended.injected
        world.check(ended, (5,))
        codes.append(ended.code)
    tell_counts(f"{command} on a full disk", {each: codes.count(each) for each in set(codes)})
    assert 5 in codes


@pytest.mark.parametrize("share", [0.05, 0.8])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_that_is_too_small(others, disk, command, share):
    world = others(command)
    try:
        disk(world.out, int(sum(map(len, world.truth.values())) * share) // 4096 * 4096 + 4096)
        ended = world.run()
        disk(world.out, 100 * 2**20)
        world.check(ended, (5,))
        assert ended.code == 5
    finally:
        world.clear()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_may_not_grow(others, command):
    world = others(command)
    limit = max(map(len, world.truth.values())) // 2
    ended = world.run(limits={"RLIMIT_FSIZE": limit})
    assert ended.code == 5
    world.check(ended, (5,))


@pytest.mark.parametrize("command", COMMANDS)
def test_places_that_take_nothing(others, command):
    world = others(command)
    last = COMMANDS[command].index("-o") + 1
    arguments = [*COMMANDS[command]]
    arguments[last] = f"none/{arguments[last]}"
    ended = world.server.run(arguments, world.out)
    assert ended.code == 5
    assert "there is no directory none" in ended.err
    world.check(ended, (5,))


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_there_stays(others, command):
    world = others(command, old=True)
    ended = world.run()
    assert ended.code == 5
    assert "the output exists; pass --overwrite to replace it" in ended.err
    world.check(ended, (5,))


def test_records_that_do_not_fit_are_no_records(tmp_path):
    """In a process of its own, since TensorFlow cannot be forked."""
    resource = pytest.importorskip("resource", reason="this system has no file size limit")
    noise = np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8)
    scene = make_scene(tmp_path / "scene.tif", noise)
    labels = make_scene(tmp_path / "labels.tif", (noise[0] > 99).astype(np.uint8))
    out = tmp_path / "out"
    out.mkdir()
    command = ["records", "build", str(scene), str(labels), "-o", "set", "--chip", "32", "-q"]

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        [sys.executable, "-m", "geodeforest", *command],
        cwd=out,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        preexec_fn=limited,
    )
    assert done.returncode == 5, done
    check_words(Ended(5, done.stdout, done.stderr))
    assert "set: cannot be written (File too large)" in done.stderr
    assert list(out.iterdir()) == []
