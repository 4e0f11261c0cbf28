"""What stands in the files, read back with other means than those that wrote them."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pyarrow import parquet
from rasterio.crs import CRS

from geodeforest.core.spec import ConfidenceRule
from geodeforest.core.trace import RegionTracer
from geodeforest.errors import MissingExtra, OptionError, OutputUnwritable
from geodeforest.geo import gpkg
from geodeforest.geo.areas import polygon_hectares
from geodeforest.geo.flatgeobuf_check import check_flatgeobuf
from geodeforest.geo.geojson import to_lonlat
from geodeforest.geo.legend import NOT_ASSESSED_LEGEND, confidence_legend
from geodeforest.geo.polygons import COLUMNS, Feature, region_polygons
from geodeforest.geo.vector_sinks import (
    MemorySink,
    open_vector_sink,
    style_path,
    vector_format,
    write_style,
)

UTM = CRS.from_epsg(32721)
UTM_60 = CRS.from_epsg(32660)
EXTENSIONS = (".geojson", ".gpkg", ".fgb", ".parquet")

LEGEND = confidence_legend("deforestation", ConfidenceRule(0.75, 0.9))
ACROSS = shapely.box(830_000, 100_000, 840_000, 110_000)  # the antimeridian, in UTM_60
HOLED = shapely.Polygon(
    shapely.box(6e5, 9.7e6, 6e5 + 90, 9.7e6 + 90).exterior.coords,
    [shapely.box(6e5 + 30, 9.7e6 + 30, 6e5 + 60, 9.7e6 + 60).exterior.coords],
)


def feature(geometry=HOLED, number=1, **changes):
    facts = {
        "class_name": "deforestation",
        "area_ha": 0.72,
        "pixels": 72,
        "score_mean": 0.75,
        "score_min": 0.5,
        "confidence": "medium",
        "date": "2024-07-06",
        "scene": "Pará.tif",
        "model": "forest 1.0",
        "baseline": None,
        "touches_unobserved": False,
    }
    return Feature(geometry=geometry, id=number, **{**facts, **changes})


def boxes(count, x=6e5, y=9.7e6):
    """Features in a row, 100 m apart."""
    return [
        feature(shapely.box(x + 100 * i, y, x + 100 * i + 90, y + 90), i + 1) for i in range(count)
    ]


def written(path, features, crs=UTM, at_once=100):
    coming = iter(features)
    with open_vector_sink(path, crs, LEGEND) as sink:
        while batch := list(islice(coming, at_once)):
            sink.write(batch)
    return path


def read(path):
    """The features of any format, by id."""
    if path.suffix == ".parquet":
        frame = geopandas.read_parquet(path)
    else:
        frame = geopandas.read_file(path, layer=0)
    return frame.sort_values("id", ignore_index=True) if len(frame) else frame


def parsed(path):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(path.read_text("utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("count", [0, 1, 2, 16, 17, 256, 257, 5000])
def test_a_flatgeobuf_that_gdal_wrote_is_whole(tmp_path, count):
    path = written(tmp_path / "a.fgb", boxes(count))  # checked where it is written
    for wrong in {count + 1, max(0, count - 1)} - {count}:
        with pytest.raises(OutputUnwritable, match=r"a\.fgb: a part of it was not kept"):
            check_flatgeobuf(path, wrong)


def test_a_flatgeobuf_that_lacks_anything_is_refused(tmp_path):
    path = written(tmp_path / "a.fgb", boxes(20))
    content = path.read_bytes()
    cuts = [content[:at] for at in range(0, len(content), 7)]
    lost = [content[:at] + content[at + 512 :] for at in range(0, len(content) - 512, 97)]
    zeros = [
        content[:at] + bytes(1024) + content[at + 1024 :] for at in range(0, len(content), 512)
    ]
    for spoilt in (*cuts, content[:-1], content + b"\0", *lost, *zeros[-1:], bytes(len(content))):
        path.write_bytes(spoilt)
        with pytest.raises(OutputUnwritable, match="check that the disk is not full"):
            check_flatgeobuf(path, 20)


@pytest.fixture
def geojson(tmp_path):
    """Writes features and returns the parsed GeoJSON."""
    return lambda features, crs=UTM: parsed(written(tmp_path / "out.geojson", features, crs))


def shapes(collection):
    return [shapely.geometry.shape(f["geometry"]) for f in collection["features"]]


def hectares(shape):
    return abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(shape)[0]) / 10_000


def rings(shape):
    return shapely.get_rings(shape)


# All formats


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_features_come_back_with_their_columns_in_order(tmp_path, extension):
    many = [*boxes(3), feature(number=4, score_mean=None, score_min=None, confidence=None)]
    frame = read(written(tmp_path / f"out{extension}", many))
    assert [name for name in frame.columns if name != "geometry"] == list(COLUMNS)
    for found, expected in zip(frame.to_dict("records"), many, strict=True):
        found["date"] = str(found["date"])[:10]  # GDAL makes a date of text in GeoJSON
        for name, value in expected.attributes.items():
            if value is None:
                assert found[name] is None or np.isnan(found[name])
            else:
                assert found[name] == value


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_holes_are_kept(tmp_path, extension):
    frame = read(written(tmp_path / f"out{extension}", [feature()]))
    (shape,) = frame.to_crs(32721).geometry
    assert len(shape.interiors) == 1
    assert shape.area == pytest.approx(8100 - 900, rel=1e-3)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_without_features_a_file_is_valid_and_empty(tmp_path, extension):
    frame = read(written(tmp_path / f"out{extension}", []))
    assert len(frame) == 0
    if extension != ".geojson":  # which has no place for either
        assert frame.crs.to_epsg() == 32721
        assert [name for name in frame.columns if name != "geometry"] == list(COLUMNS)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_bytes_depend_neither_on_the_path_nor_on_how_features_came(tmp_path, extension):
    (tmp_path / "other folder").mkdir()
    many = boxes(7)
    one = written(tmp_path / f"one{extension}", many)
    other = written(tmp_path / "other folder" / f"two{extension}", many, at_once=2)
    if extension in (".geojson", ".gpkg"):
        assert one.read_bytes() == other.read_bytes()
    assert read(one).equals(read(other))


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_extensions_may_be_in_capitals(tmp_path, extension):
    assert written(tmp_path / f"OUT{extension.upper()}", boxes(1)).stat().st_size > 0


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_missing_directory_is_one_error_of_the_output(tmp_path, extension):
    path = tmp_path / "none" / f"out{extension}"
    with pytest.raises(OutputUnwritable, match=f"out{re.escape(extension)}: .*; "):
        written(path, boxes(1))


@pytest.mark.parametrize("name", ["out.shp", "out", "out.json", "geojson"])
def test_an_unknown_extension_names_those_that_are_known(tmp_path, name):
    with pytest.raises(OptionError, match=r"\.geojson, \.gpkg, \.fgb, \.parquet"):
        open_vector_sink(tmp_path / name, UTM, LEGEND)
    assert list(tmp_path.iterdir()) == []


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
        polygon_hectares(polygons, UTM_60),
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


# GeoPackage


def query(path, sql):
    with closing(sqlite3.connect(path)) as file:
        return file.execute(sql).fetchall()


def test_a_geopackage_is_of_version_1_2(tmp_path):
    path = written(tmp_path / "out.gpkg", boxes(1))
    assert query(path, "PRAGMA application_id") == [(0x47504B47,)]
    assert query(path, "PRAGMA user_version") == [(10200,)]


@pytest.mark.parametrize("count", [0, 3])
def test_a_geopackage_has_layers_of_polygons_in_the_scenes_crs(tmp_path, count):
    path = written(tmp_path / "out.gpkg", boxes(count))
    assert pyogrio.list_layers(path).tolist() == [
        ["deforestation", "Polygon"],
        ["not_assessed", "Polygon"],
        ["layer_styles", None],
    ]
    assert pyogrio.read_info(path, layer="not_assessed")["crs"] == "EPSG:32721"
    info = pyogrio.read_info(path, layer="deforestation")
    assert info["crs"] == "EPSG:32721"
    types = zip(info["fields"], info["ogr_types"], info["ogr_subtypes"], strict=True)
    assert {name: (kind, sub) for name, kind, sub in types} == {
        **dict.fromkeys(COLUMNS, ("OFTString", "OFSTNone")),
        **dict.fromkeys(("id", "pixels"), ("OFTInteger64", "OFSTNone")),
        **dict.fromkeys(("area_ha", "score_mean", "score_min"), ("OFTReal", "OFSTNone")),
        "touches_unobserved": ("OFTInteger", "OFSTBoolean"),
    }


def test_a_crs_without_a_code_is_kept(tmp_path):
    own = CRS.from_proj4("+proj=laea +lat_0=-10 +lon_0=-55 +datum=WGS84 +units=m")
    path = written(tmp_path / "out.gpkg", boxes(1), own)
    assert read(path).crs == pyproj.CRS.from_wkt(own.to_wkt(version="WKT2_2019"))


def test_batches_are_appended_in_order_and_indexed(tmp_path, monkeypatch):
    monkeypatch.setattr(gpkg, "_BATCH", 4)
    path = written(tmp_path / "out.gpkg", boxes(11), at_once=3)
    assert query(path, "SELECT id FROM deforestation ORDER BY fid") == [(i + 1,) for i in range(11)]
    assert query(path, "SELECT count(*) FROM rtree_deforestation_geom") == [(11,)]
    assert len(geopandas.read_file(path, layer=0, bbox=(600_290, 9.7e6, 600_410, 9.7e6 + 10))) == 3


def test_nothing_is_added_to_a_last_batch_that_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(gpkg, "_BATCH", 2)
    assert len(read(written(tmp_path / "out.gpkg", boxes(4)))) == 4


def test_the_unknown_is_null(tmp_path):
    path = written(tmp_path / "out.gpkg", [feature(score_mean=None, confidence=None)])
    assert query(path, "SELECT score_mean, confidence, baseline FROM deforestation") == [
        (None, None, None)
    ]


def test_the_clock_of_gdal_is_given_back(tmp_path):
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2001-02-03T04:05:06Z"})
    try:
        path = written(tmp_path / "out.gpkg", boxes(1))
        assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") == "2001-02-03T04:05:06Z"
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    assert query(path, "SELECT DISTINCT last_change FROM gpkg_contents") == [
        ("1970-01-01T00:00:00.000Z",)
    ]


@pytest.mark.parametrize("batch", [2, 100])
def test_what_was_not_assessed_is_a_second_layer(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(gpkg, "_BATCH", batch)
    path = tmp_path / "out.gpkg"
    with open_vector_sink(path, UTM, LEGEND) as sink:
        sink.write([], boxes(3))  # before there is any feature
        sink.write(boxes(1), boxes(2))
    assert pyogrio.list_layers(path)[:2, 0].tolist() == ["deforestation", "not_assessed"]
    unseen = geopandas.read_file(path, layer="not_assessed")
    assert list(unseen.columns) == ["id", "area_ha", "pixels", "date", "scene", "geometry"]
    assert (len(unseen), len(read(path))) == (5, 1)
    assert query(path, "SELECT count(*) FROM rtree_not_assessed_geom") == [(5,)]


def test_each_layer_of_a_geopackage_has_a_default_style(tmp_path):
    path = written(tmp_path / "out.gpkg", boxes(1))
    assert query(
        path, "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles"
    ) == [
        ("deforestation", "geom", 1, LEGEND.qml()),
        ("not_assessed", "geom", 1, NOT_ASSESSED_LEGEND.qml()),
    ]


# Styles beside files


def test_flatgeobuf_has_its_style_beside_it(tmp_path):
    assert style_path(Path("a/out.fgb")) == Path("a/out.qml")
    assert style_path(Path("a/out.gpkg")) is None
    write_style(tmp_path / "out.qml", LEGEND)
    assert (tmp_path / "out.qml").read_text("utf-8") == LEGEND.qml()


def test_a_legend_says_what_its_colours_mean():
    meaning = 'deforestation <of "all" kinds> & more'
    style = ElementTree.fromstring(confidence_legend(meaning, ConfidenceRule(0.7, 0.95)).qml())
    assert style.find("renderer-v2").get("attr") == "confidence"
    assert {c.get("value"): c.get("label") for c in style.iter("category")} == {
        "low": f"low confidence, mean score under 0.7: {meaning}",
        "medium": f"medium confidence, mean score 0.7 to 0.95: {meaning}",
        "high": f"high confidence, mean score 0.95 or more: {meaning}",
    }
    assert len(list(style.iter("symbol"))) == 3


def test_only_the_geopackage_holds_what_was_not_assessed():
    holding = [e for e in EXTENSIONS if vector_format(Path(f"a{e}")).holds_not_assessed]
    assert holding == [".gpkg"]


# GeoParquet


def test_geoparquet_tells_its_bounds_and_orientation(tmp_path):
    path = written(tmp_path / "out.parquet", boxes(3))
    geo = json.loads(parquet.read_metadata(path).metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert (geo["version"], column["encoding"]) == ("1.1.0", "WKB")
    assert (column["geometry_types"], column["orientation"]) == (["Polygon"], "counterclockwise")
    assert column["bbox"] == [6e5, 9.7e6, 6e5 + 290, 9.7e6 + 90]
    assert len(geopandas.read_parquet(path, bbox=(6e5, 9.7e6, 6e5 + 50, 9.7e6 + 50))) == 1


def test_geoparquet_without_its_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("geodeforest.geo.vector_sinks.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"geodeforest\[parquet\]"):
        vector_format(Path("out.parquet"))


# Memory


@pytest.mark.parametrize("count", [0, 3])
def test_a_frame_has_the_columns_types_and_crs(count):
    sink = MemorySink(UTM)
    with sink:
        sink.write(boxes(count))
    frame = sink.frame()
    assert isinstance(frame, geopandas.GeoDataFrame)
    assert list(frame.columns) == [*COLUMNS, "geometry"]
    assert {name: frame[name].dtype for name in COLUMNS} == dict(COLUMNS)
    assert frame.crs.to_epsg() == 32721
    assert frame["id"].tolist() == list(range(1, count + 1))


def test_a_frame_holds_the_geometries_as_they_were():
    with MemorySink(UTM) as sink:
        sink.write([feature()])
        assert sink.frame().geometry.iloc[0] is HOLED


def test_a_frame_tells_the_unknown_in_every_column():
    sink = MemorySink(UTM)
    sink.write([feature(score_mean=None, confidence=None, date=None)])
    (row,) = sink.frame().to_dict("records")
    assert (row["confidence"], row["date"], row["baseline"]) == (None, None, None)
    assert np.isnan(row["score_mean"])


def test_the_clock_of_gdal_is_given_back_where_two_files_are_written_at_once():
    inside, leave, left = threading.Event(), threading.Event(), threading.Event()

    def first():
        with gpkg._without_clock():
            inside.set()
            assert leave.wait(10)

    def second():
        assert inside.wait(10)
        with gpkg._without_clock():
            assert left.wait(10)

    with ThreadPoolExecutor(2) as threads:
        ends = [threads.submit(first), threads.submit(second)]
        assert inside.wait(10)
        wait(ends[1:], timeout=0.2)  # it would enter now, if it could
        leave.set()
        ends[0].result()
        left.set()
        ends[1].result()
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None
