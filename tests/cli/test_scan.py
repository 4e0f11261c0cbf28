"""``geodeforest scan`` as a user types it: files, lines and exit codes."""

import json
import os

import numpy as np
import pytest
from scan_command import error_line, run

from geodeforest.errors import SceneUnreadable
from geodeforest.testing import make_scene

pytestmark = pytest.mark.usefixtures("fake_model")


def test_the_default_output_is_geojson_here_named_for_the_scene(scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("scene.tif")
    written = json.loads((tmp_path / "scene_deforestation.geojson").read_text())
    assert len(written["features"]) == 1
    assert result.stdout.startswith("1 polygon, 8.0 ha; 100.0% of the scene assessed")
    assert "non-forest on one date, no baseline" in result.stderr


def test_all_outputs_in_one_go(scene, tmp_path):
    names = ["p.geojson", "p.gpkg", "c.tif", "x.tif", "r.json"]
    p, g, c, x, r = (tmp_path / name for name in names)
    run(scene, "-o", p, "-o", g, "--classes", c, "--scores", x, "--report", r)
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted([*names, "scene.tif"])
    assert json.loads(r.read_text())["counts"]["polygons"] == 1


def test_json_is_one_object_on_stdout(scene, tmp_path):
    result = run(scene, "-o", tmp_path / "p.geojson", "--json")
    record = json.loads(result.stdout)
    assert record["counts"]["scene_px"] == 12_000
    assert record["model"]["name"] == "small"


def test_quiet_says_nothing(scene, tmp_path):
    result = run(scene, "-o", tmp_path / "p.geojson", "-q")
    assert result.stdout == result.stderr == ""


def test_progress_goes_to_stderr(scene, tmp_path):
    result = run(scene, "-o", tmp_path / "p.geojson", "--progress")
    assert "100%" in result.stderr
    assert "100%" not in result.stdout


def test_who_watches_is_told_first_what_will_be_scanned(scene, tmp_path):
    said = run(scene, "-o", tmp_path / "p.gpkg", "--progress").stderr.splitlines()
    assert said[0].startswith("geodeforest: scene.tif: ")
    assert " px of 10.00 m in EPSG:32721; red is band 1" in said[0]
    assert "chips, " in said[0]
    assert "px of" not in run(scene, "-o", tmp_path / "q.gpkg").stderr


def test_several_scenes_need_a_name_each(scene, tmp_path):
    other = make_scene(tmp_path / "other.tif", np.zeros((3, 70, 70), np.uint8))
    result = run(scene, other, "-o", tmp_path / "all.geojson", code=2)
    assert "{scene}" in error_line(result)
    assert not (tmp_path / "all.geojson").exists()
    run(scene, other, "-o", tmp_path / "{scene}.geojson")
    assert (tmp_path / "other.geojson").exists()
    assert (tmp_path / "scene.geojson").exists()


def bad_scenes(folder):
    (folder / "text.tif").write_text("not a raster")
    make_scene(folder / "one_band.tif", np.zeros((1, 70, 70), np.uint8))
    make_scene(folder / "no_crs.tif", np.zeros((3, 70, 70), np.uint8), crs=None)
    make_scene(folder / "coarse.tif", np.zeros((3, 70, 70), np.uint8), gsd_m=300)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.tif", "no such file"),
        ("text.tif", "not a GeoTIFF"),
        ("one_band.tif", "--bands"),
        ("no_crs.tif", "no CRS"),
        ("coarse.tif", "too coarse"),
    ],
)
def test_a_bad_scene_is_one_line_exit_3_and_nothing_written(tmp_path, name, says):
    bad_scenes(tmp_path)
    before = sorted(tmp_path.iterdir())
    result = run(tmp_path / name, "-o", tmp_path / "p.geojson", code=3)
    line = error_line(result)
    assert says in line
    assert name in line
    assert sorted(tmp_path.iterdir()) == before


