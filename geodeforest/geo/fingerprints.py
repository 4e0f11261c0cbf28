"""What files and arrays hold, as hashes, and whether files stay as they were.

Knows which files belong to one that a user names; nothing of what is in them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from geodeforest.errors import InputChanged

# What GDAL and OGR read beside a raster or a shapefile, in so far as it can change the result.
_APPENDED = (".aux.xml", ".msk", ".msk.ovr", ".ovr")
_WORLD_FILES = (".tfw", ".wld", ".j2w", ".pgw", ".aux")
_SHAPEFILE = (".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn")

_HASHED_PX = 2**20

Identity: TypeAlias = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file, an array or an address held.

    ``bytes`` and ``sha256`` are None where they are not known: of a lazy array, of what lies on
    a server or only in memory, and of a file that cannot be read to its end. ``etag`` and
    ``modified`` are what a server says instead.
    """

    name: str
    bytes: int | None = None
    sha256: str | None = None
    etag: str | None = None
    modified: str | None = None

    def facts(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        said = {"etag": self.etag, "modified": self.modified}
        return {
            "name": self.name,
            "bytes": self.bytes,
            "sha256": self.sha256,
            **{name: word for name, word in said.items() if word is not None},
        }


def file_fingerprint(path: Path) -> Fingerprint:
    """The SHA-256 of a file's bytes.

    Raises:
        OSError: it cannot be read to its end.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Fingerprint(path.name, file.tell(), digest.hexdigest())


def array_fingerprint(
    name: str, array: Any, nodata: float | None = None, valid: NDArray[np.bool_] | None = None
) -> Fingerprint:
    """The SHA-256 of dtype, shape and nodata in words, then of the numbers row by row.

    ``array`` has shape (bands, rows, cols), ``valid`` (rows, cols). One that is not in memory
    is not computed once more for this.
    """
    if not isinstance(array, np.ndarray):
        return Fingerprint(name)
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} {nodata}".encode())
    planes = [*array, *(() if valid is None else (np.asarray(valid),))]
    for plane in planes:
        step = max(1, _HASHED_PX // plane.shape[1])
        for row in range(0, plane.shape[0], step):
            digest.update(np.ascontiguousarray(plane[row : row + step]).view(np.uint8).data)
    return Fingerprint(name, sum(plane.nbytes for plane in planes), digest.hexdigest())


def local_files(path: str | os.PathLike[str]) -> list[Path]:
    """The file, or the archive that it lies in, and what is read from beside it.

    Empty where nothing of that name is on a disk.
    """
    named = Path(path)
    file = next((place for place in (named, *named.parents) if place.is_file()), None)
    if file is None:
        return []
    return [file, *(place for place in side_car_names(file) if place.is_file())]


def side_car_names(file: Path) -> list[Path]:
    """Where side-cars of a file would lie that can change what is read of it."""
    beside = [file.with_name(file.name + suffix) for suffix in _APPENDED]
    if file.stem:
        endings = _SHAPEFILE if file.suffix.lower() == ".shp" else _WORLD_FILES
        beside += [file.with_suffix(ending) for ending in endings]
    return beside


class WatchedFiles:
    """Files that must stay as they are while they are read.

    What tells is size, time of the last change and inode; a file that was replaced by a rename
    has another one.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, Identity] = {}

    def add(self, paths: Iterable[Path]) -> None:
        """Watch files from now on, as far as they are not watched yet."""
        for path in paths:
            self._seen.setdefault(path, _identity(path))

    def check(self) -> None:
        """Compare all files with what they were.

        Raises:
            InputChanged: one is another, or gone.
        """
        for path, before in self._seen.items():
            if _identity(path) != before:
                raise InputChanged(path)


def _identity(path: Path) -> Identity:
    with suppress(OSError):
        found = path.stat()
        return found.st_size, found.st_mtime_ns, found.st_ino
    return None
