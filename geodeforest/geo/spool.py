"""Rows that wait on disk until they are needed a second time."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geodeforest.geo.files import naming_faults

Rows = tuple[NDArray[np.uint8], NDArray[np.uint8] | None]


class RowSpool:
    """Keeps rows of class ids, and of scores, quickly compressed, in a file without a name.

    Errors speak of ``named``, for which the work is done.
    """

    def __init__(self, named: Path) -> None:
        self._named = named
        self._parts: list[tuple[tuple[int, ...], list[int]]] = []
        with naming_faults(named):
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed on leaving

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, classes: NDArray[np.uint8], scores: NDArray[np.uint8] | None) -> None:
        """Append rows (rows, cols).

        Raises:
            OutputUnwritable: the disk is full.
        """
        both = (classes,) if scores is None else (classes, scores)
        packed = [zlib.compress(rows.tobytes(), 1) for rows in both]
        with naming_faults(self._named):
            self._file.writelines(packed)
        self._parts.append((classes.shape, [len(rows) for rows in packed]))

    def rows(self) -> Iterator[Rows]:
        """All rows again, in the parts in which they came."""
        with naming_faults(self._named):
            self._file.seek(0)
        for shape, sizes in self._parts:
            with naming_faults(self._named):
                packed = [self._file.read(size) for size in sizes]
            classes, *scores = (
                np.frombuffer(zlib.decompress(rows), np.uint8).reshape(shape) for rows in packed
            )
            yield classes, scores[0] if scores else None
