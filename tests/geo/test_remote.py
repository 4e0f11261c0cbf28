"""Scenes on servers: what is fetched, what a server's answers become, what stays secret."""

from __future__ import annotations

import json
import os
import zlib

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from range_server import serving
from rasterio.env import get_gdal_config

import geodeforest as gd
from geodeforest import cli
from geodeforest.core.grid import Window
from geodeforest.core.options import ScanOptions
from geodeforest.errors import InputChanged, SceneNotFound, SceneUnreadable
from geodeforest.geo.opening import open_raster
from geodeforest.geo.scene import open_scene
from geodeforest.testing import ConstantPredictor, make_scene
from geodeforest.workflows.run_inputs import RunInputs

SIDE = 1500
NOISE = np.random.default_rng(7).integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
USER, PASSWORD, TOKEN = "jane", "hunter2", "sv=2024&sig=s3cret"


@pytest.fixture(scope="module")
def cog(tmp_path_factory):
    """The bytes of a COG that compression does not make smaller."""
    folder = tmp_path_factory.mktemp("cog")
    made = make_scene(folder / "made.tif", NOISE)
    rasterio.shutil.copy(made, folder / "cog.tif", driver="COG", blocksize=256, compress="DEFLATE")
    return (folder / "cog.tif").read_bytes()


@pytest.fixture
def server(cog):
    with serving({"/data/cog.tif": cog}) as running:
        yield running


def with_secrets(server, path="/data/cog.tif"):
    return f"{server.address}{path}?{TOKEN}".replace("//", f"//{USER}:{PASSWORD}@", 1)


def secrets_in(text):
    return [secret for secret in (USER, PASSWORD, TOKEN, "s3cret") if secret in text]


# ---------------------------------------------------------------------------------- fetching


def test_a_remote_scene_is_read_like_a_local_one(server):
    with open_scene(f"{server.address}/data/cog.tif") as scene:
        window = Window(700, 300, 50, 90)
        assert (scene.read(window).values == NOISE[:, window.rows, window.cols]).all()
        assert scene.profile.name == "cog.tif"
        assert scene.profile.path == f"{server.address}/data/cog.tif"


def test_a_window_costs_what_it_holds(server, cog):
    with open_scene(f"{server.address}/data/cog.tif") as scene:
        scene.read(Window(0, 0, 256, 256))
    # 1 of 36 blocks, beside the header
    assert sum(last - first + 1 for first, last in server.ranges_read()) < len(cog) / 15


def test_a_scan_fetches_each_part_about_once(server, cog):
    report = gd.scan(f"{server.address}/data/cog.tif", model=ConstantPredictor(0.1))
    assert report.assessed_px == SIDE * SIDE
    fetched = np.zeros(len(cog), np.uint8)
    for first, last in server.ranges_read():
        fetched[first : last + 1] += 1
    assert fetched.sum() < 1.2 * len(cog)
    assert fetched[1:].max() <= 2  # the first one also to see what the server says of it


def test_nothing_is_asked_for_but_the_file(server):
    with open_scene(f"{server.address}/data/cog.tif") as scene:
        scene.read(Window(0, 0, 300, 300))
    assert {path for _, path, *_ in server.seen} == {"/data/cog.tif"}


def test_settings_end_with_the_opening(server):
    names = ("GDAL_DISABLE_READDIR_ON_OPEN", "GDAL_HTTP_MAX_RETRY", "CPL_VSIL_CURL_NON_CACHED")
    with rasterio.Env(GDAL_HTTP_MAX_RETRY=7), open_scene(f"{server.address}/data/cog.tif"):
        assert [get_gdal_config(name) for name in names] == [None, 7, None]
    with rasterio.Env():
        assert [get_gdal_config(name) for name in names] == [None] * 3


def test_a_busy_server_is_asked_again(server):
    with open_scene(f"{server.address}/data/cog.tif") as scene:
        server.busy = 2
        assert (scene.read(Window(0, 0, 10, 10)).values == NOISE[:, :10, :10]).all()
    assert server.busy == 0


