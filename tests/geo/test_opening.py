"""What is no scene is refused for what it is, and sends GDAL nowhere else."""

import os

import numpy as np
import pytest
import rasterio
from read_scenes import EARTH, numbers, planes, read_all

from geodeforest.core.grid import Window
from geodeforest.errors import SceneNotFound, SceneUnreadable
from geodeforest.geo.opening import LABEL_DRIVERS, open_raster
from geodeforest.geo.scene import open_scene


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(SceneNotFound, match="no such file"):
        numbers(tmp_path / "none.tif")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html>", "HTML page"),
        (b"\n<HTML><body>403", "HTML page"),
        (b"<VRTDataset rasterXSize='1'>", "VRT text"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "PNG image"),
        (b"\xff\xd8\xff\xe0", "JPEG image"),
        (b"PK\x03\x04", "zip archive"),
        (b"II*\0" + b"\xff" * 40, "cannot be opened"),
        (b"hello", "not a GeoTIFF or JPEG 2000"),
    ],
)
def test_a_file_that_is_no_raster_is_called_what_it_is(tmp_path, content, what):
    path = tmp_path / "scene.tif"
    path.write_bytes(content)
    with pytest.raises(SceneUnreadable, match=what) as caught:
        numbers(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_directory_is_not_a_raster(tmp_path):
    with pytest.raises(SceneUnreadable, match="is a directory"):
        numbers(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(SceneUnreadable, match="not a regular file"):
        numbers(tmp_path / "pipe.tif")


@pytest.mark.parametrize(
    "address",
    [
        "/vsicurl/http://127.0.0.1:9/x.tif",
        "/vsimem/x.tif",
        "vrt://x.tif",
        "<VRTDataset></VRTDataset>",
        "zip+file://a.zip!x.tif",
        "GTIFF_DIR:1:x.tif",
    ],
)
def test_addresses_never_reach_gdal(address, monkeypatch):
    monkeypatch.setattr(rasterio, "open", lambda *_, **__: pytest.fail("GDAL saw the address"))
    with pytest.raises(SceneUnreadable, match="address"):
        numbers(address)


def test_a_name_may_look_odd(make_scene):
    assert numbers(make_scene(planes(1), name="ünï ?&#!%20 [1].tif")) == [1]


def test_a_mask_beside_a_scene_must_be_a_tiff(make_scene):
    path = make_scene(planes(1))
    path.with_name("scene.tif.msk").write_text("<VRTDataset/>")
    with pytest.raises(SceneUnreadable, match=r"scene\.tif\.msk: is a side-car"):
        numbers(path)


def test_notes_beside_a_scene_may_not_point_elsewhere(make_scene):
    path = make_scene(planes(1))
    notes = '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/x</MDI>'
    path.with_name("scene.tif.aux.xml").write_text(notes + "</Metadata></PAMDataset>")
    with pytest.raises(SceneUnreadable, match="names files"):
        numbers(path)


def test_notes_that_cannot_be_read_are_named(make_scene):
    path = make_scene(planes(1))
    path.with_name(path.name + ".aux.xml").mkdir()
    with pytest.raises(SceneUnreadable, match=r"aux\.xml: cannot be read \(Is a directory\)"):
        numbers(path)


def test_a_name_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(SceneUnreadable, match="has a name that is not UTF-8; rename it"):
        numbers(tmp_path / os.fsdecode(b"caf\xe9.tif"))


def test_jpeg_2000_is_read_whatever_its_name(make_scene):
    values = np.random.default_rng(0).integers(0, 9_000, (3, 40, 50)).astype(np.uint16)
    lossless = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
    path = make_scene(values, name="scene.dat", photometric=None, alpha=None, **lossless)
    with open_scene(path) as scene:
        np.testing.assert_array_equal(read_all(scene).values, values)
        assert scene.profile.crs == EARTH


def test_png_is_read_for_labels_only(tmp_path):
    path, values = tmp_path / "labels.png", planes(1)
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(
            path, "w", driver="PNG", count=1, height=6, width=8, dtype="uint8"
        ) as dataset,
    ):
        dataset.write(values)
    with pytest.raises(SceneUnreadable, match="PNG image"):
        open_raster(path)
    with open_raster(path, LABEL_DRIVERS) as dataset:
        np.testing.assert_array_equal(dataset.read(), values)


def test_complex_numbers_are_refused(make_scene):
    with pytest.raises(SceneUnreadable, match="complex64"):
        numbers(make_scene(np.zeros((1, 4, 4), np.complex64)))


def test_a_file_cut_short_names_the_window(make_scene):
    noise = np.random.default_rng(0).integers(0, 255, (1, 512, 256), np.uint8)
    path = make_scene(noise, tiled=True, blockxsize=256, blockysize=256)
    path.write_bytes(path.read_bytes()[:100_000])
    with open_scene(path) as scene:
        assert scene.read(Window(0, 0, 256, 256)).valid.all()
        with pytest.raises(SceneUnreadable, match=r"rows 256\.\.511, columns 0\.\.255") as caught:
            scene.read(Window(256, 0, 256, 256))
    assert len(str(caught.value).splitlines()) == 1
