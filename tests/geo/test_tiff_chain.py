"""Whether the directories of a TIFF are all there."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import rasterio

from geodeforest.errors import SceneUnreadable
from geodeforest.geo.opening import open_raster
from geodeforest.geo.tiff_chain import check_chain

SEEN = np.arange(64 * 64).reshape(64, 64) % 3 > 0


def chain(path, big=False):
    """Where each directory's pointer to the next one lies, and what it says."""
    data, found = path.read_bytes(), []
    place = struct.unpack_from("<Q", data, 8)[0] if big else struct.unpack_from("<I", data, 4)[0]
    while place:
        (count,) = struct.unpack_from("<Q" if big else "<H", data, place)
        pointer = place + (8 + 20 * count if big else 2 + 12 * count)
        (place,) = struct.unpack_from("<Q" if big else "<I", data, pointer)
        found.append((pointer, place))
    return found


def pointed(path, pointer, place):
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, pointer, place)
    path.write_bytes(data)
    return path


@pytest.fixture(params=["classic", "big", "big-endian"])
def masked(request, make_scene):
    """A scene whose mask is a directory of its own, behind that of the image."""
    kinds = {"big": {"BIGTIFF": "YES"}, "big-endian": {"ENDIANNESS": "BIG"}, "classic": {}}
    return make_scene(np.zeros((3, 64, 64), np.uint8), valid=SEEN, **kinds[request.param])


def test_a_whole_chain_is_followed_to_its_end(masked):
    check_chain(masked)
    with open_raster(masked) as dataset:
        assert (dataset.read_masks(1) != 0).tolist() == SEEN.tolist()


def test_a_mask_that_was_cut_off_is_noticed(make_scene):
    path = make_scene(np.zeros((3, 64, 64), np.uint8), valid=SEEN)
    (pointer, _), _ = chain(path)
    pointed(path, pointer, path.stat().st_size + 100)
    with rasterio.open(path) as dataset:  # this is why: GDAL says that all was seen
        assert dataset.read_masks(1).all()
    with pytest.raises(SceneUnreadable, match="after 1 directories the chain breaks off"):
        open_raster(path)


@pytest.mark.parametrize("lost", [1, 4, 30])
def test_a_file_cut_within_its_last_directory_is_noticed(make_scene, lost):
    path = make_scene(np.zeros((3, 64, 64), np.uint8), valid=SEEN)
    _, (end, _) = chain(path)
    path.write_bytes(path.read_bytes()[: end + 4 - lost])
    with pytest.raises(SceneUnreadable, match="masks may be lost"):
        check_chain(path)


def test_a_chain_that_bites_its_tail_has_no_end(make_scene):
    path = make_scene(np.zeros((3, 64, 64), np.uint8), valid=SEEN)
    _, (pointer, _) = chain(path)
    (first,) = struct.unpack_from("<I", path.read_bytes(), 4)
    with pytest.raises(SceneUnreadable, match="after 2 directories"):
        check_chain(pointed(path, pointer, first))


def test_a_large_chain_is_read_by_its_own_numbers(make_scene):
    path = make_scene(np.zeros((3, 64, 64), np.uint8), valid=SEEN, BIGTIFF="YES")
    assert len(chain(path, big=True)) == 2
    (pointer, _), _ = chain(path, big=True)
    with pytest.raises(SceneUnreadable, match="after 1 directories"):
        check_chain(pointed(path, pointer, 2**31))


def test_a_mask_beside_the_scene_is_looked_at_too(make_scene):
    path = make_scene(np.zeros((3, 64, 64), np.uint8))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(SEEN)
    beside = path.with_name(path.name + ".msk")
    beside.write_bytes(beside.read_bytes()[:20])
    with pytest.raises(SceneUnreadable, match=r"tif\.msk: its header is damaged"):
        open_raster(path)
