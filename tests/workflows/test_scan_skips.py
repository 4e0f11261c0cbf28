"""Blocks that cannot be read: an error that names them, or skipped and not assessed."""

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from limited_scans import assert_adds_up, scan, tiled

from geodeforest.errors import PartlyUnread, SceneResampled, SceneUnreadable
from geodeforest.testing import CORNER, make_scene, small_spec

HALO = small_spec().halo


def corrupt(path, *blocks):
    """Spoil compressed blocks (row, col) of a tiled file."""
    with rasterio.open(path) as dataset:
        places = [
            tuple(
                int(dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1))
                for what in ("OFFSET", "SIZE")
            )
            for row, col in blocks
        ]
    content = bytearray(path.read_bytes())
    for offset, size in places:
        content[offset + size // 3 : offset + size // 3 + 40] = b"\xff" * 40
    path.write_bytes(content)


def noise(height=150, width=130):
    return np.random.default_rng(0).integers(1, 255, (3, height, width), np.uint8)


def around(height, width, *windows, reach=HALO):
    """What lies within a halo of some windows (row, col, height, width)."""
    near = np.zeros((height, width), bool)
    for row, col, rows, cols in windows:
        near[max(0, row - reach) : row + rows + reach, max(0, col - reach) : col + cols + reach] = (
            True
        )
    return near


def test_a_corrupt_block_is_named_with_its_pixels_and_the_cause(tmp_path):
    path = tiled(tmp_path / "s.tif", noise())
    corrupt(path, (2, 1))
    with pytest.raises(SceneUnreadable) as caught:
        scan(path, output=tmp_path / "o.geojson")
    assert "block 2,1 (rows 64..95, columns 32..63) cannot be read" in str(caught.value)
    assert "ZIP" in str(caught.value) or "decod" in str(caught.value).lower()
    assert caught.value.exit_code == 3
    assert not (tmp_path / "o.geojson").exists()


@pytest.mark.parametrize("overlap", [0, 16])
@pytest.mark.parametrize("block", [(0, 0), (1, 1), (2, 1), (4, 4)])
def test_skipped_blocks_and_their_halo_are_not_assessed(tmp_path, block, overlap):
    values = noise()
    path, out = tiled(tmp_path / "s.tif", values), tmp_path / "o.gpkg"
    corrupt(path, block)
    with pytest.warns(PartlyUnread):
        report = scan(path, on_error="skip", overlap=overlap, output=out)
    near = around(150, 130, (block[0] * 32, block[1] * 32, 32, 32))
    classes = report.class_map()
    assert np.array_equal(classes == 255, near)
    assert np.array_equal(classes[~near], (values[0] > 127)[~near])
    assert_adds_up(report, ~near, np.zeros_like(near))
    record = report.to_dict()
    assert record["counts"]["failed_px"] == report.failed_px == near.sum()
    assert record["hectares"]["failed"] == pytest.approx(near.sum() * 0.01, rel=2e-3)
    assert report.exit_code == 4
    unseen = geopandas.read_file(out, layer="not_assessed")
    assert unseen["pixels"].sum() == near.sum()


def test_nothing_fails_where_all_can_be_read(tmp_path):
    path = tiled(tmp_path / "s.tif", noise())
    skipped, failed = scan(path, on_error="skip"), scan(path)
    assert skipped.exit_code == skipped.failed_px == 0
    assert np.array_equal(skipped.class_map(), failed.class_map())
    assert skipped.polygons.to_json() == failed.polygons.to_json()


@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 32, "blockysize": 32}])
@pytest.mark.parametrize("share", [0.3, 0.8])
@pytest.mark.parametrize("compress", ["none", "deflate", "lzw"])
def test_a_file_that_was_cut_short_never_says_forest(tmp_path, layout, share, compress):
    """The values are all bright, so that class 0 can only come from what is not there."""
    values = np.full((3, 150, 130), 200, np.uint8) + noise() % 50
    path = make_scene(tmp_path / "s.tif", values, compress=compress, **layout)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(SceneUnreadable):
        scan(path)
    with pytest.warns(PartlyUnread):
        report = scan(path, on_error="skip")
    classes = report.class_map()
    assert 0 < report.failed_px == (classes == 255).sum()
    assert (classes != 0).all()
    assert report.exit_code == 4


def test_what_fails_is_not_assessed_on_a_resampled_grid_either(tmp_path):
    values = np.full((3, 150, 130), 200, np.uint8) + noise() % 50
    path = tiled(tmp_path / "s.tif", values, gsd_m=20)
    corrupt(path, (2, 1))
    with pytest.warns(PartlyUnread), pytest.warns(SceneResampled):
        report = scan(path, on_error="skip")
    classes = report.class_map()
    rows, cols = np.nonzero(classes == 255)
    assert (classes != 0).all()
    assert report.failed_px == len(rows) == (np.ptp(rows) + 1) * (np.ptp(cols) + 1)
    # 32 px of 20 m are 64 px of 10 m; bilinear reaches a pixel further on each side.
    assert np.ptp(rows) + 1 == pytest.approx(64 + 2 * HALO, abs=3)
    assert rows.min() == pytest.approx(2 * 64 - HALO, abs=2)


@pytest.mark.parametrize("threads", [1, 3])
def test_skipping_gives_the_same_bytes_whatever_the_threads(tmp_path, threads):
    path = tiled(tmp_path / "s.tif", noise())
    corrupt(path, (1, 2), (3, 0))
    out, classes = tmp_path / "o.geojson", tmp_path / "c.tif"
    with pytest.warns(PartlyUnread):
        scan(path, on_error="skip", threads=1, output=out, classes=classes)
    first = out.read_bytes(), classes.read_bytes()
    with pytest.warns(PartlyUnread):
        scan(
            path,
            on_error="skip",
            threads=threads,
            output=out,
            classes=classes,
            overwrite=True,
        )
    assert (out.read_bytes(), classes.read_bytes()) == first


def test_a_corrupt_jpeg_2000_tile_is_skipped(tmp_path):
    values = np.full((3, 128, 128), 200, np.uint8) + noise(128, 128) % 50
    with rasterio.open(
        tmp_path / "s.jp2",
        "w",
        driver="JP2OpenJPEG",
        width=128,
        height=128,
        count=3,
        dtype="uint8",
        crs="EPSG:32721",
        transform=Affine(10, 0, CORNER[0], 0, -10, CORNER[1]),
        BLOCKXSIZE=64,
        BLOCKYSIZE=64,
        QUALITY="100",
        REVERSIBLE="YES",
    ) as dataset:
        dataset.write(values)
    path = tmp_path / "s.jp2"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(SceneUnreadable):
        scan(path)
    with pytest.warns(PartlyUnread):
        report = scan(path, on_error="skip")
    assert 0 < report.failed_px < report.scene_px
    assert (report.class_map() != 0).all()
