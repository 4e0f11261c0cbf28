"""Files of strangers are looked at byte by byte before GDAL sees them."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest
import rasterio

from geodeforest.core.options import OpenRules
from geodeforest.errors import OptionError, SceneNotFound, SceneTooLarge, SceneUnreadable
from geodeforest.geo.lone_files import MAX_DIRECTORIES, MAX_TAGS, check_lone_tiff
from geodeforest.geo.opening import open_raster
from geodeforest.geo.scene import open_scene

STRANGER = OpenRules(untrusted=True)
VALUES = np.zeros((3, 40, 50), np.uint8)
# Numbers of tags, and the size that a struct gives of their values' types.
WIDTH, HEIGHT, BITS, COMPRESSION, SAMPLES, STRIP_ROWS = 256, 257, 258, 259, 277, 278
TILE_WIDTH, TILE_HEIGHT = 322, 323
TYPES = {3: "H", 4: "I", 16: "Q"}

IMAGE = {WIDTH: 50, HEIGHT: 40, BITS: 8, COMPRESSION: 5, SAMPLES: 1, STRIP_ROWS: 40}


def directory(tags, order="<", big=False, following=0):
    """The bytes of a directory with one number for each tag."""
    kind = 16 if big else 4
    number, pointer = ("Q", "Q") if big else ("H", "I")
    entries = b"".join(
        struct.pack(order + ("HHQQ" if big else "HHII"), tag, kind, 1, value)
        for tag, value in sorted(tags.items())
    )
    head, foot = struct.pack(order + number, len(tags)), struct.pack(order + pointer, following)
    return head + entries + foot


def tiff(path, tags, order="<", big=False):
    """A file of one directory and no pixel."""
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    path.write_bytes(mark + head + directory(tags, order, big))
    return path


def refusal(path, kind=SceneUnreadable, **rules):
    with pytest.raises(kind) as caught:
        check_lone_tiff(os.fspath(path), OpenRules(untrusted=True, **rules))
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "; " in said
    return said


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_plain_tiff_passes_in_either_byte_order_and_size_of_file(tmp_path, order, big):
    check_lone_tiff(str(tiff(tmp_path / "a.tif", IMAGE, order, big)), STRANGER)


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"BIGTIFF": "YES"},
        {"ENDIANNESS": "BIG"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
        {"interleave": "band", "compress": "lzw"},
        {"valid": np.ones((40, 50), bool)},
        {"driver": "COG"},
    ],
)
def test_what_gdal_writes_passes_and_opens(make_scene, profile):
    with open_raster(make_scene(VALUES, **profile), rules=STRANGER) as dataset:
        assert dataset.shape == (40, 50)


SIZES = {
    "an image of no size": {**IMAGE, WIDTH: 0},
    "declares 65535 bands": {**IMAGE, SAMPLES: 65535},
    "declares blocks of 381 MB": {**IMAGE, WIDTH: 20_000, HEIGHT: 20_000, STRIP_ROWS: 20_000},
    "declares blocks of 1024 MB": {**IMAGE, TILE_WIDTH: 2**15, TILE_HEIGHT: 2**15},
    "declares blocks of 400 MB": {**IMAGE, BITS: 64, TILE_WIDTH: 2**16, TILE_HEIGHT: 800},
}


@pytest.mark.parametrize("what", SIZES)
@pytest.mark.parametrize("big", [False, True])
def test_sizes_beyond_all_limits_are_refused_by_the_header(tmp_path, what, big):
    assert what in refusal(tiff(tmp_path / "a.tif", SIZES[what], big=big))


def test_a_large_scene_is_another_exit_code_and_may_be_allowed(tmp_path):
    path = tiff(tmp_path / "a.tif", IMAGE)
    assert "40 x 50 = 2000 pixels" in refusal(path, SceneTooLarge, max_pixels=1999)
    check_lone_tiff(str(path), OpenRules(untrusted=True, max_pixels=2000))


def test_strips_without_compression_are_read_by_rows(tmp_path):
    strip = {**IMAGE, WIDTH: 20_000, HEIGHT: 20_000, STRIP_ROWS: 20_000, COMPRESSION: 1}
    check_lone_tiff(str(tiff(tmp_path / "a.tif", strip)), STRANGER)


def test_every_directory_counts(tmp_path):
    path, second = tmp_path / "a.tif", {**IMAGE, TILE_WIDTH: 2**15, TILE_HEIGHT: 2**15}
    first = directory(IMAGE)
    first = directory(IMAGE, following=8 + len(first))
    path.write_bytes(b"II" + struct.pack("<HI", 42, 8) + first + directory(second))
    assert "declares blocks of 1024 MB" in refusal(path)


def test_a_chain_of_a_thousand_directories_is_enough(tmp_path):
    path, size = tmp_path / "a.tif", len(directory(IMAGE))
    for count in (MAX_DIRECTORIES, MAX_DIRECTORIES + 1):
        chain = [
            directory(IMAGE, following=8 + size * (n + 1) if n + 1 < count else 0)
            for n in range(count)
        ]
        path.write_bytes(b"II" + struct.pack("<HI", 42, 8) + b"".join(chain))
        if count > MAX_DIRECTORIES:
            assert f"more than {MAX_DIRECTORIES} directories" in refusal(path)
        else:
            check_lone_tiff(str(path), STRANGER)


def test_a_directory_of_a_thousand_tags_is_enough(tmp_path):
    more = {1000 + n: 0 for n in range(MAX_TAGS)}
    assert f"a directory of {MAX_TAGS + 6} tags" in refusal(
        tiff(tmp_path / "a.tif", {**more, **IMAGE})
    )


def test_a_tag_that_claims_more_than_the_file_holds_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    entry = struct.pack("<HHII", 273, 4, 2**30, 8)  # strip offsets: 4 GB of them
    data = directory({k: v for k, v in IMAGE.items() if k < 273}, following=0)
    count = struct.unpack("<H", data[:2])[0] + 1
    path.write_bytes(b"II" + struct.pack("<HIH", 42, 8, count) + data[2:-4] + entry + b"\0\0\0\0")
    assert "tag 273 claims 4294967296 bytes" in refusal(path)


@pytest.mark.parametrize("length", range(0, 110, 7))
def test_a_file_cut_anywhere_in_its_header_is_refused(tmp_path, length):
    whole = tiff(tmp_path / "whole.tif", IMAGE).read_bytes()
    path = tmp_path / "a.tif"
    path.write_bytes(whole[: min(length, len(whole) - 1)])
    refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"<VRTDataset rasterXSize='1' rasterYSize='1'/>",
        b"<GDAL_WMS/>",
        b"PK\3\4",
        b"\x89PNG\r\n\x1a\n",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"",
    ],
)
def test_all_else_than_tiff_is_refused(tmp_path, content):
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert "is not a GeoTIFF" in refusal(path)


SIDE_CARS = ("a.tif.aux.xml", "a.tif.msk", "a.tif.ovr", "a.tif.msk.ovr", "a.tfw", "a.wld", "a.aux")


@pytest.mark.parametrize("name", SIDE_CARS)
def test_no_side_car_of_any_kind_is_borne(tmp_path, name):
    path = tiff(tmp_path / "a.tif", IMAGE)
    (tmp_path / name).symlink_to("nowhere")
    assert f"has the side-car {name}" in refusal(path)


def test_a_link_is_not_followed_but_one_to_a_folder_above_is(tmp_path):
    folder = tmp_path / "real"
    folder.mkdir()
    path = tiff(folder / "a.tif", IMAGE)
    (tmp_path / "way").symlink_to(folder)
    check_lone_tiff(str(tmp_path / "way" / "a.tif"), STRANGER)
    link = tmp_path / "link.tif"
    link.symlink_to(path)
    assert "symbolic link" in refusal(link)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "a.tif"
    os.mkfifo(path)
    assert "is not a regular file" in refusal(path)


def test_a_device_and_a_folder_are_no_files(tmp_path):
    assert "is a directory" in refusal(tmp_path)
    if os.path.exists("/dev/zero"):
        assert "is not a regular file" in refusal("/dev/zero")


def test_what_is_not_there_is_told(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.tif", SceneNotFound)
    assert "no such file" in refusal(tiff(tmp_path / "b", IMAGE) / "a.tif", SceneNotFound)


@pytest.mark.parametrize("name", ["vrt://a.tif", "/vsizip/a.zip", "GTIFF_DIR:1:a.tif", "<VRT/>"])
def test_names_that_gdal_would_take_for_more_are_refused(name):
    with pytest.raises(SceneUnreadable, match="address of a kind"):
        open_raster(name, rules=STRANGER)


def test_an_address_is_refused_without_its_secrets():
    with pytest.raises(SceneUnreadable) as caught:
        open_raster("https://ann:secret@example.org/a.tif?token=secret", rules=STRANGER)
    assert "secret" not in str(caught.value)


def test_a_scene_is_one_file_by_its_path(tmp_path, make_scene):
    one, two = make_scene(VALUES, "one.tif"), make_scene(VALUES, "two.tif")
    with (
        pytest.raises(SceneUnreadable, match="several files"),
        open_scene(f"{one},{two}", rules=STRANGER),
    ):
        pass
    with (
        pytest.raises(OptionError, match="not the path of a file"),
        open_scene([one, two], rules=STRANGER),
    ):
        pass
    with (
        rasterio.open(one) as dataset,
        pytest.raises(OptionError),
        open_scene(dataset, rules=STRANGER),
    ):
        pass


def test_a_name_tells_nothing_of_a_strangers_file(make_scene):
    path = make_scene(
        np.ones((4, 40, 50), np.uint16), "20230511_141718_83_2460_3B_AnalyticMS_SR.tif"
    )
    with open_scene(path) as known:
        assert known.profile.product is not None
    with open_scene(path, rules=STRANGER) as plain:
        assert plain.profile.product is None
