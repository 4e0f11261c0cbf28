"""Writing a set of training records: shards and their index, whole or not at all.

Knows where bytes go and what the index says of them; what a record's bytes are is
``example``'s matter, how they are framed ``framing``'s.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from geodeforest.errors import OptionError, OutputExists, OutputUnwritable, RecordError
from geodeforest.nn.example import Record, encode
from geodeforest.nn.framing import frame
from geodeforest.nn.index import (
    INDEX_NAME,
    RecordFormat,
    RecordIndex,
    SetFacts,
    Shard,
    Tally,
    class_pixels,
)

_GZIP_LEVEL = 6


class ShardWriter:
    """Deals records round robin to gzip shards in a scratch directory beside ``directory``.

    ``commit`` renames it into place; leaving the context without a commit removes it. All
    shards exist, even where there are fewer records than shards. Equal records in equal
    order give equal bytes: no clock and no path goes into a file.

    Raises:
        OptionError: fewer than one shard.
        OutputExists: the directory exists and ``overwrite`` is False.
        OutputUnwritable: it holds other things than records, or cannot be written.
    """

    def __init__(
        self, directory: Path, form: RecordFormat, *, shards: int = 4, overwrite: bool = False
    ) -> None:
        if shards < 1:
            raise OptionError(f"{shards} shards: records need at least one")
        refuse_output(directory, overwrite=overwrite)
        self._directory, self._format, self._overwrite = directory, form, overwrite
        self._groups: Counter[str] = Counter()
        self._class_pixels: Counter[int] = Counter()
        self._counts = [0] * shards
        self._files: list[BinaryIO] = []
        self._streams: list[gzip.GzipFile] = []
        with _write_errors(directory):
            prefix = f".{directory.name}.gdf-"
            self._scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=directory.parent))
        self._set = self._scratch / "records"

    def __enter__(self) -> ShardWriter:
        """Open the shards."""
        try:
            with _write_errors(self._directory):
                self._set.mkdir()
                for number in range(len(self._counts)):
                    name = _name(number, len(self._counts))
                    self._files.append((self._set / name).open("wb"))
                    self._streams.append(_deterministic_gzip(self._files[-1]))
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what was not committed."""
        self._discard()

    def _discard(self) -> None:
        for close in [*(s.close for s in self._streams), *(f.close for f in self._files)]:
            with suppress(OSError):
                close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def add(self, record: Record) -> None:
        """Append a record to the next shard.

        Raises:
            RecordError: it does not have the set's format.
            OutputUnwritable: the disk is full or gone.
        """
        payload = encode(record, self._format)
        turn = sum(self._counts) % len(self._counts)
        with _write_errors(self._directory):
            self._streams[turn].write(frame(payload))
        self._counts[turn] += 1
        self._groups[record.group] += 1
        self._class_pixels.update(class_pixels(record.labels))

    def commit(self, facts: SetFacts) -> RecordIndex:
        """Finish the shards, write the index and move the set to its final name.

        Raises:
            RecordError: no record was added.
            OutputUnwritable: the disk is full or gone, or the directory was taken meanwhile.
        """
        if not sum(self._counts):
            raise RecordError(self._directory, "no record to write", "label some pixels")
        refuse_output(self._directory, overwrite=self._overwrite)  # it may have come meanwhile
        with _write_errors(self._directory):
            for stream, file in zip(self._streams, self._files, strict=True):
                stream.close()
                file.flush()
                os.fsync(file.fileno())
                file.close()
            tally = Tally(dict(sorted(self._groups.items())), self._class_pixels)
            index = RecordIndex(self._format, facts, self._shards(), tally)
            with (self._set / INDEX_NAME).open("w", encoding="utf-8", newline="\n") as text:
                text.write(index.to_json())
                text.flush()
                os.fsync(text.fileno())
            self._move()
        return index

    def _shards(self) -> tuple[Shard, ...]:
        return tuple(
            Shard(file.name, records, file.stat().st_size, sha256_of(file))
            for file, records in zip(sorted(self._set.iterdir()), self._counts, strict=True)
        )

    def _move(self) -> None:
        # A directory cannot be exchanged in one step everywhere; between the two renames
        # the final name holds nothing, never a part.
        former = self._scratch / "former"
        if self._directory.exists():
            self._directory.rename(former)
        try:
            self._set.rename(self._directory)
        except OSError:
            if former.exists():
                former.rename(self._directory)
            raise
        _sync(self._directory.parent)


def refuse_output(directory: Path, *, overwrite: bool) -> None:
    """Refuse a directory that records cannot be written to.

    Raises:
        OutputExists: it exists and ``overwrite`` is False.
        OutputUnwritable: its parent is missing, or it holds other things than records:
            replacing it would lose them.
    """
    if not directory.parent.is_dir():
        raise OutputUnwritable(directory, "its parent directory is missing", "create it first")
    if not directory.exists() and not directory.is_symlink():
        return
    if not overwrite:
        raise OutputExists(directory)
    if directory.is_symlink() or not directory.is_dir():
        raise OutputUnwritable(directory, "is not a directory of records", "name another one")
    with _write_errors(directory):
        names = os.listdir(directory)
    for name in names:
        if name != INDEX_NAME and not name.startswith("records-"):
            why = f"holds {name}, which is not a part of records"
            raise OutputUnwritable(directory, why, "name another directory")


def sha256_of(path: Path) -> str:
    """The hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(number: int, shards: int) -> str:
    return f"records-{number:05d}-of-{shards:05d}.tfrecord.gz"


def _deterministic_gzip(file: BinaryIO) -> gzip.GzipFile:
    # Without a name and a time in the header equal content gives equal bytes.
    return gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0)


def _sync(directory: Path) -> None:
    with suppress(OSError):  # Windows cannot open a directory
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        remedy = "free some space or write elsewhere"
        raise OutputUnwritable(path, f"cannot be written ({why})", remedy) from error
