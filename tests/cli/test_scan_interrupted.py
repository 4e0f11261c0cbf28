"""``geodeforest scan`` that is stopped by a signal or a full disk, and how it goes on."""

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
from scan_command import error_line, run

from geodeforest.testing import ThresholdPredictor, make_scene

pytestmark = pytest.mark.usefixtures("fake_model")


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
