"""Final rows on disk, so that a scan that was broken off goes on where it ended.

Knows rows, checksums and torn files; nothing of chips or models. The journal is a file of entries,
appended one by one: each tells which rows it holds, whose they are, and its own checksums.
So an entry that is torn or altered costs the rows that it holds, and no others; and the order of
entries means nothing. Beside it lies one more file, overwritten as the scan goes on: the arrays
that the next rows begin with.
"""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from geodeforest.geo.deflate import crc32, quickly
from geodeforest.geo.scratch import CARRIED, JOURNAL, JournalPlace
from geodeforest.geo.write_faults import naming_faults

# Mark, key, first row, rows, bytes of classes, scores and failed, checksum of those; then that of
# the header itself, without which nobody would know where the next entry begins.
_HEAD = struct.Struct("<4s16sQIIIII")
_SUM = struct.Struct("<I")
_LEAST = _HEAD.size + _SUM.size
_MARK = b"gdfK"

# Mark, key, number of the chip row, bytes of the description; then the checksum of all else.
_CARRIED = struct.Struct("<4s16sQI")
_CARRIED_MARK = b"gdfD"

_SEARCHED_BYTES = 2**20

_RUN_BYTES = 4
"""Equal bytes in a row, on average, from which compressing them is worth while."""

_JUDGED_BY = 8
"""Of so many rows one tells whether all are worth it."""

# A process that is killed loses nothing that it has written; only a power cut does. So the disk is
# waited for no more often than is worth while.
_FLUSHED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Rows as they were settled: class ids, stored scores, and what failed; all (rows, cols)."""

    first: int
    classes: NDArray[np.uint8]
    scores: NDArray[np.uint8]
    failed: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    rows: int
    offset: int
    sizes: tuple[int, int, int]


class RowJournal:
    """The journal of one work, whose rows are ``width`` pixels wide.

    What is there of another work is thrown away; ``afresh`` tells that there was some. Errors
    speak of the output that the work is for.
    """

    def __init__(self, place: JournalPlace, width: int) -> None:
        self._key, self._width = bytes.fromhex(place.key)[:16], width
        self._named = place.named
        self._carried = place.directory / CARRIED
        self._entries: dict[int, _Entry] = {}
        self._last_carried = -1
        with naming_faults(self._named):
            path = place.directory / JOURNAL
            path.touch()
            self._file = path.open("r+b", buffering=0)
            self.afresh = self._index()
        self._flushed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # every entry was flushed; a full disk was told of then
            self._file.close()

    @property
    def empty(self) -> bool:
        """Whether no rows are held."""
        return not self._entries

    def holds(self, rows: slice) -> bool:
        """Whether all those rows are held, in entries that begin and end with them."""
        return self._parts(rows) is not None

    def rows(self, rows: slice) -> Iterator[KeptRows]:
        """Rows that are held, in order, in the parts in which they were appended.

        Raises:
            OutputUnwritable: the disk cannot be read.
        """
        for first in self._parts(rows) or ():
            yield self._read(first, self._entries[first])

    def append(self, rows: KeptRows) -> None:
        """Add rows. They can be read once this returns, whatever becomes of the process.

        Raises:
            OutputUnwritable: the disk is full.
        """
        arrays = (rows.classes, rows.scores, rows.failed)
        packed = [b"" if array is None else _packed(array) for array in arrays]
        sizes = (len(packed[0]), len(packed[1]), len(packed[2]))
        checksum = reduce(lambda so_far, part: crc32(part, so_far), packed, 0)
        head = _HEAD.pack(_MARK, self._key, rows.first, len(rows.classes), *sizes, checksum)
        with naming_faults(self._named):
            offset = self._file.seek(0, os.SEEK_END)
            try:
                for part in (head + _SUM.pack(crc32(head)), *packed):
                    _write_all(self._file, part)
            except BaseException:
                self._file.truncate(offset)  # a part of an entry is of no use to anyone
                raise
            self._flush()
        self._entries[rows.first] = _Entry(len(rows.classes), offset + _LEAST, sizes)

    def _flush(self) -> None:
        if time.monotonic() - self._flushed > _FLUSHED_SECONDS:
            os.fsync(self._file.fileno())
            self._flushed = time.monotonic()

    def carry(self, number: int, arrays: Sequence[NDArray[Any]]) -> None:
        """Keep what comes after chip row ``number``, in place of what was kept of an earlier one.

        Raises:
            OutputUnwritable: the disk is full.
        """
        if number < self._last_carried:
            return
        about = json.dumps([[array.dtype.str, array.shape] for array in arrays]).encode()
        solid = [np.ascontiguousarray(array) for array in arrays]
        head = _CARRIED.pack(_CARRIED_MARK, self._key, number, len(about))
        checksum = crc32(about, crc32(head))
        for array in solid:
            checksum = crc32(_bytes(array), checksum)
        with naming_faults(self._named):
            self._carried.touch()
            with self._carried.open("r+b", buffering=0) as file:
                for part in (head + _SUM.pack(checksum) + about, *map(_bytes, solid)):
                    _write_all(file, part)
                file.truncate()
        self._last_carried = number

    def carried(self) -> tuple[int, list[NDArray[Any]]] | None:
        """The chip row that was carried from last, and the arrays; None if they are torn or none.

        Raises:
            OutputUnwritable: the disk cannot be read.
        """
        with naming_faults(self._named):
            if not self._carried.exists():
                return None
            content = self._carried.read_bytes()
        start = _CARRIED.size + _SUM.size
        head, rest = content[: _CARRIED.size], memoryview(content)[start:]
        if content[_CARRIED.size : start] != _SUM.pack(crc32(rest, crc32(head))):
            return None
        mark, key, number, about = _CARRIED.unpack(head)
        if (mark, key) != (_CARRIED_MARK, self._key):
            return None
        self._last_carried = number
        return number, list(_arrays(content, start, about))

    def _parts(self, rows: slice) -> list[int] | None:
        parts, at = [], rows.start
        while at < rows.stop:
            if at not in self._entries:
                return None
            parts.append(at)
            at += self._entries[at].rows
        return parts if at == rows.stop else None

    def _read(self, first: int, entry: _Entry) -> KeptRows:
        shape = (entry.rows, self._width)
        with naming_faults(self._named):
            self._file.seek(entry.offset)
            packed = [self._file.read(size) for size in entry.sizes]
        plain = entry.rows * self._width
        classes, scores, *failed = (
            np.frombuffer(_unpacked(part, plain), np.uint8).reshape(shape)
            for part in packed
            if part
        )
        return KeptRows(first, classes, scores, failed[0].view(bool) if failed else None)

    def _index(self) -> bool:
        """Find the entries of this run; cut off what follows the last one. True: others' only."""
        end, strangers = 0, False
        for key, first, entry in _entries(self._file):
            if key == self._key:
                self._entries[first] = entry
                end = entry.offset + sum(entry.sizes)
            strangers = strangers or key != self._key
        self._file.truncate(end)
        return strangers and not self._entries


