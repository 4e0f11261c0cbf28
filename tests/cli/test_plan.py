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
    assert plan["outputs"] == {"polygons": ["scene_deforestation.geojson"]}
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
        "seen",
        "scale",
        *["numbers"] * 3,
        "needs",
    ]
    assert "red is band 1, green is band 2, blue is band 3" in lines[2]
    assert "for 1 chip on 1 thread" in lines[-1]


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


def test_it_takes_all_that_a_scan_takes():
    scan = CliRunner().invoke(main, ["scan", "--help"]).stdout
    told = run("--help").stdout
    offered = {word for word in scan.split() if word.startswith("--")}
    assert offered <= set(told.split())


# --- what else is told of a scene that is refused ---------------------------------------------


def test_a_scene_without_a_crs_is_looked_at_all_the_same(tmp_path):
    values = np.full((3, 60, 90), 600, np.uint16)
    plan = planned(make_scene(tmp_path / "s.tif", values, crs=None), code=3)
    assert ["no CRS" in refusal for refusal in plan["refusals"]] == [True]
    assert plan["chips"] == 1
    assert plan["numbers"][0]["stored"] == [600, 600]
    assert plan["scene"]["crs"] is None


def test_a_scene_without_the_bands_is_described_and_all_else_that_is_wrong_with_it(tmp_path):
    scene = make_scene(tmp_path / "s.tif", np.ones((2, 60, 90), np.uint16), crs=None, nodata=0)
    plan = planned(scene, code=3)
    assert len(plan["refusals"]) == 2
    assert "has 2 bands" in plan["refusals"][0]
    assert "no CRS" in plan["refusals"][1]
    assert (plan["scene"]["width"], plan["scene"]["bands"]) == (90, ["1", "2"])
    assert plan["masks"] == [{"kind": "nodata", "bands": [1, 2], "value": "0"}]
    lines = run(scene, code=3).stdout
    assert "60 x 90 px" in lines
    assert "nodata 0 (bands 1, 2)" in lines


def test_too_little_memory_hides_nothing_else(scene):
    plan = planned(scene, "--memory", "50", code=8)
    assert plan["memory_mb"] > 50
    assert plan["chips"] == 1


def test_a_model_that_is_refused_does_not_hide_the_scene(scene):
    plan = planned(scene, "--model", "no-such-model", code=6)
    assert "no-such-model" in plan["refusals"][0]
    assert plan["scene"]["height"] == 60


def test_outputs_that_cannot_be_written_are_refusals(scene, tmp_path):
    (tmp_path / "p.gpkg").write_text("mine")
    plan = planned(scene, "-o", tmp_path / "p.gpkg", code=5)
    assert "the output exists" in plan["refusals"][0]
    assert plan["chips"] == 1
    assert planned(scene, "-o", tmp_path / "p.gpkg", "--overwrite")["refusals"] == []
    assert (tmp_path / "p.gpkg").read_text() == "mine"


def test_geojson_of_another_planet_is_a_refusal_and_geopackage_is_none(tmp_path):
    place = rasterio.Affine(10, 0, 0, 0, -10, 0)
    values = np.full((3, 60, 90), 600, np.uint16)
    mars = make_scene(tmp_path / "m.tif", values, crs="+proj=eqc +R=3396190", transform=place)
    plan = planned(mars, "-o", tmp_path / "p.geojson", code=3)
    assert "no CRS on Earth" in plan["refusals"][0]
    assert planned(mars, "-o", tmp_path / "p.gpkg")["refusals"] == []


# --- masks, resampling, several scenes --------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({}, []),
        ({"nodata": 7}, ["nodata"]),
        ({"valid": np.ones((60, 90), bool)}, ["internal mask"]),
        ({"nodata": 7, "valid": np.ones((60, 90), bool)}, ["nodata", "internal mask"]),
    ],
)
def test_masks_of_every_kind_are_named(tmp_path, options, kinds):
    scene = make_scene(tmp_path / "s.tif", np.full((3, 60, 90), 600, np.uint16), **options)
    assert [mask["kind"] for mask in planned(scene)["masks"]] == kinds


def test_files_that_limit_a_scan_are_named(scene, tmp_path):
    hidden = make_scene(tmp_path / "clouds.tif", np.eye(60, 90).astype(np.uint8))
    found = planned(scene, "--mask", hidden)["masks"]
    assert found == [{"kind": "mask file", "bands": [], "value": "clouds.tif"}]
    assert "mask file clouds.tif" in run(scene, "--mask", hidden).stdout


