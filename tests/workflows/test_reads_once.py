"""A scan decodes each block of its scene once, however the file is laid out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

import geodeforest as gd
from geodeforest.testing import ConstantPredictor, make_scene, small_spec
from geodeforest.workflows import scan_scene

COUNTER = Path("/proc/self/io")
SIDE = 1200  # several chip rows of 512 px, which begin in the middle of blocks

pytestmark = pytest.mark.skipif(not COUNTER.exists(), reason="Linux counts the bytes that are read")

TILES = {"tiled": True, "blockxsize": 256, "blockysize": 256}


def bytes_read():
    """All that this process has read from files; a block is read when it is decoded."""
    return int(COUNTER.read_text().split()[1])


@pytest.fixture
def scanned_bytes(monkeypatch):
    """Scans a file with hardly more cache than is planned for it; returns what it read."""
    monkeypatch.setattr("geodeforest.core.options.CACHE_BYTES", 2**20)
    seen = {}
    rows = scan_scene.scan_rows

    def counting(*arguments):
        seen["from"] = bytes_read()  # what was sampled before does not count
        yield from rows(*arguments)
        seen["to"] = bytes_read()

    monkeypatch.setattr(scan_scene, "scan_rows", counting)

    def scan(path):
        model = ConstantPredictor(0.0, spec=small_spec(chip=512, halo=32))
        gd.scan(path, model=model, bands=(1, 2, 3), scale=(0, 255), threads=1)
        return seen["to"] - seen["from"]

    return scan


@pytest.mark.parametrize(
    ("bands", "layout"),
    [
        (3, {**TILES, "interleave": "pixel"}),
        (3, {**TILES, "interleave": "band"}),
        (13, {**TILES, "interleave": "pixel"}),
        (13, {**TILES, "interleave": "band"}),
        (3, {"tiled": True, "blockxsize": 1024, "blockysize": 1024, "interleave": "pixel"}),
        (3, {"blockysize": 1, "interleave": "pixel"}),
        (3, {"blockysize": 64, "interleave": "band"}),
        (3, {"blockysize": 700, "interleave": "pixel"}),
        (3, {"blockysize": 700, "interleave": "band"}),
        (3, {"blockysize": SIDE, "interleave": "pixel"}),
        (3, {"blockysize": SIDE, "interleave": "band"}),
    ],
    ids=lambda layout: " ".join(map(str, layout.values())) if isinstance(layout, dict) else None,
)
def test_each_block_is_decoded_once(tmp_path, scanned_bytes, bands, layout):
    noise = np.random.default_rng(0).integers(0, 255, (bands, SIDE, SIDE), np.uint8)
    path = make_scene(tmp_path / "a.tif", noise, compress="deflate", **layout)
    share = 3 / bands if layout["interleave"] == "band" else 1
    # Each read fetches up to 4 KB more than the block.
    assert scanned_bytes(path) < 1.1 * share * path.stat().st_size


def test_blocks_of_a_mask_do_not_push_out_those_of_the_bands(tmp_path, scanned_bytes):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (3, SIDE, SIDE), np.uint8)
    seen = rng.integers(0, 2, (SIDE, SIDE)).astype(bool)
    path = make_scene(
        tmp_path / "a.tif", noise, valid=seen, compress="deflate", interleave="pixel", **TILES
    )
    assert scanned_bytes(path) < 1.05 * path.stat().st_size


def test_an_uncompressed_image_in_one_strip_is_read_once(tmp_path, scanned_bytes):
    noise = np.random.default_rng(0).integers(0, 255, (3, SIDE, SIDE), np.uint8)
    path = make_scene(tmp_path / "a.tif", noise, blockysize=SIDE, interleave="pixel")
    with rasterio.open(path) as dataset:  # libtiff cuts it into small ones
        assert dataset.block_shapes[0][0] < 16
    assert scanned_bytes(path) < 1.05 * path.stat().st_size
