"""The benchmarks' own rules, without measuring anything long."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("GEODEFOREST_BENCHMARKS", str(tmp_path))


@pytest.mark.usefixtures("benchmarks")
def test_the_peak_is_of_all_processes_together():
    from measuring import run

    holds = "x = bytearray(60_000_000); x[::4096] = b'1' * len(x[::4096]); time.sleep(0.5)"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', \"import time; {holds}\"])\n"
        f"{holds}\nchild.wait()"
    )
    assert 115 < run([sys.executable, "-c", code]).peak_mb < 180


@pytest.mark.usefixtures("benchmarks")
def test_an_interrupted_process_is_timed_from_the_interrupt():
    from measuring import run

    code = "import signal, time; signal.signal(2, lambda *_: exit(130)); time.sleep(60)"
    done = run([sys.executable, "-c", code], interrupt_after=2, code=130)
    assert done.seconds < 2


@pytest.mark.usefixtures("benchmarks")
def test_a_process_that_fails_is_not_measured():
    from measuring import run

    with pytest.raises(RuntimeError, match="ended with 3"):
        run([sys.executable, "-c", "exit(3)"])


@pytest.mark.usefixtures("benchmarks")
def test_pieces_are_the_forest_cut_up():
    import rasterio
    from rasterio.windows import Window
    from scenes import forest, forest_pieces

    pieces = forest_pieces(4, across=2)
    with rasterio.open(forest(1024, 1024)) as whole, rasterio.open(pieces[2]) as piece:
        assert (piece.read() == whole.read(window=Window(0, 512, 512, 512))).all()
        assert piece.transform == whole.transform @ rasterio.Affine.translation(0, 512)


@pytest.mark.usefixtures("benchmarks")
def test_overlaps_are_where_two_chips_see_a_pixel():
    from peers import _places

    chip, overlap, length = 64, 16, 300
    seen = np.zeros(length, int)
    for start in range(0, length, chip - overlap):
        seen[start : start + chip] += 1
    assert (_places(0, length, chip, overlap) == (seen > 1)).all()
    assert (_places(100, 120, chip, overlap) == (seen > 1)[100:220]).all()


@pytest.mark.usefixtures("benchmarks")
def test_a_median_of_classes_is_what_most_of_the_square_are():
    from peers import _median

    classes = np.random.default_rng(0).random((20, 30)) < 0.5
    padded = np.pad(classes, 2, mode="edge")
    squares = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    assert (_median(classes) == (np.median(squares, axis=(2, 3)) == 1)).all()


def run_of(program, network, side, **facts):
    return {"program": program, "network": network, "side": side, **facts}


def some_runs(ours_s, theirs_s, ours_mb, theirs_mb):
    seams = {"differ": 0.1, "differ_at_seams": 0.1}
    runs = []
    for network in ("U-Net 16-256", "built-in"):
        runs.append(run_of("geodeforest", network, 400, seconds=ours_s, **seams))
        worse = {name: 2 * value for name, value in seams.items()}
        runs.append(run_of("GeoDeep", network, 400, seconds=theirs_s, **worse))
    for program, peaks in (("geodeforest", ours_mb), ("GeoDeep", theirs_mb)):
        for side, peak in zip((100, 400), peaks, strict=True):
            runs.append(run_of(program, "built-in", side, peak_mb=peak))
    return {"sizes": [400, 100, 400], "runs": runs, "missing": []}


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize(
    ("ours_s", "ours_mb", "passed"),
    [(1, (100, 110), {True}), (6, (100, 300), {True, False})],
)
def test_goals_are_met_or_missed_by_the_figures(ours_s, ours_mb, passed):
    from peers import goals

    found = list(goals(some_runs(ours_s, 5, ours_mb, (100, 200))))
    assert {goal[3] for goal in found} == passed
    told = {what.split(",")[0]: verdict for what, _, _, verdict in found}
    assert told["time by GeoDeep"] is (ours_s == 1)
    assert told["growth of memory"] is (ours_s == 1)
