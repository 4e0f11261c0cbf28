"""What a scan takes: its plan is kept, and no more threads run than fit in it."""

import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from square_scenes import scene_with_square

import geodeforest as gd
from geodeforest.errors import BudgetExceeded
from geodeforest.testing import ThresholdPredictor
from geodeforest.workflows import budget, scan_scene


def test_a_plan_over_the_memory_is_refused_with_the_figure(tmp_path):
    with pytest.raises(BudgetExceeded, match="--memory"):
        gd.scan(scene_with_square(tmp_path / "s.tif"), model=ThresholdPredictor(), memory=10)


@pytest.fixture
def planned(monkeypatch):
    """The plans that scans follow, on a machine of 64 CPUs."""
    plans, real = [], scan_scene.scan_rows

    def watched(scene, predictor, plan, *others):
        plans.append(plan)
        return real(scene, predictor, plan, *others)

    monkeypatch.setattr(budget, "cpus", lambda: 64)
    monkeypatch.setattr(scan_scene, "scan_rows", watched)
    return plans


def test_threads_nobody_asked_for_are_as_many_as_fit(tmp_path, planned):
    scene, model = scene_with_square(tmp_path / "s.tif"), ThresholdPredictor()
    gd.scan(scene, model=model, memory=4096)
    most = planned[0].threads
    assert most == len(planned[0].grid)
    short = (planned[0].bytes - 2 * planned[0].network_bytes) // 2**20
    gd.scan(scene, model=model, memory=short)
    assert 1 <= planned[1].threads < most
    assert planned[1].bytes <= short * 2**20
    with pytest.raises(BudgetExceeded):
        gd.scan(scene, model=model, memory=short, threads=most)


def test_no_more_threads_than_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 6}, raising=False)
    assert budget.cpus() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert budget.cpus() == 1


# The peak that the kernel counts from the start of the program itself: ru_maxrss begins with
# that of the process it was forked from.
PEAK = """
def peak_kb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
"""

MEMORY = """
import sys
import numpy as np, rasterio
import geodeforest as gd
from geodeforest.testing import ThresholdPredictor, small_spec
model = ThresholdPredictor(0.5, small_spec(chip=512, halo=32))
out = sys.argv[2]
report = gd.scan(sys.argv[1], model=model, classes=out + "/c.tif", scores=out + "/x.tif",
                 output=out + "/p.geojson", min_area=2, threads=2)
assert report.polygon_count > 100, report.polygon_count
print(peak_kb())
"""


def large_scene(path, height, width=6000):
    """Clearings scattered over a dark scene, written block row by block row."""
    rng = np.random.default_rng(0)
    profile = {
        "driver": "GTiff",
        "count": 3,
        "height": height,
        "width": width,
        "dtype": "uint8",
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "zlevel": 1,
        "crs": "EPSG:32721",
        "transform": rasterio.Affine(10, 0, 4e5, 0, -10, 9.3e6),
    }
    with rasterio.open(path, "w", **profile) as scene:
        for row in range(0, height, 512):
            rows = min(512, height - row)
            block = np.full((3, rows, width), 40, np.uint8)
            for left in range(0, width, 300):
                top, deep = rng.integers(0, 300), rng.integers(10, 60)
                block[:, top : top + deep, left : left + 2 * deep] = 180
            scene.write(block, window=rasterio.windows.Window(0, row, width, rows))
    return path


def peak_kb(tmp_path, height):
    scene = large_scene(tmp_path / f"{height}.tif", height)
    out = tmp_path / f"out{height}"
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PEAK + MEMORY, str(scene), str(out)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


def test_peak_memory_does_not_grow_with_the_scenes_height(tmp_path):
    once, twice = peak_kb(tmp_path, 6000), peak_kb(tmp_path, 12000)
    assert twice < 1.15 * once, f"{once} kB, then {twice} kB"


PLANNED = """
import sys
import geodeforest as gd
from geodeforest.workflows import budget, scan_scene
plans, real = [], scan_scene.scan_rows
def watched(scene, predictor, plan, *others):
    plans.append(plan)
    return real(scene, predictor, plan, *others)
scan_scene.scan_rows = watched
out = sys.argv[2]
gd.scan(sys.argv[1], classes=out + "/c.tif", scores=out + "/x.tif", output=out + "/p.geojson",
        threads=2)
print(plans[0].bytes // 1024, peak_kb())
"""


@pytest.mark.parametrize(("height", "width", "gsd_m"), [(600, 3000, 10), (6000, 6000, 2.5)])
def test_the_peak_of_a_scan_stays_within_its_plan(tmp_path, height, width, gsd_m):
    scene = large_scene(tmp_path / "s.tif", height=height, width=width)
    with rasterio.open(scene, "r+") as dataset:
        dataset.transform = rasterio.Affine(gsd_m, 0, 4e5, 0, -gsd_m, 9.3e6)
    done = subprocess.run(
        [sys.executable, "-c", PEAK + PLANNED, str(scene), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    planned_kb, peak_kb = map(int, done.stdout.split())
    assert 0.6 * planned_kb < peak_kb <= planned_kb
