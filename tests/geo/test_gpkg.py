"""GeoPackages: version, layers, batches and styles, and the clock that GDAL reads meanwhile."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import geopandas
import pyogrio
import pyproj
import pytest
from rasterio.crs import CRS
from vector_features import LEGEND, UTM, boxes, feature, read, written

from geodeforest.geo import gpkg
from geodeforest.geo.legend import NOT_ASSESSED_LEGEND
from geodeforest.geo.polygons import COLUMNS
from geodeforest.geo.vector_sinks import open_vector_sink


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
