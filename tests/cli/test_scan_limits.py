"""``geodeforest scan`` with masks, areas, baselines and blocks that cannot be read."""

import json

import geopandas
import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from geodeforest.cli import main
from geodeforest.testing import CORNER, make_scene


@pytest.fixture
def scene(tmp_path):
    """Noise that compresses badly, in tiles, of which one can be spoilt."""
    values = np.random.default_rng(0).integers(300, 2000, (3, 200, 300), np.uint16)
    options = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    return make_scene(tmp_path / "scene.tif", values, **options)


def area(path, west=500, south=500, crs="EPSG:32721"):
    shape = shapely.box(
        CORNER[0] + west, CORNER[1] - south - 500, CORNER[0] + west + 800, CORNER[1] - 500
    )
    geopandas.GeoDataFrame(geometry=[shape], crs=crs).to_file(path)
    return path


def run(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, result.output + result.stderr
    return result


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


def error(result):
    (line,) = result.stderr.splitlines()
    assert line.startswith("geodeforest: error: ")
    return line


def test_only_without_a_baseline_the_result_is_called_non_forest(scene, tmp_path):
    out, where = tmp_path / "o.geojson", area(tmp_path / "a.gpkg")
    assert "no baseline" in run("scan", scene, "-o", out).stderr
    assert run("scan", scene, "-o", out, "--overwrite", "--baseline", where).stderr == ""


def test_an_area_is_counted_in_the_record(scene, tmp_path):
    where = area(tmp_path / "a.gpkg")
    told = run("scan", scene, "-o", tmp_path / "o.geojson", "--aoi", where, "--json").stdout
    counts = json.loads(told)["counts"]
    assert counts["assessed_px"] == 50 * 80
    assert counts["outside_px"] == 200 * 300 - 50 * 80


def test_blocks_that_cannot_be_read_are_exit_3_or_skipped_with_exit_4(scene, tmp_path):
    cut(scene)
    out = tmp_path / "o.geojson"
    line = error(run("scan", scene, "-o", out, code=3))
    assert "scene.tif: block " in line
    assert "--on-error skip" in line
    assert not out.exists()
    result = run("scan", scene, "-o", out, "--on-error", "skip", code=4)
    assert "were not assessed because blocks cannot be read" in result.stderr
    assert out.exists()


def test_one_damaged_scene_of_two_is_exit_4_in_the_end(scene, tmp_path):
    whole = make_scene(tmp_path / "whole.tif", np.full((3, 60, 60), 600, np.uint16))
    pattern = tmp_path / "{scene}.geojson"
    run("scan", cut(scene), whole, "-o", pattern, "--on-error", "skip", code=4)
    assert (tmp_path / "whole.geojson").exists()


@pytest.mark.parametrize("option", ["--aoi", "--mask", "--baseline"])
def test_a_file_that_cannot_be_used_is_exit_3_before_any_work(scene, tmp_path, option):
    far = area(tmp_path / "far.gpkg", west=900_000)
    out = tmp_path / "o.geojson"
    assert "does not overlap the scene" in error(run("scan", scene, "-o", out, option, far, code=3))
    missing = error(run("scan", scene, "-o", out, option, tmp_path / "no.gpkg", code=3))
    assert "no.gpkg: there is no such file" in missing


@pytest.mark.parametrize("option", ["--aoi", "--mask", "--baseline"])
def test_what_is_read_is_never_written(scene, tmp_path, option):
    where = area(tmp_path / "a.gpkg")
    before = where.read_bytes()
    error(run("scan", scene, "-o", where, option, where, "--overwrite", code=2))
    assert where.read_bytes() == before


def test_plan_names_what_it_refuses_and_what_it_would_use(scene, tmp_path):
    where = area(tmp_path / "a.gpkg")
    plan = json.loads(run("plan", scene, "--baseline", where, "--aoi", where, "--json").stdout)
    assert plan["baseline"] == {"name": "a.gpkg", "date": None}
    assert plan["options"]["aoi"] == "a.gpkg"
    far = area(tmp_path / "far.gpkg", west=900_000)
    plan = json.loads(run("plan", scene, "--mask", far, "--json", code=3).stdout)
    assert "far.gpkg: does not overlap the scene" in plan["refusals"][0]


def test_an_unknown_policy_is_exit_2(scene, tmp_path):
    run("scan", scene, "-o", tmp_path / "o.geojson", "--on-error", "ignore", code=2)
