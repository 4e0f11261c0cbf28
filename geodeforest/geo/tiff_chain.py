"""Whether the directories of a TIFF are all there.

GDAL passes over a chain that ends outside the file, and with it over the masks and overviews
behind: what was not observed would count as seen. Knows where directories lie (TIFF 6.0,
section 2, and BigTIFF), nothing of what they say.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from geodeforest.errors import SceneUnreadable

_ORDERS = {b"II": "<", b"MM": ">"}
_MOST_DIRECTORIES = 65_536


def check_chain(path: Path) -> None:
    """Follow the chain of directories of a file that begins as a TIFF.

    Raises:
        SceneUnreadable: one of them lies outside the file or leads back to an earlier one.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        order = _ORDERS[file.read(2)]
        big = struct.unpack(f"{order}H", file.read(2)) == (43,)
        file.seek(8 if big else 4)
        seen: set[int] = set()
        place = _number(file, order, 8 if big else 4)
        while place != 0:
            if place is None or place in seen or len(seen) == _MOST_DIRECTORIES:
                raise _broken(path, seen, size)
            file.seek(min(place, size))
            count = _number(file, order, 8 if big else 2)
            end = 0 if count is None else file.tell() + count * (20 if big else 12)
            file.seek(min(end, size))
            following = None if count is None else _number(file, order, 8 if big else 4)
            if following is not None:
                seen.add(place)
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