def test_what_a_file_was_is_not_believed_for_ever(server, cog):
    address = f"{server.address}/data/new.tif"
    with pytest.raises(SceneNotFound):
        open_raster(address)
    server.files["/data/new.tif"] = cog
    open_raster(address).close()


def test_a_bucket_is_read_too(server, cog, monkeypatch):
    server.files["/bucket/a/b.tif"] = cog
    for name, value in {
        "AWS_S3_ENDPOINT": server.address.removeprefix("http://"),
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_NO_SIGN_REQUEST": "YES",
    }.items():
        monkeypatch.setenv(name, value)
    with open_scene("s3://bucket/a/b.tif") as scene:
        assert (scene.read(Window(0, 0, 9, 9)).values == NOISE[:, :9, :9]).all()
        assert scene.profile.path == "s3://bucket/a/b.tif"
    assert {path for _, path, *_ in server.seen} == {"/bucket/a/b.tif"}
    with pytest.raises(SceneNotFound, match=r"^s3://bucket/a/c\.tif: there is no such file"):
        open_raster("s3://bucket/a/c.tif")


def test_bands_of_one_scene_may_lie_on_a_server(server, tmp_path):
    for number, plane in enumerate(NOISE[:, :40, :40]):
        path = make_scene(tmp_path / f"B0{number}.tif", plane)
        server.files[f"/B0{number}.tif"] = path.read_bytes()
    names = ",".join(f"{server.address}/B0{number}.tif" for number in range(3))
    with open_scene(names) as scene:
        assert (scene.read(Window(0, 0, 40, 40)).values == NOISE[:, :40, :40]).all()


# ----------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("code", [401, 403])
def test_a_server_may_grant_no_access(server, code):
    server.statuses["/data/cog.tif"] = code
    with pytest.raises(SceneUnreadable, match=f"grants no access \\(HTTP response code: {code}"):
        open_raster(f"{server.address}/data/cog.tif")


def test_a_server_may_be_out_of_order(server):
    server.statuses["/data/cog.tif"] = 500
    with pytest.raises(SceneUnreadable, match="answers HTTP 500; try again later"):
        open_raster(f"{server.address}/data/cog.tif")


def test_a_page_is_not_a_raster(server):
    server.statuses["/data/cog.tif"] = 200
    with pytest.raises(SceneUnreadable, match="sent no part of a GeoTIFF: a page perhaps"):
        open_raster(f"{server.address}/data/cog.tif")


def test_a_server_may_not_be_there():
    with serving({}) as gone:
        address = gone.address
    with pytest.raises(SceneUnreadable, match=r"cannot be fetched.*check the address"):
        open_raster(f"{address}/a.tif")


def test_a_server_that_sends_whole_files_only_is_named(server):
    server.ranges = False
    with pytest.raises(SceneUnreadable, match=r"sends whole files only; .* download the file"):
        open_raster(f"{server.address}/data/cog.tif")


def test_a_connection_that_breaks_off_is_one_line(server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "geodeforest.workflows.load_model.load_model", lambda *_: ConstantPredictor(0.1)
    )
    server.lives = 6
    with pytest.raises(SystemExit) as ended:
        cli.main(["scan", f"{server.address}/data/cog.tif", "--memory", "2000"])
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 3
    assert len(said) == 1
    assert said[0].startswith(f"geodeforest: error: {server.address}/data/cog.tif: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://example.com/a.tif", "not encrypted"),
        ("http://10.0.0.1/a.tif", "not encrypted"),
        ("https://", "not the address of a file"),
        ("https://example.com", "not the address of a file"),
        ("s3://bucket", "not the address of a file"),
        ("https://example.com/a\n.tif", "not the address of a file"),
        ("ftp://jane:hunter2@example.com/a.tif", "of a kind that is not read"),
        ("gs://bucket/a.tif", "of a kind that is not read"),
    ],
)
def test_other_addresses_are_refused(address, why, monkeypatch):
    monkeypatch.setattr(rasterio, "open", lambda *_, **__: pytest.fail("GDAL saw the address"))
    with pytest.raises(SceneUnreadable, match=why) as refused:
        open_raster(address)
    assert "hunter2" not in str(refused.value)


