"""The directories of a TIFF: whether all are there, and where their entries lie.

GDAL passes over a chain that ends outside the file, and with it over the masks and overviews
behind: what was not observed would count as seen. Knows where directories lie (TIFF 6.0,
section 2, and BigTIFF), nothing of what they say.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from geodeforest.errors import SceneUnreadable

_ORDERS = {b"II": "<", b"MM": ">"}
_MOST_DIRECTORIES = 65_536


@dataclass(frozen=True, slots=True)
class Layout:
    """The byte order of a TIFF as ``struct`` writes it, and whether it is a BigTIFF."""

    order: str
    big: bool

    @property
    def entry_bytes(self) -> int:
        """The size of a directory's entry."""
        return 20 if self.big else 12


@dataclass(frozen=True, slots=True)
class Directory:
    """``count`` entries, the first of them at byte ``place``."""

    place: int
    count: int


def check_chain(path: Path) -> None:
    """Follow the chain of directories of a file that begins as a TIFF.

    Raises:
        SceneUnreadable: one of them lies outside the file or leads back to an earlier one.
    """
    with path.open("rb") as file:
        for _ in directories(file, layout_of(file), path):
            pass


def layout_of(file: BinaryIO) -> Layout:
    """The layout of a file that begins as a TIFF."""
    file.seek(0)
    order = _ORDERS[file.read(2)]
    return Layout(order, struct.unpack(f"{order}H", file.read(2)) == (43,))


def directories(file: BinaryIO, layout: Layout, path: Path) -> Iterator[Directory]:
    """The directories of an open TIFF, which may be read elsewhere in between.

    Raises:
        SceneUnreadable: one of them lies outside the file or leads back to an earlier one.
    """
    order, pointer_bytes = layout.order, 8 if layout.big else 4
    size = file.seek(0, 2)
    file.seek(8 if layout.big else 4)
    seen: set[int] = set()
    place = _number(file, order, pointer_bytes)
    while place != 0:
        if place is None or place in seen or len(seen) == _MOST_DIRECTORIES:
            raise _broken(path, seen, size)
        file.seek(min(place, size))
        count = _number(file, order, 8 if layout.big else 2)
        first = file.tell()
        end = 0 if count is None else first + count * layout.entry_bytes
        file.seek(min(end, size))
        following = None if count is None else _number(file, order, pointer_bytes)
        if following is not None:
            seen.add(place)
            yield Directory(first, count or 0)
        place = following


def _number(file: BinaryIO, order: str, size: int) -> int | None:
    data = file.read(size)
    if len(data) < size:
        return None
    number: int = struct.unpack(order + {2: "H", 4: "I", 8: "Q"}[size], data)[0]
    return number


def _broken(path: Path, seen: set[int], size: int) -> SceneUnreadable:
    return SceneUnreadable(
        path,
        f"its header is damaged (after {len(seen)} directories the chain breaks off; the file has "
        f"{size} bytes), so masks may be lost",
        "download or copy it again",
    )
