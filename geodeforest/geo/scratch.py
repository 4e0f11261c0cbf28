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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from geodeforest.errors import OutputLocked

SUFFIX = ".gdf-"
PREVIOUS = "previous"
"""What was under the final name, while it is being replaced."""

_LOCK = ".in-use"


@dataclass(frozen=True, slots=True)
class ScratchDirectory:
    """A directory beside ``final``; without a ``lock`` where the file system has none."""

    path: Path
    lock: IO[bytes] | None

    def remove(self) -> None:
        """Take it away, and let others have the output."""
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

    def sweep(self) -> None:
        """Empty it."""
        if self.lock is None:
            shutil.rmtree(self.path, ignore_errors=True)
            return
        for entry in list(self.path.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != _LOCK:
                with suppress(OSError):
                    entry.unlink()


def make_scratch(final: Path) -> ScratchDirectory:
    """Make the scratch directory of an output, or take over what a dead process left.

    Raises:
        OutputLocked: a living process is writing the same output.
        OSError: the directory cannot be written.
    """
    path = final.with_name(f".{final.name}{SUFFIX}scratch")
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
    scratch.sweep()
    return scratch
