"""The plugin in QGIS: its zip, and its algorithms as users run them."""

import ast
import json
from pathlib import Path
from zipfile import ZipFile

import click
import numpy as np
import pytest
import rasterio

import geodeforest as gd
from geodeforest.cli import main

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "qgis" / "geodeforest_provider"
NOT_FOR_QGIS = {
    *("DEBUG", "ENGINE", "JSON", "MAX_PIXELS", "OVERWRITE", "PROGRESS", "QUIET", "RESAMPLE"),
    *("DEVICE", "RESUME", "UNTRUSTED"),  # the default is right on a desk
    "ON_ERROR",  # a partial result is an exit code of its own, which Processing takes for failure
}
HILLS = ROOT / "data" / "sample" / "hills.tif"


def run(qgis, algorithm, _environment=(), **parameters):
    words = [f"--{name}={value}" for name, value in parameters.items()]
    return qgis.process("run", f"geodeforest:{algorithm}", *words, **dict(_environment))


@pytest.fixture
def out(tmp_path):
    """A folder for outputs alone; QGIS writes statistics beside the scenes it opens."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_zip_is_the_same_each_time_and_holds_what_qgis_wants(load, plugin_zip, tmp_path):
    again = load("build_plugin.py").build(tmp_path)
    assert again.read_bytes() == plugin_zip.read_bytes()
    assert plugin_zip.name == f"geodeforest_provider-{gd.__version__}.zip"
    with ZipFile(plugin_zip) as archive:
        members = archive.namelist()
        metadata = archive.read("geodeforest_provider/metadata.txt").decode()
    assert {name.split("/")[0] for name in members} == {"geodeforest_provider"}
    assert members == sorted(members)
    here = {f"geodeforest_provider/{path.name}" for path in PLUGIN.glob("*.*")}
    assert set(members) == here | {"geodeforest_provider/LICENSE"}
    assert f"version={gd.__version__}\n" in metadata


@pytest.mark.parametrize("path", sorted(PLUGIN.glob("*.py")), ids=lambda path: path.name)
def test_the_plugin_is_written_in_the_python_of_older_qgis(path):
    ast.parse(path.read_text("utf-8"), feature_version=(3, 9))


@pytest.mark.parametrize("name", ["scan", "polygonize"])
def test_parameters_are_the_options_of_the_command_line_with_their_defaults(plugged, name):
    found = plugged.ask("parameters", plugged.plugins)[name]
    options = {
        max(option.opts, key=len).strip("-").replace("-", "_").upper(): option
        for option in main.get_command(None, name).params
        if isinstance(option, click.Option)
    }
    assert set(found) == {"INPUT", *options} - NOT_FOR_QGIS
    for parameter, (kind, default, has_help) in found.items():
        assert has_help, parameter
        if kind in ("number", "boolean"):
            assert default == options[parameter].to_info_dict()["default"], parameter


def test_a_scan_writes_polygons_maps_and_a_record(plugged, out):
    files = {"CLASSES": "c.tif", "SCORES": "s.tif", "REPORT": "r.json", "OUTPUT": "p.gpkg"}
    paths = {name: out / file for name, file in files.items()}
    done = run(plugged, "scan", INPUT=HILLS, THRESHOLD=0.6, MIN_AREA=2, **paths)
    assert done.returncode == 0, done.stderr
    assert "100 - done." in done.stdout
    assert "no baseline" in done.stdout
    assert names(out) == sorted(files.values())
    with rasterio.open(paths["CLASSES"]) as classes, rasterio.open(paths["SCORES"]) as scores:
        assert np.array_equal(classes.read(1) == 1, scores.read(1) >= 150)
    record = json.loads(paths["REPORT"].read_text("utf-8"))
    [layer] = plugged.ask("layers", paths["OUTPUT"])
    expected = gd.scan(HILLS, threshold=0.6, min_area=2)
    assert layer["ids"] == list(expected.polygons["id"])
    assert record["options"]["min_area_ha"] == 2
    assert len(layer["ids"]) > 0


def test_an_existing_output_is_replaced(plugged, out):
    output = out / "p.geojson"
    output.write_text("old")
    assert run(plugged, "scan", INPUT=HILLS, OUTPUT=output).returncode == 0
    assert json.loads(output.read_text("utf-8"))["features"]


def test_an_error_of_the_program_is_the_error_in_qgis(plugged, out):
    done = run(plugged, "scan", INPUT=HILLS, OUTPUT=out / "p.gpkg", CHIP=65)
    assert done.returncode != 0
    assert "chip 65 px must be a multiple of the model's 16" in done.stderr
    assert names(out) == []


def test_without_the_program_qgis_says_where_to_name_it(plugged, out):
    gone = {"GEODEFOREST_EXECUTABLE": str(out / "gone")}
    done = run(plugged, "scan", gone, INPUT=HILLS, OUTPUT=out / "p.gpkg")
    assert done.returncode != 0
    assert "Settings > Options > Processing > Providers > geodeforest" in done.stderr


def test_what_qgis_sets_for_itself_does_not_reach_the_program(plugged, out):
    (out / "rasterio.py").write_text("raise RuntimeError('not the one of geodeforest')")
    astray = {"PYTHONPATH": str(out)}
    done = run(plugged, "scan", astray, INPUT=HILLS, OUTPUT=out / "p.gpkg")
    assert done.returncode == 0, done.stderr


def test_results_come_into_the_project_in_their_own_style(plugged, out):
    files = out / "p.gpkg", out / "c.tif"
    found = plugged.ask("load_results", plugged.plugins, plugged.executable, HILLS, *files)
    assert found == {"Deforestation": "categorizedSymbol", "Class map": "paletted"}


def test_cancelling_ends_the_program_and_leaves_no_output(plugged, make_scene, out):
    rng = np.random.default_rng(1)
    scene = make_scene(rng.integers(0, 255, (3, 1600, 1600), np.uint8))
    found = plugged.ask("cancel", plugged.plugins, plugged.executable, scene, out / "p.gpkg")
    assert found["result"] == {}
    assert 0 < found["last"] < 100
    assert set(names(out)) <= {".p.gpkg.gdf-scratch"}, "what the next run goes on from"


def test_polygonize_makes_polygons_of_the_classes_asked_for(plugged, make_scene, out):
    classes = np.full((60, 80), 255, np.uint8)
    classes[5:40, 5:70] = 0
    classes[10:30, 10:40] = 1
    classes[10:30, 40:60] = 2
    output = out / "p.gpkg"
    done = run(
        plugged,
        "polygonize",
        INPUT=make_scene(classes, nodata=255),
        ONLY="1, 2",
        MIN_AREA=0,
        SIMPLIFY=0,
        OUTPUT=output,
    )
    assert done.returncode == 0, done.stderr
    [layer] = plugged.ask("layers", output)
    assert layer["checked"] == [2, 0, 0]
    assert [area for area, _ in layer["areas"]] == pytest.approx([6, 4], rel=2e-3)


def test_an_error_of_polygonize_is_the_error_in_qgis(plugged, make_scene, out):
    scene = make_scene(np.ones((20, 20), np.uint8))
    done = run(plugged, "polygonize", INPUT=scene, ONLY="meadow", OUTPUT=out / "p.gpkg")
    assert done.returncode != 0
    assert "meadow" in done.stderr
    assert names(out) == []
