"""``geodeforest polygonize`` as a user types it: files, lines and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
from click.testing import CliRunner
from rfc7946 import faults

from geodeforest.cli import main
from geodeforest.testing import make_scene


@pytest.fixture
def classes(tmp_path):
    values = np.zeros((100, 120), np.uint8)
    values[20:40, 30:70] = 1
    values[60:64, 30:34] = 1
    values[70:90, 10:20] = 2
    values[90:, 100:] = 255
    tags = {"CLASS_0": "forest", "CLASS_1": "clearing", "CLASS_2": "water"}
    return make_scene(tmp_path / "map.tif", values, nodata=255, tags=tags)


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["polygonize", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def error_line(result):
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("geodeforest: error: ")
    return lines[0]


def read(path):
    return json.loads(path.read_text("utf-8"))["features"]


def test_the_default_output_is_geojson_here_named_for_the_map(classes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("map.tif")
    assert result.stdout == "1 polygon, 8.0 ha -> map_polygons.geojson\n"
    text = (tmp_path / "map_polygons.geojson").read_text("utf-8")
    assert faults(text) == []
    assert [f["properties"]["class"] for f in json.loads(text)["features"]] == ["clearing"]


def test_several_formats_in_one_go(classes, tmp_path):
    paths = [tmp_path / f"p{end}" for end in (".geojson", ".gpkg", ".fgb", ".parquet")]
    run(classes, *(word for path in paths for word in ("-o", path)))
    assert all(path.stat().st_size for path in paths)
    assert sorted(p.name for p in tmp_path.iterdir() if p.stem == "p") == [
        "p.fgb",
        "p.geojson",
        "p.gpkg",
        "p.parquet",
        "p.qml",
    ]
    assert len(geopandas.read_file(paths[1], layer="not_assessed")) == 1


def test_classes_are_chosen_by_name_number_or_all(classes, tmp_path):
    for number, (words, names) in enumerate(
        [
            (["--only", "water"], {"water"}),
            (["--only", "2", "--only", "clearing"], {"water", "clearing"}),
            (["--only", "all"], {"forest", "clearing", "water"}),
        ]
    ):
        path = tmp_path / f"{number}.geojson"
        run(classes, "-o", path, *words)
        assert {f["properties"]["class"] for f in read(path)} == names


def test_json_is_one_object_on_stdout(classes, tmp_path):
    result = run(classes, "-o", tmp_path / "p.gpkg", "--json", "--only", "all")
    record = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert record["class_map"] == "map.tif"
    assert record["outputs"] == ["p.gpkg"]
    assert (record["polygons"], record["polygons_under_min_area"]) == (3, 1)
    assert record["hectares"] == pytest.approx((120 * 100 - 16 - 200) / 100, rel=2e-3)
    assert abs(record["outline_area_change"]) < 1e-3


@pytest.mark.parametrize(
    ("options", "count"), [([], 1), (["--min-area", 0], 2), (["--min-area", 9], 0)], ids=str
)
def test_small_polygons_are_dropped(classes, tmp_path, options, count):
    run(classes, "-o", tmp_path / "p.geojson", *options)
    assert len(read(tmp_path / "p.geojson")) == count


def test_small_ones_are_merged_instead(classes, tmp_path):
    run(classes, "-o", tmp_path / "p.geojson", "--only", "forest", "--merge-small")
    assert len(read(tmp_path / "p.geojson")[0]["geometry"]["coordinates"]) == 3


def test_scores_fill_the_score_columns(classes, tmp_path):
    scores = make_scene(tmp_path / "s.tif", np.full((100, 120), 200, np.uint8), nodata=255)
    run(classes, "-o", tmp_path / "p.geojson", "--scores", scores, "--smooth")
    assert read(tmp_path / "p.geojson")[0]["properties"]["score_mean"] == 0.8


def test_quiet_says_nothing(classes, tmp_path):
    result = run(classes, "-o", tmp_path / "p.gpkg", "-q")
    assert result.output == ""


def test_progress_goes_to_stderr(classes, tmp_path):
    result = run(classes, "-o", tmp_path / "p.gpkg", "--progress")
    assert "map.tif" in result.stderr
    assert "map.tif" not in result.stdout


def test_an_existing_output_is_exit_5_and_kept_unless_overwritten(classes, tmp_path):
    path = tmp_path / "p.geojson"
    path.write_text("mine")
    assert "p.geojson" in error_line(run(classes, "-o", path, code=5))
    assert path.read_text() == "mine"
    run(classes, "-o", path, "--overwrite")
    assert len(read(path)) == 1


def test_a_style_of_the_users_own_stays_and_that_is_said(classes, tmp_path):
    style = tmp_path / "p.qml"
    style.write_text("mine")
    for more in ((), ("--overwrite",)):
        result = run(classes, "-o", tmp_path / "p.fgb", "--json", *more)
        assert result.stderr.count("\n") == 1
        assert "p.qml: is a style of your own and stays" in result.stderr
        assert json.loads(result.stdout)["outputs"] == ["p.fgb"]
        assert style.read_text() == "mine"


def test_a_style_of_ours_is_listed_and_replaced_with_its_polygons(classes, tmp_path):
    style = tmp_path / "p.qml"
    first = run(classes, "-o", tmp_path / "p.fgb", "--json")
    assert json.loads(first.stdout)["outputs"] == ["p.fgb", "p.qml"]
    written = style.read_text()
    (tmp_path / "p.fgb").unlink()
    style.write_text(written + "<!-- old -->")
    run(classes, "-o", tmp_path / "p.fgb")
    assert style.read_text() == written


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--only", "lake"], 2, "class 'lake' is unknown; the map names forest, clearing, water"),
        (["--min-area", "-1"], 2, "--min-area"),
        (["--simplify", "-1"], 2, "--simplify"),
        (["--simplify", "3", "--smooth"], 2, "smooth"),
        (["-o", "p.shp"], 2, "no format"),
        (["--scores", "none.tif"], 3, "none.tif"),
        (["-o", "nowhere/p.gpkg"], 5, "nowhere"),
    ],
    ids=str,
)
def test_wrong_usage_is_one_line_and_nothing_written(
    classes, tmp_path, monkeypatch, options, code, says
):
    monkeypatch.chdir(tmp_path)
    before = sorted(Path().iterdir())
    assert says in error_line(run("map.tif", *options, code=code))
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.full((9, 9), 0.5, np.float32), "is no class map"),
        (np.full((9, 9), -3, np.int16), "holds -3, which is no class id"),
        (np.full((9, 9), 700, np.int16), "holds 700, which is no class id"),
    ],
    ids=["floats", "negative", "too great"],
)
def test_what_is_no_class_map_is_exit_3(tmp_path, values, says):
    path = make_scene(tmp_path / "m.tif", values)
    line = error_line(run(path, "-o", tmp_path / "p.gpkg", code=3))
    assert "m.tif" in line
    assert says in line
    assert [p.name for p in tmp_path.iterdir()] == ["m.tif"]


def test_a_missing_map_is_exit_3(tmp_path):
    assert "none.tif" in error_line(run(tmp_path / "none.tif", code=3))


def test_help_names_every_vector_option_of_scan():
    text = run("--help").stdout
    for option in ("--min-area", "--merge-small", "--simplify", "--smooth", "--only", "--scores"):
        assert option in text


def test_it_works_as_a_plug_in_of_rasterio(classes, tmp_path):
    rio = Path(sys.executable).with_name("rio")
    if not rio.exists():
        pytest.skip("rio is not beside this Python")
    words = [rio, "geodeforest", "polygonize", classes, "-o", tmp_path / "p.geojson"]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 polygon, 8.0 ha")
    assert faults((tmp_path / "p.geojson").read_text("utf-8")) == []
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert done.stderr.startswith("geodeforest: error: ")
