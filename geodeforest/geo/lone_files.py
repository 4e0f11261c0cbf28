"""Files of strangers: what has to hold before any library sees one.

A regular file under its own name; of a GeoTIFF also that nothing lies beside it, and the sizes
in all of its directories, read here byte by byte (TIFF 6.0, sections 2, 3 and 15, and BigTIFF).
Nothing is allocated for what a file merely claims.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from geodeforest.core.addresses import is_remote, shown
from geodeforest.core.options import OpenRules
from geodeforest.errors import SceneNotFound, SceneTooLarge, SceneUnreadable
from geodeforest.geo.fingerprints import side_car_names
from geodeforest.geo.headers import MAX_BANDS, MAX_BLOCK_BYTES
from geodeforest.geo.tiff_chain import Directory, Layout, directories, layout_of

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

MAX_DIRECTORIES = 1000
"""An image, its masks and their overviews make a few dozen."""

MAX_TAGS = 1000
"""The specifications know some 150."""

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TYPE_BYTES |= {13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = {1: "B", 3: "H", 4: "I", 16: "Q"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES = 256, 257, 258, 259, 277
_STRIP_ROWS, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT = 278, 284, 322, 323
_SIZES = {_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES}
_SIZES |= {_STRIP_ROWS, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT}
_DAMAGED = "its header is damaged"
_AGAIN = "download or copy it again"


def check_lone_tiff(name: str, rules: OpenRules) -> None:
    """Refuse what is no plain GeoTIFF of a size that can be read, alone under its name.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: it is something else, has side-cars, or claims sizes beyond all limits.
        SceneTooLarge: it has more pixels than the rules allow.
    """
    path = Path(name)
    with open_lone(name) as file:
        _check_alone(path)
        if not file.read(4).startswith(TIFF_MAGIC):
            why = "is not a GeoTIFF, and nothing else is read with --untrusted"
            raise SceneUnreadable(path, why, "convert it to GeoTIFF first")
        _check_sizes(file, path, rules)


def open_lone(name: str) -> BinaryIO:
    """A regular file opened for reading: no address, no link, no pipe, no device.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: it is something else.
    """
    if is_remote(name):
        raise SceneUnreadable(shown(name), "is an address, not a file", "download it first")
    path = Path(name)
    try:
        if stat.S_ISLNK(path.lstat().st_mode):
            why = "is a symbolic link, which may lead anywhere"
            raise SceneUnreadable(path, why, "give the file itself")
        if path.is_dir():
            raise SceneUnreadable(path, "is a directory", "give the path of the raster in it")
        # A link put there meanwhile is not followed, and a pipe not waited for.
        handle = os.open(path, os.O_RDONLY | _flags("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SceneNotFound(path) from error
    except SceneUnreadable:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        why = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise SceneUnreadable(path, why, "check its permissions") from error
    file = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise SceneUnreadable(path, "is not a regular file", "copy it to a file first")
    return file


def _flags(*names: str) -> int:
    return sum(getattr(os, name, 0) for name in names)  # not every system has each


def _check_alone(path: Path) -> None:
    for beside in side_car_names(path):
        if os.path.lexists(beside):
            # To read it would be to trust it; to ignore it could lose a mask.
            why = f"has the side-car {beside.name}, which is not read with --untrusted"
            raise SceneUnreadable(path, why, "remove it, or write what it says into the file")


def _check_sizes(file: BinaryIO, path: Path, rules: OpenRules) -> None:
    layout, count = layout_of(file), 0
    for directory in directories(file, layout, path):
        count += 1
        if count > MAX_DIRECTORIES:
            why = f"has more than {MAX_DIRECTORIES} directories"
            raise SceneUnreadable(path, why, "write the image to a file of its own")
        _check_directory(_sizes(file, layout, directory, path), path, rules)
    if not count:
        raise SceneUnreadable(path, f"{_DAMAGED} (it holds no image)", _AGAIN)


def _check_directory(sizes: Mapping[int, int], path: Path, rules: OpenRules) -> None:
    height, width = sizes.get(_HEIGHT, 0), sizes.get(_WIDTH, 0)
    samples = sizes.get(_SAMPLES, 1)
    if not (height and width and samples):
        raise SceneUnreadable(path, f"{_DAMAGED} (an image of no size)", _AGAIN)
    if samples > MAX_BANDS:
        why = f"its header declares {samples} bands; at most {MAX_BANDS} are read"
        raise SceneUnreadable(path, why, "write those that are needed to a file of their own")
    if height * width > rules.max_pixels:
        raise SceneTooLarge(path, height, width, rules.max_pixels)
    if (block := _block_bytes(sizes, height, width)) > MAX_BLOCK_BYTES:
        why = (
            f"its header declares blocks of {block // 2**20} MB, which are read whole; at most "
            f"{MAX_BLOCK_BYTES // 2**20} MB are"
        )
        remedy = "write it in tiles, for example with rio convert FILE OUT.tif --co TILED=YES"
        raise SceneUnreadable(path, why, remedy)


def _block_bytes(sizes: Mapping[int, int], height: int, width: int) -> int:
    """Bytes that have to be held to decode a block; of strips without compression, one row."""
    cols = sizes.get(_TILE_WIDTH, width)
    rows = sizes.get(_TILE_HEIGHT) or min(sizes.get(_STRIP_ROWS, height), height)
    if _TILE_HEIGHT not in sizes and sizes.get(_COMPRESSION, 1) == 1:
        rows = 1
    together = 1 if sizes.get(_PLANAR, 1) == 2 else sizes.get(_SAMPLES, 1)
    return rows * cols * together * -(-sizes.get(_BITS, 1) // 8)


def _sizes(file: BinaryIO, layout: Layout, directory: Directory, path: Path) -> dict[int, int]:
    """The first number of each tag that tells a size. Values have to lie in the file."""
    if directory.count > MAX_TAGS:
        why = f"its header has a directory of {directory.count} tags; at most {MAX_TAGS} are read"
        raise SceneUnreadable(path, why, _AGAIN)
    end, inline = file.seek(0, 2), 8 if layout.big else 4
    entry = struct.Struct(layout.order + ("HHQ" if layout.big else "HHI"))
    found: dict[int, int] = {}
    for number in range(directory.count):
        at = directory.place + number * layout.entry_bytes
        file.seek(at)
        tag, kind, count = entry.unpack(file.read(entry.size))
        place, held = at + entry.size, count * _TYPE_BYTES.get(kind, 1)
        if held > inline:
            place = struct.unpack(layout.order + ("Q" if layout.big else "I"), file.read(inline))[0]
        if held > end or (tag in _SIZES and place + held > end):
            why = f"{_DAMAGED} (tag {tag} claims {held} bytes, the file has {end})"
            raise SceneUnreadable(path, why, _AGAIN)
        if tag in _SIZES and kind in _WHOLE and count:
            file.seek(place)
            whole = struct.Struct(layout.order + _WHOLE[kind])
            found.setdefault(tag, whole.unpack(file.read(whole.size))[0])
    return found
