"""What a header may claim before any of its pixels is read."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.errors import RasterioError

from geodeforest.core.options import MAX_PIXELS, OpenRules
from geodeforest.errors import OptionError, SceneTooLarge, SceneUnreadable
from geodeforest.geo.headers import MAX_BLOCK_BYTES, check_header
from geodeforest.geo.opening import cause, open_raster
from geodeforest.geo.scene import open_scene
from geodeforest.testing import make_scene

COMPRESSION = 259


def sparse(path, height, width, **profile):
    """A GeoTIFF without pixels, which takes a few bytes whatever its size."""
    facts = {
        "driver": "GTiff",
        "count": 1,
        "dtype": "uint8",
        "crs": "EPSG:32721",
        "transform": Affine(10, 0, 500_000, 0, -10, 9_300_000),
        "SPARSE_OK": "YES",
        **profile,
    }
    rasterio.open(path, "w", height=height, width=width, **facts).close()
    return path


def with_tag(path, tag, value):
    """The file with another short number in a tag of its first directory."""
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    places = [start + 2 + 12 * entry for entry in range(count)]
    (place,) = [at for at in places if struct.unpack_from("<H", data, at) == (tag,)]
    struct.pack_into("<H", data, place + 8, value)
    path.write_bytes(data)
    return path


def test_pixels_are_counted_before_anything_is_read(tmp_path):
    path = sparse(tmp_path / "a.tif", 300, 400, tiled=True)
    open_raster(path, rules=OpenRules(max_pixels=120_000)).close()
    with pytest.raises(SceneTooLarge, match=r"300 x 400 = 120000 pixels.*--max-pixels 120000"):
        open_raster(path, rules=OpenRules(max_pixels=119_999))


def test_forty_billion_pixels_are_too_many_unasked(tmp_path):
    """A limit, exit code 8, and no bad input, 3: the same file is scanned by a larger one."""
    path = sparse(
        tmp_path / "a.tif", 210_000, 210_000, tiled=True, blockxsize=4096, blockysize=4096
    )
    with pytest.raises(SceneTooLarge) as refused, open_scene(path):
        pass
    assert refused.value.exit_code == 8
    with open_scene(path, rules=OpenRules(max_pixels=210_000**2)) as scene:
        assert scene.height * scene.width > MAX_PIXELS


def test_a_block_is_read_whole_so_it_must_be_small(tmp_path):
    tile = {"tiled": True, "blockxsize": 16_400, "blockysize": 16_400}
    path = sparse(tmp_path / "a.tif", 64, 64, **tile)
    with pytest.raises(SceneUnreadable, match="blocks of 256 MB"):
        open_raster(path)


@pytest.mark.parametrize(("interleave", "fits"), [("pixel", False), ("band", True)])
def test_a_block_holds_all_bands_where_they_lie_together(tmp_path, interleave, fits):
    tile = {"tiled": True, "blockxsize": 8192, "blockysize": MAX_BLOCK_BYTES // 8192 // 2}
    path = sparse(tmp_path / "a.tif", 64, 64, count=3, interleave=interleave, **tile)
    if fits:
        open_raster(path).close()
    else:
        with pytest.raises(SceneUnreadable, match="blocks of 384 MB"):
            open_raster(path)


def test_no_sensor_has_thousands_of_bands(tmp_path):
    path = sparse(tmp_path / "a.tif", 1, 1, count=1001, interleave="band")
    with pytest.raises(SceneUnreadable, match="declares 1001 bands"):
        open_raster(path)


def test_what_is_refused_is_closed_again(tmp_path, monkeypatch):
    path = sparse(tmp_path / "a.tif", 20, 20)
    kept = []
    monkeypatch.setattr(
        "geodeforest.geo.opening.check_header",
        lambda dataset, *rest: kept.append(dataset) or check_header(dataset, *rest),
    )
    with pytest.raises(SceneTooLarge):
        open_raster(path, rules=OpenRules(max_pixels=1))
    assert kept[0].closed


@pytest.mark.parametrize(("code", "name"), [(34661, "JBIG"), (50002, "JXL"), (12345, "12345")])
def test_a_codec_that_is_not_built_in_is_named(make_scene, code, name):
    path = make_scene(np.zeros((3, 64, 64), np.uint8), compress="deflate")
    with pytest.raises(SceneUnreadable) as refused:
        open_raster(with_tag(path, COMPRESSION, code))
    assert str(refused.value) == (
        f"{path}: is compressed with {name}, which the GDAL at hand cannot read; "
        "write it again with another compression, such as DEFLATE"
    )


def test_a_reason_names_no_folder(tmp_path):
    path = tmp_path / "cut.tif"
    path.write_bytes(b"II*\0\x41\0\0\0")
    with pytest.raises(SceneUnreadable) as refused:
        open_raster(path)
    _, told = str(refused.value).split(": ", 1)
    assert told.startswith("cannot be opened (TIFFReadDirectory:")
    assert str(tmp_path) not in told


def test_what_libtiff_says_of_a_block_names_no_folder(tmp_path):
    # "Using code not yet in table": libtiff begins that with the file's whole path.
    folder = tmp_path / "a folder of mine"
    folder.mkdir()
    path = make_scene(folder / "s.tif", np.zeros((1, 64, 64), np.uint8), compress="lzw")
    with rasterio.open(path) as dataset:
        start = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    data = bytearray(path.read_bytes())
    data[start : start + 4] = b"\x80\x7f\xff\xff"  # code 511 before there is any
    path.write_bytes(data)
    with rasterio.open(path) as dataset, pytest.raises(RasterioError) as error:
        dataset.read(1)
    told = cause(error.value)
    assert told.startswith("s.tif:")
    assert "folder" not in told


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "many"])
def test_a_limit_is_a_number_of_pixels(wrong):
    with pytest.raises(OptionError, match="max_pixels"):
        OpenRules(max_pixels=wrong)
