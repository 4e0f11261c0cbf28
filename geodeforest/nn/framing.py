"""TFRecord framing: where each record begins and ends, and whether its bytes are whole.

Knows nothing of what the records hold, and needs no TensorFlow: TensorFlow believes the
length field of a record, and a crafted one kills the process, so a file is judged here
before TensorFlow sees it.

A record is ``uint64 length, uint32 CRC of the length, payload, uint32 CRC of the payload``,
little-endian; a CRC is a masked CRC-32C (https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, cast

from geodeforest.errors import RecordError
from geodeforest.nn.crc import masked_crc32c

GZIP_MAGIC = b"\x1f\x8b"
MAX_RECORD_BYTES = 2**28
"""Longest payload that is read; a 4096 x 4096 chip of four float bands is as long."""
BOMB_BYTES, BOMB_RATIO = 2**30, 200
"""A gzip file that has given more bytes than this, and this many times its size, is refused."""

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_REFETCH = "fetch or build the file again"


class BinaryFile(Protocol):
    """What is asked of a file."""

    def read(self, count: int = ..., /) -> bytes:
        """The next bytes."""

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Go to a place."""

    def tell(self) -> int:
        """The place."""


class Frame(NamedTuple):
    """A record's payload, and the (uncompressed) offset in bytes at which the record begins."""

    offset: int
    payload: bytes


def frame(payload: bytes) -> bytes:
    """The payload with its length and checksums around it."""
    length = struct.pack("<Q", len(payload))
    sums = _FOOTER.pack(masked_crc32c(length)), _FOOTER.pack(masked_crc32c(payload))
    return b"".join((length, sums[0], payload, sums[1]))


def is_gzip(file: BinaryFile) -> bool:
    """Whether the file begins as gzip does; leaves it at its start."""
    file.seek(0)
    head = file.read(len(GZIP_MAGIC))
    file.seek(0)
    return head == GZIP_MAGIC


def read_frames(file: BinaryFile, path: object) -> Iterator[Frame]:
    """Yield the records of a TFRecord file, plain or gzip, in order.

    One record is held at a time, and never more than ``MAX_RECORD_BYTES``.

    Raises:
        RecordError: not a TFRecord, cut short, a wrong checksum or an absurd length; names
            ``path``, the record's number and its offset.
    """
    file.seek(0, os.SEEK_END)
    size = file.tell()
    stream = _Inflated(file, size) if is_gzip(file) else file
    left = None if isinstance(stream, _Inflated) else size
    offset, index = 0, 0
    while True:
        try:
            payload = _read_one(stream, None if left is None else left - offset)
        except (_Damaged, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _refusal(file, path, index, offset, error) from error
        if payload is None:
            return
        yield Frame(offset, payload)
        offset += _HEADER.size + len(payload) + _FOOTER.size
        index += 1


class _Damaged(Exception):
    """What is wrong with the record at hand."""


def _read_one(stream: BinaryFile | _Inflated, left: int | None) -> bytes | None:
    header = stream.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise _Damaged("is cut short in its header")
    length, length_sum = _HEADER.unpack(header)
    if masked_crc32c(header[:8]) != length_sum:
        raise _Damaged("has a wrong length checksum")
    if left is not None and length > left - _HEADER.size - _FOOTER.size:
        raise _Damaged(f"claims {length} bytes, more than the file has left")
    if length > MAX_RECORD_BYTES:
        raise _Damaged(f"claims {length} bytes, more than the {MAX_RECORD_BYTES} allowed")
    body = stream.read(length + _FOOTER.size)
    if len(body) < length + _FOOTER.size:
        raise _Damaged("is cut short in its payload")
    payload = body[:length]
    if masked_crc32c(payload) != _FOOTER.unpack(body[length:])[0]:
        raise _Damaged("has a wrong payload checksum")
    return payload


def _refusal(
    file: BinaryFile, path: object, index: int, offset: int, error: Exception
) -> RecordError:
    file.seek(0)
    if file.read(40).startswith(b"version https://git-lfs"):
        return RecordError(path, "is a Git LFS pointer, not the data", "run: git lfs pull")
    if not isinstance(error, _Damaged):
        why = f"the gzip data is damaged or cut short (byte {offset} of its content)"
        return RecordError(path, why, _REFETCH, index=index)
    if index == 0 and "length checksum" in str(error):
        why = "is not a TFRecord file (no record header at byte 0)"
        return RecordError(path, why, "give TFRecord shards; unpack archives first", index=0)
    return RecordError(path, f"at byte {offset} {error}", _REFETCH, index=index)


class _Inflated:
    """The content of a gzip file, read forward, with an eye on its growth."""

    def __init__(self, file: BinaryFile, size: int) -> None:
        self._stream = gzip.GzipFile(fileobj=cast("Any", file))
        self._size, self._given = size, 0

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes, fewer at the end."""
        data = self._stream.read(count)
        self._given += len(data)
        if self._given > max(BOMB_BYTES, BOMB_RATIO * self._size):
            raise _Damaged(f"has grown to {self._given} bytes from {self._size} of gzip")
        return data
