"""Outlines lie on their pixels, share their borders and keep to RFC 7946 on any grid."""

import json

import geopandas
import numpy as np
import pytest
import shapely
from class_maps import EDGE_CASES, GRIDS, NORTH_UP, burnt, patches, polygonized
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import shapes as gdal_shapes
from rfc7946 import faults

import geodeforest as gd
from geodeforest.core.options import VectorOptions
from geodeforest.geo.polygons import COLUMNS
from geodeforest.workflows.polygonize_map import polygonize_to


def as_text(polygon):
    return polygon.normalize().wkt


@pytest.mark.parametrize("grid", GRIDS)
def test_polygons_lie_on_their_pixels_in_any_grid(grid):
    classes = patches(1)
    frame = polygonized(classes, grid, only="all")
    assert list(frame.columns) == [*COLUMNS, "geometry"]
    assert frame.crs == GRIDS[grid][1]
    assert frame.is_valid.all()
    assert np.array_equal(burnt(frame, classes, grid), classes)
    hectares = frame.geometry.to_crs("EPSG:6933").area.sum() / 1e4
    assert frame["area_ha"].sum() == pytest.approx(hectares, rel=1e-3)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_unsimplified_polygons_are_those_of_gdal(seed):
    classes = patches(seed)
    frame = polygonized(classes, only="all", simplify=0)
    theirs = [
        (as_text(shapely.geometry.shape(shape)), str(int(value)))
        for shape, value in gdal_shapes(classes, mask=classes != 255, transform=NORTH_UP)
    ]
    ours = zip(map(as_text, without_nodes(frame.geometry)), frame["class"], strict=True)
    assert sorted(ours) == sorted(theirs)


def without_nodes(polygons):
    """Without the points inside straight edges."""
    return shapely.simplify(polygons.values, 0)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_by_default_polygons_burn_back_to_the_class_map_and_share_borders(seed):
    classes = patches(seed)
    frame = polygonized(classes, only="all")
    assert np.array_equal(burnt(frame, classes), classes)
    assert frame.is_valid.all()
    assert shapely.coverage_is_valid(frame.geometry.values)


@pytest.mark.parametrize(
    "options", [{"simplify": 40}, {"simplify": 1e9}, {"smooth": True}], ids=str
)
def test_no_tolerance_opens_a_gap_or_loses_a_polygon(options):
    classes = patches(3)
    frame = polygonized(classes, only="all", **options)
    assert len(frame) == len(polygonized(classes, only="all", simplify=0))
    assert frame.is_valid.all()
    assert shapely.coverage_is_valid(frame.geometry.values)
    covered = (classes != 255).sum() * 100
    assert shapely.area(frame.geometry.values).sum() == pytest.approx(covered, rel=0.2)


def test_smoothing_keeps_every_area():
    frame = polygonized(patches(4), only="all", smooth=True)
    assert np.allclose(shapely.area(frame.geometry.values), frame["pixels"] * 100)
    exact = polygonized(patches(4), only="all", simplify=0)
    assert not shapely.equals(frame.geometry.values, exact.geometry.values).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
@pytest.mark.parametrize("options", [{}, {"simplify": 1e9}, {"smooth": True}], ids=str)
def test_maps_of_a_pixel_a_row_or_a_column(shape, options):
    classes = np.random.default_rng(1).integers(0, 3, shape).astype(np.uint8)
    frame = polygonized(classes, only="all", **options)
    assert np.array_equal(burnt(frame, classes), classes)


def test_a_map_of_255_alone_has_no_polygons():
    frame = polygonized(np.full((20, 30), 255, np.uint8), only="all", merge_small=True)
    assert len(frame) == 0
    assert list(frame.columns) == [*COLUMNS, "geometry"]
    assert frame.crs == "EPSG:32721"


def test_255_classes_at_once():
    classes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert polygonized(classes, only="all")["class"].astype(int).tolist() == list(range(255))


@pytest.mark.parametrize("grid", [*GRIDS, *EDGE_CASES])
@pytest.mark.parametrize("options", [{}, {"simplify": 0.0}, {"smooth": True}], ids=str)
def test_geojson_keeps_to_rfc_7946(tmp_path, grid, options):
    place, crs = {**GRIDS, **EDGE_CASES}[grid]
    path = tmp_path / "p.geojson"
    raster = gd.Raster(patches(6)[np.newaxis], place, crs, nodata=255)
    polygonize_to(raster, [path], VectorOptions(0, **options), only=["all"])
    text = path.read_text("utf-8")
    assert faults(text) == []
    west, _, east, _ = json.loads(text)["bbox"]
    assert (west > east) == grid.startswith("antimeridian")
    if grid != "tiny pixels":
        geometry = geopandas.read_file(path).geometry
        assert shapely.coverage_is_valid(shapely.get_parts(geometry.values))


def test_the_validator_sees_what_is_wrong(tmp_path):
    path = tmp_path / "p.geojson"
    raster = gd.Raster(patches(6)[np.newaxis], *GRIDS["UTM"], nodata=255)
    polygonize_to(raster, [path], VectorOptions(0), only=["all"])
    good = json.loads(path.read_text("utf-8"))
    ring = good["features"][0]["geometry"]["coordinates"][0]

    def told(change):
        bad = json.loads(json.dumps(good))
        change(bad, bad["features"][0], bad["features"][0]["geometry"]["coordinates"][0])
        return " ".join(faults(json.dumps(bad)))

    assert told(lambda c, f, r: None) == ""
    assert "turns the wrong way" in told(lambda c, f, r: r.reverse())
    assert "not closed" in told(lambda c, f, r: r.pop())
    assert "crs is not allowed" in told(lambda c, f, r: c.update(crs={}))
    assert "bbox" in told(lambda c, f, r: c.update(bbox=[0, 0, 1, 1]))
    assert "bbox is missing" in told(lambda c, f, r: c.pop("bbox"))
    assert "not on Earth" in told(lambda c, f, r: [p.__setitem__(0, p[0] + 360) for p in r])
    assert "antimeridian" in told(lambda c, f, r: r[1].__setitem__(0, -ring[1][0] * 3.5))
    assert "decimals" in told(lambda c, f, r: r[1].__setitem__(0, ring[1][0] + 1e-9))
    assert "not valid" in told(lambda c, f, r: r.__setitem__(slice(1, 3), r[2:0:-1]))
