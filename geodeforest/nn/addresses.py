"""Where shards lie: local paths, or addresses that TensorFlow can open, such as ``gs://``.

Knows names and how to open them for reading; nothing of what the files hold.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import tensorflow as tf

from geodeforest.errors import RecordError


def is_remote(name: str) -> bool:
    """Whether the name is an address such as ``gs://bucket/records``."""
    return "://" in name


def join(directory: str, name: str) -> str:
    """The address of a file in a directory."""
    if is_remote(directory):
        return f"{directory.rstrip('/')}/{name}"
    return str(Path(directory) / name)


def parent_of(file: str) -> str:
    """The directory of a file."""
    return file.rpartition("/")[0] if is_remote(file) else str(Path(file).parent)


def name_of(file: str) -> str:
    """The last part of an address."""
    return file.rpartition("/")[2] if is_remote(file) else Path(file).name


def stem_of(file: str) -> str:
    """The last part without its extension, nor the one of gzip."""
    return PurePosixPath(name_of(file).removesuffix(".gz")).stem


def is_file(name: str) -> bool:
    """Whether there is such a file.

    Raises:
        RecordError: the store of the address does not answer, or is none that is known.
    """
    with _asking(name):
        return bool(tf.io.gfile.exists(name)) if is_remote(name) else os.path.isfile(name)


def list_names(directory: str) -> list[str] | None:
    """The names in a directory; None where it is none.

    Raises:
        RecordError: it cannot be read.
    """
    with _asking(directory):
        if is_remote(directory):
            found = tf.io.gfile.listdir(directory) if tf.io.gfile.isdir(directory) else None
            return None if found is None else [name.rstrip("/") for name in found]
        return os.listdir(directory) if os.path.isdir(directory) else None


def read_text(name: str, limit: int) -> str:
    """The text of a file, or a little more than its first ``limit`` bytes.

    Raises:
        RecordError: it cannot be read.
    """
    with open_binary(name) as file:
        return file.read(limit + 4).decode("utf-8", errors="replace")


@contextmanager
def open_binary(name: str) -> Iterator[BinaryIO]:
    """Open for reading bytes.

    Raises:
        RecordError: it is missing, not a regular file, or cannot be read.
    """
    with _asking(name):
        if not is_remote(name) and not Path(name).is_file():  # a pipe would wait for ever
            why = "is not a regular file" if Path(name).exists() else "there is no such file"
            raise RecordError(name, why, _hint(name))
        with tf.io.gfile.GFile(name, "rb") if is_remote(name) else Path(name).open("rb") as file:
            yield file


class Hashed:
    """A file whose size and SHA-256 are known once it was read from its start to its end.

    Reading a shard once is enough then, to check its framing and its hash: over a network
    the time goes into reading.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest, self.size = hashlib.sha256(), 0

    @property
    def sha256(self) -> str:
        """The hex SHA-256 of what was read since the start."""
        return self._digest.hexdigest()

    def read(self, count: int = -1) -> bytes:
        """The next ``count`` bytes."""
        data = self._file.read(count)
        self._digest.update(data)
        self.size += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; only from the start on are the sums right."""
        self._digest, self.size = hashlib.sha256(), 0
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place in the file."""
        return self._file.tell()


def _hint(name: str) -> str:
    scheme, _, rest = name.partition(":/")
    if scheme in ("gs", "s3") and not rest.startswith("/"):
        return f"give the address as text, {scheme}://{rest}: a Path loses one of its slashes"
    return "check the path"


@contextmanager
def _asking(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        first = str(error).splitlines()[0] if str(error) else ""
        why = getattr(error, "strerror", None) or (first if is_remote(name) else "")
        raise RecordError(
            name, f"cannot be read ({why[:120]})", "check the path and its permissions"
        ) from error
