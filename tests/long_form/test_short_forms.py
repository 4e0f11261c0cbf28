"""The short forms of the long scripts, and that these would notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fuzz
import numpy as np
import pytest
import soak
from forked import Ending
from points import BROKEN, Points

HERE = Path(__file__).parent

SCAN = fuzz.Target({}, frozenset({0, 3, 4, 8}), fuzz.scan_scene, fuzz.put)
GOOD = Ending(0, [], "{}", 1.0, 100, [])
REFUSED = Ending(3, ["geodeforest: error: s.tif: is empty; copy it again"], "", 1.0, 100, [])
HELD = soak.Held(100.0, 9, 3, ())


def script(name, *arguments, tmp_path):
    """What a script says, which has to end well."""
    command = [sys.executable, str(HERE / name), *arguments]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_changed_inputs_end_as_they_may(tmp_path):
    said = script("fuzz.py", "--cases", "150", "--seed", "1", tmp_path=tmp_path)
    assert "150 cases, 0 failures" in said
    assert all(f"\n{name}: " in f"\n{said}" for name in fuzz.targets(None))


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not on this machine")
def test_disks_fill_and_a_run_goes_on_where_it_was(tmp_path):
    few = ("--output", "p.geojson", "--every", "60", "--sizes", "2", "--state", "points.txt")
    said = script("disk_full.py", *few, tmp_path=tmp_path)
    assert "0 points did not hold" in said
    held = (tmp_path / "points.txt").read_text()
    assert held.count("refused") >= 5
    assert script("disk_full.py", *few, tmp_path=tmp_path) == said
    assert (tmp_path / "points.txt").read_text() == held


def broken():
    raise AssertionError("a file is cut\nshort")


def test_what_held_is_not_tried_again_and_what_did_not_is(tmp_path, capsys):
    first = Points(tmp_path / "points.txt")
    assert [first.tried("a", lambda: "refused"), first.tried("b", broken)] == ["refused", BROKEN]
    assert first.failures == ["b: a file is cut short"]
    assert capsys.readouterr().err == "b: a file is cut short\n"
    second = Points(tmp_path / "points.txt")
    assert second.tried("a", broken) == "refused"
    assert second.tried("b", lambda: "complete") == "complete"
    assert second.failures == []


def test_nothing_grows_over_a_few_rounds(tmp_path):
    said = script("soak.py", "--rounds", "6", "--pause", "0", tmp_path=tmp_path)
    assert f"{6 * len(soak.ACTS)} acts" in said
    assert "left behind 0" in said


def test_a_case_is_the_same_every_time():
    data, others = bytes(range(256)) * 9, [b"other" * 90]
    made = [
        [fuzz.changed(np.random.default_rng([4, n]), data, others) for n in range(50)] for _ in "ab"
    ]
    assert made[0] == made[1]
    assert len(set(made[0])) == 50
    assert data not in made[0]


def objected(ending, folder, given=()):
    return fuzz.objections(SCAN, ending, folder, set(given))


def test_a_good_ending_meets_no_objection(tmp_path):
    assert objected(GOOD, tmp_path) == []
    (tmp_path / "s.tif").touch()
    assert objected(REFUSED, tmp_path, ["s.tif"]) == []


@pytest.mark.parametrize(
    ("ending", "what"),
    [
        (replace(GOOD, code=1), "exit code 1"),
        (replace(GOOD, code=-11), "exit code -11"),
        (replace(GOOD, said=["Traceback (most recent call last):"]), "other lines"),
        (replace(REFUSED, said=[]), "0 lines of error"),
        (replace(REFUSED, said=REFUSED.said * 2), "2 lines of error"),
        (replace(REFUSED, said=["geodeforest: error: \x1b[2J;"]), "other lines"),
        (replace(GOOD, said=REFUSED.said), "an error and no exit code"),
        (replace(GOOD, heard=["socket.connect"]), "heard: socket.connect"),
        (replace(GOOD, peak_mb=5000), "5000 MB"),
        (replace(GOOD, seconds=99.0), "99.0 s"),
    ],
)
def test_another_ending_does(ending, what, tmp_path):
    assert what in " ".join(objected(ending, tmp_path))


def test_so_do_files_left_behind_and_folders_told(tmp_path):
    (tmp_path / ".o.geojson.gdf-scratch").mkdir()
    assert "left behind" in " ".join(objected(REFUSED, tmp_path))
    assert "scratch" in " ".join(objected(GOOD, tmp_path))
    told = replace(REFUSED, said=[f"geodeforest: error: {tmp_path}/s.tif: a; b"])
    assert "a path that was not given" in objected(told, tmp_path)


def test_what_stays_flat_is_flat():
    noisy = [replace(HELD, memory_mb=100 + n % 3) for n in range(40)]
    assert soak.faults(noisy) == []


@pytest.mark.parametrize(
    ("grown", "what"),
    [
        ([replace(HELD, memory_mb=100 + n) for n in range(40)], "memory grew"),
        ([HELD] * 20 + [replace(HELD, files=10)] * 20, "number of files"),
        ([HELD] * 20 + [replace(HELD, threads=4)], "number of threads"),
        ([HELD, replace(HELD, left=(".a.gdf-scratch",))], "left behind: .a.gdf-scratch"),
    ],
)
def test_what_grows_is_told(grown, what):
    (told,) = soak.faults(grown)
    assert what in told
