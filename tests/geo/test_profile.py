"""A scene's place, pixel size and date; what has no place on Earth is refused."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from read_scenes import EARTH, NORTH, PLACE, WEST, numbers, planes

from geodeforest.errors import NotGeoreferenced
from geodeforest.geo.profile import ground_sample_distance, image_date
from geodeforest.geo.scene import Raster, open_scene

# --- profile ----------------------------------------------------------------------------------


def test_a_profile_says_what_the_file_says(make_scene):
    path = make_scene(planes(2, 6, 8, "uint16"), names=("a", "b"), tiled=True, blockxsize=16,
                      blockysize=32)  # fmt: skip
    with open_scene(path, bands=["b"]) as scene:
        profile = scene.profile
    assert (profile.name, profile.path) == ("scene.tif", str(path))
    assert (profile.height, profile.width, profile.block) == (6, 8, (32, 16))
    assert (profile.transform, profile.crs, profile.bands) == (PLACE, EARTH, ("b",))
    assert profile.is_north_up
    assert profile.date is None


@pytest.mark.parametrize(
    ("epsg", "x", "y", "side", "metres"),
    [
        (32721, 500_000, 9_300_000, 10, 10.004),  # UTM's scale on its meridian is 0.9996
        (4326, -60, 0, 0.0001, 11.095),  # mean of 11.132 along and 11.057 across the equator
        (3857, -6_679_169, 8_399_738, 10, 5.0),  # web mercator at 60 degrees north
        (2264, 2_000_000, 600_000, 10, 3.048),  # US survey feet
        (3031, 0, 2_000_000, 10, 10.02),  # polar: true to scale at 71 degrees south
    ],
)
def test_the_gsd_is_geodesic_in_any_crs(epsg, x, y, side, metres):
    grid = Affine(side, 0, x, 0, -side, y)
    found = ground_sample_distance(grid, rasterio.CRS.from_epsg(epsg), 2, 2)
    assert found == pytest.approx(metres, rel=5e-3)


@given(st.floats(0, 360))
def test_the_gsd_does_not_depend_on_rotation(angle):
    turned = PLACE @ Affine.rotation(angle)
    assert ground_sample_distance(turned, EARTH, 4, 4) == pytest.approx(10.004, rel=1e-3)


def test_sides_of_different_length_are_averaged():
    grid = Affine(10, 0, WEST, 0, -30, NORTH)
    assert ground_sample_distance(grid, EARTH, 1, 1) == pytest.approx(20.008, rel=1e-3)


@pytest.mark.parametrize(
    ("turn", "rotated"),
    [(Affine.identity(), False), (Affine.rotation(5), True), (Affine.shear(3), True)],
)
def test_a_rotated_grid_says_so(make_scene, turn, rotated):
    with open_scene(make_scene(planes(1), transform=PLACE @ turn)) as scene:
        assert scene.profile.rotated is rotated
        assert scene.profile.is_north_up is not rotated


def test_a_south_up_grid_is_not_rotated(make_scene):
    south_up = Affine(10, 0, WEST, 0, 10, NORTH)
    with open_scene(make_scene(planes(1), transform=south_up)) as scene:
        assert not scene.profile.rotated
        assert not scene.profile.is_north_up


@pytest.mark.parametrize(
    ("tags", "date"),
    [
        ({"TIFFTAG_DATETIME": "2021:07:03 14:27:29"}, "2021-07-03"),
        ({"DATE_ACQUIRED": "2021-07-03"}, "2021-07-03"),
        ({"sensing_time": "20210703T142729"}, "2021-07-03"),
        ({"SENSING_TIME": "2021-07-03T14:27:29Z", "TIFFTAG_DATETIME": "2024:01:01 00:00:00"},
         "2021-07-03"),
        ({"TIFFTAG_DATETIME": "0000:00:00 00:00:00"}, None),
        ({"ACQUISITION_DATE": "soon", "TIFFTAG_DATETIME": "2021:02:30 00:00:00"}, None),
        ({"DATE_ACQUIRED": "2021-0703"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_image_date_comes_from_the_tags(tags, date):
    assert image_date([tags]) == date


def test_the_image_date_is_read_from_the_file(make_scene):
    with open_scene(make_scene(planes(1), tags={"DATE_ACQUIRED": "2021-07-03"})) as scene:
        assert scene.profile.date == "2021-07-03"


# --- what has no place on Earth ---------------------------------------------------------------


@pytest.mark.parametrize("transform", [Affine.identity(), Affine(1, 0, 0, 0, -1, 0)])
def test_a_scene_without_a_geotransform_is_refused(make_scene, transform):
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        path = make_scene(planes(1), transform=transform)
    with pytest.raises(NotGeoreferenced, match=r"no geotransform; .*rio edit-info"):
        numbers(path)
    assert numbers(path, georeferenced=False) == [1]


def test_a_scene_without_a_crs_is_refused(make_scene):
    path = make_scene(planes(1), crs=None)
    with pytest.raises(NotGeoreferenced, match="no CRS"):
        numbers(path)
    with open_scene(path, georeferenced=False) as scene:
        assert scene.profile.gsd_m is None


@pytest.mark.parametrize("crs", ['LOCAL_CS["site grid",UNIT["metre",1]]', "EPSG:4978"])
def test_a_crs_that_has_no_place_on_the_ground_is_refused(make_scene, crs):
    with pytest.raises(NotGeoreferenced, match="placed on Earth"):
        numbers(make_scene(planes(1), crs=crs))


def test_ground_control_points_are_not_a_geotransform(make_scene):
    points = [GroundControlPoint(r, c, WEST + c, NORTH - r) for r, c in [(0, 0), (0, 8), (6, 0)]]
    path = make_scene(planes(1), gcps=points)
    with pytest.raises(NotGeoreferenced, match=r"only ground control points.*rio warp"):
        numbers(path)


def test_pixels_without_an_area_are_refused():
    flat = Raster(planes(1), Affine(10, 0, WEST, 0, 0, NORTH), EARTH)
    with pytest.raises(NotGeoreferenced, match="no area"):
        numbers(flat)


@pytest.mark.parametrize("place", [(1e30, 0), (10, 1e12), (-10, -1e300), (np.nan, 0)])
def test_pixels_beyond_any_planet_are_refused(place):
    # GEOS gives up on such polygons; found by fuzzing a GeoTIFF.
    side, west = place
    far = Raster(planes(1), Affine(side, 0, west, 0, -10, NORTH), EARTH)
    with pytest.raises(NotGeoreferenced, match="usable geotransform"):
        numbers(far)