def _entries(file: IO[bytes]) -> Iterator[tuple[bytes, int, _Entry]]:
    """The sound entries of a journal, each with the key of its work and its first row."""
    at: int | None = 0
    while at is not None:
        found = _entry(file, at)
        if found is None:
            at = _next_mark(file, at + 1)
        else:
            yield found
            at = found[2].offset + sum(found[2].sizes)


def _entry(file: IO[bytes], at: int) -> tuple[bytes, int, _Entry] | None:
    """The entry that begins there; None if there is none, or a torn or altered one."""
    file.seek(at)
    head, checksum = file.read(_HEAD.size), file.read(_SUM.size)
    if checksum != _SUM.pack(crc32(head)) or not head.startswith(_MARK):
        return None
    _, key, first, rows, *sizes, checksum_of_rows = _HEAD.unpack(head)
    packed = file.read(sum(sizes))
    if len(packed) != sum(sizes) or crc32(packed) != checksum_of_rows:
        return None
    return key, first, _Entry(rows, at + _LEAST, (*sizes,))


def _next_mark(file: IO[bytes], start: int) -> int | None:
    """Where the next entry may begin; None at the end of the file."""
    while True:
        file.seek(start)
        chunk = file.read(_SEARCHED_BYTES)
        found = chunk.find(_MARK)
        if found >= 0:
            return start + found
        if len(chunk) < _SEARCHED_BYTES:
            return None
        start += len(chunk) - len(_MARK) + 1


def _packed(rows: NDArray[Any]) -> bytes | memoryview:
    """Rows, in fewer bytes where some of them are made of runs, as classes are; else as they are.

    Compressed scores would be two thirds as long, and that is not worth forty times the time.
    """
    plain: memoryview = _bytes(np.ascontiguousarray(rows))
    some = rows[::_JUDGED_BY]
    if np.count_nonzero(some[:, 1:] != some[:, :-1]) * _RUN_BYTES > some.size:
        return plain
    packed = quickly(plain)
    return packed if len(packed) < len(plain) else plain


def _unpacked(packed: bytes, plain: int) -> bytes:
    """Rows of ``plain`` bytes again."""
    return packed if len(packed) == plain else zlib.decompress(packed)


def _bytes(array: NDArray[Any]) -> Any:
    return array.reshape(-1).view(np.uint8).data  # numpy's types do not call it a buffer


def _write_all(file: Any, part: bytes | memoryview) -> None:
    view = memoryview(part)
    while len(view):  # an unbuffered file may take a part only
        view = view[file.write(view) :]


def _arrays(content: bytes, start: int, about: int) -> Iterator[NDArray[Any]]:
    """The arrays after ``about`` bytes that describe them, as views."""
    at = start + about
    for dtype, shape in json.loads(content[start:at]):
        count = int(np.prod(shape, dtype=int))
        array = np.frombuffer(content, dtype, count, at) if count else np.empty(0, dtype)
        yield array.reshape(shape)
        at += array.nbytes
