"""Blocks become a Cloud Optimized GeoTIFF that GDAL reads as if it had written it."""

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling

from geodeforest.geo import cog
from geodeforest.geo.cog import described, level_sizes, write_cog
from geodeforest.geo.pyramid import Coding, Pyramid, averaged, sampled

PLACE = {"crs": "EPSG:32721", "transform": Affine(10, 0, 5e5, 0, -10, 9.4e6), "nodata": 255}
COLOURS = {0: (27, 120, 55, 255), 1: (215, 48, 39, 255), 255: (0, 0, 0, 0)}
TOLD = {"tags": {"MODEL": "small ü 1"}, "description": "score", "colours": {}, "scale": 0.004}
RULES = {"average": Coding(averaged, predictor=True), "nearest": Coding(sampled)}


def noise(height, width, seed=0, unseen=0.3):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 251, (height, width), np.uint8)
    rows[rng.random(rows.shape) < unseen] = 255
    return rows


def made(path, rows, rule="average", told=TOLD, place=PLACE):
    coding = RULES[rule]
    pyramid = Pyramid(path, *rows.shape, coding)
    for top in range(0, len(rows), 300):
        pyramid.add(rows[top : top + 300])
    write_cog(path, described(place, told, predictor=coding.predictor), pyramid.levels())
    pyramid.discard()
    return path


def gdals(path, rows, rule, told=TOLD):
    """The same map, written by GDAL's own driver."""
    height, width = rows.shape
    plain = path.with_name("plain.tif")
    with rasterio.open(
        plain, "w", driver="GTiff", height=height, width=width, count=1, dtype="uint8", **PLACE
    ) as dataset:
        dataset.write(rows, 1)
        dataset.update_tags(**told["tags"])
        dataset.set_band_description(1, told["description"])
        if told["colours"]:
            dataset.write_colormap(1, told["colours"])
        dataset.scales = (told["scale"],)
    rasterio.shutil.copy(
        plain, path, driver="COG", compress="DEFLATE", overview_resampling=rule, blocksize=512
    )
    return path


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", [(2048, 1024), (1536, 512), (512, 512), (40, 30)])
def test_pixels_and_overviews_are_those_of_gdal(tmp_path, rule, shape):
    rows = noise(*shape)
    ours, theirs = made(tmp_path / "o.tif", rows, rule), gdals(tmp_path / "g.tif", rows, rule)
    with rasterio.open(theirs) as dataset:
        factors = dataset.overviews(1)
    for level in range(-1, len(factors)):
        options = {} if level < 0 else {"overview_level": level}
        with rasterio.open(ours, **options) as one, rasterio.open(theirs, **options) as other:
            np.testing.assert_array_equal(one.read(1), other.read(1))


def test_what_a_map_tells_is_what_gdal_would_write(tmp_path):
    told = {**TOLD, "colours": COLOURS}
    rows = noise(600, 700)
    with (
        rasterio.open(made(tmp_path / "o.tif", rows, "nearest", told)) as one,
        rasterio.open(gdals(tmp_path / "g.tif", rows, "nearest", told)) as other,
    ):
        assert one.profile == other.profile
        assert one.tags() == other.tags()
        assert one.tags(ns="IMAGE_STRUCTURE") == other.tags(ns="IMAGE_STRUCTURE")
        assert one.descriptions == other.descriptions
        assert one.scales == other.scales
        assert one.colormap(1) == other.colormap(1)
        assert one.overviews(1) == other.overviews(1)


def test_a_large_file_is_a_bigtiff(tmp_path, monkeypatch):
    rows = noise(1300, 1100)
    plain = made(tmp_path / "c.tif", rows)
    monkeypatch.setattr(cog, "_CLASSIC_BYTES", plain.stat().st_size)
    big = made(tmp_path / "b.tif", rows)
    assert plain.read_bytes()[2] == 42
    assert big.read_bytes()[2] == 43
    for level in (None, 0, 1):
        options = {} if level is None else {"overview_level": level}
        with rasterio.open(plain, **options) as one, rasterio.open(big, **options) as other:
            assert one.profile == other.profile
            assert one.tags() == other.tags()
            np.testing.assert_array_equal(one.read(1), other.read(1))


@pytest.mark.parametrize("is_big", [False, True])
def test_both_kinds_are_cloud_optimized(tmp_path, monkeypatch, is_big):
    cogeo = pytest.importorskip("rio_cogeo", reason="rio-cogeo is not installed")
    monkeypatch.setattr(cog, "_CLASSIC_BYTES", 0 if is_big else 2**32)
    path = made(tmp_path / "m.tif", noise(1300, 2100))
    assert cogeo.cog_validate(path, strict=True, quiet=True) == (True, [], [])


def test_a_block_stands_between_its_size_and_its_last_bytes(tmp_path):
    path = made(tmp_path / "m.tif", noise(600, 1100))
    data = path.read_bytes()
    with rasterio.open(path) as dataset:
        for block in ("0_0", "2_1"):
            offset, size = (
                int(dataset.get_tag_item(f"BLOCK_{what}_{block}", "TIFF", bidx=1))
                for what in ("OFFSET", "SIZE")
            )
            assert int.from_bytes(data[offset - 4 : offset], "little") == size
            assert data[offset + size - 4 :][:4] == data[offset + size :][:4]


def test_sizes_halve_until_one_block_holds_all():
    assert level_sizes(1300, 1025) == [(1300, 1025), (650, 513), (325, 257)]
    assert level_sizes(512, 1) == [(512, 1)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_an_average_is_the_mean_of_what_was_seen(height, width, seed):
    block = noise(2 * height, 2 * width, seed, unseen=0.5)
    expected = np.full((height, width), 255)
    for row, col in np.ndindex(height, width):
        seen = [int(v) for v in block[2 * row :][:2, 2 * col :][:, :2].ravel() if v != 255]
        if seen:
            expected[row, col] = int(sum(seen) / len(seen) + 0.5)
    np.testing.assert_array_equal(averaged(block), expected)


@pytest.mark.parametrize("rule", RULES)
def test_odd_borders_keep_their_pixels(tmp_path, rule):
    rows = noise(513, 515, unseen=0)
    path = made(tmp_path / "m.tif", rows, rule)
    with rasterio.open(path, overview_level=0) as dataset:
        overview = dataset.read(1)
    assert overview.shape == (257, 258)
    assert overview[-1, -1] == rows[-1, -1]


def test_a_reader_can_average_further(tmp_path):
    path = made(tmp_path / "m.tif", np.full((1100, 1100), 100, np.uint8))
    with rasterio.open(path) as dataset:
        small = dataset.read(1, out_shape=(100, 100), resampling=Resampling.average)
    assert set(np.unique(small)) == {100}


@pytest.mark.parametrize("value", [0, 255])
def test_a_constant_map_takes_next_to_nothing(tmp_path, value):
    path = made(tmp_path / "m.tif", np.full((1024, 1024), value, np.uint8))
    assert path.stat().st_size < 6_000
