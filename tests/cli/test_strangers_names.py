"""Names and settings that were made to steer a terminal, a database or a path, or to be kept."""

from __future__ import annotations

import contextlib
import sqlite3

import numpy as np
import pytest
from click.testing import CliRunner

from geodeforest.cli import main
from geodeforest.testing import ThresholdPredictor, make_scene

SECRET = "pa55word-of-ann"


@pytest.fixture(autouse=True)
def fake_model(monkeypatch):
    import geodeforest.workflows.load_model as loading
    import geodeforest.workflows.scan_scene  # noqa: F401  # binds the real one first

    monkeypatch.setattr(loading, "load_model", lambda *_: ThresholdPredictor())


@pytest.fixture
def world(tmp_path, monkeypatch):
    folder = tmp_path / "given"
    folder.mkdir()
    values = np.zeros((3, 60, 60), np.uint8)
    values[:, 10:40, 10:40] = 200
    make_scene(folder / "scene.tif", values)
    monkeypatch.chdir(folder)
    return folder


def scan(*arguments):
    return CliRunner().invoke(main, ["scan", "scene.tif", *arguments])


def test_an_output_is_written_where_its_name_says_and_nowhere_else(world):
    result = scan("-o", "../beside.geojson")
    assert result.exit_code == 0
    assert {path.name for path in world.parent.iterdir()} == {"given", "beside.geojson"}
    assert {path.name for path in world.iterdir()} == {"scene.tif"}


def test_a_scenes_name_cannot_lead_an_output_elsewhere(world):
    strange = world / "..%2f..%2fx{scene}.tif"
    (world / "scene.tif").rename(strange)
    result = CliRunner().invoke(main, ["scan", strange.name, "-o", "{scene}.geojson"])
    assert result.exit_code == 0, result.output
    assert sorted(path.suffix for path in world.iterdir()) == [".geojson", ".tif"]
    assert [path.name for path in world.parent.iterdir()] == ["given"]


@pytest.mark.parametrize("name", ['a" ATTACH DATABASE "caught" AS b --.gpkg', "a'] DROP -- x.gpkg"])
def test_a_name_is_no_sql(world, name):
    result = scan("-o", name)
    assert result.exit_code == 0, result.output
    assert {path.name for path in world.iterdir()} == {"scene.tif", name}
    with contextlib.closing(sqlite3.connect(world / name)) as database:
        tables = database.execute("SELECT table_name FROM gpkg_contents ORDER BY 1").fetchall()
    assert ("deforestation",) in tables  # whatever the file is called


@pytest.mark.parametrize("ending", ["gpkg", "fgb"])
def test_a_name_that_pyogrio_would_cut_is_refused(world, ending):
    (world / "a").write_text("kept")
    result = scan("-o", f"a;b.{ending}", "--overwrite")
    assert result.exit_code == 2
    assert "semicolon" in result.stderr
    assert (world / "a").read_text() == "kept"


def test_polygons_under_a_name_that_pyogrio_would_cut_are_refused(world):
    assert scan("-o", "aoi.gpkg").exit_code == 0
    (world / "aoi.gpkg").rename(world / "aoi.gpkg;b")
    result = scan("-o", "b.geojson", "--aoi", "aoi.gpkg;b")
    assert result.exit_code == 3
    assert "semicolon" in result.stderr


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_secrets_of_the_environment_are_neither_told_nor_kept(world, monkeypatch, debug):
    for name in ("AWS_SECRET_ACCESS_KEY", "GDAL_HTTP_USERPWD", "GDAL_HTTP_BEARER", "GS_OAUTH2"):
        monkeypatch.setenv(name, SECRET)
    outputs = ("-o", "a.geojson", "-o", "a.gpkg", "--classes", "a.tif", "--report", "a.json")
    done = scan(*outputs, "--json", *debug)
    assert done.exit_code == 0, done.output
    (world / "scene.tif").write_bytes((world / "scene.tif").read_bytes()[:300])
    failed = scan("-o", "b.geojson", *debug)
    assert failed.exit_code == 3
    assert SECRET not in done.output + failed.output
    assert not [path for path in world.iterdir() if SECRET.encode() in path.read_bytes()]


def test_a_tag_of_the_file_steers_no_terminal(world):
    tags = {"ACQUISITION_DATE": "\x1b[2J2020", "AREA_OR_POINT\x1b": "\x07"}
    values, names = np.zeros((3, 60, 60), np.uint8), ["\x1b[31mr"] * 3
    make_scene(world / "scene.tif", values, tags=tags, names=names)
    for command in ("plan", "scan"):
        result = CliRunner().invoke(main, [command, "scene.tif"])
        assert not {"\x1b", "\x07"} & set(result.output), result.output
