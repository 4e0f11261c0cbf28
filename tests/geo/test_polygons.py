"""Regions as polygons on the ground, and their attributes."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.crs import CRS
from vector_features import attributes

from geodeforest.core.spec import ConfidenceRule
from geodeforest.core.trace import RegionTracer
from geodeforest.geo.areas import measured
from geodeforest.geo.polygons import (
    COLUMNS,
    PolygonContext,
    columns,
    features,
    geometries,
    placed_features,
    region_polygons,
)

UTM = CRS.from_epsg(32721)
NORTH_UP = Affine(10, 0, 600_000, 0, -10, 9_700_000)
GRIDS = {
    "north up": NORTH_UP,
    "south up": Affine(10, 0, 600_000, 0, 10, 9_700_000),
    "mirrored": Affine(-10, 0, 600_000, 0, -10, 9_700_000),
    "turned upside down": Affine(-10, 0, 600_000, 0, 10, 9_700_000),
    "rotated": Affine(8, 6, 600_000, 6, -8, 9_700_000),
    "rows and columns swapped": Affine(0, 10, 600_000, 10, 0, 9_700_000),
    "sheared and not square": Affine(10, 3, 600_000, 0, -20, 9_700_000),
}
RING = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]], np.uint8)


def traced(classes, scores=None, targets=(1,)):
    tracer = RegionTracer(classes.shape[1], targets)
    return tracer.feed(classes, scores) + tracer.finish()


def context(**changes):
    facts = {
        "transform": NORTH_UP,
        "crs": UTM,
        "width": 4,
        "scene": "scene.tif",
        "model": "forest 1.0",
        "date": "2024-07-06",
        "baseline": None,
        "class_names": {1: "deforestation"},
        "confidence": ConfidenceRule(0.5, 0.8),
        "min_area_ha": 0.0,
    }
    return PolygonContext(**{**facts, **changes})


def signed_area(ring):
    x, y = shapely.get_coordinates(ring).T
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2


def test_columns_have_the_order_users_are_promised():
    assert list(COLUMNS) == [
        "id", "class", "area_ha", "pixels", "score_mean", "score_min",
        "confidence", "date", "scene", "model", "baseline", "touches_unobserved",
    ]  # fmt: skip


def test_a_feature_says_all_of_its_region():
    scores = np.full((4, 4), 200, np.uint8)
    scores[0, 0] = 150
    found = features(traced(RING, scores), context())
    assert [attributes(f) for f in found] == [
        {
            "id": 1,
            "class": "deforestation",
            "area_ha": 0.08,
            "pixels": 8,
            "score_mean": 0.775,
            "score_min": 0.6,
            "confidence": "medium",
            "date": "2024-07-06",
            "scene": "scene.tif",
            "model": "forest 1.0",
            "baseline": None,
            "touches_unobserved": True,
        },
        {
            **attributes(found[1]),
            "id": 16,
            "area_ha": 0.01,
            "pixels": 1,
            "score_mean": 0.8,
            "score_min": 0.8,
            "confidence": "high",
        },
    ]


@pytest.mark.parametrize("grid", GRIDS)
def test_polygons_lie_where_gdal_puts_them(grid):
    regions = traced(RING)
    expected = [
        shapely.geometry.shape(shape).normalize()
        for shape, _ in rasterio.features.shapes(RING, mask=RING == 1, transform=GRIDS[grid])
    ]
    found = region_polygons(regions, GRIDS[grid])
    assert {p.normalize().wkb for p in found} == {p.wkb for p in expected}


@pytest.mark.parametrize("grid", GRIDS)
def test_exteriors_run_counter_clockwise_in_the_crs(grid):
    for polygon in region_polygons(traced(RING), GRIDS[grid]):
        assert signed_area(polygon.exterior) > 0
        assert all(signed_area(hole) < 0 for hole in polygon.interiors)


def test_holes_are_kept():
    ring, corner = features(traced(RING), context())
    assert (len(ring.geometry.interiors), len(corner.geometry.interiors)) == (1, 0)
    assert ring.geometry.area == 800


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 2)),
    st.sampled_from(sorted(GRIDS)),
)
def test_polygons_are_valid_and_as_large_as_their_pixels(classes, grid):
    regions = traced(classes, targets=(0, 1, 2))
    polygons = region_polygons(regions, GRIDS[grid])
    assert shapely.is_valid(polygons).all()
    pixel = abs(GRIDS[grid].determinant)
    np.testing.assert_allclose(shapely.area(polygons), [r.pixels * pixel for r in regions])
    assert shapely.union_all(polygons).area == pytest.approx(classes.size * pixel)


@pytest.mark.parametrize("epsg", [32721, 3857, 4326])
def test_hectares_are_those_of_the_outline_on_the_ellipsoid(epsg):
    step = 0.001 if epsg == 4326 else 100
    transform = Affine(step, 0, -60 if epsg == 4326 else 5e5, 0, -step, 8)
    (feature, _) = features(traced(RING), context(crs=CRS.from_epsg(epsg), transform=transform))
    to_lonlat = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    outline = shapely.transform(feature.geometry, to_lonlat.transform, interleaved=False)
    square_metres, _ = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(outline)
    assert feature.area_ha == round(abs(square_metres) / 10_000, 4)


def test_a_region_stays_at_the_least_area_and_is_dropped_just_under_it():
    regions = traced(RING)
    largest = measured(region_polygons(regions, NORTH_UP), UTM).hectares[0]
    assert [f.id for f in features(regions, context(min_area_ha=largest))] == [1]
    assert features(regions, context(min_area_ha=np.nextafter(largest, 1))) == []


def test_without_scores_nothing_is_said_of_them():
    (feature, _) = features(traced(RING), context(has_scores=False))
    assert (feature.score_mean, feature.score_min, feature.confidence) == (None, None, None)


def test_without_a_rule_there_is_no_confidence():
    (feature, _) = features(traced(RING, RING * 200), context(confidence=None))
    assert (feature.score_mean, feature.confidence) == (0.8, None)


def test_confidence_agrees_with_the_mean_that_is_shown():
    scores = np.full((1, 2500), 200, np.uint8)
    scores[0, 0] = 199  # the mean is 0.7999984, shown as 0.8
    (feature,) = features(traced(np.ones((1, 2500), np.uint8), scores), context())
    assert (feature.score_mean, feature.confidence) == (0.8, "high")


def test_a_class_without_a_name_goes_by_its_id():
    (feature,) = features(traced(np.full((1, 1), 9, np.uint8), targets=(9,)), context())
    assert feature.class_name == "9"


def test_ids_number_the_first_pixels_from_one():
    classes = np.array([[0, 0, 1], [1, 0, 0]], np.uint8)
    assert [f.id for f in features(traced(classes), context(width=3))] == [3, 4]


def test_features_do_not_depend_on_their_batch():
    classes = np.random.default_rng(3).integers(0, 2, (30, 30)).astype(np.uint8)
    regions = traced(classes, classes * 180)
    together = features(regions, context())
    alone = [feature for region in regions for feature in features([region], context())]
    assert [attributes(f) for f in together] == [attributes(f) for f in alone]
    assert [f.geometry.wkb for f in together] == [f.geometry.wkb for f in alone]


@pytest.mark.parametrize("min_area_ha", [0, 0.05, 1])
def test_degrees_of_all_points_come_with_the_features(min_area_ha):
    found, placed = placed_features(traced(RING), context(min_area_ha=min_area_ha))
    assert len(found) == {0: 2, 0.05: 1, 1: 0}[min_area_ha]
    to_lonlat = pyproj.Transformer.from_crs(32721, 4326, always_xy=True)
    points = shapely.get_coordinates(geometries(found))
    np.testing.assert_array_equal(placed.lonlat.T, to_lonlat.transform(*points.T))


def test_no_regions_give_no_features():
    assert features([], context()) == []


def test_names_of_files_become_text():
    (feature, _) = features(traced(RING), context(scene="s\udcffo.tif", baseline="b\udcfe.tif"))
    assert (feature.scene, feature.baseline) == ("s?o.tif", "b?.tif")


@pytest.mark.parametrize("count", [0, 2])
def test_columns_have_their_types_even_without_features(count):
    table = columns(features(traced(RING), context(has_scores=False))[:count])
    assert {name: values.dtype for name, values in table.items()} == dict(COLUMNS)
    assert {len(values) for values in table.values()} == {count}


def test_columns_hold_nan_and_none_for_the_unknown():
    table = columns(features(traced(RING), context(has_scores=False)))
    assert np.isnan(table["score_mean"]).all()
    assert table["confidence"].tolist() == [None, None]


def test_geometries_are_one_array():
    found = geometries(features(traced(RING), context()))
    assert (found.dtype, found.shape) == (object, (2,))
    assert geometries([]).shape == (0,)
