"""Scenes seen with pixels of another size: the grid, its numbers and what is read for them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geodeforest.core.grid import Window
from geodeforest.errors import GsdMismatch
from geodeforest.geo.profile import corner, pixel_metric
from geodeforest.geo.resampled import ResampledScene, Resizing
from geodeforest.geo.scene import Raster, open_scene
from geodeforest.testing import CORNER, UTM_21S

WEST, NORTH = CORNER


def raster(values, *, row_m=10.0, col_m=10.0, turn=0.0, **facts):
    place = Affine.translation(WEST, NORTH) @ Affine.rotation(turn) @ Affine.scale(col_m, -row_m)
    return Raster(values, place, UTM_21S, **facts)


def resampled(scene, gsd_m=10.0):
    return ResampledScene(scene, Resizing.of(scene.profile, gsd_m))


def whole(scene):
    return scene.read(Window(0, 0, scene.height, scene.width))


@pytest.mark.parametrize(
    ("row_m", "col_m", "shape"),
    [(30, 30, (120, 180)), (2.5, 2.5, (10, 15)), (20, 5, (80, 30)), (1, 40, (4, 240))],
)
def test_each_side_becomes_as_long_as_the_models(row_m, col_m, shape):
    with open_scene(raster(np.zeros((1, 40, 60)), row_m=row_m, col_m=col_m)) as scene:
        new = resampled(scene)
    assert (new.height, new.width) == shape
    metric = pixel_metric(new.profile.transform, new.profile.crs, *shape)
    assert (metric.row, metric.col) == pytest.approx((10, 10), rel=1e-5)
    assert new.profile.gsd_m == pytest.approx(10, rel=1e-5)


@pytest.mark.parametrize("turn", [0, 30, 180, -75])
def test_the_grid_begins_at_the_same_corner_and_ends_within_half_a_pixel(turn):
    with open_scene(raster(np.zeros((1, 41, 67)), row_m=23, col_m=4, turn=turn)) as scene:
        new, old = resampled(scene).profile, scene.profile
    assert corner(new.transform, 0, 0) == corner(old.transform, 0, 0)
    ends = corner(new.transform, new.height, new.width), corner(old.transform, 41, 67)
    assert np.hypot(*np.subtract(*ends)) <= 10 * 0.5 * np.sqrt(2)
    axes = [(t.a, t.b, t.d, t.e) for t in (new.transform, old.transform)]
    directions = [np.arctan2((d, e), (a, b)) for a, b, d, e in axes]
    np.testing.assert_allclose(*directions, atol=1e-12)


def test_degrees_become_square_metres():
    place = Affine(9e-5, 0, 10.0, 0, -9e-5, 60.0)  # half as wide as high, so far north
    with open_scene(Raster(np.zeros((1, 300, 300)), place, "EPSG:4326")) as scene:
        new = resampled(scene)
    metric = pixel_metric(new.profile.transform, new.profile.crs, new.height, new.width)
    assert (metric.row, metric.col) == pytest.approx((10, 10), rel=1e-3)


@settings(max_examples=25)
@given(
    st.sampled_from([(3, 3), (30, 30), (4, 25), (0.7, 0.7), (13, 9)]),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.data(),
)
def test_any_window_is_a_part_of_the_whole(sides, dtype, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    values = rng.integers(0, 250, (2, 50, 70)).astype(dtype)
    given_raster = raster(
        values, row_m=sides[0], col_m=sides[1], valid=rng.random((50, 70)) > 0.2, nodata=7
    )
    with open_scene(given_raster) as scene:
        new = resampled(scene)
        top = data.draw(st.integers(0, new.height - 1))
        left = data.draw(st.integers(0, new.width - 1))
        height = data.draw(st.integers(1, new.height - top))
        width = data.draw(st.integers(1, new.width - left))
        everything, part = whole(new), new.read(Window(top, left, height, width))
    inside = everything.crop(slice(top, top + height), slice(left, left + width))
    np.testing.assert_array_equal(part.values, inside.values)
    np.testing.assert_array_equal(part.valid, inside.valid)
    assert part.values.dtype == dtype


def test_pieces_that_are_read_one_by_one_leave_no_trace(monkeypatch):
    values = np.random.default_rng(1).integers(0, 250, (3, 90, 70), np.uint8)
    with open_scene(raster(values, row_m=3, col_m=25)) as scene:
        at_once = whole(resampled(scene))
        monkeypatch.setattr("geodeforest.geo.resampled._WORK_PX", 300)
        in_pieces = whole(resampled(scene))
    np.testing.assert_array_equal(at_once.values, in_pieces.values)


class Counted:
    """A scene that counts the pixels read of it."""

    def __init__(self, scene):
        self._scene, self.read_px = scene, 0

    def __getattr__(self, name):
        return getattr(self._scene, name)

    def read(self, window):
        self.read_px += window.height * window.width
        return self._scene.read(window)


@pytest.mark.parametrize("side_m", [2, 30])
def test_strips_one_after_the_other_read_hardly_more_than_the_scene(side_m):
    with open_scene(raster(np.zeros((1, 400, 50), np.uint8), row_m=side_m, col_m=side_m)) as scene:
        counted = Counted(scene)
        new = resampled(counted)
        for top in range(0, new.height, 20):
            new.read(Window(top, 0, min(20, new.height - top), new.width))
    assert counted.read_px == 400 * 50


class CountedFile(io.FileIO):
    """A file that counts the bytes read of it."""

    read_bytes = 0

    def read(self, size=-1):
        found = super().read(size)
        self.read_bytes += len(found)
        return found


@pytest.mark.parametrize("gsd_m", [2, 30])
def test_the_files_blocks_are_read_once(make_scene, monkeypatch, gsd_m):
    path = make_scene(
        np.random.default_rng(0).integers(0, 255, (3, 640, 600), np.uint8),
        gsd_m=gsd_m,
        tiled=True,
        blockxsize=64,
        blockysize=64,
    )
    monkeypatch.setattr("geodeforest.geo.resampled._WORK_PX", 6000)  # a few rows of a block
    files = []

    def opener(name, mode="rb"):
        files.append(CountedFile(name))
        return files[-1]

    with rasterio.open(str(path), opener=opener) as dataset, open_scene(dataset) as scene:
        new, before = resampled(scene), files[0].read_bytes
        with rasterio.Env(GDAL_CACHEMAX=(64 + 16) * 600 * 3):  # as the plan has, but for outputs
            for top in range(0, new.height, 50):
                new.read(Window(top, 0, min(50, new.height - top), new.width))
    assert 0.9 < (files[0].read_bytes - before) / path.stat().st_size < 1.1


def test_what_it_reads_with_is_in_the_plan():
    with open_scene(raster(np.zeros((3, 100, 4000), np.uint8), row_m=2, col_m=2)) as scene:
        before, after = scene.stored, resampled(scene).stored
    assert (after.height, after.width, after.file_size) == (20, 800, (100, 4000))
    assert after.work_bytes > 2 * 4000 * 5 * 4
    assert before.work_bytes == 0
    assert after.cache_bytes >= before.block_rows * 4000 * 3


def test_a_window_must_lie_inside():
    with open_scene(raster(np.zeros((1, 40, 40)), row_m=30, col_m=30)) as scene:
        new = resampled(scene)
        with pytest.raises(ValueError, match="leaves"):
            new.read(Window(0, 0, new.height + 1, 1))


def test_a_scene_smaller_than_a_pixel_of_the_models_is_refused():
    with (
        open_scene(raster(np.zeros((1, 40, 40)), row_m=0.1, col_m=0.1)) as scene,
        pytest.raises(GsdMismatch, match="smaller than one of the model's 10 m pixels"),
    ):
        resampled(scene)


@pytest.mark.parametrize(
    ("row_m", "col_m", "needed", "too_coarse"),
    [
        (10, 10, False, False),
        (8, 12, False, False),
        (6, 14, True, False),  # 10 m in the mean, and yet a stripe
        (30, 30, True, False),
        (0.01, 0.01, True, False),
        (79, 57, True, False),
        (10, 90, True, True),
        (250, 250, True, True),
    ],
)
def test_both_sides_of_a_pixel_count(row_m, col_m, needed, too_coarse):
    with open_scene(raster(np.zeros((1, 40, 40)), row_m=row_m, col_m=col_m)) as scene:
        resizing = Resizing.of(scene.profile, 10)
    assert (resizing.is_needed, resizing.is_too_coarse) == (needed, too_coarse)


def test_the_change_is_said_in_words():
    with open_scene(raster(np.zeros((1, 40, 40)), row_m=30, col_m=2)) as scene:
        said = str(Resizing.of(scene.profile, 10))
    assert said == ("30 x 2 m pixels are resampled to 10 m (rows bilinear, columns area average)")
