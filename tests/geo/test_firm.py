"""Outlines that are said to be firm are valid in rounded degrees, however close they come."""

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geodeforest.core.options import VectorOptions
from geodeforest.core.simplify import PixelMetric, simplify_outlines
from geodeforest.core.trace import Region, RegionTracer
from geodeforest.core.vertices import GridVertices
from geodeforest.geo.areas import in_degrees
from geodeforest.geo.firm import is_smooth, longest_edges_px, longest_firm_px
from geodeforest.geo.geojson import to_lonlat
from geodeforest.geo.ground import ground_of
from geodeforest.geo.polygons import Placed, PolygonContext, region_polygons
from geodeforest.geo.vectorise import Vectoriser

SOUTH, NORTH, DEGREES, POLAR = map(CRS.from_epsg, (32721, 32633, 4326, 3413))
GRIDS = {
    "Amazon": (SOUTH, Affine(1, 0, 6e5, 0, -1, 9.7e6)),
    "turned": (SOUTH, Affine(0.8, 0.6, 6e5, 0.6, -0.8, 9.7e6)),
    "sheared": (SOUTH, Affine(1, 0.4, 6e5, 0, -0.5, 9.7e6)),
    "subarctic": (NORTH, Affine(1, 0, 3e5, 0, -1, 7.6e6)),
    "degrees": (DEGREES, Affine(1.13571e-5, 0, -60, 0, -1.17193e-5, 60)),
}


WAYS = {  # a CRS, and a place in it
    "utm": ("EPSG:32632", 9, 60),
    "tmerc": ("EPSG:2193", 175, -40),
    "merc": ("EPSG:3395", 15, -50),
    "webmerc": ("EPSG:3857", -60, -10),
    "stere": ("EPSG:3413", -40, 65),
    "lcc": ("EPSG:2154", 2, 46),
    "laea": ("EPSG:6931", 90, 60),
    "aea": ("EPSG:5070", -100, 40),
    "cea": ("EPSG:6933", 20, 45),
    "eqc": ("EPSG:4087", 20, 45),
    "helmert": ("EPSG:27572", 2, 46),
}


def scaled(transform, size):
    a, b, c, d, e, f = tuple(transform)[:6]
    return Affine(a * size, b * size, c, d * size, e * size, f)


def region(*rings):
    return Region(1, (0, 0), 1, 0, 0, False, tuple(map(np.array, rings)))


