"""Whether all of a FlatGeobuf was kept.

Knows how the format's parts follow each other (https://flatgeobuf.org, version 3): a mark, a
header, an index of a size that follows from the number of features, and the features, each behind
its size. GDAL tells of no fault where a full disk keeps it from writing the last of them.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from geodeforest.errors import OutputUnwritable
from geodeforest.geo.files import final_name

_MARK = b"fgb\x03fgb"  # and the number of the patch
_SIZE = struct.Struct("<I")
_NODE_BYTES, _NODE_ITEMS = 40, 16  # of the index, as GDAL makes it


def check_flatgeobuf(path: Path, features: int) -> None:
    """Follow the file from its mark to its end.

    Raises:
        OutputUnwritable: a part of it is missing.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        whole = _is_whole(file, features, path.stat().st_size)
    if not whole:
        why = "a part of it was not kept as written"
        raise OutputUnwritable(
            final_name(path), why, "check that the disk is not full and write again"
        )


def _is_whole(file: BinaryIO, features: int, size: int) -> bool:
    if not file.read(len(_MARK) + 1).startswith(_MARK):
        return False
    at = _end_of_part(file)
    at = None if at is None else at + index_bytes(features)
    for _ in range(features):
        if at is None or at > size:
            return False
        file.seek(at)
        at = _end_of_part(file)
    return at == size


def _end_of_part(file: BinaryIO) -> int | None:
    """Where a part ends that begins here with its size; None if there is none."""
    head = file.read(_SIZE.size)
    if len(head) < _SIZE.size or not any(head):
        return None
    (length,) = _SIZE.unpack(head)
    return file.tell() + int(length)


def index_bytes(features: int) -> int:
    """The size of the packed tree of so many features: a node for each, and those above them."""
    if features == 0:
        return 0
    nodes = level = features
    while True:
        level = -(-level // _NODE_ITEMS)
        nodes += level
        if level == 1:
            return nodes * _NODE_BYTES
