"""Why an output cannot be written, in words and by its final name."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeGuard

from geodeforest.core.addresses import is_remote
from geodeforest.errors import (
    BudgetExceeded,
    DiskFull,
    GeodeforestError,
    OutputError,
    OutputUnwritable,
    SceneUnreadable,
)

_REMEDIES = {
    errno.EDQUOT: ("the disk quota is used up", "free some space or write to another disk"),
    errno.EFBIG: ("files may not grow so large here", "write to another disk or raise the limit"),
    errno.EROFS: ("the file system is read-only", "write to another directory"),
    errno.EACCES: ("permission is denied", "check the directory's permissions"),
    errno.ENAMETOOLONG: ("the name is too long", "give a shorter one"),
    errno.ENOENT: ("its directory takes no new files", "write to another directory"),
    errno.EPERM: ("the operation is not permitted", "check the directory's permissions"),
}
# Faults that only writing has, so that one of them inside the block is an output's.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})

# A write that failed was hardly larger than this.
_BLOCK_BYTES = 2**20

_SCRATCH = re.compile(r"\..+\.gdf-[^.]+")
_IN_SCRATCH = re.compile(r"\.[^/\\]+\.gdf-[^./\\]+[/\\]")


def unwritable(path: str | os.PathLike[str], error: BaseException) -> OutputUnwritable:
    """The error that tells why an output cannot be written, by its final name.

    The reason lies at the end of a chain of causes. GDAL often gives none, then the disk
    itself is asked.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    final = final_name(path)
    number = error.errno if isinstance(error, OSError) else None
    free = _free_bytes(final)
    if number == errno.ENOSPC or (number is None and free is not None and free < _BLOCK_BYTES):
        return DiskFull(final, free)
    if number in _REMEDIES:
        return OutputUnwritable(final, *_REMEDIES[number])
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, SystemError):  # rasterio's "Unknown GDAL Error"
        words = "for an unknown reason"
    line = _IN_SCRATCH.sub("", words.splitlines()[0]).rstrip(". ")
    remedy = "check that the disk is not full and write again"
    return OutputUnwritable(final, f"cannot be written ({line})", remedy)


def _free_bytes(final: Path) -> int | None:
    """What the disk has left for this user; None where it cannot be asked."""
    with suppress(FileNotFoundError):  # of the current directory, when it was removed
        for directory in final.absolute().parents:
            with suppress(OSError):  # it may be one that is only now being made
                return shutil.disk_usage(directory).free
    return None


@contextmanager
def naming_faults(path: str | os.PathLike[str], *kinds: type[BaseException]) -> Iterator[None]:
    """Turn what the operating system and ``kinds`` raise inside into ``OutputUnwritable``."""
    try:
        yield
    except Exception as error:
        if isinstance(error, GeodeforestError) or not isinstance(error, (OSError, *kinds)):
            raise
        raise unwritable(path, error) from error


def final_name(path: str | os.PathLike[str]) -> Path:
    """The path that something written in a scratch directory will have in the end."""
    return Path(*(part for part in Path(path).parts if not _SCRATCH.fullmatch(part)))


def is_full(error: BaseException) -> TypeGuard[OSError]:
    """Whether an error of the operating system is one that only writing has."""
    return (
        isinstance(error, OSError)
        and not isinstance(error, GeodeforestError)
        and error.errno in _FULL
    )


def may_pass(error: BaseException) -> bool:
    """Whether the same work may succeed next time, without another input or model."""
    if not isinstance(error, GeodeforestError) or isinstance(error, OutputError | BudgetExceeded):
        return True
    return isinstance(error, SceneUnreadable) and is_remote(str(error.path))
