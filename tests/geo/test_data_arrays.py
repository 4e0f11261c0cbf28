"""DataArrays as scenes: a fake of what rioxarray makes of a file."""

from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

from geodeforest.core.grid import Window
from geodeforest.errors import BandMissing, OptionError
from geodeforest.geo.scene import Raster, open_scene

PLACE = rasterio.Affine(10, 0, 500_000, 0, -10, 9_600_000)
EARTH = CRS.from_epsg(32721)
NAMES = ("B02", "B03", "B04", "B08")
RGB = ("red", "green", "blue")


class DataArray:
    """What ``open_scene`` uses of an xarray DataArray with rioxarray."""

    def __init__(self, data, dims="byx", *, cached=PLACE, attrs=None, bands=None):
        self.data, self.dims, self.attrs = data, dims, attrs or {}
        self.coords = {} if bands is None else bands
        self.rio = SimpleNamespace(
            transform=lambda recalc=False: PLACE if recalc else cached,
            crs=EARTH,
            nodata=0,
            x_dim="x",
            y_dim="y",
        )

    def transpose(self, _, *last):
        dims = [*(name for name in self.dims if name not in last), *last]
        data = self.data.transpose([self.dims.index(name) for name in dims])
        return DataArray(data, dims, attrs=self.attrs, bands=self.coords)


def labels(*each, axis="b"):
    return {axis: SimpleNamespace(values=np.array(each if axis == "b" else each[0]))}


def planes(count):
    """Bands whose pixels are their number."""
    return np.stack([np.full((3, 4), number, np.uint16) for number in range(1, count + 1)])


def read(scene):
    pixels = scene.read(Window(0, 0, scene.height, scene.width))
    return [int(plane[0, 0]) for plane in pixels.values]


def order(array, **options):
    with open_scene(array, **options) as scene:
        return read(scene)


@pytest.mark.parametrize(("data", "dims"), [(planes(1), "byx"), (planes(1)[0], "yx")])
def test_a_data_array_is_a_scene(data, dims):
    assert order(DataArray(data, dims)) == [1]


def test_a_data_array_may_have_its_bands_last():
    assert order(DataArray(planes(3).transpose(1, 2, 0), "yxb")) == [1, 2, 3]


def test_a_data_array_lies_where_its_coordinates_say():
    stale = rasterio.Affine(1, 0, 0, 0, -1, 0)
    with open_scene(DataArray(planes(1), cached=stale)) as scene:
        assert scene.profile.transform == PLACE


@pytest.mark.parametrize(
    ("attrs", "gains", "offsets"),
    [
        ({}, [1, 1], [0, 0]),
        ({"scale_factor": 1e-4, "add_offset": -0.1}, [1e-4, 1e-4], [-0.1, -0.1]),
        ({"scales": (1e-4, 2e-4)}, [1e-4, 2e-4], [0, 0]),
    ],
)
def test_a_data_array_brings_its_scale_along(attrs, gains, offsets):
    with open_scene(DataArray(planes(2), attrs=attrs)) as scene:
        assert [band.gain for band in scene.bands] == gains
        assert [band.offset for band in scene.bands] == offsets


def test_the_model_finds_its_bands_by_the_names_that_the_file_gave_them():
    array = DataArray(planes(4), attrs={"long_name": NAMES}, bands=labels(1, 2, 3, 4))
    assert order(array, wanted=RGB) == [3, 2, 1]


def test_bands_in_another_order_than_the_files_keep_their_names():
    array = DataArray(planes(4), attrs={"long_name": NAMES}, bands=labels(4, 3, 2, 1))
    assert order(array, wanted=RGB) == [2, 3, 4]


def test_some_of_a_files_bands_keep_their_names_and_scales():
    told = {"long_name": NAMES, "scales": (1.0, 2.0, 3.0, 4.0)}
    array = DataArray(planes(3), attrs=told, bands=labels(2, 3, 1))
    with open_scene(array, wanted=RGB) as scene:
        assert read(scene) == [2, 1, 3]
        assert [band.gain for band in scene.bands] == [3, 2, 1]


def test_one_band_of_a_file_keeps_its_name():
    array = DataArray(planes(1)[0], "yx", attrs={"long_name": NAMES}, bands=labels(3, axis="band"))
    with open_scene(array) as scene:
        assert scene.profile.bands == ("B04",)


def test_names_in_the_coordinate_of_the_bands_count():
    array = DataArray(planes(3), attrs={"long_name": NAMES}, bands=labels("blue", "green", "red"))
    assert order(array, wanted=RGB) == [3, 2, 1]


def test_names_without_a_coordinate_stand_in_the_order_of_the_bands():
    assert order(DataArray(planes(4), attrs={"long_name": NAMES}), wanted=RGB) == [3, 2, 1]


@pytest.mark.parametrize("told", ["reflectance", NAMES])
def test_names_that_cannot_be_told_apart_say_nothing(told):
    assert order(DataArray(planes(3), attrs={"long_name": told}), wanted=RGB) == [1, 2, 3]


def test_names_without_the_models_bands_are_a_refusal():
    array = DataArray(planes(3), attrs={"long_name": ("B08", "B11", "B12")}, bands=labels(1, 2, 3))
    with pytest.raises(BandMissing, match="one band red"):
        order(array, wanted=RGB)


def test_a_data_array_has_its_files_date():
    told = {"TIFFTAG_DATETIME": "2019:07:06 00:00:00", "_FillValue": 0}
    with open_scene(DataArray(planes(1), attrs=told)) as scene:
        assert scene.profile.date == "2019-07-06"


def test_a_raster_may_name_its_bands():
    names = ("blue", None, "red", "green")
    assert order(Raster(planes(4), PLACE, EARTH, descriptions=names), wanted=RGB) == [3, 4, 1]


@pytest.mark.parametrize("bands", [3, 4])
def test_a_picture_with_its_bands_last_is_refused(bands):
    with pytest.raises(OptionError, match=r"bands last; give np.moveaxis\(array, -1, 0\)"):
        Raster(np.zeros((100, 80, bands), np.uint8), PLACE, EARTH)


def test_a_scene_three_pixels_wide_is_none():
    assert Raster(np.zeros((4, 100, 3), np.uint8), PLACE, EARTH).array.shape == (4, 100, 3)