# ----------------------------------------------------------------------------------- secrets


def test_secrets_reach_the_server_and_no_one_else(server, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "geodeforest.workflows.load_model.load_model", lambda *_: ConstantPredictor(0.1)
    )
    outputs = ("-o", "{scene}.geojson", "--classes", "{scene}.tif", "--report", "{scene}.json")
    with pytest.raises(SystemExit) as ended:
        cli.main(["scan", with_secrets(server), *outputs, "--progress", "--json"])
    assert ended.value.code == 0
    assert {(path, bool(user)) for _, path, _, user in server.seen} == {
        (f"/data/cog.tif?{TOKEN}", True)
    }
    files = {path.name: path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()}
    assert set(files) == {"cog.geojson", "cog.tif", "cog.json"}
    told = capfd.readouterr()
    assert secrets_in("".join(files.values()) + told.out + told.err) == []
    assert json.loads(files["cog.json"])["scene"]["name"] == "cog.tif"


@pytest.mark.parametrize("trouble", ["gone", "forbidden", "page", "whole", "broken"])
@pytest.mark.parametrize("debug", [False, True])
def test_no_error_tells_a_secret(server, trouble, debug, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "geodeforest.workflows.load_model.load_model", lambda *_: ConstantPredictor(0.1)
    )
    statuses = {"gone": 404, "forbidden": 403, "page": 200}
    if trouble in statuses:
        server.statuses["/data/cog.tif"] = statuses[trouble]
    server.ranges = trouble != "whole"
    server.lives = 6 if trouble == "broken" else None
    with pytest.raises(SystemExit) as ended:
        cli.main(["scan", with_secrets(server), *(["--debug"] if debug else [])])
    assert ended.value.code == 3
    assert secrets_in("".join(capfd.readouterr())) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="strace runs on Linux")
def test_a_local_scene_needs_no_network(tmp_path, strace):
    scene = make_scene(tmp_path / "a.tif", NOISE[:, :100, :100])
    calls = strace("network", "-m", "geodeforest", "scan", str(scene), "-o", "a.geojson")
    assert (tmp_path / "a.geojson").exists()
    assert [call for call in calls if "AF_INET" in call or "sin_addr" in call] == []


def test_the_record_has_what_the_server_says_and_no_secret(server, cog):
    (told,) = gd.scan(with_secrets(server), model=ConstantPredictor(0.1)).to_dict()["inputs"]
    assert told["name"] == f"{server.address}/data/cog.tif"
    assert told["sha256"] is None
    address = f"{server.address}/data/cog.tif?{TOKEN}"
    record = gd.scan(address, model=ConstantPredictor(0.1)).to_dict()
    (told,) = record["inputs"]
    assert told["name"] == f"{server.address}/data/cog.tif"
    assert (told["bytes"], told["etag"]) == (len(cog), f'"{zlib.crc32(cog)}"')
    assert TOKEN not in json.dumps(record)


def test_a_remote_scene_that_changes_during_the_scan_is_refused(server, cog):
    class Meddling(ConstantPredictor):
        def predict(self, chips, scene_level=None):
            server.files["/data/cog.tif"] = cog[:-1] + b"x"
            return super().predict(chips, scene_level)

    with pytest.raises(InputChanged, match=r"/data/cog\.tif: changed during the scan"):
        gd.scan(f"{server.address}/data/cog.tif", model=Meddling(0.1))


def test_a_server_that_falls_silent_is_no_change(server):
    address = f"{server.address}/data/cog.tif"
    inputs = RunInputs(address, ScanOptions())
    with open_scene(address) as scene:
        (told,) = inputs.fingerprints(scene.profile)
    assert told["etag"]
    server.statuses["/data/cog.tif"] = 503
    with inputs.unchanged():
        pass
