"""Rasters laid over a scene, against each pixel's centre."""

import warnings

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from overlays import SCENE, answers, raster, refusal, write

from geodeforest.errors import LimitUnusable, SceneError, SceneNotFound, SceneUnreadable
from geodeforest.geo.overlay import Yes, open_overlay, plain
from geodeforest.testing import make_scene


def test_a_raster_of_coarser_pixels_answers_by_the_centre(tmp_path):
    values = np.random.default_rng(0).integers(0, 3, (30, 40), np.uint8)
    path = raster(tmp_path / "m.tif", values, 499_985, 9_300_015, 30, nodata=2)
    rows, cols = (np.arange(60) * 10 + 5 + 15) // 30, (np.arange(80) * 10 + 5 + 15) // 30
    expected = np.where(values == 2, 255, values)[np.ix_(rows, cols)]
    assert np.array_equal(answers(path), expected)


def test_where_a_raster_ends_nothing_is_known(tmp_path):
    path = raster(tmp_path / "m.tif", np.ones((10, 10), np.uint8), 500_100, 9_299_900, 10)
    expected = np.full((60, 80), 255)
    expected[10:20, 10:20] = 1
    assert np.array_equal(answers(path), expected)


@pytest.mark.parametrize("how", ["nodata", "nan", "mask", "alpha"])
def test_what_a_raster_does_not_tell_is_unknown(tmp_path, how):
    values = np.ones((60, 80), np.float32)
    unknown = np.zeros((60, 80), bool)
    unknown[5:9, 7:20] = True
    options = {}
    if how == "nodata":
        values[unknown], options = -1, {"nodata": -1}
    elif how == "nan":
        values[unknown] = np.nan
    elif how == "mask":
        options = {"valid": ~unknown}
    else:
        values = np.stack([values, np.where(unknown, 0, 255)]).astype(np.uint8)
        options = {"colours": ["gray", "alpha"]}
    path = raster(tmp_path / "m.tif", values, 500_000, 9_300_000, 10, **options)
    assert np.array_equal(answers(path), np.where(unknown, 255, 1))


def test_a_much_finer_raster_is_read_in_parts(tmp_path):
    values = np.zeros((3000, 4000), np.uint8)
    values[::5, ::5] = 1
    values[25::50, 25::50] = 0
    values[75::100, 75::100] = 1
    path = raster(tmp_path / "m.tif", values, 500_000, 9_300_000, 0.2, tiled=True)
    assert np.array_equal(answers(path), values[25::50, 25::50])


def test_numbers_and_bits_that_mean_yes_count_where_they_are_nodata_too(tmp_path):
    values = np.tile(np.arange(10, dtype=np.uint16), (60, 8))
    path = raster(tmp_path / "m.tif", values, 500_000, 9_300_000, 10, nodata=0)
    found = answers(path, kind=lambda *_: Yes((0, 5), bits=(3,), name="x"))
    assert np.array_equal(found, np.isin(values, [0, 5, 8, 9]))


def test_one_of_several_bands_suffices(tmp_path):
    values = np.random.default_rng(0).integers(0, 2, (3, 60, 80), np.uint8)
    path = raster(tmp_path / "m.tif", values, 500_000, 9_300_000, 10)
    found = answers(path, kind=lambda *_: Yes((1,), name="x", bands=(1, 3)))
    assert np.array_equal(found, values[0] | values[2])


def test_a_raster_without_a_place_must_have_the_scenes_size(tmp_path):
    values = np.random.default_rng(0).integers(0, 2, (60, 80), np.uint8)
    options = {"crs": None, "transform": Affine.identity()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        path = make_scene(tmp_path / "m.tif", values, **options)
        other = make_scene(tmp_path / "n.tif", values[1:], **options)
    assert np.array_equal(answers(path), values)
    assert "has no CRS" in refusal(other)


@pytest.mark.parametrize(
    ("values", "profile", "why"),
    [
        (np.ones((3, 9, 9), np.uint8), {}, "has 3 bands"),
        (np.ones((9, 9), np.uint8), {"crs": "EPSG:32601"}, "does not overlap the scene"),
        (np.ones((9, 9), np.complex64), {}, "complex"),
    ],
)
def test_rasters_that_say_nothing_are_refused(tmp_path, values, profile, why):
    path = raster(tmp_path / "m.tif", values, 500_000, 9_300_000, 10, **profile)
    assert why in refusal(path)


def test_a_corrupt_block_names_its_pixels(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)
    path = raster(tmp_path / "m.tif", noise, 500_000, 9_300_000, 10, compress="deflate")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(SceneUnreadable, match=r"rows 0\.\.59"):
        answers(path)


def test_what_is_not_there_is_said_so(tmp_path):
    with pytest.raises(SceneNotFound), open_overlay(tmp_path / "no.tif", SCENE, "aoi", plain):
        pass
    refusal(tmp_path)


def test_the_content_tells_raster_from_vector(tmp_path):
    path = raster(tmp_path / "m.tif", np.ones((60, 80), np.uint8), 500_000, 9_300_000, 10)
    named = path.rename(tmp_path / "m.geojson")
    assert (answers(named) == 1).all()
    shapes = write(tmp_path / "p.geojson", [shapely.box(-58, -7, -56, -6)], "EPSG:4326")
    assert (answers(shapes.rename(tmp_path / "p.tif")) == 1).all()


def test_refusals_are_errors_of_the_scene():
    assert issubclass(LimitUnusable, SceneError)
