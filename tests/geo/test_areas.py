"""Hectares against geodesic areas computed one pixel at a time."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from geodeforest.core.pixels import uniform
from geodeforest.geo.areas import PixelAreas, crs_length, measured
from geodeforest.geo.ground import ground_of

GEOD = pyproj.Geod(ellps="WGS84")

GRIDS = {
    "UTM 21 S": (32721, Affine(10, 0, 600_000, 0, -10, 9_700_000)),
    "UTM at the zone's edge": (32633, Affine(300, 0, 700_000, 0, -300, 7_000_000)),
    "degrees at 60 N": (4326, Affine(0.01, 0, 20, 0, -0.01, 60)),
    "coarse degrees": (4326, Affine(0.5, 0, -20, 0, -0.5, 80)),
    "degrees across the antimeridian": (4326, Affine(0.1, 0, 178, 0, -0.1, 10)),
    "web mercator": (3857, Affine(500, 0, -6_000_000, 0, -500, 8_000_000)),
    "feet": (2263, Affine(32.8, 0, 980_000, 0, -32.8, 200_000)),
    "polar stereographic": (3413, Affine(3000, 0, -60_000, 0, -3000, 60_000)),
    "rotated": (32721, Affine(8, 6, 600_000, 6, -8, 9_700_000)),
    "rotated degrees": (4326, Affine(0.02, 0.01, 20, 0.01, -0.02, 70)),
    "south up": (32721, Affine(10, 0, 600_000, 0, 10, 9_700_000)),
}


def corners(transform, row, col):
    for r, c in ((row, col), (row, col + 1), (row + 1, col + 1), (row + 1, col)):
        yield (
            transform.a * c + transform.b * r + transform.c,
            transform.d * c + transform.e * r + transform.f,
        )


def pixel_hectares(epsg, transform, shape):
    """The geodesic area of each pixel."""
    to_lonlat = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    areas = np.empty(shape)
    for row, col in np.ndindex(shape):
        lons, lats = to_lonlat.transform(*zip(*corners(transform, row, col), strict=True))
        areas[row, col] = abs(GEOD.polygon_area_perimeter(lons, lats)[0]) / 10_000
    return areas


@pytest.mark.parametrize("name", GRIDS)
def test_hectares_by_class_are_the_sum_over_pixels(name):
    epsg, transform = GRIDS[name]
    shape = (37, 41)
    rng = np.random.default_rng(1)
    classes = rng.choice(np.array([0, 1, 255], np.uint8), shape)
    classes[0, 0], classes[-1, -1] = 7, 8  # classes that lie in one corner only
    truth = pixel_hectares(epsg, transform, shape)
    found = PixelAreas(transform, CRS.from_epsg(epsg), *shape).count_hectares(0, classes)
    assert set(found) == {0, 1, 7, 8, 255}
    for class_id, (pixels, hectares) in found.items():
        assert pixels == (classes == class_id).sum()
        assert hectares == pytest.approx(truth[classes == class_id].sum(), rel=1e-4)


@pytest.mark.parametrize("name", ["UTM 21 S", "degrees at 60 N", "web mercator"])
def test_wide_scenes_are_true_in_every_part(name):
    epsg, transform = GRIDS[name]
    crs, shape = CRS.from_epsg(epsg), (1500, 3000)
    areas = PixelAreas(transform, crs, *shape)
    for row, col in ((0, 0), (5, 2999), (700, 1234), (1499, 17), (1499, 2999)):
        rows = np.zeros((1, shape[1]), np.uint8)
        rows[0, col] = 1
        x, y = next(corners(transform, row, col))
        moved = Affine(*transform[:2], x, *transform[3:5], y)
        truth = pixel_hectares(epsg, moved, (1, 1)).item()
        assert areas.count_hectares(row, rows)[1][1] == pytest.approx(truth, rel=1e-4)


def test_rows_may_come_in_any_pieces():
    epsg, transform = GRIDS["degrees at 60 N"]
    classes = np.random.default_rng(2).integers(0, 3, (50, 20)).astype(np.uint8)
    areas = PixelAreas(transform, CRS.from_epsg(epsg), *classes.shape)
    whole = areas.count_hectares(0, classes)
    total = dict.fromkeys(whole, (0, 0.0))
    for top, end in ((0, 1), (1, 20), (20, 50)):
        for class_id, (pixels, hectares) in areas.count_hectares(top, classes[top:end]).items():
            total[class_id] = total[class_id][0] + pixels, total[class_id][1] + hectares
    for class_id, (pixels, hectares) in whole.items():
        assert total[class_id] == (pixels, pytest.approx(hectares, rel=1e-12))


def test_more_rows_than_a_byte_can_count():
    areas = PixelAreas(GRIDS["UTM 21 S"][1], CRS.from_epsg(32721), 1000, 2)
    assert areas.count_hectares(0, np.ones((1000, 2), np.uint8))[1][0] == 2000


def test_pixels_that_are_not_on_earth_have_no_area():
    crs = CRS.from_proj4("+proj=geos +h=35785831 +lon_0=0 +ellps=WGS84")
    areas = PixelAreas(Affine(500_000, 0, -6e6, 0, -500_000, 6e6), crs, 24, 24)
    pixels, hectares = areas.count_hectares(0, np.zeros((1, 24), np.uint8))[0]
    assert (pixels, hectares) == (24, 0)
    assert areas.count_hectares(12, np.zeros((1, 24), np.uint8))[0][1] > 0


def polygon_hectares(polygons, crs):
    return measured(polygons, crs).hectares


@pytest.mark.parametrize("epsg", [4326, 32721, 3857, 2263])
def test_a_polygon_has_the_geodesic_area_of_its_corners(epsg):
    to_crs = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    lon, lat = (-74.0, 40.5) if epsg == 2263 else (-58.0, -3.0)
    outline = shapely.Polygon([(lon, lat), (lon + 0.05, lat), (lon + 0.02, lat + 0.04)])
    hole = shapely.Polygon(
        [(lon + 0.02, lat + 0.01), (lon + 0.02, lat + 0.02), (lon + 0.03, lat + 0.01)]
    )
    polygon = shapely.transform(outline - hole, to_crs.transform, interleaved=False)
    truth = abs(GEOD.geometry_area_perimeter(outline)[0]) - abs(
        GEOD.geometry_area_perimeter(hole)[0]
    )
    found = polygon_hectares(np.array([polygon]), CRS.from_epsg(epsg))
    assert found == pytest.approx([truth / 10_000], rel=1e-7)


def test_polygon_areas_keep_their_order_and_do_not_depend_on_each_other():
    crs = CRS.from_epsg(32721)
    boxes = shapely.box(6e5, 9.7e6, 6e5 + np.array([100, 300, 200]), 9.7e6 + 100)
    boxes[1] -= shapely.box(6e5 + 100, 9.7e6 + 10, 6e5 + 200, 9.7e6 + 20)
    together = polygon_hectares(boxes, crs)
    assert together == pytest.approx([1, 2.9, 2], rel=1e-3)
    assert together.tolist() == [polygon_hectares(boxes[i : i + 1], crs).item() for i in range(3)]


def test_no_polygons_have_no_areas():
    assert polygon_hectares(np.array([], object), CRS.from_epsg(32721)).shape == (0,)


def test_a_band_around_the_earth_has_its_area():
    band = shapely.box(-180, -30, 180, 30)
    half_the_earth = 510_065_622e2 / 2
    found = polygon_hectares(np.array([band]), CRS.from_epsg(4326))
    assert found == pytest.approx([half_the_earth], rel=5e-3)


def test_a_polygon_across_the_antimeridian_is_small():
    crs = CRS.from_epsg(32660)
    square = shapely.box(832_000, 100_000, 842_000, 110_000)
    lons = shapely.get_coordinates(square)
    lon, _ = ground_of(crs).to_lonlat.transform(lons[:, 0], lons[:, 1])
    assert lon.min() < -179 < 179 < lon.max()
    assert polygon_hectares(np.array([square]), crs) == pytest.approx([10_000], rel=0.01)


@pytest.mark.parametrize(
    ("epsg", "length"), [(32721, 1000), (2263, 3280.83), (4326, 0.008983), (4807, 0.009981)]
)
def test_a_kilometre_in_the_units_of_a_crs(epsg, length):
    assert crs_length(CRS.from_epsg(epsg), 1000) == pytest.approx(length, rel=1e-3)


def test_another_planet_is_measured_on_its_own_ellipsoid():
    mars = CRS.from_wkt(
        'GEOGCS["Mars",DATUM["D_Mars",SPHEROID["Mars",3396190,169.89]],'
        'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]]'
    )
    lon, lat = [10, 10.01, 10.01, 10], [5, 5, 5.01, 5.01]
    truth = pyproj.Geod(a=3396190, rf=169.89).polygon_area_perimeter(lon, lat)[0] / 10_000
    square = np.array([shapely.Polygon(np.stack([lon, lat], axis=1))])
    assert polygon_hectares(square, mars)[0] == pytest.approx(truth)
    areas = PixelAreas(Affine(0.001, 0, 10, 0, -0.001, 5.01), mars, 10, 10)
    [(pixels, hectares)] = areas.count_hectares(0, np.zeros((10, 10), np.uint8)).values()
    assert (pixels, hectares) == (100, pytest.approx(truth, rel=1e-4))


@pytest.mark.parametrize("crs", ['LOCAL_CS["site",UNIT["metre",1]]', "EPSG:4978"])
def test_a_grid_without_longitudes_cannot_be_placed(crs):
    with pytest.raises(ProjError):
        PixelAreas(Affine(10, 0, 0, 0, -10, 0), CRS.from_user_input(crs), 5, 5)


def test_an_ellipsoid_without_an_axis_is_refused_as_a_crs(monkeypatch):
    """As the header of a damaged file had one; PROJ itself lets no text of such a CRS pass."""

    def no_axis(_):
        raise ZeroDivisionError

    moon = CRS.from_wkt(
        'GEOGCS["Moon",DATUM["Moon",SPHEROID["Moon",1737400,0]],'
        'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
    )
    ground_of.cache_clear()
    monkeypatch.setattr(pyproj.CRS, "get_geod", no_axis)
    with pytest.raises(ProjError):
        ground_of(moon)
    ground_of.cache_clear()


@given(
    st.lists(st.sampled_from([0, 1, 2, 7, 254, 255]), min_size=1, max_size=4),
    st.integers(1, 300),
    st.integers(0, 99),
)
def test_every_class_id_is_counted(ids, height, seed):
    classes = np.random.default_rng(seed).choice(np.array(ids, np.uint8), (height, 5))
    areas = PixelAreas(Affine(10, 0, 5e5, 0, -10, 9.4e6), CRS.from_epsg(32721), height, 5)
    found = areas.count_hectares(0, classes)
    values, counts = np.unique(classes, return_counts=True)
    assert {class_id: pixels for class_id, (pixels, _) in found.items()} == dict(
        zip(values.tolist(), counts.tolist(), strict=True)
    )


def test_rows_that_are_known_to_be_one_class_count_as_those_that_are_looked_at():
    epsg, transform = GRIDS["UTM 21 S"]
    areas = PixelAreas(transform, CRS.from_epsg(epsg), 3000, 700)
    for first, count in ((0, 600), (600, 1), (601, 899), (1500, 600)):
        known = uniform(np.uint8(255), (count, 700))
        assert areas.count_hectares(first, known) == areas.count_hectares(first, known.copy())
