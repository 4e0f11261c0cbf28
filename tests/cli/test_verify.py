"""``geodeforest verify`` as a user types it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import geodeforest as gd
from geodeforest.cli import main
from geodeforest.testing import ThresholdPredictor, make_scene


@pytest.fixture
def files(tmp_path):
    scene = make_scene(
        tmp_path / "s.tif", np.zeros((3, 60, 80), np.uint8), tags={"ACQUISITION_DATE": "2019-07-06"}
    )
    gd.scan(
        scene,
        model=ThresholdPredictor(),
        output=tmp_path / "p.geojson",
        report=tmp_path / "r.json",
    )
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["verify", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_it_says_what_made_the_file(files):
    result = run(files / "p.geojson")
    for word in ("s.tif, image of 2019-07-06", "small 1", "threshold", "gdal", "0 polygons"):
        assert word in result.stdout
    assert "p.geojson: as recorded" in result.stdout
    assert result.stderr == ""


def test_a_changed_output_is_one_line_and_exit_code_3(files):
    (files / "p.geojson").write_text("{}")
    result = run(files / "r.json", code=3)
    (line,) = result.stderr.splitlines()
    assert line.startswith("geodeforest: error: p.geojson: was changed after the scan; ")


def test_json_is_one_object(files):
    told = json.loads(run(files / "r.json", "--json").stdout)
    assert told["ok"] is True
    assert {each["name"]: each["state"] for each in told["checked"]} == {
        "p.geojson": "as recorded",
        "s.tif": "as recorded",
        "small": "not known",
    }


def test_no_record_is_exit_code_3(files):
    (files / "r.json").unlink()
    assert "no run record beside it" in run(files / "p.geojson", code=3).stderr


def test_a_strangers_record_cannot_steer_the_terminal(files):
    record = json.loads((files / "r.json").read_text())
    record["scene"]["name"] = "\x1b[2J\n"
    record["options"] = ["no", "options"]
    (files / "r.json").write_text(json.dumps(record))
    result = run(files / "r.json", code=3)
    assert "\x1b" not in result.output
    assert "\\x1b[2J\\n" in result.stdout
