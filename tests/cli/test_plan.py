"""``geodeforest plan``: what a scan would do, said before it does it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from geodeforest.cli import main
from geodeforest.testing import make_scene


@pytest.fixture
def scene(tmp_path):
    """Three bands of reflectance x 10,000, dark with a bright square."""
    values = np.full((3, 60, 90), 600, np.uint16)
    values[:, 10:30, 20:60] = np.array([2000, 1500, 1300])[:, np.newaxis, np.newaxis]
    return make_scene(tmp_path / "scene.tif", values)


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["plan", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def planned(*arguments, code=0):
    return json.loads(run(*arguments, "--json", code=code).stdout)


def test_it_says_what_a_scan_would_read_and_need(scene, tmp_path):
    plan = planned(scene)
    assert (plan["scene"]["height"], plan["scene"]["width"]) == (60, 90)
    assert plan["scene"]["gsd_m"] == pytest.approx(10, rel=1e-2)
    assert [(b["model"], b["index"]) for b in plan["bands"]] == [
        ("red", 1),
        ("green", 2),
        ("blue", 3),
    ]
    assert plan["chips"] == 1
    assert plan["memory_mb"] > 100
    assert plan["seconds"] >= 0
    assert plan["options"]["scale"] == [0, 3558]
    assert (plan["warnings"], plan["refusals"]) == ([], [])
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_people_get_the_same_in_lines(scene):
    lines = run(scene).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "scene",
        "crs",
        "bands",
        "nodata",
        "scale",
        *["numbers"] * 3,
        "needs",
    ]
    assert "red is band 1, green is band 2, blue is band 3" in lines[2]
    assert "under a second for 1 chip on 1 thread" in lines[-1]


def test_it_takes_the_options_of_a_scan(scene):
    plan = planned(scene, "--bands", "3,2,1", "--scale", "0,5000", "--chip", "32", "--overlap", "8")
    assert [b["index"] for b in plan["bands"]] == [3, 2, 1]
    assert plan["options"]["scale"] == [0, 5000]
    assert plan["chips"] == 12


def test_the_numbers_are_told_by_band_beside_those_of_the_training(scene):
    red, green, blue = planned(scene)["numbers"]
    assert [band["band"] for band in (red, green, blue)] == ["red", "green", "blue"]
    assert (red["stored"], green["stored"]) == ([600, 2000], [600, 1500])
    assert red["model"] == pytest.approx([600 / 3558, 2000 / 3558], rel=1e-5)
    least, most = red["trained_dark"]
    assert 0 < least < most < 1
    assert (
        "red: 96 % in 600..2000, for the model 0.1686..0.5621 (training scenes begin at "
        in run(scene).stdout
    )
    assert planned(scene, "--scale", "0,4000")["numbers"][0]["model"] == [0.15, 0.5]


def test_the_rule_that_was_followed_is_told(scene):
    assert "(uint16 numbers: reflectance x 10,000)" in run(scene).stdout
    assert "(--scale)" in run(scene, "--scale", "0,4000").stdout


def test_odd_numbers_are_a_warning(tmp_path):
    values = np.random.default_rng(0).integers(20, 200, (3, 60, 90)).astype(np.uint16)
    scene = make_scene(tmp_path / "scene.tif", values)
    assert "read as 8-bit numbers" in planned(scene)["warnings"][0]
    assert "geodeforest: warning: scene.tif: " in run(scene).stderr
    assert planned(scene, "--scale", "0,255")["warnings"] == []


HILLS = Path(__file__).parents[2] / "data" / "sample" / "hills.tif"


@pytest.mark.parametrize(
    ("alter", "cause"),
    [
        (lambda rgb: rgb + np.uint16(1000), "Sentinel-2's offset of 1000"),
        (lambda rgb: rgb * np.uint16(16), "multiplied by 16"),
        (lambda rgb: (rgb / 3558 * 255 / 6).astype(np.uint8), "darker than the model's scenes"),
        (lambda rgb: rgb[::-1], "another order"),
    ],
    ids=["offset", "x 16", "6 times too dark", "swapped"],
)
def test_a_real_scene_that_was_altered_is_flagged_with_the_likely_cause(tmp_path, alter, cause):
    with rasterio.open(HILLS) as hills:
        scene = make_scene(tmp_path / "scene.tif", alter(hills.read([3, 2, 1])))
    (warning,) = planned(scene)["warnings"]
    assert cause in warning


def test_a_real_scene_is_not_flagged():
    assert planned(HILLS)["warnings"] == []


def test_numbers_that_no_scale_is_known_for_are_refused_with_the_way_out(tmp_path):
    scene = make_scene(tmp_path / "scene.tif", np.full((3, 20, 20), 600, np.int32))
    (refusal,) = planned(scene, code=3)["refusals"]
    assert "for int32 numbers; pass --scale LOW,HIGH" in refusal
    assert "for reflectance x 10,000 they are 0,3558" in refusal
    assert planned(scene, "--scale", "0,3558")["options"]["scale"] == [0, 3558]


def test_scale_tags_of_a_file_make_up_for_its_data_type(tmp_path):
    values = np.full((3, 60, 90), 500_600, np.int32)
    values[:, 10:30, 20:60] = np.array([502_000, 501_500, 501_300])[:, np.newaxis, np.newaxis]
    scene = make_scene(tmp_path / "scene.tif", values)
    with rasterio.open(scene, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-4,) * 3, (-50.0, -50.0, -50.02)
    plan = planned(scene)
    low, high = plan["options"]["scale"]
    assert low == [500_000, 500_000, 500_200]
    assert high == [503_558, 503_558, 503_758]
    assert plan["options"]["scale_from"] == "the scale and offset tags"
    assert "500000..503558 / 500000..503558 / 500200..503758 become" in run(scene).stdout
    assert plan["warnings"] == []


def test_every_refusal_is_said_at_once_and_ends_with_the_code_of_the_first(tmp_path):
    values = np.full((3, 60, 90), 600, np.int32)
    scene = make_scene(tmp_path / "scene.tif", values, gsd_m=30)
    options = (scene, "--memory", "50", "--no-resample")
    plan = planned(*options, code=3)
    assert len(plan["refusals"]) == 3
    for said in ("pass --resample", "no scale for int32", "--memory allows 50"):
        assert sum(said in refusal for refusal in plan["refusals"]) == 1
    assert plan["scene"]["dtype"] == "int32"
    assert run(*options, code=3).stderr.count("geodeforest: error: ") == 3


@pytest.mark.parametrize("name", ["missing.tif", "text.tif"])
def test_what_cannot_be_opened_is_a_refusal(tmp_path, name):
    (tmp_path / "text.tif").write_text("no raster")
    plan = planned(tmp_path / name, code=3)
    assert len(plan["refusals"]) == 1
    assert name in plan["refusals"][0]


def test_a_plan_over_the_memory_is_refused_with_8(scene):
    assert "memory" in planned(scene, "--memory", "50", code=8)["refusals"][0]


def test_a_scene_without_an_observed_pixel_is_a_warning(tmp_path):
    scene = make_scene(tmp_path / "scene.tif", np.zeros((3, 20, 20), np.uint16), nodata=0)
    plan = planned(scene)
    assert "no pixel was observed" in plan["warnings"][0]
    assert plan["bands"][0]["nodata"] == 0


def test_help_names_the_options_of_scan_but_no_output():
    text = run("--help").stdout
    assert all(name in text for name in ("--bands", "--scale", "--simplify", "--memory"))
    assert not any(name in text for name in ("--output", "--classes", "--overwrite"))
