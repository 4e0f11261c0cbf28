"""Where pixels of one grid lie on another, against a reprojection of each pixel's centre."""

from dataclasses import dataclass

import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from geodeforest.core.grid import Window
from geodeforest.geo.places import Places


@dataclass(frozen=True)
class Grid:
    transform: Affine
    crs: CRS
    height: int
    width: int


def grid(crs, west, north, pixel, shape=(120, 90), turn=0):
    transform = (
        Affine.translation(west, north) @ Affine.rotation(turn) @ Affine.scale(pixel, -pixel)
    )
    return Grid(transform, CRS.from_user_input(crs), *shape)


UTM = grid("EPSG:32721", 500_000, 9_300_000, 10)


def reprojected(scene, other, period=None):
    """Fractional rows and columns of all of a scene's pixel centres on another grid."""
    rows, cols = np.indices((scene.height, scene.width)) + 0.5
    place = scene.transform
    x = place.a * cols + place.b * rows + place.c
    y = place.d * cols + place.e * rows + place.f
    x, y = pyproj.Transformer.from_crs(scene.crs, other.crs, always_xy=True).transform(x, y)
    if period is not None:
        x = other.transform.c + (x - other.transform.c) % period
    back = ~other.transform
    return back.d * x + back.e * y + back.f, back.a * x + back.b * y + back.c


WHOLE = Window(0, 0, 120, 90)


@pytest.mark.parametrize(
    ("scene", "other"),
    [
        (UTM, grid("EPSG:32721", 499_000, 9_301_000, 30)),
        (UTM, grid("EPSG:32721", 499_995, 9_300_005, 10, turn=30)),
        (UTM, grid("EPSG:4326", -58, -6, 0.0003, (5000, 5000))),
        (UTM, grid("EPSG:4674", -57.01, -6.3, 0.00001, (5000, 5000))),
        (UTM, grid("EPSG:3857", -6_400_000, -690_000, 25, (5000, 5000))),
        (grid("EPSG:4326", -57, -6.3, 0.0001), grid("EPSG:32721", 400_000, 9_400_000, 20)),
        (grid("EPSG:3413", -600, 600, 10), grid("EPSG:4326", -180, 90, 0.001, (5000, 360_000))),
    ],
    ids=["thirds", "turned", "degrees", "fine", "mercator", "to-utm", "pole"],
)
def test_a_pixels_place_is_that_of_its_centre(scene, other):
    row, col = Places(scene, other).at(WHOLE)
    exact_row, exact_col = reprojected(scene, other)
    # A pixel of either grid is the measure: a scene's pixel may span a thousand of the other's.
    size = max(
        1, np.abs(np.diff(exact_col, axis=0)).max(), np.abs(np.diff(exact_row, axis=0)).max()
    )
    near = 0.03 * size
    for found, exact in ((row, exact_row), (col, exact_col)):
        assert (found <= exact + near).all()
        assert (exact < found + 1 + near).all()


@given(st.integers(0, 119), st.integers(0, 89), st.integers(1, 120), st.integers(1, 90))
def test_a_place_does_not_depend_on_the_window(row, col, height, width):
    places = Places(UTM, grid("EPSG:4326", -58, -6, 0.0003, (5000, 5000)))
    window = Window(row, col, min(height, 120 - row), min(width, 90 - col))
    whole = np.array(places.at(WHOLE))
    assert np.array_equal(places.at(window), whole[:, window.rows, window.cols])


def test_the_same_grid_is_the_same_pixels():
    row, col = Places(UTM, UTM).at(WHOLE)
    assert np.array_equal([row, col], np.indices((120, 90)))


@pytest.mark.parametrize("west", [-180, 0], ids=["global", "from-greenwich"])
@pytest.mark.parametrize("crs", ["EPSG:32760", "EPSG:32701", "EPSG:4326"])
def test_places_go_on_across_the_antimeridian(crs, west):
    scene = {
        "EPSG:32760": grid(crs, 813_000, 8_000_000, 100),
        "EPSG:32701": grid(crs, 178_000, 8_000_000, 100),
        "EPSG:4326": grid(crs, 179.96, -18, 0.001),
    }[crs]
    other = grid("EPSG:4326", west, 90, 0.01, (18_000, 36_000))
    row, col = Places(scene, other).at(WHOLE)
    exact_row, exact_col = reprojected(scene, other, period=360)
    assert (np.abs(row + 0.5 - exact_row) <= 0.53).all()
    assert (np.abs(col + 0.5 - exact_col) <= 0.53).all()
    assert np.ptp(col) > 20_000 or west == 0


def test_what_cannot_be_placed_is_nowhere():
    scene = grid("EPSG:3413", -30_000_000, 30_000_000, 500_000)
    row, _ = Places(scene, grid("EPSG:32721", 400_000, 9_400_000, 20)).at(WHOLE)
    assert np.isnan(row).any()