def test_an_existing_output_is_exit_5_and_kept(scene, tmp_path):
    (tmp_path / "p.geojson").write_text("mine")
    result = run(scene, "-o", tmp_path / "p.geojson", code=5)
    assert "--overwrite" in error_line(result)
    assert (tmp_path / "p.geojson").read_text() == "mine"
    run(scene, "-o", tmp_path / "p.geojson", "--overwrite")
    assert (tmp_path / "p.geojson").read_text().startswith("{")


def test_a_missing_directory_is_exit_5(scene, tmp_path):
    error_line(run(scene, "-o", tmp_path / "nowhere" / "p.geojson", code=5))


def test_an_unknown_format_is_exit_2(scene, tmp_path):
    assert ".gpkg" in error_line(run(scene, "-o", tmp_path / "p.shp", code=2))


def test_an_unknown_model_is_exit_6(scene, tmp_path):
    error_line(run(scene, "-m", tmp_path / "none", "-o", tmp_path / "p.geojson", code=6))


def test_too_little_memory_is_exit_8(scene, tmp_path):
    error_line(run(scene, "--memory", 5, "-o", tmp_path / "p.geojson", code=8))


@pytest.mark.parametrize(
    "option", [("--threshold", "0"), ("--scale", "5,5"), ("--min-area", "-1"), ("--chip", "30")]
)
def test_a_bad_option_is_exit_2(scene, tmp_path, option):
    error_line(run(scene, *option, "-o", tmp_path / "p.geojson", code=2))


def test_a_gpu_that_is_not_there_is_refused_before_any_work(tmp_path):
    missing, model = tmp_path / "missing.tif", "amazon-s2-rgb"
    line = error_line(
        run(missing, "-m", model, "--device", "gpu", "-o", tmp_path / "p.gpkg", code=2)
    )
    assert 'run: pip install "geodeforest[onnx-gpu]"' in line


def test_the_run_record_tells_the_device(scene, tmp_path):
    record = json.loads(run(scene, "-o", tmp_path / "p.gpkg", "--json").stdout)
    assert record["options"]["device"] == "cpu"


def test_help_shows_what_works():
    shown = run("--help").stdout
    for option in ("--classes", "--min-area", "--engine", "--baseline", "--mask", "--resume"):
        assert option in shown


@pytest.mark.parametrize("option", ["--classes", "--scores", "--report"])
def test_an_extension_that_is_not_the_contents_is_exit_2(scene, tmp_path, option):
    line = error_line(run(scene, "-o", tmp_path / "p.gpkg", option, tmp_path / "x.png", code=2))
    assert "x.png: the file will be" in line


def test_outputs_of_all_scenes_are_checked_before_any_work(scene, tmp_path):
    other = make_scene(tmp_path / "other.tif", np.zeros((3, 70, 70), np.uint8))
    (tmp_path / "other.geojson").write_text("mine")
    run(scene, other, "-o", tmp_path / "{scene}.geojson", code=5)
    assert not (tmp_path / "scene.geojson").exists()


def test_outputs_are_checked_before_the_model(scene, tmp_path):
    run(scene, "-m", tmp_path / "none", "-o", tmp_path / "p.shp", code=2)
    run(scene, "-m", tmp_path / "none", "-o", tmp_path / "none" / "p.gpkg", code=5)


def test_no_scene_is_the_output_of_another(scene, tmp_path):
    other = make_scene(tmp_path / "scene2.tif", np.zeros((3, 70, 70), np.uint8))
    before = other.read_bytes()
    files = ("-o", tmp_path / "{scene}.gpkg", "--classes", tmp_path / "{scene}2.tif")
    line = error_line(run(scene, other, *files, "--overwrite", code=2))
    assert "scene2.tif: the output is the input" in line
    assert other.read_bytes() == before


def test_the_same_output_twice_is_exit_2(scene, tmp_path):
    path = tmp_path / "p.gpkg"
    assert "two outputs" in error_line(run(scene, "-o", path, "-o", path, code=2))


