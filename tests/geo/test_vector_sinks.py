"""What stands in files of all formats, read back with other means than those that wrote them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pytest
from pyarrow import parquet
from vector_features import HOLED, LEGEND, UTM, attributes, boxes, feature, read, written

from geodeforest.core.spec import ConfidenceRule
from geodeforest.errors import MissingExtra, OptionError, OutputUnwritable
from geodeforest.geo.flatgeobuf_check import check_flatgeobuf
from geodeforest.geo.legend import confidence_legend
from geodeforest.geo.polygons import COLUMNS
from geodeforest.geo.vector_sinks import (
    MemorySink,
    open_vector_sink,
    style_path,
    vector_format,
    write_style,
)

EXTENSIONS = (".geojson", ".gpkg", ".fgb", ".parquet")


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


# All formats


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_features_come_back_with_their_columns_in_order(tmp_path, extension):
    many = [*boxes(3), feature(number=4, score_mean=None, score_min=None, confidence=None)]
    frame = read(written(tmp_path / f"out{extension}", many))
    assert [name for name in frame.columns if name != "geometry"] == list(COLUMNS)
    for found, expected in zip(frame.to_dict("records"), many, strict=True):
        found["date"] = str(found["date"])[:10]  # GDAL makes a date of text in GeoJSON
        for name, value in attributes(expected).items():
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
