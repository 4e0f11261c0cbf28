"""``geodeforest scan`` as a user types it: files, lines and exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from geodeforest.cli import main
from geodeforest.errors import SceneUnreadable
from geodeforest.testing import ThresholdPredictor, make_scene


@pytest.fixture(autouse=True)
def fake_model(monkeypatch):
    import geodeforest.workflows.load_model as loading
    import geodeforest.workflows.scan_scene  # noqa: F401  # binds the real one first

    real = loading.load_model

    def load(model=None, engine="onnx", device="cpu"):
        return ThresholdPredictor() if model is None else real(model, engine, device)

    monkeypatch.setattr(loading, "load_model", load)


@pytest.fixture
def scene(tmp_path):
    values = np.zeros((3, 100, 120), np.uint8)
    values[:, 20:40, 30:70] = 200
    return make_scene(tmp_path / "scene.tif", values)


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["scan", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def error_line(result):
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("geodeforest: error: ")
    return lines[0]


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


# --- in a process of its own ------------------------------------------------------------------


@pytest.fixture
def large_scene(tmp_path):
    """6000 x 6000 pixels of zeros that take no room and no time to write."""
    profile = {"driver": "GTiff", "count": 3, "height": 6000, "width": 6000, "dtype": "uint8"}
    place = {"crs": "EPSG:32721", "transform": rasterio.Affine(10, 0, 4e5, 0, -10, 9.3e6)}
    path = tmp_path / "large.tif"
    rasterio.open(path, "w", **profile, **place, tiled=True, SPARSE_OK=True).close()
    return path


def command(*arguments):
    return [sys.executable, "-m", "geodeforest", "scan", *map(str, arguments)]


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("number", "word", "code"),
    [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)],
)
def test_a_signal_in_mid_scan_leaves_the_old_outputs_and_no_scratch(
    large_scene, tmp_path, number, word, code
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "p.geojson").write_text("old")
    files = ("-o", out / "p.geojson", "--classes", out / "c.tif", "--scores", out / "x.tif")
    with subprocess.Popen(
        command(large_scene, *files, "-q", "--overwrite", "--no-resume"),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # under nohup it is ignored
    ) as scanning:
        until = time.monotonic() + 60
        while not list(out.glob(".x.tif.gdf-*/[!.]*")) and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.3)
        sent = time.monotonic()
        scanning.send_signal(number)
        for _ in range(20):  # as one does who has no patience
            time.sleep(0.01)
            scanning.send_signal(signal.SIGINT)
        _, said = scanning.communicate(timeout=60)
    assert time.monotonic() - sent < 10
    assert scanning.returncode == code
    *warned, last = said.splitlines()
    assert last == f"geodeforest: {word}; run the same command again"
    assert all("warning: large.tif: 96 % of the numbers" in line for line in warned)
    assert [path.name for path in out.iterdir()] == ["p.geojson"]
    assert (out / "p.geojson").read_text() == "old"


@dataclass(frozen=True)
class Stopping(ThresholdPredictor):
    """Is interrupted at the call ``stops_at``, counted over all scenes."""

    stops_at: int = 10**9
    calls: list = field(default_factory=list, repr=False)

    def __repr__(self):
        return "Stopping"

    def predict(self, chips, scene_level=None):
        self.calls.append(1)
        if len(self.calls) == self.stops_at:
            raise KeyboardInterrupt
        return super().predict(chips)


@pytest.fixture
def stopping(monkeypatch):
    """Loads a model that stops at a call; returns the calls so far."""

    def load(stop=10**9):
        import geodeforest.workflows.load_model as loading

        model = Stopping(stops_at=stop)
        monkeypatch.setattr(loading, "load_model", lambda *_: model)
        return model.calls

    return load


def test_an_interrupted_scan_says_how_to_go_on_and_goes_on(scene, tmp_path, stopping):
    calls = stopping(4)
    files = ("-o", tmp_path / "p.geojson", "--threads", "1")
    result = run(scene, *files, code=130)
    assert error_free(result) == [
        "geodeforest: interrupted; run the same command again to continue"
    ]
    calls = stopping()
    first, *_ = error_free(run(scene, *files))
    assert first == "geodeforest: warning: scene.tif: continuing at row 36 of 100"
    assert len(calls) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.geojson", "scene.tif"]


def error_free(result):
    lines = result.stderr.splitlines()
    assert not [line for line in lines if "error" in line]
    return lines


def test_without_resume_an_interrupt_leaves_nothing(scene, tmp_path, stopping):
    stopping(4)
    result = run(scene, "-o", tmp_path / "p.geojson", "--no-resume", "--threads", "1", code=130)
    assert error_free(result) == ["geodeforest: interrupted; run the same command again"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene.tif"]


def three_scenes(tmp_path):
    return [
        make_scene(tmp_path / f"{name}.tif", np.full((3, 100, 120), value, np.uint8))
        for name, value in (("a", 200), ("b", 100), ("c", 50))
    ]


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_scenes_finished_before_the_interrupt_are_not_scanned_again(tmp_path, stopping, more):
    scenes = three_scenes(tmp_path)
    files = ("-o", tmp_path / "{scene}.gpkg", "--scores", tmp_path / "{scene}_s.tif", *more)
    stopping(14)
    run(*scenes, *files, "--json", code=130)
    before = (tmp_path / "a.gpkg").stat().st_ino
    calls = stopping()
    result = run(*scenes, *files, "--json")
    assert len(calls) <= 10
    assert "a.tif: was finished before; not scanned again" in result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["scene"]["name"] for record in records] == ["a.tif", "b.tif", "c.tif"]
    assert records[0]["counts"]["polygons"] == 1
    assert (tmp_path / "a.gpkg").stat().st_ino == before
    assert not list(tmp_path.glob(".*"))
    if not more:
        assert "a.gpkg: the output exists" in error_line(run(*scenes, *files, code=5))


def test_a_finished_output_that_was_changed_is_in_the_way(tmp_path, stopping):
    scenes = three_scenes(tmp_path)
    stopping(14)
    run(*scenes, "-o", tmp_path / "{scene}.geojson", code=130)
    changed = (tmp_path / "a.geojson").read_bytes().replace(b"small", b"SMALL")
    (tmp_path / "a.geojson").write_bytes(changed)
    stopping()
    result = run(*scenes, "-o", tmp_path / "{scene}.geojson", code=5)
    assert "a.geojson: the output exists" in error_line(result)
    assert (tmp_path / "a.geojson").read_bytes() == changed


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_outputs_of_a_living_scan_are_locked_and_the_litter_of_a_killed_one_is_swept(
    large_scene, scene, tmp_path
):
    out = tmp_path / "out"
    out.mkdir()
    files = ("-o", out / "p.geojson", "--classes", out / "c.tif")
    with subprocess.Popen(command(large_scene, *files, "-q")) as scanning:
        until = time.monotonic() + 60
        while not list(out.glob(".c.tif.gdf-*/[!.]*")) and time.monotonic() < until:
            time.sleep(0.02)
        line = error_line(run(scene, *files, code=75))
        scanning.kill()
    assert "locked by another scan" in line
    assert list(out.glob(".*.gdf-*"))
    run(scene, *files)
    assert sorted(path.name for path in out.iterdir()) == ["c.tif", "p.geojson"]


@pytest.mark.parametrize("output", ["-o", "--classes", "--scores"])
def test_a_full_disk_is_one_line_exit_5_and_nothing_written(tmp_path, output):
    resource = pytest.importorskip("resource", reason="this system has no file size limit")
    noisy = np.random.default_rng(0).integers(700, 3000, (3, 300, 300), np.uint16)
    scene = make_scene(tmp_path / "noisy.tif", noisy)
    out = tmp_path / "out"
    out.mkdir()
    name = out / ("p.gpkg" if output == "-o" else "x.tif")
    others = () if output == "-o" else ("-o", out / "p.geojson")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run(
        command(scene, output, name, *others, "--min-area", "9"),
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )
    assert (done.returncode, done.stdout) == (5, "")
    assert "disk" in error_line(done)
    assert list(out.iterdir()) == []
