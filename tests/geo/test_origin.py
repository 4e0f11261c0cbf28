"""What outputs say of how they came about."""

import numpy as np
import pytest
from rasterio.crs import CRS

from geodeforest.geo.legend import class_legend
from geodeforest.geo.origin import as_tags, read_origin
from geodeforest.geo.vector_sinks import open_vector_sink
from geodeforest.testing import make_scene

ORIGIN = {"version": "0.1.0", "run": "ab" * 32, "scene": 'Pará <1> & "2"\t\x1b[0m.tif'}
FORMATS = ["p.geojson", "p.gpkg", "p.fgb", "p.parquet"]


def written(path, origin):
    legend = class_legend({1: "deforestation"}, others=False)
    with open_vector_sink(path, CRS.from_epsg(32721), legend, origin):
        pass
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_polygons_gives_back_what_it_was_told(tmp_path, name):
    found = read_origin(written(tmp_path / name, ORIGIN))
    assert {**found, "scene": None} == {**ORIGIN, "scene": None}
    assert found["scene"].replace("\x1b", "") == ORIGIN["scene"].replace("\x1b", "")


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_was_told_nothing_says_nothing(tmp_path, name):
    assert read_origin(written(tmp_path / name, None)) == {}


def test_a_map_gives_back_what_it_was_told(tmp_path):
    path = make_scene(tmp_path / "c.tif", np.zeros((3, 4), np.uint8), tags=as_tags(ORIGIN))
    assert read_origin(path)["run"] == ORIGIN["run"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"type":"FeatureCollection","geodeforest":',
        b'{"type":"FeatureCollection","geodeforest":[1]}',
        b'{"type":"FeatureCollection","geodeforest":{"run":1}}',
        b'{"type":"FeatureCollection","geodeforest":' + b"[" * 60_000,
        b"II*\0",
        b"SQLite format 3\0",
        b"fgb\x03fgb\x00",
        b"PAR1",
        b"text",
    ],
)
def test_a_file_that_is_damaged_or_another_says_nothing(tmp_path, content):
    (tmp_path / "p").write_bytes(content)
    assert read_origin(tmp_path / "p") == {}


def test_the_metadata_of_a_geopackage_have_no_clock(tmp_path):
    import sqlite3

    with sqlite3.connect(written(tmp_path / "p.gpkg", ORIGIN)) as file:
        (time,) = file.execute("SELECT DISTINCT timestamp FROM gpkg_metadata_reference").fetchone()
    assert time == "1970-01-01T00:00:00.000Z"
