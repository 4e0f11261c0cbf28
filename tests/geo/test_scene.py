"""Open scenes: which pixels are read, and which of them are real."""

import numpy as np
import pytest
import rasterio
from read_scenes import EARTH, PLACE, RGB, numbers, planes, read_all

from geodeforest.core.grid import Window
from geodeforest.errors import NotGeoreferenced, OptionError, SceneUnreadable
from geodeforest.geo.parts import to_rasterio
from geodeforest.geo.scene import Raster, open_scene


def valid_of(path, **choice):
    with open_scene(path, **choice) as scene:
        return read_all(scene).valid


# --- pixels -----------------------------------------------------------------------------------


def test_a_window_is_read_rows_first(make_scene):
    values = np.arange(48, dtype=np.uint16).reshape(1, 6, 8)
    with open_scene(make_scene(values)) as scene:
        part = scene.read(Window(row=1, col=4, height=3, width=2))
    np.testing.assert_array_equal(part.values[0], values[0, 1:4, 4:6])
    assert part.valid.all()


def test_rasterio_is_told_columns_first():
    told = to_rasterio(Window(row=1, col=2, height=3, width=4))
    assert (told.col_off, told.row_off, told.width, told.height) == (2, 1, 4, 3)


@pytest.mark.parametrize("window", [Window(-1, 0, 2, 2), Window(5, 0, 2, 2), Window(0, 7, 1, 2)])
def test_a_window_must_lie_inside(make_scene, window):
    with open_scene(make_scene(planes(1))) as scene, pytest.raises(ValueError, match="leaves"):
        scene.read(window)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float32", "float64"]
)
def test_stored_numbers_keep_their_dtype(make_scene, dtype):
    with open_scene(make_scene(planes(2, dtype=dtype))) as scene:
        assert scene.profile.dtype == dtype
        assert read_all(scene).values.dtype == dtype


def test_a_dataset_that_was_open_stays_open(make_scene):
    with rasterio.open(make_scene(planes(3))) as dataset:
        with open_scene(dataset) as scene:
            assert scene.profile.name == "scene.tif"
        assert not dataset.closed


def test_a_file_is_closed_at_the_end(make_scene):
    with open_scene(make_scene(planes(1))) as scene:
        pass
    with pytest.raises(SceneUnreadable):
        scene.read(Window(0, 0, 1, 1))


# --- which pixels are real --------------------------------------------------------------------


def test_all_pixels_are_real_where_nothing_says_otherwise(make_scene):
    assert valid_of(make_scene(np.zeros((3, 4, 5), np.uint8))).all()


def test_one_band_of_nodata_is_enough(make_scene):
    values = planes(3)
    values[1, 2, 3] = 255
    valid = valid_of(make_scene(values, nodata=255))
    assert not valid[2, 3]
    assert valid.sum() == valid.size - 1


def test_nodata_in_a_band_that_is_not_read_does_not_count(make_scene):
    values = planes(3)
    values[2, 0, 0] = 255
    assert valid_of(make_scene(values, nodata=255), bands=[1, 2]).all()


@pytest.mark.parametrize("nodata", [None, np.nan, -9999, np.inf, 1e39])
def test_numbers_that_are_not_finite_are_never_real(make_scene, nodata):
    values = planes(2, dtype="float32")
    values[0, 0, 0], values[1, 0, 1], values[0, 0, 2] = np.nan, np.inf, -np.inf
    valid = valid_of(make_scene(values, nodata=nodata if nodata != 1e39 else None))
    assert not valid[0, :3].any()
    assert valid.sum() == valid.size - 3


def test_the_lowest_float_is_nodata_too(make_scene):
    values = planes(1, dtype="float32")
    values[0, 0, 0] = np.finfo(np.float32).min
    assert not valid_of(make_scene(values, nodata=float(np.finfo(np.float32).min)))[0, 0]


def test_nodata_that_the_dtype_cannot_hold_fits_no_pixel():
    scene = Raster(np.zeros((1, 2, 2), np.uint8), PLACE, EARTH, nodata=-9999)
    assert valid_of(scene).all()


