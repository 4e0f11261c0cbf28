"""GeoJSON: degrees, decimals, rings and bounds, at the antimeridian and the poles too."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.crs import CRS
from vector_features import HOLED, UTM, boxes, feature, written

from geodeforest.core.trace import RegionTracer
from geodeforest.errors import OutputUnwritable
from geodeforest.geo.areas import measured
from geodeforest.geo.geojson import GeoJSONSink, to_lonlat
from geodeforest.geo.polygons import Placed, geometries, region_polygons

UTM_60 = CRS.from_epsg(32660)

ACROSS = shapely.box(830_000, 100_000, 840_000, 110_000)  # the antimeridian, in UTM_60


def parsed(path):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


@pytest.fixture
def geojson(tmp_path):
    """Writes features and returns the parsed GeoJSON."""
    return lambda features, crs=UTM: parsed(written(tmp_path / "out.geojson", features, crs))


def shapes(collection):
    return [shapely.geometry.shape(f["geometry"]) for f in collection["features"]]


def hectares(shape):
    return abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(shape)[0]) / 10_000


# GeoJSON


def test_every_feature_has_a_line_of_its_own(tmp_path):
    lines = written(tmp_path / "out.geojson", boxes(3)).read_text("utf-8").splitlines()
    assert [json.loads(line.rstrip(","))["id"] for line in lines[1:-1]] == [1, 2, 3]


def test_a_collection_has_no_other_members(geojson):
    collection = geojson(boxes(2))
    assert list(collection) == ["type", "features", "bbox"]
    assert [list(f) for f in collection["features"]] == [
        ["type", "id", "properties", "geometry"]
    ] * 2
    assert [f["properties"]["id"] for f in collection["features"]] == [1, 2]


def test_names_are_written_as_they_are(tmp_path):
    assert '"scene":"Pará.tif"' in written(tmp_path / "o.geojson", boxes(1)).read_text("utf-8")


def test_coordinates_are_degrees_with_seven_decimals(geojson):
    (shape,) = shapes(geojson([feature()]))
    points = shapely.get_coordinates(shape)
    to_lonlat_degrees = pyproj.Transformer.from_crs(32721, 4326, always_xy=True)
    expected = to_lonlat_degrees.transform(*shapely.get_coordinates(HOLED).T)
    found = {tuple(point) for point in points}
    assert found == {tuple(np.round(point, 7)) for point in zip(*expected, strict=True)}


def test_no_number_has_more_than_seven_decimals(tmp_path):
    text = written(tmp_path / "out.geojson", boxes(20)).read_text("utf-8")
    assert max(len(decimals) for decimals in re.findall(r"\d\.(\d+)", text)) == 7


def test_zero_has_no_sign(tmp_path):
    near = feature(shapely.box(-1e-9, -1e-9, 0.01, 0.01))
    text = written(tmp_path / "out.geojson", [near], CRS.from_epsg(4326)).read_text("utf-8")
    assert "[0.0,0.0]" in text
    assert "-0.0" not in text


@pytest.mark.parametrize("turned", [False, True])
def test_exteriors_are_counter_clockwise_and_holes_clockwise(geojson, turned):
    (shape,) = shapes(geojson([feature(HOLED.reverse() if turned else HOLED)]))
    assert shape.exterior.is_ccw
    assert not shape.interiors[0].is_ccw


def test_the_bbox_holds_all_features(geojson):
    collection = geojson(boxes(5))
    assert collection["bbox"] == pytest.approx(shapely.total_bounds(shapes(collection)).tolist())


@pytest.mark.parametrize("size_m", [100, 3_000, 150_000])
def test_degrees_that_are_at_hand_change_nothing(tmp_path, size_m):
    many = [*boxes(3), feature(shapely.box(7e5, 9.6e6, 7e5 + size_m, 9.6e6 + size_m), 4)]
    apart = written(tmp_path / "apart.geojson", many)
    with GeoJSONSink(tmp_path / "known.geojson", UTM) as sink:
        lonlat = measured(geometries(many), UTM).lonlat
        sink.write(many, placed=Placed(lonlat, np.zeros(4, bool)))
    assert (tmp_path / "known.geojson").read_bytes() == apart.read_bytes()


def test_without_features_there_is_no_bbox(geojson):
    assert geojson([]) == {"type": "FeatureCollection", "features": []}


def test_nan_becomes_null(geojson):
    (found,) = geojson([feature(area_ha=float("nan"))])["features"]
    assert found["properties"]["area_ha"] is None


def test_a_long_straight_edge_stays_straight_on_the_ground(geojson):
    long = shapely.box(3e5, 7e6, 3e5 + 100_000, 7e6 + 30)
    neighbour = shapely.box(3e5 + 50_000, 7e6 + 30, 3e5 + 50_100, 7e6 + 60)
    one, other = shapes(geojson([feature(long), feature(neighbour)], CRS.from_epsg(32633)))
    tenth_of_a_metre = 1e-6
    assert one.boundary.distance(other) < tenth_of_a_metre
    assert not one.buffer(-tenth_of_a_metre).intersects(other)


def test_edges_of_everyday_length_get_no_points(geojson):
    (shape,) = shapes(geojson([feature(shapely.box(6e5, 9.7e6, 6e5 + 1900, 9.7e6 + 1900))]))
    assert len(shape.exterior.coords) == 5


def test_a_failure_leaves_no_finished_file(tmp_path):
    path = tmp_path / "out.geojson"
    with pytest.raises(ZeroDivisionError):
        written(path, (feature(number=i, pixels=1 // i) for i in (1, 0)), at_once=1)
    with pytest.raises(json.JSONDecodeError):
        parsed(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_is_an_error_of_the_output(tmp_path):
    (tmp_path / "out.geojson").symlink_to("/dev/full")
    with pytest.raises(OutputUnwritable, match=r"out\.geojson: the disk is full, with "):
        written(tmp_path / "out.geojson", boxes(2000))


def test_a_polygon_off_the_earth_is_refused(tmp_path):
    crs = CRS.from_proj4("+proj=geos +h=35785831 +lon_0=0 +ellps=WGS84")
    with pytest.raises(OutputUnwritable, match=r"out\.geojson: polygon 7 .*; write a \.gpkg"):
        written(tmp_path / "out.geojson", [feature(shapely.box(0, 0, 9e6, 9e6), 7)], crs)


def test_a_crs_of_another_planet_is_refused(tmp_path):
    mars = CRS.from_wkt(
        'GEOGCS["Mars",DATUM["D_Mars",SPHEROID["Mars",3396190,169.89]],'
        'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]]'
    )
    with pytest.raises(OutputUnwritable, match="longitudes"):
        written(tmp_path / "out.geojson", [], mars)
    assert not (tmp_path / "out.geojson").exists()


# GeoJSON at the antimeridian, at poles and in tiny pixels


def check_shape(shape):
    assert shape.is_valid
    assert not shape.is_empty
    west, south, east, north = shape.bounds
    assert -180 <= west <= east <= 180
    assert -90 <= south <= north <= 90
    for part in shapely.get_parts(shape):
        assert part.bounds[2] - part.bounds[0] <= 360
        assert part.exterior.is_ccw
        assert not any(hole.is_ccw for hole in part.interiors)


def test_a_polygon_across_the_antimeridian_is_split(geojson):
    collection = geojson([feature(ACROSS)], UTM_60)
    (shape,) = shapes(collection)
    check_shape(shape)
    west, east = sorted(shape.geoms, key=lambda part: -part.bounds[0])
    assert (west.bounds[2], east.bounds[0]) == (180, -180)
    assert west.bounds[0] > 179
    assert east.bounds[2] < -179
    geod = hectares(west) + hectares(east)
    assert geod == pytest.approx(10_000, rel=0.01)
    assert collection["bbox"] == pytest.approx(
        [west.bounds[0], shape.bounds[1], east.bounds[2], shape.bounds[3]]
    )


def test_a_hole_across_the_antimeridian_is_split_too(geojson):
    hole = shapely.box(832_000, 102_000, 838_000, 108_000)
    (shape,) = shapes(geojson([feature(ACROSS - hole)], UTM_60))
    check_shape(shape)
    assert sum(map(hectares, shape.geoms)) == pytest.approx(10_000 - 3_600, rel=0.01)


def test_a_hole_on_one_side_stays_a_hole(geojson):
    hole = shapely.box(838_000, 102_000, 839_000, 103_000)
    (shape,) = shapes(geojson([feature(ACROSS - hole)], UTM_60))
    check_shape(shape)
    assert sorted(len(part.interiors) for part in shape.geoms) == [0, 1]


def test_polygons_on_both_sides_have_a_bbox_across(geojson):
    collection = geojson([*boxes(2, 820_000, 1e5), *boxes(2, 850_000, 1e5)], UTM_60)
    west, _, east, _ = collection["bbox"]
    assert 179 < west < 180
    assert -180 < east < -179


def test_polygons_on_one_side_have_a_plain_bbox(geojson):
    west, _, east, _ = geojson(boxes(3, 850_000, 1e5), UTM_60)["bbox"]
    assert -180 < west < east < -179


@pytest.mark.parametrize("offset", [0, 360])
def test_an_edge_on_the_antimeridian_splits_nothing(geojson, offset):
    degrees = CRS.from_epsg(4326)
    touching = [shapely.box(179.5, 0, 180, 1), shapely.box(offset - 180, 0, offset - 179.5, 1)]
    collection = geojson([feature(shape) for shape in touching], degrees)
    one, other = shapes(collection)
    assert one.bounds == (179.5, 0, 180, 1)
    assert other.bounds == (-180, 0, -179.5, 1)
    assert collection["bbox"] == [179.5, 0, -179.5, 1]


def test_longitudes_beyond_180_are_turned_back(geojson):
    (shape,) = shapes(geojson([feature(shapely.box(300, -10, 301, -9))], CRS.from_epsg(4326)))
    assert shape.bounds == (-60, -10, -59, -9)


def test_a_polygon_around_the_whole_earth_stays_whole(geojson):
    collection = geojson([feature(shapely.box(-180, -30, 180, 30))], CRS.from_epsg(4326))
    (shape,) = shapes(collection)
    assert shape.area == pytest.approx(360 * 60)
    assert collection["bbox"] == [-180, -30, 180, 30]


def test_a_wide_polygon_across_greenwich_has_a_plain_bbox(geojson):
    collection = geojson([feature(shapely.box(-100, 0, 100, 10))], CRS.from_epsg(4326))
    assert collection["bbox"] == [-100, 0, 100, 10]


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, (5, 6), elements=st.integers(0, 2)), st.sampled_from([90, 1000, 9000]))
def test_regions_across_the_antimeridian_fit_together(classes, pixel_m):
    grid = Affine(pixel_m, 0, 833_978 - 3 * pixel_m, 0, -pixel_m, 1_000)
    tracer = RegionTracer(6, {0, 1, 2})
    polygons = region_polygons(tracer.feed(classes) + tracer.finish(), grid)
    found = to_lonlat(polygons, UTM_60)
    for shape in found:
        check_shape(shape)
    np.testing.assert_allclose(
        [sum(map(hectares, shapely.get_parts(shape))) for shape in found],
        measured(polygons, UTM_60).hectares,
        rtol=1e-3,
    )
    overlap = shapely.area(found).sum() - shapely.union_all(found).area
    assert abs(overlap) < shapely.area(found).sum() * 1e-3


@pytest.mark.parametrize(("epsg", "pole"), [(3413, 90), (3031, -90)])
def test_a_polygon_around_a_pole_reaches_it(geojson, epsg, pole):
    square = shapely.box(-1e6, -1e6, 1e6, 1e6)
    (shape,) = shapes(geojson([feature(square)], CRS.from_epsg(epsg)))
    check_shape(shape)
    assert abs(shape.bounds[1] if pole < 0 else shape.bounds[3]) == 90
    assert shape.bounds[0] == -180
    assert shape.bounds[2] == 180
    assert shape.covers(shapely.Point(45, pole * 0.99))


@pytest.mark.parametrize(("epsg", "pole"), [(3413, 90), (3031, -90)])
def test_a_hole_around_a_pole_leaves_it_out(geojson, epsg, pole):
    ring = shapely.box(-2e6, -2e6, 2e6, 2e6) - shapely.box(-1e6, -1e6, 1e6, 1e6)
    (shape,) = shapes(geojson([feature(ring)], CRS.from_epsg(epsg)))
    check_shape(shape)
    assert not shape.intersects(shapely.Point(45, pole * 0.99))
    for lon in range(-180, 181, 30):
        assert shape.covers(shapely.Point(lon, pole * 0.85))


@pytest.mark.parametrize("size_m", [0.02, 0.005, 0.0005])
def test_pixels_smaller_than_the_decimals_are_not_lost(geojson, size_m):
    pixel = shapely.box(6e5, 9.7e6, 6e5 + size_m, 9.7e6 + size_m)
    ring = shapely.box(6e5, 9.7e6, 6e5 + 3 * size_m, 9.7e6 + 3 * size_m) - shapely.box(
        6e5 + size_m, 9.7e6 + size_m, 6e5 + 2 * size_m, 9.7e6 + 2 * size_m
    )
    for shape in shapes(geojson([feature(pixel), feature(ring)])):
        check_shape(shape)
        assert shape.area > 0


def test_rounding_never_leaves_an_invalid_polygon():
    rng = np.random.default_rng(4)
    slivers = []
    for _ in range(200):
        across, up = np.cumsum(rng.uniform(0.001, 0.02, (2, 12)), axis=1)
        x, y = 6e5 + across.repeat(2)[1:], 9.7e6 + up.repeat(2)[:-1]
        points = [*zip(x, y, strict=True), *zip(x[::-1] + 0.004, y[::-1] - 0.004, strict=True)]
        slivers.append(shapely.Polygon(points))
    assert shapely.is_valid(slivers).all()
    found = to_lonlat(np.array(slivers), UTM)
    assert shapely.is_valid(found).all()
    assert not shapely.is_empty(found).any()
