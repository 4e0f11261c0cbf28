"""Clocks, time zones, languages, homes and names: the same bytes come out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from faults.running import ENVIRONMENT, ROOT


@pytest.mark.parametrize(
    "env",
    [
        {"TZ": "Pacific/Kiritimati"},
        {"TZ": "America/Manaus", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0"},
        {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent", "TMPDIR": "/nonexistent"},
        {"PYTHONHASHSEED": "7", "COLUMNS": "1", "NO_COLOR": "1"},
        {"OGR_CURRENT_DATE": "2030-01-01T00:00:00Z", "GDAL_NUM_THREADS": "7"},
    ],
    ids=["far east", "comma for a point", "plain C", "no home", "hash seed", "GDAL's own settings"],
)
def test_the_environment_changes_nothing(worlds, env):
    world = worlds("everything")
    world.check(world.run(env=env), ())


def test_a_directory_that_cannot_be_written_may_be_the_current_one(worlds):
    """Outputs and scratch lie where the outputs were asked for, and nowhere else."""
    world = worlds("p.geojson")
    ended = world.server.run(
        ["scan", world.scene, "-q", "-o", world.out / "p.geojson"], "/proc/self"
    )
    assert (ended.code, ended.err) == (0, "")
    world.same(world.files())


@pytest.mark.parametrize("name", ["wälder 森 🌳.tif".encode(), b"a\nb\x1b[2J.tif"])
def test_any_name_of_a_scene_gives_the_same_outlines(worlds, name):
    """Also one that would steer a terminal."""
    world = worlds("c.tif")
    path = os.path.join(os.fsencode(world.folder), name)
    shutil.copyfile(world.scene, path)
    arguments = ["scan", os.fsdecode(path), *world.arguments[2:]]
    try:
        ended = world.server.run(arguments, world.out)
    finally:
        os.remove(path)
    assert (ended.code, ended.err) == (0, "")
    features = [content.partition(b'"features"')[2] for content in _polygons(world)]
    assert features[0].replace(_quoted(name), b'"scene":"scene.tif"') == features[1]


def _polygons(world):
    return world.files()["p.geojson"], world.truth["p.geojson"]


def _quoted(name):
    return b'"scene":' + json.dumps(name.decode(), ensure_ascii=False).encode()


def test_a_name_that_is_no_utf_8_is_refused(worlds):
    """Every output names its scene, and neither JSON nor GDAL has a way to tell such a name."""
    world = worlds("c.tif")
    path = os.path.join(os.fsencode(world.folder), b"f\xf6rst.tif")
    shutil.copyfile(world.scene, path)
    try:
        ended = world.server.run(["scan", os.fsdecode(path), *world.arguments[2:]], world.out)
    finally:
        os.remove(path)
    assert "rename it" in ended.err
    world.check(ended, (3,))


@pytest.mark.parametrize("clock", ["-20y", "+30y"])
def test_the_clock_is_in_no_file(worlds, clock):
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not on this machine")
    world = worlds("everything")
    script = str(ROOT / "tests" / "faults" / "typed.py")
    command = ["faketime", "-f", clock, sys.executable, script, *world.arguments]
    done = subprocess.run(
        command, cwd=world.out, env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    world.same(world.files())
