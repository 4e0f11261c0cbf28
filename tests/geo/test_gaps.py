"""Blocks of a sparse GeoTIFF that were never written."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window as RasterioWindow

from geodeforest.core.grid import Window
from geodeforest.geo.gaps import Gaps
from geodeforest.geo.scene import open_scene
from geodeforest.testing import make_scene

SIDE, BLOCK = 320, 64
WRITTEN = RasterioWindow(128, 64, 64, 64)  # the block in the second row, the third column


def sparse(path, nodata=0, bands=(1, 2, 3), **profile):
    """320 x 320 pixels of which one block is written, in some of the three bands."""
    facts = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "lzw"}
    place = {"crs": "EPSG:32721", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 9.3e6)}
    size = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": SIDE, "width": SIDE}
    with rasterio.open(
        path, "w", **{**size, **place, **facts, **profile}, nodata=nodata, SPARSE_OK=True
    ) as dataset:
        for band in bands:
            dataset.write(np.full((BLOCK, BLOCK), 9, np.uint8), band, window=WRITTEN)
    return path


@pytest.fixture
def reads(monkeypatch):
    """The windows that are read of files opened from here on."""
    seen = []

    class Counting(rasterio.DatasetReader):
        def read(self, *args, window=None, **options):
            seen.append(window)
            return super().read(*args, window=window, **options)

    def start():
        monkeypatch.setattr("geodeforest.geo.opening.rasterio.open", Counting)
        return seen

    return start


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize(
    ("window", "gap"),
    [
        (Window(0, 0, 64, 320), True),
        (Window(64, 0, 64, 128), True),
        (Window(64, 127, 1, 2), False),
        (Window(127, 191, 1, 1), False),
        (Window(128, 192, 192, 128), True),
        (Window(0, 0, 320, 320), False),
    ],
)
def test_a_window_is_a_gap_if_no_block_of_it_was_written(tmp_path, window, gap, interleave):
    with rasterio.open(sparse(tmp_path / "a.tif", interleave=interleave)) as dataset:
        gaps = Gaps(dataset)
        assert [gaps.hold(window, band) for band in (1, 2, 3)] == [gap] * 3


@pytest.mark.parametrize("nodata", [0, 200])
def test_a_gap_gives_what_gdal_gives_unread(tmp_path, nodata, reads):
    path = sparse(tmp_path / "a.tif", nodata)
    window = Window(130, 3, 150, 300)
    with rasterio.open(path) as dataset:
        told = dataset.read(window=RasterioWindow(3, 130, 300, 150))
    seen = reads()
    with open_scene(path) as scene:
        pixels = scene.read(window)
    assert (pixels.values == told).all()
    assert not pixels.valid.any()
    assert seen == []


def test_what_was_written_is_read(tmp_path, reads):
    path, seen = sparse(tmp_path / "a.tif"), reads()
    with open_scene(path) as scene:
        pixels = scene.read(Window(0, 0, SIDE, SIDE))
    assert len(seen) == 1
    assert pixels.valid.sum() == BLOCK * BLOCK


def test_a_band_with_something_in_it_is_read(tmp_path, reads):
    path, seen = sparse(tmp_path / "a.tif", bands=(2,), interleave="band"), reads()
    with open_scene(path) as scene:
        pixels = scene.read(Window(64, 128, 64, 64))
    assert len(seen) == 1
    assert (pixels.values[1] == 9).all()
    assert not pixels.valid.any()


def test_a_gap_is_transparent_where_there_is_alpha(tmp_path, reads):
    path = sparse(
        tmp_path / "a.tif", None, bands=(1, 2, 3, 4), count=4, photometric="rgb", alpha="yes"
    )
    seen = reads()
    with open_scene(path) as scene:
        gap, written = scene.read(Window(0, 0, 64, 320)), scene.read(Window(64, 128, 64, 64))
    assert not gap.valid.any()
    assert not gap.values.any()
    assert written.valid.all()
    assert len(seen) == 2  # the bands and alpha of the block that was written


def test_without_nodata_a_gap_is_zeros_as_for_everyone(tmp_path):
    with open_scene(sparse(tmp_path / "a.tif", nodata=None)) as scene:
        pixels = scene.read(Window(0, 0, 64, 64))
    assert pixels.valid.all()
    assert not pixels.values.any()


def test_an_image_in_one_strip_has_no_gaps(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.integers(1, 255, (1, 2100, 2100), np.uint8)
    path = make_scene(tmp_path / "a.tif", values, blockysize=2100, compress="deflate", nodata=0)
    with rasterio.open(path) as dataset:  # GDAL reads it by rows, of which it knows the first
        assert dataset.block_shapes[0] == (1, 2100)
        assert dataset.get_tag_item("BLOCK_OFFSET_0_9", "TIFF", bidx=1) is None
    with open_scene(path) as scene:
        window = Window(1000, 0, 100, 2100)
        pixels = scene.read(window)
    assert pixels.valid.all()
    assert (pixels.values == values[:, window.rows]).all()


def test_strips_may_be_missing_too(tmp_path):
    path = sparse(tmp_path / "a.tif", tiled=False, blockxsize=None, blockysize=BLOCK)
    with rasterio.open(path) as dataset:
        gaps = Gaps(dataset)
        assert [gaps.hold(Window(row, 0, 64, 320), 1) for row in range(0, 320, 64)] == [
            True, False, True, True, True,
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "busy"),
    [
        ({}, BLOCK),
        ({"interleave": "band"}, BLOCK),
        ({"nodata": None}, SIDE),  # what was not written is black then
    ],
)
def test_a_scene_tells_how_many_columns_hold_something(tmp_path, facts, busy):
    with open_scene(sparse(tmp_path / "s.tif", **facts)) as scene:
        assert scene.stored.busy_cols == busy


def test_columns_of_blocks_in_one_column_count_once(tmp_path):
    path = sparse(tmp_path / "s.tif")
    with rasterio.open(path, "r+") as dataset:
        for row, col in ((0, 128), (256, 128), (128, 0)):
            place = RasterioWindow(col, row, BLOCK, BLOCK)
            dataset.write(np.ones((3, BLOCK, BLOCK), np.uint8), window=place)
    with open_scene(path) as scene:
        assert scene.stored.busy_cols == 2 * BLOCK