def notches(edge_px):
    """Outlines whose tips are as close to an edge of that length as can be, on either side."""
    halves = 2 * edge_px - 1
    tip, far = ((halves - 1) // 2, 1), (halves, 2)
    corners = np.array([(0, 0), far, (halves, 4), tip, (0, 4), (0, 0)])[::-1, ::-1] / 2
    places = np.random.default_rng(5).integers(0, 900, (1000, 1, 2))
    return [region(outline) for outline in (*(places + corners), *(places - corners))]


def is_valid_when_rounded(regions, crs, transform):
    polygons = region_polygons(regions, transform)
    lonlat = in_degrees(shapely.get_coordinates(polygons), crs)
    return shapely.is_valid(shapely.set_coordinates(polygons, np.round(lonlat, 7)))


@pytest.mark.parametrize("size", [3, 10, 30])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_tip_as_close_as_can_be_to_a_firm_edge_stays_beside_it(grid, size):
    crs, transform = GRIDS[grid][0], scaled(GRIDS[grid][1], size)
    longest = longest_firm_px(transform, crs, 1000, 1000)
    firm = notches(longest)
    assert longest > 2
    assert max(longest_edges_px(firm)) <= longest
    assert is_valid_when_rounded(firm, crs, transform).all()


@pytest.mark.parametrize("grid", GRIDS)
def test_a_tip_crosses_edges_that_are_much_longer(grid):
    crs, transform = GRIDS[grid][0], scaled(GRIDS[grid][1], 10)
    longest = longest_firm_px(transform, crs, 1000, 1000)
    loose = notches(32 * longest)
    assert not is_valid_when_rounded(loose, crs, transform).all()


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(sorted(GRIDS)),
    st.floats(0.2, 30),
    st.sampled_from([None, 0, 0.6, 2.0]),
)
def test_what_is_firm_comes_out_as_if_it_had_been_looked_at(seed, grid, size, tolerance):
    rng = np.random.default_rng(seed)
    grain = int(rng.integers(1, 5))
    classes = np.kron(rng.random((14 // grain, 14 // grain)) < 0.5, np.ones((grain, grain)))
    classes[rng.random(classes.shape) < 0.1] = 2
    classes = classes.astype(np.uint8)
    vertices = GridVertices(classes.shape[1])
    tracer = RegionTracer(classes.shape[1], {0, 1, 2}, vertices)
    metric = PixelMetric(1, 1)
    regions = simplify_outlines(tracer.feed(classes), vertices, metric, tolerance)
    regions += simplify_outlines(tracer.finish(), vertices, metric, tolerance)
    crs, transform = GRIDS[grid][0], scaled(GRIDS[grid][1], size)
    polygons = region_polygons(regions, transform)
    assert shapely.is_valid(polygons).all()
    lonlat = in_degrees(shapely.get_coordinates(polygons), crs)
    is_firm = longest_edges_px(regions) <= longest_firm_px(transform, crs, *classes.shape)
    found = to_lonlat(polygons, crs, Placed(lonlat, is_firm))
    assert shapely.is_valid(found).all()
    assert shapely.to_wkb(found).tolist() == shapely.to_wkb(to_lonlat(polygons, crs)).tolist()


@pytest.mark.parametrize("operation", WAYS)
def test_a_tip_stays_beside_a_firm_edge_on_every_way_that_is_listed(operation):
    name, lon, lat = WAYS[operation]
    to_grid = pyproj.Transformer.from_crs("EPSG:4326", name, always_xy=True)
    x, y = to_grid.transform(lon, lat)
    crs, transform = CRS.from_string(name), Affine(10, 0, x, 0, -10, y)
    assert operation in ground_of(crs).to_lonlat.definition
    longest = longest_firm_px(transform, crs, 1000, 1000)
    assert longest > 2
    assert is_valid_when_rounded(notches(longest), crs, transform).all()


@pytest.mark.parametrize("name", ["ESRI:54052", "ESRI:54030", "EPSG:3035"])
def test_nothing_is_firm_where_the_way_to_degrees_may_have_a_kink(name):
    """Lobes; a table of latitudes; several ways, of which PROJ takes one by place."""
    to_grid = pyproj.Transformer.from_crs("EPSG:4326", name, always_xy=True)
    x, y = to_grid.transform(12, 50)
    assert longest_firm_px(Affine(10, 0, x, 0, -10, y), CRS.from_string(name), 1000, 1000) == 0


def test_a_datum_that_is_shifted_by_a_grid_file_may_have_kinks():
    assert is_smooth(pyproj.Transformer.from_pipeline("+proj=helmert +x=1"))
    assert not is_smooth(pyproj.Transformer.from_pipeline("+proj=hgridshift +grids=@null"))


def test_the_longest_edge_is_that_of_any_ring():
    square = np.array([(0, 0), (9, 0), (9, 9), (0, 9), (0, 0)])
    holed = region(square, square[::-1] / 3 + (3, 3))
    stroke = region([(50, 50), (50.5, 50.5), (53, 54), (50, 50)])
    np.testing.assert_array_equal(longest_edges_px([holed, stroke, holed]), [9, 5, 9])


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (SOUTH, Affine(0.05, 0, 6e5, 0, -0.05, 9.7e6)),  # pixels of five roundings
        (POLAR, Affine(30, 0, -15_000, 0, -30, 12_000)),  # around the pole
        (POLAR, Affine(30, 0, -15_000, 0, -30, -60)),  # just beside it
        (SOUTH, Affine(1e6, 0, 6e5, 0, -1e6, 9.7e6)),  # beyond the Earth
    ],
)
def test_nothing_is_firm_where_nothing_is_known_of_it(crs, transform):
    assert longest_firm_px(transform, crs, 1000, 1000) == 0


@pytest.mark.parametrize("smooth", [False, True])
def test_only_outlines_on_the_grid_are_firm(smooth):
    context = PolygonContext(
        transform=scaled(GRIDS["Amazon"][1], 10), crs=SOUTH, width=20, scene="s", model=None,
        date=None, baseline=None, class_names={}, confidence=None, min_area_ha=0,
        has_scores=False,
    )  # fmt: skip
    options = VectorOptions(min_area=0, smooth=smooth)
    work = Vectoriser(context, {1}, options, PixelMetric(10, 10), 20)
    work.feed(np.ones((20, 20), np.uint8))
    assert work.finish().placed.is_firm.tolist() == [not smooth]
