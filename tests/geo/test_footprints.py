"""Which chips show the same ground."""

from __future__ import annotations

import pytest
from rasterio.warp import transform_bounds

from geodeforest.geo.footprints import Footprint, overlaps

UTM, DEGREES, MERCATOR = "EPSG:32721", "EPSG:4326", "EPSG:3857"


def utm(col, row, size=64, crs=UTM):
    """A chip of 10 m pixels, so many pixels east and south of a place in the Amazon."""
    transform = (10.0, 0.0, 500_000 + 10.0 * col, 0.0, -10.0, 9_300_000 - 10.0 * row)
    return Footprint(crs, transform, (0, size), (0, size))


def pairs(*footprints):
    return list(overlaps([one.polygon() for one in footprints]))


def test_neighbours_that_share_a_side_share_no_ground():
    assert pairs(utm(0, 0), utm(64, 0), utm(0, 64), utm(64, 64)) == []


def test_two_pixels_in_common_are_the_same_ground():
    assert pairs(utm(0, 0), utm(62, 0), utm(200, 200)) == [(0, 1)]


@pytest.mark.parametrize("crs", [DEGREES, MERCATOR, "EPSG:32722"])
def test_the_same_ground_is_seen_in_another_crs(crs):
    west, south, east, north = transform_bounds(UTM, crs, 500_300, 9_299_700, 500_500, 9_299_900)
    moved = Footprint(
        crs, ((east - west) / 20, 0.0, west, 0.0, (south - north) / 20, north), (0, 20), (0, 20)
    )
    assert pairs(utm(0, 0), moved, utm(500, 500)) == [(0, 1)]


def test_padding_is_no_ground():
    padded = Footprint(UTM, utm(0, 0).transform, (0, 64), (0, 30))
    assert pairs(padded, utm(40, 0)) == []


def test_chips_meet_across_the_antimeridian():
    east = Footprint(DEGREES, (0.001, 0, 179.99, 0, -0.001, -16.0), (0, 20), (0, 20))
    west = Footprint(DEGREES, (0.001, 0, -179.999, 0, -0.001, -16.0), (0, 20), (0, 20))
    across = Footprint("EPSG:32760", (10, 0, 819_000, 0, -10, 8_229_000), (0, 400), (0, 400))
    polygons = [one.polygon() for one in (across, west)]
    assert polygons[0].bounds[2] > 180
    assert list(overlaps(polygons)) == [(0, 1)]
    assert pairs(east, utm(0, 0)) == []


@pytest.mark.parametrize(
    "unknown",
    [
        Footprint("", utm(0, 0).transform, (0, 9), (0, 9)),
        Footprint(UTM, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0, 9), (0, 9)),
        Footprint("no such thing", utm(0, 0).transform, (0, 9), (0, 9)),
    ],
)
def test_a_chip_without_a_place_meets_nothing(unknown):
    assert pairs(unknown, utm(0, 0), unknown) == []


def test_none_at_all():
    assert pairs() == []