@pytest.mark.parametrize("kind", ["mask", "side-car", "alpha", "nodata", "nan"])
def test_every_way_to_say_no_data_gives_the_same_mask(make_scene, tmp_path, kind):
    expected = np.random.default_rng(3).random((6, 8)) > 0.3
    values, options = planes(3), {}
    if kind == "mask":
        options["valid"] = expected
    elif kind == "alpha":
        values = np.concatenate([values, np.where(expected, 255, 0)[None].astype(np.uint8)])
        options["colours"] = [*RGB, "alpha"]
    elif kind == "nodata":
        values[:, ~expected] = 0
        options["nodata"] = 0
    elif kind == "nan":
        values = values.astype(np.float32)
        values[0, ~expected] = np.nan
    path = make_scene(values, **options)
    if kind == "side-car":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
            dataset.write_mask(expected)
        assert path.with_name("scene.tif.msk").exists()
    np.testing.assert_array_equal(valid_of(path), expected)


def test_alpha_counts_beside_a_nodata_value(make_scene):
    values = planes(4)
    values[0, 0, 0], values[3, 0, 1] = 0, 0
    valid = valid_of(make_scene(values, nodata=0, colours=[*RGB, "alpha"]))
    assert not valid[0, :2].any()
    assert valid.sum() == valid.size - 2


def test_a_mask_counts_beside_a_nodata_value(make_scene):
    values, mask = planes(3), np.ones((6, 8), bool)
    values[0, 0, 0], mask[0, 1] = 0, False
    valid = valid_of(make_scene(values, nodata=0, valid=mask))
    assert not valid[0, :2].any()
    assert valid.sum() == valid.size - 2


def test_a_plain_scene_needs_no_mask(make_scene):
    class Watched:
        def __init__(self, dataset):
            self._dataset = dataset

        def __getattr__(self, name):
            assert not name.startswith("read_mask"), "a mask was read"
            return getattr(self._dataset, name)

    with rasterio.open(make_scene(planes(3))) as dataset, open_scene(dataset) as scene:
        scene._dataset = Watched(dataset)
        assert read_all(scene).valid.all()


# --- scenes in memory -------------------------------------------------------------------------


def test_an_array_is_read_like_a_file(make_scene):
    values = np.random.default_rng(1).integers(0, 9, (3, 6, 8)).astype(np.uint16)
    path, window = make_scene(values, nodata=0), Window(2, 1, 3, 5)
    with (
        open_scene(path, bands=[3, 1]) as filed,
        open_scene(Raster(values, PLACE, "EPSG:32721", nodata=0), bands=[3, 1]) as held,
    ):
        np.testing.assert_array_equal(filed.read(window).values, held.read(window).values)
        np.testing.assert_array_equal(filed.read(window).valid, held.read(window).valid)
        assert filed.profile.gsd_m == held.profile.gsd_m
        assert filed.profile.crs == held.profile.crs


def test_an_array_may_bring_its_own_mask():
    valid = np.eye(6, 8, dtype=bool)
    np.testing.assert_array_equal(valid_of(Raster(planes(2), PLACE, EARTH, valid=valid)), valid)


@pytest.mark.parametrize(
    ("array", "options", "what"),
    [
        (np.zeros((4, 5)), {}, "shape"),
        (np.zeros((0, 4, 5)), {}, "shape"),
        (np.zeros((1, 4, 5), complex), {}, "complex"),
        (np.zeros((1, 4, 5)), {"valid": np.ones((5, 4), bool)}, "valid"),
        (np.zeros((1, 4, 5)), {"crs": "EPSG:0"}, "crs"),
        (np.zeros((3, 4, 5)), {"scales": [1e-4]}, "scales: there are 1; give 3"),
        (np.zeros((1, 4, 5)), {"offsets": [0, 0]}, "offsets: there are 2; give 1"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(array, options, what):
    with pytest.raises(OptionError, match=what):
        Raster(array, PLACE, **{"crs": EARTH, **options})


def test_an_array_needs_a_place_on_earth():
    with pytest.raises(NotGeoreferenced, match=r"array: .* no CRS"):
        numbers(Raster(planes(1), PLACE, None))


def test_a_file_brings_the_scale_of_each_band_along(make_scene):
    path = make_scene(planes(3))
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-4, 2e-4, 1), (0, -0.1, 5)
    with open_scene(path, bands=(2, 3)) as scene:
        assert [(band.gain, band.offset) for band in scene.bands] == [(2e-4, -0.1), (1, 5)]


@pytest.mark.parametrize("source", [None, 3, np.zeros((1, 2, 2))])
def test_anything_else_is_not_a_scene(source):
    with pytest.raises(OptionError, match="not a scene"):
        numbers(source)


def test_rows_of_an_array_can_be_read_one_by_one():
    with open_scene(Raster(planes(1), PLACE, EARTH)) as scene:
        assert scene.profile.block == (1, 8)
