"""``--untrusted``: the same results from a process of its own, and its end as an exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

import geodeforest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="refused where nothing is confined")

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(geodeforest.__file__).parents[1])}
OUTPUTS = ("a.geojson", "a.gpkg", "a.fgb", "classes.tif", "scores.tif")
SECONDS = 120


def start(*arguments, cwd, **options):
    command = [sys.executable, "-m", "geodeforest", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, env=ENVIRONMENT, text=True, stdout=-1, stderr=-1, **options
    )


def run(*arguments, cwd, code=0):
    process = start(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code, err
    return out, err.splitlines()


@pytest.fixture
def scene(tmp_path, make_scene):
    rng = np.random.default_rng(1)
    coarse = rng.integers(200, 2500, (3, 12, 15), np.uint16)
    return make_scene(coarse.repeat(10, 1).repeat(10, 2), nodata=0)


@pytest.fixture
def limits(tmp_path, make_scene):
    """A mask and an area of interest, in the formats that strangers may use."""
    cloud = np.zeros((120, 150), np.uint8)
    cloud[:30, :40] = 1
    make_scene(cloud, "mask.tif")
    from rasterio.warp import transform_geom

    from geodeforest.testing import CORNER, UTM_21S

    west, north = CORNER
    ring = [(west, north), (west, north - 900), (west + 1100, north - 900), (west, north)]
    square = {"type": "Polygon", "coordinates": [ring]}
    (tmp_path / "aoi.json").write_text(
        json.dumps(transform_geom(UTM_21S, "EPSG:4326", square, precision=7))
    )
    return "--mask", "../mask.tif", "--aoi", "../aoi.json"


def test_all_outputs_hold_the_same_bytes(scene, limits, tmp_path):
    made = []
    for extra in ((), ("--untrusted",)):
        folder = tmp_path / f"out{len(made)}"
        folder.mkdir()
        outputs = ("-o", "a.geojson", "-o", "a.gpkg", "-o", "a.fgb", "--classes", "classes.tif")
        arguments = ("scan", "../scene.tif", *outputs, "--scores", "scores.tif", *limits, *extra)
        out, _ = run(*arguments, "--min-area", "0", "--json", cwd=folder)
        record = json.loads(out)
        assert 0 < record["counts"]["assessed_px"] < record["counts"]["scene_px"]
        made.append(({n: (folder / n).read_bytes() for n in OUTPUTS}, record["run"]))
    assert made[0] == made[1]


def test_chips_hold_the_same_bytes(scene, tmp_path):
    for name, extra in (("plain", ()), ("aside", ("--untrusted",))):
        run("chip", scene, "-o", name, "--chip", "64", *extra, cwd=tmp_path)
    plain = {path.name: path.read_bytes() for path in (tmp_path / "plain").iterdir()}
    assert plain == {path.name: path.read_bytes() for path in (tmp_path / "aside").iterdir()}
    assert len(plain) == 6


def test_a_plan_says_the_same(scene, tmp_path):
    said = [
        json.loads(run("plan", scene, "--json", *extra, cwd=tmp_path)[0])
        for extra in ((), ("--untrusted",))
    ]
    for one in said:
        one.pop("seconds")
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("nowhere.tif",), 3, "no such file"),
        (("https://127.0.0.1:1/a.tif",), 3, "is an address"),
        (("scene.tif", "--aoi", "a.gpkg"), 3, "neither GeoTIFF nor GeoJSON"),
        (("scene.tif", "--max-pixels", "100"), 8, "--max-pixels"),
        (("scene.tif", "--memory", "10"), 8, "--memory"),
        (("scene.tif", "-o", "nowhere/a.geojson"), 5, "no directory"),
        (("scene.tif", "-m", "nowhere"), 6, "nowhere"),
        (("scene.tif", "--allow-vrt"), 2, "contradict"),
        (("scene.tif", "--threads", "0"), 2, "--threads"),
    ],
)
def test_its_errors_are_the_same_line_and_code(scene, tmp_path, arguments, code, what):
    (tmp_path / "a.gpkg").write_bytes(b"SQLite format 3\0" + bytes(100))
    out, lines = run("scan", *arguments, "--untrusted", cwd=tmp_path, code=code)
    assert out == ""
    assert len(lines) == 1
    assert lines[0].startswith("geodeforest: error: ")
    assert what in lines[0]


def test_the_process_in_front_loads_nothing_heavy(scene, tmp_path):
    program = """
import sys
from geodeforest.cli import main
try:
    main(["scan", "scene.tif", "-o", "a.geojson", "--untrusted", "-q"])
except SystemExit as ending:
    print(ending.code, sorted({"numpy", "rasterio", "onnxruntime"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.stdout == "0 []\n", done.stderr


def test_a_module_in_the_current_folder_is_not_run(scene, tmp_path):
    (tmp_path / "rasterio.py").write_text("open('caught', 'w').close()\n")
    command = [sys.executable, "-P", "-m", "geodeforest", "plan", "scene.tif", "-q", "--untrusted"]
    subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=SECONDS)
    assert not (tmp_path / "caught").exists()


def child_of(process):
    """The confined process, once there is one."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        if found := psutil.Process(process.pid).children():
            return found[0]
        time.sleep(0.01)
    raise AssertionError("no process was begun")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGXCPU])
def test_a_process_that_dies_is_one_line_that_names_the_file(scene, tmp_path, number):
    process = start("scan", "scene.tif", "-o", "a.geojson", "--untrusted", cwd=tmp_path)
    os.kill(child_of(process).pid, number)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 8
    assert err.startswith("geodeforest: error: scene.tif: ")
    assert number.name in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "a.geojson").exists()


@pytest.fixture
def long_scan(tmp_path, make_scene):
    """A scan that takes a while and has begun: its scratch is there."""
    make_scene(np.full((3, 1500, 2000), 900, np.uint16), "long.tif")
    process = start("scan", "long.tif", "-o", "a.geojson", "--untrusted", cwd=tmp_path)
    end = time.monotonic() + SECONDS
    while not list(tmp_path.glob(".a.geojson.gdf-*")) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_signals_are_passed_on(long_scan, tmp_path, number, code, word):
    child = child_of(long_scan)
    long_scan.send_signal(number)
    _, err = long_scan.communicate(timeout=SECONDS)
    assert long_scan.returncode == code, err
    assert [line for line in err.splitlines() if word in line] == err.splitlines()[-1:]
    assert not child.is_running()
    assert not (tmp_path / "a.geojson").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a child of this")
def test_it_ends_with_the_process_in_front(long_scan):
    child = child_of(long_scan)
    long_scan.kill()
    child.wait(timeout=SECONDS)