def test_what_the_result_means_is_said_once(scene, tmp_path):
    make_scene(tmp_path / "other.tif", np.zeros((3, 70, 70), np.uint8))
    result = run(scene, tmp_path / "other.tif", "-o", tmp_path / "{scene}.gpkg")
    assert result.stderr == "geodeforest: note: non-forest on one date, no baseline\n"
    assert len(result.stdout.splitlines()) == 2


def test_what_the_result_means_is_said_even_when_a_later_scene_fails(scene, tmp_path, monkeypatch):
    from geodeforest.workflows import scan_scene

    other = make_scene(tmp_path / "other.tif", np.zeros((3, 70, 70), np.uint8))
    real = scan_scene.scan_to

    def damaged(path, *others, **named):
        if path == str(other):
            raise SceneUnreadable(path, "a block cannot be read", "download it again")
        return real(path, *others, **named)

    monkeypatch.setattr(scan_scene, "scan_to", damaged)
    result = run(scene, other, "-o", tmp_path / "{scene}.gpkg", code=3)
    note, error = result.stderr.splitlines()
    assert note == "geodeforest: note: non-forest on one date, no baseline"
    assert "other.tif: a block cannot be read" in error


@pytest.mark.parametrize("name", ["missing.tif", "one_band.tif", "no_crs.tif", "coarse.tif"])
def test_all_scenes_are_checked_before_the_first_is_scanned(scene, tmp_path, name):
    bad_scenes(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert name in error_line(run(scene, tmp_path / name, "-o", tmp_path / "{scene}.gpkg", code=3))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("bands", ["foo,bar,baz", "1,2"])
def test_bands_that_are_not_there_are_exit_2(scene, tmp_path, bands):
    assert "--bands names" in error_line(
        run(scene, "--bands", bands, "-o", tmp_path / "p.gpkg", code=2)
    )


def test_a_band_that_stands_for_several_is_a_warning(scene, tmp_path):
    result = run(scene, "--bands", "1,1,2", "-o", tmp_path / "p.gpkg")
    warning, _ = result.stderr.splitlines()
    assert warning.startswith("geodeforest: warning: scene.tif: band 1 is read as red and green, ")


def test_a_placeholder_that_nobody_knows_is_exit_2(scene, tmp_path):
    line = error_line(run(scene, "-o", tmp_path / "{foo}.geojson", code=2))
    assert "{foo} stands for nothing" in line


def test_an_address_is_shown_as_it_was_typed(tmp_path):
    address = "https://example.org//a/b.tif"
    assert address in error_line(run(address, "-o", tmp_path / "p.gpkg", code=3))


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system has no /proc")
def test_a_directory_that_takes_no_files_is_exit_5(scene):
    line = error_line(run(scene, "-o", "/proc/x.geojson", code=5))
    assert "/proc/x.geojson: its directory takes no new files; write to another" in line


def test_a_style_is_listed_unless_it_is_the_users_own(scene, tmp_path):
    path = tmp_path / "p.fgb"
    record = json.loads(run(scene, "-o", path, "--json").stdout)
    assert record["outputs"] == {"polygons": ["p.fgb"], "styles": ["p.qml"]}
    (tmp_path / "p.qml").write_text("<!DOCTYPE qgis>")
    result = run(scene, "-o", path, "--json", "--overwrite")
    assert json.loads(result.stdout)["outputs"] == {"polygons": ["p.fgb"]}
    assert "warning: " in result.stderr
    assert (tmp_path / "p.qml").read_text() == "<!DOCTYPE qgis>"


def test_an_unreadable_scene_is_the_librarys_to_refuse(scene, tmp_path, monkeypatch):
    # A file that the system says cannot be read is no wrong usage: exit 3, not click's 2.
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    run(scene, "-o", tmp_path / "p.gpkg")


def test_a_scene_whose_name_steers_the_terminal_is_shown_escaped(scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scene.rename(tmp_path / "a\x1b[2J.tif")
    result = run("a\x1b[2J.tif")
    assert "\x1b" not in result.output
    assert r"a\x1b[2J_deforestation.geojson" in result.stdout
