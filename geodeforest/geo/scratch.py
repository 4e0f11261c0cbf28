"""Scratch directories, each with one living user.

A lock on a file in it says that it is in use. The operating system drops the lock with its
process, however that ended; so what a dead process left is known, and swept by the next one.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from geodeforest.errors import OutputLocked

SUFFIX = ".gdf-"
PREVIOUS = "previous"
"""What was under the final name, while it is being replaced."""

LIST = "commit"
"""The list of files that get their names together."""

JOURNAL, CARRIED = "journal", "carried"
"""Where a scan that was broken off goes on."""

_LOCK = ".in-use"


@dataclass(frozen=True, slots=True)
class ScratchDirectory:
    """A directory beside ``final``; without a ``lock`` where the file system has none."""

    path: Path
    lock: IO[bytes] | None

    def remove(self) -> None:
        """Take it away, and let others have the output."""
        if self.lock is None:
            shutil.rmtree(self.path, ignore_errors=True)
            return
        try:
            self.sweep()
        except BaseException:  # a signal in mid-removal: once more, then let it end the program
            self.sweep()
            raise
        finally:
            self._release()

    def _release(self) -> None:
        if self.lock is None:
            return
        if os.name != "posix":  # where no open file can be removed, at the risk of leaving it
            self.lock.close()
        with suppress(OSError):  # elsewhere removed while it is held, so that no one else gets it
            (self.path / _LOCK).unlink()
            self.path.rmdir()
        self.lock.close()

    def leave(self) -> None:
        """Let others have the output, and what is in here; an empty one goes."""
        if self.lock is None or all(entry.name == _LOCK for entry in self._entries()):
            self.remove()
        else:
            self.lock.close()

    def _entries(self) -> list[Path]:
        """What is in it: nothing where someone removed the output's directory, and this with it."""
        with suppress(FileNotFoundError):
            return list(self.path.iterdir())
        return []

    def holds(self, name: str) -> bool:
        """Whether there is a file of that name with anything in it."""
        with suppress(OSError):
            return (self.path / name).stat().st_size > 0
        return False

    def sweep(self, keep: Collection[str] = ()) -> None:
        """Empty it, but for the files to keep."""
        # The list last: while it is there, a file that it names is known to be this run's.
        for entry in sorted(self._entries(), key=lambda entry: entry.name == LIST):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != _LOCK and entry.name not in keep:
                with suppress(OSError):
                    entry.unlink()


def scratch_left(final: Path) -> Path | None:
    """The scratch directory of an output, if there is one that nobody else can have put there."""
    path = _path(final)
    with suppress(OSError):
        return path if path.exists() and _is_own(path) else None
    return None


@dataclass(frozen=True, slots=True)
class JournalPlace:
    """The directory of a journal, the hexadecimal ``key`` of its work, and the output it is for."""

    directory: Path
    key: str
    named: Path


def make_scratch(final: Path) -> ScratchDirectory:
    """Make the scratch directory of an output, or take over what a dead process left in it.

    Raises:
        OutputLocked: a living process is writing the same output.
        OSError: the directory cannot be written.
    """
    path = _path(final)
    while True:
        with suppress(FileExistsError):
            path.mkdir(0o700)
        if not _is_own(path):
            break
        with suppress(FileNotFoundError):  # its last user was just taking it away
            lock = (path / _LOCK).open("ab")
            if not _hold(lock, final):
                lock.close()
                shutil.rmtree(path, ignore_errors=True)
                break
            if _is_current(lock, path / _LOCK):
                return _taken_over(ScratchDirectory(path, lock), final)
            lock.close()
    # Nobody can tell whether a directory without a lock is in use, so each has its own.
    made = tempfile.mkdtemp(prefix=f".{final.name}{SUFFIX}", dir=final.parent)
    return ScratchDirectory(final.parent / Path(made).name, None)


def drop_empty_scratch(finals: Iterable[Path]) -> None:
    """Take away scratch in which nothing is left: its user died while taking it away."""
    for final in finals:
        if scratch_left(final) is not None:
            with suppress(OSError, OutputLocked):
                make_scratch(final).leave()


def _path(final: Path) -> Path:
    return final.with_name(f".{final.name}{SUFFIX}scratch")


def _is_own(path: Path) -> bool:
    """Whether nobody else can have put it there, to be swept or written through."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISDIR(found.st_mode) and (os.name != "posix" or found.st_uid == os.getuid())


def _hold(lock: IO[bytes], final: Path) -> bool:
    """Lock the file until it is closed; False where the file system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        lock.close()
        raise OutputLocked(final) from error
    except OSError:
        return False
    return True


def _is_current(lock: IO[bytes], path: Path) -> bool:
    """Whether the locked file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _taken_over(scratch: ScratchDirectory, final: Path) -> ScratchDirectory:
    previous = scratch.path / PREVIOUS
    if os.path.lexists(previous) and not os.path.lexists(final):
        os.replace(previous, final)  # the process died between two renames
    return scratch
