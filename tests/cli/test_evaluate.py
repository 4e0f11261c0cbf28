"""``geodeforest evaluate`` from the outside."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from geodeforest.cli import main


def run(*args):
    return CliRunner().invoke(main, ["evaluate", *map(str, args)])


@pytest.fixture
def pair(make_scene):
    noise = np.random.default_rng(0)
    values = noise.integers(20, 60, (3, 64, 64), dtype=np.uint8)
    values[0, 20:50, 20:50] = 190
    truth = np.zeros((64, 64), np.uint8)
    truth[20:50, 20:50] = 2
    return make_scene(values), make_scene(truth, "truth.tif")


MAPPED = ("--class-map", "0=forest,2=deforestation", "--no-progress")


def test_json_on_stdout_is_the_report(pair, tmp_path):
    result = run(*pair, *MAPPED, "--json", "--report", tmp_path / "found.json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == json.loads((tmp_path / "found.json").read_text())


def test_the_summary_says_the_figures(pair):
    result = run(*pair, *MAPPED)
    assert result.stdout.startswith("4,096 labelled pixels in 1 group\naccuracy ")
    rows = result.stdout.splitlines()[1:]
    assert any(row.startswith("deforestation boundary F1  ") for row in rows)
    assert len({re.search(r"  (?=\d\.\d{4}|-$)", row).end() for row in rows}) == 1


def test_quiet_is_quiet(pair):
    assert run(*pair, *MAPPED, "-q").stdout == ""


def test_both_engines_give_the_same_figures(pair):
    found = [
        json.loads(run(*pair, *MAPPED, "--json", "--engine", engine).stdout)["figures"]
        for engine in ("onnx", "tensorflow")
    ]
    assert found[0] == found[1]


def test_an_unknown_class_in_the_labels_is_one_line_with_code_7(pair):
    result = run(*pair)
    assert result.exit_code == 7
    assert "unknown classes: 2" in result.stderr


def test_damaged_records_end_with_code_7(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "index.json").write_text("{}")
    result = run(tmp_path / "set")
    assert result.exit_code == 7
    assert result.stderr.count("\n") == 1


def test_a_scene_without_labels_ends_with_code_2(pair):
    assert run(pair[0]).exit_code == 2


def test_records_like_the_built_in_model_can_be_judged(pair, tmp_path):
    of_pair = [*map(str, pair), *MAPPED, "--chip", "64", "--like", "amazon-s2-rgb"]
    built = CliRunner().invoke(main, ["records", "build", *of_pair, "-o", str(tmp_path / "set")])
    assert built.exit_code == 0, built.stderr
    result = run(tmp_path / "set", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["pixels"] == 64 * 64


def test_records_without_the_models_scene_inputs_say_how_to_build_them(pair, tmp_path):
    of_pair = [*map(str, pair), *MAPPED, "--chip", "64"]
    CliRunner().invoke(main, ["records", "build", *of_pair, "-o", str(tmp_path / "set")])
    result = run(tmp_path / "set")
    assert result.exit_code == 7
    assert "and no scene inputs, and the model takes" in result.stderr
    assert result.stderr.endswith("build them with --like and the model's name\n")
