"""How several outputs get their names together, though renames come one by one.

Before the first rename a list tells which finished file gets which name, with its hash. It lies in
a scratch directory and goes when all have their names. So whoever finds it after the process was
killed knows which renames are still to do, and which files under final names it put there itself.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from geodeforest.errors import OutputExists
from geodeforest.geo.fingerprints import Fingerprint, file_fingerprint
from geodeforest.geo.scratch import LIST

# What file systems say, some of the network, that flush files and no directories.
_NO_FLUSH = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP})


@dataclass(frozen=True, slots=True)
class Renaming:
    """A finished file in a scratch directory, the name it gets, and whether one may go for it."""

    scratch: str
    final: str
    bytes: int
    sha256: str
    replaces: bool

    @classmethod
    def of(cls, scratch: Path, final: Path, held: Fingerprint, *, replaces: bool) -> Renaming:
        """The renaming of a file whose bytes are known; the paths are made absolute."""
        where = os.path.abspath(scratch), os.path.abspath(final)
        return cls(*where, held.bytes or 0, held.sha256 or "", replaces)

    @property
    def is_done(self) -> bool:
        """Whether the file is under its final name."""
        return self._is(self.final)

    @property
    def can_be_done(self) -> bool:
        """Whether the file is still in the scratch directory."""
        return self._is(self.scratch)

    def _is(self, path: str) -> bool:
        with suppress(OSError):
            if os.path.islink(path) or os.path.getsize(path) != self.bytes:
                return False
            return file_fingerprint(Path(path)).sha256 == self.sha256
        return False


@dataclass(frozen=True, slots=True)
class CommitList:
    """All files of one run. ``key`` names it, ``record`` is what is to be known of it later."""

    files: tuple[Renaming, ...]
    key: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def write(self, directory: Path) -> None:
        """Put the list on disk, whole, before this returns.

        Raises:
            OSError: the disk is full.
        """
        files = [asdict(each) for each in self.files]
        text = json.dumps({"files": files, "key": self.key, "record": dict(self.record)})
        new = directory / f"{LIST}.new"
        with new.open("w", encoding="ascii") as file:
            file.write(f"{_hash(text)}\n{text}")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, directory / LIST)

    @classmethod
    def read(cls, directory: Path) -> CommitList | None:
        """The list in a directory; None where there is none, or it is not what was written."""
        try:
            checksum, _, text = (directory / LIST).read_text("ascii").partition("\n")
            if checksum != _hash(text):
                return None
            found = json.loads(text)
            files = tuple(Renaming(**each) for each in found["files"])
            return cls(files, found["key"], found["record"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def names(self, finals: Iterable[Path]) -> bool:
        """Whether it is about these files, all of them and no others."""
        return {each.final for each in self.files} == set(map(os.path.abspath, finals))

    def may_own(self, final: Path) -> bool:
        """Whether what is under a final name looks like what this run put there."""
        with suppress(OSError):
            size = final.lstat().st_size
            return any(
                (each.final, each.bytes) == (os.path.abspath(final), size) for each in self.files
            )
        return False

    def owns(self, final: Path) -> bool:
        """Whether what is under a final name is what this run put there, to the byte."""
        where = os.path.abspath(final)
        return any(each.final == where and each.is_done for each in self.files)

    def finish(self, replaceable: Collection[Path] = ()) -> bool:
        """Do the renames that are still to do; False, and nothing, where a file of them is gone.

        Raises:
            OutputExists: someone else took a name meanwhile.
            OSError: a rename fails.
        """
        missing = [each for each in self.files if not each.is_done]
        if not all(each.can_be_done for each in missing):
            return False
        free = set(map(os.path.abspath, replaceable))
        for each in missing:
            if os.path.lexists(each.final) and not (each.replaces or each.final in free):
                raise OutputExists(each.final)
        for each in missing:
            os.replace(each.scratch, each.final)
        return True


def keep(final: Path, previous: Path) -> None:
    """Keep what is under a final name as ``previous`` until it is replaced, or put back."""
    if not os.path.lexists(final):
        return
    try:
        os.link(final, previous, follow_symlinks=False)
    except (OSError, NotImplementedError):  # a file system without hard links
        os.replace(final, previous)


def put_back(final: Path, previous: Path, scratch: Path) -> None:
    """Undo the renaming of ``scratch`` to a final name."""
    if os.path.lexists(previous):
        os.replace(previous, final)
    elif not os.path.lexists(scratch):  # the new file had taken a free name
        final.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file is on the disk."""
    # Windows flushes only files that are open for writing.
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on the disk, if it lets itself be flushed."""
    if os.name != "posix":  # elsewhere a directory cannot be opened
        return
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # one that may be written and not be read
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(handle)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
