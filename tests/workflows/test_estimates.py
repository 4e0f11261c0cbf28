"""What a plan's figures are made of."""

import time

import numpy as np
import pytest
import rasterio

from geodeforest.core.grid import Window
from geodeforest.core.options import ScanOptions, Stored, plan_scan
from geodeforest.geo import raster_sinks
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.scene import open_scene
from geodeforest.testing import ArraySource, ThresholdPredictor, small_spec
from geodeforest.workflows.budget import map_bytes
from geodeforest.workflows.estimates import (
    Trial,
    WatchedScene,
    chip_seconds,
    reading_seconds,
)
from geodeforest.workflows.scan_targets import Targets

CRS = rasterio.CRS.from_epsg(32721)
PLACE = rasterio.Affine(10, 0, 600_000, 0, -10, 9_000_000)


def plan(threads=2, height=640, width=640):
    return plan_scan(small_spec(), ScanOptions(), Stored(height, width, 3, 64), threads)


def trial(**known):
    return Trial(**{"chip": 0.0, "reading": 0.0, "sample": 0.0, "busy_share": 1.0, **known})


def test_maps_take_no_more_disk_than_is_told(tmp_path, monkeypatch):
    """Noise cannot be compressed; blocks wait in scratch until the file is put together."""
    height, width, taken = 1300, 700, []

    def look(sink, levels):
        taken.append(sum(file.stat().st_size for file in tmp_path.iterdir()))

    monkeypatch.setattr(raster_sinks._MapSink, "_verify", look)
    path = tmp_path / "x.tif"
    rows = np.random.default_rng(0).integers(0, 251, (height, width), np.uint8)
    with raster_sinks.ScoreMapSink(path, open_grid(height, width), {}) as sink:
        sink.write(rows)
    told = map_bytes(plan(height=height, width=width), Targets(scores=path))
    assert 0.9 * told < taken[0] < 1.02 * told


def open_grid(height, width):
    return SceneProfile(
        name="s.tif", path="s.tif", height=height, width=width, transform=PLACE, crs=CRS,
        dtype="uint8", bands=("red",), gsd_m=10.0, date=None, block=(512, 512),
    )  # fmt: skip


def test_what_was_not_observed_takes_little_time():
    large = plan(1, height=9000, width=9000)
    full, half, empty = (trial(busy_share=s).seconds(large, cpus=1) for s in (1.0, 0.5, 0.0))
    assert empty < full / 3
    assert half == pytest.approx((full + empty) / 2)


def test_chips_are_shared_by_threads():
    chips = len(plan().grid)
    one, two = (trial(chip=1.0).seconds(plan(threads), cpus=2) for threads in (1, 2))
    assert one == pytest.approx(chips, rel=0.05)
    assert two == pytest.approx(chips / 2, rel=0.05)


def test_more_threads_than_processors_do_not_help():
    assert trial(chip=1.0).seconds(plan(8), cpus=2) == trial(chip=1.0).seconds(plan(2), cpus=2)


def test_one_processor_does_all_one_after_the_other():
    both = trial(chip=1.0, reading=50.0).seconds(plan(1), cpus=1)
    assert both == pytest.approx(len(plan().grid) + 50, rel=0.02)


def test_slow_reading_sets_the_pace():
    assert trial(chip=0.01, reading=500.0).seconds(plan(), cpus=4) == pytest.approx(500, rel=0.01)


def test_chips_of_what_was_not_observed_cost_nothing():
    half = trial(chip=1.0, busy_share=0.5).seconds(plan(1), cpus=2)
    assert half == pytest.approx(len(plan().grid) / 2, rel=0.05)


def test_maps_take_time_of_their_own():
    large = plan(height=2000, width=3000)
    none, two = (trial().seconds(large, cpus=2, maps=maps) for maps in (0, 2))
    assert two - none == pytest.approx(0.096)


def test_a_watched_scene_counts_what_it_reads():
    valid = np.zeros((40, 40), bool)
    valid[:10, :20] = True
    watched = WatchedScene(ArraySource(np.zeros((1, 40, 40)), valid))
    watched.read(Window(0, 0, 10, 40))
    watched.read(Window(20, 0, 10, 40))
    assert watched.assessed_share == 0.25
    assert watched.busy_share == 0.5
    assert watched.seconds > 0


@pytest.mark.parametrize(
    ("grid_px", "window", "touched"),
    [
        (256, Window(0, 0, 64, 64), 1),
        (256, Window(60, 10, 8, 8), 2),
        (64, Window(0, 0, 16, 16), 1),  # the file is four times as fine as the grid
        (64, Window(15, 0, 2, 64), 8),
        (1024, Window(0, 0, 257, 1), 2),  # the grid is four times as fine as the file
    ],
)
def test_reading_all_blocks_takes_as_much_longer_as_there_are_more(
    make_scene, grid_px, window, touched
):
    path = make_scene(np.zeros((1, 256, 256), np.uint8), tiled=True, blockxsize=64, blockysize=64)
    with open_scene(path) as scene:
        watched = WatchedScene(ArraySource(np.zeros((1, grid_px, grid_px), np.uint8)))
        watched.read(window)
        seconds = reading_seconds(watched, scene.profile)
    assert seconds == pytest.approx(watched.seconds * 16 / touched)


def test_a_chip_is_timed_with_all_threads_at_work():
    shapes = []

    class Watched(ThresholdPredictor):
        def predict(self, chips, scene_level=None):
            shapes.append(chips.shape)
            return super().predict(chips)

    seconds, slowness = chip_seconds(plan(), Watched())
    assert seconds > 0
    assert slowness >= 1
    assert shapes == [(1, 64, 64, 3)] * 12


def test_a_machine_that_others_use_too_is_slow_in_everything():
    class Waiting(ThresholdPredictor):
        def predict(self, chips, scene_level=None):
            time.sleep(0.02)
            return super().predict(chips)

    _, slowness = chip_seconds(plan(1), Waiting())
    assert slowness > 2
    large = plan(height=2000, width=3000)
    idle, busy = (trial(slowness=by).seconds(large, cpus=2) for by in (1.0, slowness))
    assert busy == pytest.approx(slowness * idle)


def test_one_stall_of_the_machine_is_not_its_pace():
    stalls = iter([0.0, 1.2])

    class Stalling(ThresholdPredictor):
        def predict(self, chips, scene_level=None):
            time.sleep(next(stalls, 0.0))
            return super().predict(chips)

    seconds, _ = chip_seconds(plan(1), Stalling())
    assert seconds < 0.6
