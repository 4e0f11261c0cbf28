"""Where shards lie: local paths, or addresses that TensorFlow can open, such as ``gs://``.

Knows names and how to open them for reading; nothing of what the files hold.
"""

from __future__ import annotations

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
    """Whether there is such a file."""
    return bool(tf.io.gfile.exists(name)) if is_remote(name) else os.path.isfile(name)


def read_text(name: str) -> str:
    """The whole text of a file.

    Raises:
        RecordError: it cannot be read.
    """
    with open_binary(name) as file:
        return file.read().decode("utf-8", errors="replace")


@contextmanager
def open_binary(name: str) -> Iterator[BinaryIO]:
    """Open for reading bytes.

    Raises:
        RecordError: it is missing, not a regular file, or cannot be read.
    """
    try:
        if not is_remote(name) and not Path(name).is_file():  # a pipe would wait for ever
            why = "is not a regular file" if Path(name).exists() else "there is no such file"
            raise RecordError(name, why, "check the path")
        with tf.io.gfile.GFile(name, "rb") if is_remote(name) else Path(name).open("rb") as file:
            yield file
    except (OSError, tf.errors.OpError) as error:
        why = getattr(error, "strerror", None) or "cannot be read"
        raise RecordError(name, why, "check the path and its permissions") from error