def test_a_limit_that_is_refused_hides_nothing_else(scene, tmp_path):
    plan = planned(scene, "--aoi", tmp_path / "none.gpkg", code=3)
    assert "none.gpkg" in plan["refusals"][0]
    assert plan["chips"] == 1


def test_the_share_that_can_be_assessed_is_told(tmp_path):
    values = np.full((3, 100, 100), 600, np.uint16)
    values[:, :25] = 0
    scene = make_scene(tmp_path / "s.tif", values, nodata=0)
    assert planned(scene)["assessed_share"] == 0.75
    assert "about 75% can be assessed" in run(scene).stdout


def test_resampling_is_told_with_both_grids(tmp_path):
    scene = make_scene(tmp_path / "s.tif", np.full((3, 60, 90), 600, np.uint16), gsd_m=30)
    plan = planned(scene)
    assert (plan["scene"]["height"], plan["grid"]["height"]) == (60, 180)
    assert plan["grid"]["resampled"]
    assert any("30 m pixels are resampled to 10 m" in note for note in plan["notes"])
    assert plan["refusals"] == plan["warnings"] == []
    assert "grid    180 x 270 px of 10.00 m" in run(scene).stdout


def test_refusals_and_warnings_are_lines_on_stderr_beside_json_too(tmp_path):
    values = np.random.default_rng(0).integers(20, 200, (3, 60, 90)).astype(np.uint16)
    scene = make_scene(tmp_path / "scene.tif", values, crs=None)
    result = run(scene, "--json", code=3)
    plan = json.loads(result.stdout)
    said = [f"geodeforest: warning: {warning}" for warning in plan["warnings"]]
    said += [f"geodeforest: error: {refusal}" for refusal in plan["refusals"]]
    assert (len(plan["warnings"]), len(plan["refusals"])) == (1, 1)
    assert result.stderr.splitlines() == said


def test_a_band_that_stands_for_several_is_a_warning(scene):
    (warning,) = planned(scene, "--bands", "2,1,2")["warnings"]
    assert warning.startswith("scene.tif: band 2 is read as red and blue, which the model ")


def test_several_scenes_have_a_plan_each(scene, tmp_path):
    coarse = make_scene(tmp_path / "c.tif", np.full((3, 60, 90), 600, np.uint16), gsd_m=300)
    out = tmp_path / "{scene}.gpkg"
    lines = run(scene, coarse, "-o", out, "--json", code=3).stdout.splitlines()
    assert [json.loads(line)["scene"]["name"] for line in lines] == ["scene.tif", "c.tif"]
    assert [len(json.loads(line)["refusals"]) for line in lines] == [0, 1]


def test_maps_that_are_not_written_need_no_disk(scene, tmp_path):
    both = planned(scene, "--classes", tmp_path / "c.tif", "--scores", tmp_path / "x.tif")
    assert (planned(scene)["disk_mb"], both["disk_mb"]) == (0, round(4 * 5400 / 2**20, 1))


def test_what_a_later_scan_goes_on_from_needs_disk_too(tmp_path):
    # 2 bytes for each of 200 x 300 pixels, and a chip's height of blended rows of 4 bytes.
    scene = make_scene(tmp_path / "s.tif", np.full((3, 200, 300), 600, np.uint16))
    plan = planned(scene, "--chip", "208")
    assert plan["journal_mb"] == round((2 * 60_000 + 4 * 208 * 300) / 2**20, 1) == 0.4
    assert planned(scene, "--no-resume")["journal_mb"] == 0
    assert ", up to 0.4 MB for the journal on the disk" in run(scene, "--chip", "208").stdout


def test_quiet_leaves_warnings_and_refusals(tmp_path):
    scene = make_scene(tmp_path / "s.tif", np.full((3, 60, 90), 600, np.uint16), crs=None)
    done = run(scene, "-q", code=3)
    assert done.stdout == ""
    assert "no CRS" in done.stderr


def test_memory_counts_what_the_outputs_make_the_program_load(scene, tmp_path):
    plain, table = (planned(scene, "-o", f"p.{name}")["memory_mb"] for name in ("geojson", "gpkg"))
    assert 50 < table - plain < 200
    assert planned(scene, "-o", "p.geojson", "-o", "p.gpkg")["memory_mb"] == table
    everywhere = tmp_path / "area.geojson"
    ring = [[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]
    everywhere.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    assert planned(scene, "--aoi", everywhere)["memory_mb"] >= table


def test_people_are_told_for_which_outputs_that_is(scene):
    assert run(scene).stdout.splitlines()[-1].endswith("to write scene_deforestation.geojson")
    last = run(scene, "-o", "p.gpkg", "--classes", "c.tif").stdout.splitlines()[-1]
    assert last.endswith("to write p.gpkg, c.tif")
