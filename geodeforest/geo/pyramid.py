"""Rows of bytes become compressed blocks, of the map and of its overviews, as they pass.

Knows blocks, halving and DEFLATE; nothing of places or of TIFF's directories. Each block is
compressed once, into the file from which the map is put together, and its checksum is kept.
Memory follows the width: one row of blocks of each level, which is two of the map's.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.geo.cog import BLOCK_PX, Level, framed, level_sizes
from geodeforest.geo.deflate import crc32, of_runs, quickly

Bytes: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Coding:
    """How a kind of map is halved and compressed.

    ``halved`` makes one pixel of each square of two by two, the last row or column being 255
    where a block's are odd. With ``predictor`` pixels are stored as differences from the one
    before.
    """

    halved: Callable[[Bytes], Bytes]
    predictor: bool = False


class Pyramid:
    """A map of ``height`` rows and its overviews, each in a file of blocks beside ``path``."""

    def __init__(self, path: Path, height: int, width: int, coding: Coding) -> None:
        self._levels: list[_Growing] = []
        try:
            for number, (rows, cols) in enumerate(level_sizes(height, width)):
                place = path.with_name(f"{path.name}.{number}.blocks")
                self._levels.append(_Growing(place, rows, cols, coding))
        except BaseException:
            self.discard()
            raise

    @property
    def rows(self) -> int:
        """How many rows of the map were taken."""
        return self._levels[0].taken

    def add(self, rows: Bytes) -> None:
        """Take the next rows of the map, as many or few as there are."""
        for level in self._levels:
            rows = level.add(rows)

    def levels(self) -> list[Level]:
        """The finished levels, the map first. Nothing is added from here on."""
        return [level.finished() for level in self._levels]

    def checksums(self) -> list[array[int]]:
        """The CRC-32 of every block of every level, made when it was compressed."""
        return [level.checksums for level in self._levels]

    def discard(self) -> None:
        """Remove the files of blocks."""
        for level in self._levels:
            level.discard()


@dataclass(slots=True)
class _Growing:
    """One level: rows wait until they fill their blocks."""

    path: Path
    height: int
    width: int
    coding: Coding
    taken: int = 0
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    checksums: array[int] = field(default_factory=lambda: array("Q"))
    _rows: Bytes = field(init=False)
    _file: BinaryIO = field(init=False)

    def __post_init__(self) -> None:
        self._rows = np.empty((min(BLOCK_PX, self.height), self.width), np.uint8)
        self._file = self.path.open("xb")

    def add(self, rows: Bytes) -> Bytes:
        """Take rows; returns those of the next level that follow from full blocks."""
        halves = [np.empty((0, -(-self.width // 2)), np.uint8)]
        while len(rows):
            held = self.taken % BLOCK_PX
            part, rows = np.split(rows, [BLOCK_PX - held])
            self._rows[held : held + len(part)] = part
            self.taken += len(part)
            if self.taken % BLOCK_PX == 0 or self.taken == self.height:
                halves.append(self._flush(self._rows[: held + len(part)]))
        return np.concatenate(halves) if len(halves) > 2 else halves[-1]

    def _flush(self, rows: Bytes) -> Bytes:
        halves = []
        for col in range(0, self.width, BLOCK_PX):
            block = np.ascontiguousarray(rows[:, col : col + BLOCK_PX])
            value = self._write(block)
            if value == NOT_ASSESSED:  # as most blocks of a sparse scene
                rows_left, cols_left = (-(-length // 2) for length in block.shape)
                halves.append(np.full((rows_left, cols_left), value, np.uint8))
            else:
                halves.append(self.coding.halved(_padded(block, 2)))
        return np.concatenate(halves, axis=1)

    def _write(self, block: Bytes) -> int | None:
        """Compress a block; returns the value of all its pixels, None where they differ."""
        block, first = _padded(block, BLOCK_PX), int(block[0, 0])
        is_constant = bool((block == first).all())
        if is_constant:
            packed = _constant(first, predictor=self.coding.predictor)
        else:
            packed = compressed(block, predictor=self.coding.predictor)
        self._file.write(framed(packed))
        self.sizes.append(len(packed))
        self.checksums.append(crc32(packed))
        return first if is_constant else None

    def finished(self) -> Level:
        self._file.close()
        return Level(self.height, self.width, self.path, self.sizes)

    def discard(self) -> None:
        with suppress(OSError):  # what cannot be flushed is of no use any more
            self._file.close()
        self.path.unlink(missing_ok=True)


def compressed(block: Bytes, *, predictor: bool) -> bytes:
    """A block as DEFLATE; with ``predictor`` of differences, which are noise."""
    if not predictor:
        return of_runs(block.data)
    differences = block.copy()
    np.subtract(block[:, 1:], block[:, :-1], out=differences[:, 1:])
    return quickly(differences.data)


@lru_cache(maxsize=8)
def _constant(value: int, *, predictor: bool) -> bytes:
    """A block of one value: a quarter of the size if long strings are looked for."""
    block = np.full((BLOCK_PX, BLOCK_PX), value, np.uint8)
    if predictor:
        block[:, 1:] = 0
    return zlib.compress(block.data, 9)


def sampled(block: Bytes) -> Bytes:
    """The north-western pixel of each square of two by two."""
    return block[::2, ::2]


def averaged(block: Bytes) -> Bytes:
    """The mean of what was assessed in each square of two by two, halves rounded up.

    255 where nothing was.
    """
    if block.max() != NOT_ASSESSED:
        mean: Bytes = (_sums(block) + 2 >> 2).astype(np.uint8)
        return mean
    seen = (block != NOT_ASSESSED).view(np.uint8)
    count, total = _sums(seen), _sums(block * seen)
    mean = ((2 * total + count) // np.maximum(2 * count, 1)).astype(np.uint8)
    mean[count == 0] = NOT_ASSESSED
    return mean


def _sums(block: Bytes) -> NDArray[np.uint16]:
    """The sum of each square of two by two."""
    pairs = np.ascontiguousarray(block).view("<u2")
    across = (pairs & 255) + (pairs >> 8)
    total: NDArray[np.uint16] = across[::2] + across[1::2]
    return total


def _padded(block: Bytes, multiple: int) -> Bytes:
    """A block with rows and columns of 255 up to a multiple."""
    rows, cols = (-length % multiple for length in block.shape)
    if not rows and not cols:
        return np.ascontiguousarray(block)
    return np.pad(block, ((0, rows), (0, cols)), constant_values=NOT_ASSESSED)
