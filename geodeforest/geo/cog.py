"""Cloud Optimized GeoTIFFs, put together from blocks that are compressed already.

Knows the file's layout: TIFF 6.0, BigTIFF, and what GDAL's driver "COG" promises to readers in
its structural metadata. Every directory comes first, then the blocks, those of the coarsest
overview before all others. What a directory says of place, CRS, colours and tags is GDAL's own
writing, taken over as it is. Nothing of pixels.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

BLOCK_PX = 512

# A reader may fetch a block with the four bytes before it, which tell its size.
_PROMISES = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
_GHOST = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_PROMISES) + _PROMISES
_AROUND_BLOCK = 8  # bytes: its size before it, its last four again after it

_CLASSIC_BYTES = 2**32
"""From this size on a file is a BigTIFF: 32 bits do not tell all places in it."""

_SUBFILE, _WIDTH, _HEIGHT, _OFFSETS, _SIZES = 254, 256, 257, 324, 325
# Overviews lie where the full map does, and what it tells need not be said twice.
_ONCE = frozenset({33550, 33922, 34264, 34735, 34736, 34737, 42112})
_SHORT, _LONG, _LONG8 = 3, 4, 16
_BYTES = {1: 1, 2: 1, _SHORT: 2, _LONG: 4, 12: 8, _LONG8: 8}  # of a value, by its type


@dataclass(frozen=True, slots=True)
class Tag:
    """An entry of a directory: what it tells, the type of its values, and their bytes."""

    code: int
    kind: int
    data: bytes

    @classmethod
    def of(cls, code: int, numbers: Sequence[int] | NDArray[np.int64], kind: int = _LONG) -> Tag:
        """An entry of whole numbers."""
        return cls(code, kind, np.asarray(numbers, f"<u{_BYTES[kind]}").tobytes())


@dataclass(frozen=True, slots=True)
class Level:
    """The blocks of a map or of one of its overviews, as the file ``path`` holds them.

    ``sizes`` are the bytes of each without what ``framed`` puts around it.
    """

    height: int
    width: int
    path: Path
    sizes: Sequence[int]

    @property
    def bytes(self) -> int:
        """How long the file of blocks is."""
        return sum(self.sizes) + _AROUND_BLOCK * len(self.sizes)

    def offsets(self, begin: int) -> NDArray[np.int64]:
        """Where each block begins if the first is framed from ``begin`` on."""
        before = list(accumulate((s + _AROUND_BLOCK for s in self.sizes), initial=0))[:-1]
        return np.array(before, np.int64) + begin + _AROUND_BLOCK // 2


def framed(block: bytes) -> bytes:
    """A block with its size before it and its last four bytes again after it."""
    return struct.pack("<I", len(block)) + block + block[-4:]


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Rows and columns of a map and of its overviews, halved until a single block holds them."""
    sizes = [(height, width)]
    while max(sizes[-1]) > BLOCK_PX:
        rows, cols = sizes[-1]
        sizes.append((-(-rows // 2), -(-cols // 2)))
    return sizes


def described(profile: Mapping[str, Any], tell: Mapping[str, Any], *, predictor: bool) -> list[Tag]:
    """The directory of a map of bytes as GDAL writes it, with deflated blocks.

    ``profile`` has the keywords of ``rasterio.open``: crs, transform, nodata. ``tell`` may have
    ``tags``, ``description``, ``colours`` by value, and ``scale``.
    """
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            height=BLOCK_PX,
            width=BLOCK_PX,
            count=1,
            dtype="uint8",
            tiled=True,
            blockxsize=BLOCK_PX,
            blockysize=BLOCK_PX,
            compress="DEFLATE",
            predictor=2 if predictor else 1,
            SPARSE_OK=True,
            ENDIANNESS="LITTLE",
            **profile,
        ) as dataset:
            dataset.update_tags(**tell["tags"])
            dataset.set_band_description(1, tell["description"])
            if tell["colours"]:
                dataset.write_colormap(1, tell["colours"])
            if tell["scale"] != 1:
                dataset.scales, dataset.offsets = (tell["scale"],), (0.0,)
        return _tags(bytes(memory.getbuffer()))


def write_cog(path: Path, told: Sequence[Tag], levels: Sequence[Level]) -> None:
    """Write the file of a map: what its directory tells, the map, and its overviews in order.

    Raises:
        OSError: the disk is full, or another fault of writing.
    """
    blocks = sum(level.bytes for level in levels)
    # That the directories may be twice as long in a BigTIFF plays no part: they come first.
    big = len(_header(told, levels, 0, big=False)) + blocks >= _CLASSIC_BYTES
    begin = len(_header(told, levels, 0, big=big))
    with path.open("wb") as file:
        file.write(_header(told, levels, begin, big=big))
        for level in reversed(levels):
            with level.path.open("rb") as held:
                shutil.copyfileobj(held, file, 2**20)


def _header(told: Sequence[Tag], levels: Sequence[Level], begin: int, *, big: bool) -> bytes:
    """All that comes before the blocks, if these begin at ``begin``."""
    kind = _LONG8 if big else _LONG
    starts = accumulate((level.bytes for level in reversed(levels)), initial=begin)
    places = list(starts)[:-1][::-1]
    first = (16 if big else 8) + len(_GHOST)
    first += first % 2
    start = struct.pack(
        "<2sHHHQ" if big else "<2sHI", b"II", *((43, 8, 0) if big else (42,)), first
    )
    header = (start + _GHOST).ljust(first, b"\0")
    for number, (level, place) in enumerate(zip(levels, places, strict=True)):
        own = [
            Tag.of(_WIDTH, [level.width]),
            Tag.of(_HEIGHT, [level.height]),
            Tag.of(_OFFSETS, level.offsets(place) if begin else [0] * len(level.sizes), kind),
            Tag.of(_SIZES, level.sizes),
        ]
        own += [Tag.of(_SUBFILE, [1])] if number else []
        kept = [tag for tag in told if not (number and tag.code in _ONCE)]
        is_last = number == len(levels) - 1
        header += _directory([*kept, *own], len(header), big=big, is_last=is_last)
    return header


def _directory(tags: Iterable[Tag], place: int, *, big: bool, is_last: bool) -> bytes:
    """A directory at ``place`` and the values that do not fit into it; of equal tags the last."""
    entries = sorted({tag.code: tag for tag in tags}.values(), key=lambda tag: tag.code)
    number, word, room = ("<Q", "<Q", 8) if big else ("<H", "<I", 4)
    head = struct.calcsize(number) + len(entries) * (12 + (8 if big else 0)) + room
    listed, values = struct.pack(number, len(entries)), b""
    for tag in entries:
        count = len(tag.data) // _BYTES[tag.kind]
        where = tag.data.ljust(room, b"\0")
        if len(tag.data) > room:
            where = struct.pack(word, place + head + len(values))
            values += tag.data + b"\0" * (-len(tag.data) % 8)
        listed += struct.pack("<HH" + word[1], tag.code, tag.kind, count) + where
    end = place + head + len(values)
    return listed + struct.pack(word, 0 if is_last else end) + values


def _tags(tiff: bytes) -> list[Tag]:
    """The entries of the only directory of a classic, little-endian TIFF."""
    (place,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, place)
    found = []
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        code, kind, number = struct.unpack_from("<HHI", tiff, entry)
        size, start = number * _BYTES[kind], entry + 8
        if size > 4:
            (start,) = struct.unpack_from("<I", tiff, start)
        found.append(Tag(code, kind, tiff[start : start + size]))
    return found
