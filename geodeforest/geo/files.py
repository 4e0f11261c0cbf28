"""Outputs that appear whole or not at all.

Knows paths, scratch directories and renames; nothing of what is written. Everything is
written in ``.<name>.gdf-*/`` beside its final name and renamed at the end, so that a final
name holds the complete old file, the complete new one, or nothing.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from types import TracebackType
from typing import Self, TypeGuard

from geodeforest.errors import GeodeforestError, OptionError, OutputExists, OutputUnwritable
from geodeforest.geo.scratch import PREVIOUS, ScratchDirectory, make_scratch

_REMEDIES = {
    errno.ENOSPC: ("the disk is full", "free some space or write to another disk"),
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
    if number is None and _is_disk_full(final):
        number = errno.ENOSPC
    if number in _REMEDIES:
        return OutputUnwritable(final, *_REMEDIES[number])
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, SystemError):  # rasterio's "Unknown GDAL Error"
        words = "for an unknown reason"
    line = _IN_SCRATCH.sub("", words.splitlines()[0]).rstrip(". ")
    remedy = "check that the disk is not full and write again"
    return OutputUnwritable(final, f"cannot be written ({line})", remedy)


def _is_disk_full(final: Path) -> bool:
    for directory in final.absolute().parents:
        with suppress(OSError):  # it may be one that is only now being made
            return shutil.disk_usage(directory).free < _BLOCK_BYTES
    return False


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


class OutputSet:
    """Files that are written together: all of them appear, in the given order, or none.

    Entering reserves a scratch directory beside each. Leaving without an error renames
    them into place; leaving with one removes the scratch and touches no final name. Those
    in ``replaceable`` are replaced even without ``overwrite``.

    Raises:
        OptionError: two outputs are one file, or an output is an input.
        OutputExists: an output exists and may not be replaced.
        OutputUnwritable: a directory is missing or read-only, or the disk is full.
        OutputLocked: another process is writing one of them.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        overwrite: bool = False,
        inputs: Iterable[object] = (),
        replaceable: Collection[Path] = (),
    ) -> None:
        self._finals = [Path(path) for path in paths]
        self._replaceable = frozenset(self._finals if overwrite else replaceable)
        self._scratch: dict[Path, ScratchDirectory] = {}
        _refuse_twins(self._finals)
        _refuse_inputs(self._finals, inputs)
        for final in self._finals:
            _check_place(final)
            with naming_faults(final):
                _check_file(final)
            self._check_free(final)

    def __contains__(self, path: object) -> bool:
        """Whether ``path`` is one of the outputs."""
        return path in self._finals

    def scratch(self, path: str | os.PathLike[str]) -> Path:
        """Where to write what will become ``path``: the same file name in its scratch directory."""
        return self._scratch[Path(path)].path / Path(path).name

    def __enter__(self) -> Self:
        try:
            for final in self._finals:
                self._scratch[final] = _reserve(final)
        except BaseException:
            self._remove_scratch()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._commit()
            elif _is_full(error):
                raise unwritable(self._blamed(error), error) from error
        finally:
            self._remove_scratch()

    def _commit(self) -> None:
        for final in self._finals:
            with naming_faults(final):
                _sync(self.scratch(final))
        done: list[Path] = []
        try:
            for final in self._finals:
                with naming_faults(final):
                    self._check_free(final)  # it may have appeared while this was at work
                    done.append(final)
                    _keep(final, self._scratch[final].path / PREVIOUS)
                    os.replace(self.scratch(final), final)
        except BaseException:
            for final in reversed(done):
                _put_back(final, self._scratch[final].path / PREVIOUS, self.scratch(final))
            raise
        for directory in {final.parent for final in self._finals}:
            _sync_directory(directory)

    def _check_free(self, final: Path) -> None:
        if final not in self._replaceable and os.path.lexists(final):
            raise OutputExists(final)

    def _blamed(self, error: OSError) -> Path:
        named = final_name(error.filename) if isinstance(error.filename, str) else None
        return named if named in self._scratch else self._finals[0]

    def _remove_scratch(self) -> None:
        for directory in self._scratch.values():
            directory.remove()


class DirectoryOutput:
    """A directory that appears whole or not at all; entering gives the one to write in.

    An existing directory is in the way unless it is empty. ``overwrite`` replaces it, but
    only where nothing is in it but files that match ``holds``, so that a slip of the pen
    cannot delete a home directory.

    Raises:
        OutputExists: the directory holds files and ``overwrite`` is False.
        OutputUnwritable: its parent is missing or read-only, the disk is full, or the
            existing directory holds other things.
        OutputLocked: another process is writing it.
        OptionError: it is the current directory or one above it, or holds an input.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        overwrite: bool = False,
        *,
        holds: Sequence[str] = ("*",),
        inputs: Iterable[object] = (),
    ) -> None:
        absolute = Path(os.path.abspath(path))
        self._final = Path(path) if Path(path).name not in ("", "..") else absolute
        self._overwrite = overwrite
        self._holds = tuple(holds)
        self._scratch: ScratchDirectory | None = None
        if Path.cwd().is_relative_to(absolute):
            raise OptionError(f"{path}: is the current directory or above it; give a new directory")
        for source in inputs:
            if isinstance(source, str | os.PathLike) and _lies_in(Path(source), self._final):
                raise OptionError(f"{path}: holds the input {source}; give another directory")
        _check_place(self._final)
        with naming_faults(self._final):
            self._check_existing()

    def __enter__(self) -> Path:
        self._scratch = _reserve(self._final)
        work = self._scratch.path / self._final.name
        with naming_faults(self._final):
            work.mkdir()
        return work

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._scratch is None:
            return
        try:
            if error is None:
                self._commit(self._scratch.path)
            elif _is_full(error):
                raise unwritable(self._final, error) from error
        finally:
            self._scratch.remove()

    def _check_existing(self) -> None:
        if not os.path.lexists(self._final):
            return
        if not self._final.is_dir():
            raise OutputUnwritable(self._final, "is not a directory", "give a new directory")
        inside = list(self._final.iterdir())
        if inside and not self._overwrite:
            raise OutputExists(self._final)
        for entry in inside:
            known = any(fnmatch(entry.name, pattern) for pattern in self._holds)
            if not entry.is_file() or entry.is_symlink() or not known:
                raise OutputUnwritable(
                    self._final,
                    f"holds {entry.name}, which is none of its own, and is not replaced",
                    "give a new directory",
                )

    def _commit(self, scratch: Path) -> None:
        work, previous = scratch / self._final.name, scratch / PREVIOUS
        with naming_faults(self._final):
            for file in sorted(work.rglob("*")):
                if file.is_file():
                    _sync(file)
            _sync_directory(work)
            self._check_existing()
            if os.path.lexists(self._final):
                os.replace(self._final, previous)
            try:
                os.replace(work, self._final)
            except BaseException:
                if previous.exists():
                    os.replace(previous, self._final)
                raise
        _sync_directory(self._final.parent)


def _is_full(error: BaseException) -> TypeGuard[OSError]:
    return (
        isinstance(error, OSError)
        and not isinstance(error, GeodeforestError)
        and error.errno in _FULL
    )


def _refuse_twins(finals: Sequence[Path]) -> None:
    seen: set[object] = set()
    for final in finals:
        place = os.path.normcase(os.path.join(os.path.realpath(final.parent), final.name))
        names = {place, _identity(final)} - {None}
        if names & seen:
            raise OptionError(f"{final}: is the name of two outputs; give each its own")
        seen |= names


def _refuse_inputs(finals: Sequence[Path], inputs: Iterable[object]) -> None:
    paths = [Path(path) for path in inputs if isinstance(path, str | os.PathLike)]
    read = {_identity(path) for path in paths} - {None}
    for final in finals:
        if _identity(final) in read:
            raise OptionError(f"{final}: the output is the input; give another output")


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from all others, whatever its name; None where there is no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _lies_in(path: Path, directory: Path) -> bool:
    place = _identity(directory)
    return place is not None and place in map(_identity, path.absolute().parents)


def _check_place(final: Path) -> None:
    if final.name in ("", ".", ".."):
        raise OptionError(f"{final}: is not a file name; give one")
    with naming_faults(final):
        is_there = final.parent.is_dir()
    if not is_there:
        raise OutputUnwritable(final, f"there is no directory {final.parent}", "create it first")


def _check_file(final: Path) -> None:
    if final.is_dir():
        raise OutputUnwritable(final, "is a directory", "give a file name")
    if final.exists() and not final.is_file():  # to replace /dev/null would harm the system
        raise OutputUnwritable(final, "is not a regular file", "give a file name")


def _reserve(final: Path) -> ScratchDirectory:
    # Making it is the true test of whether the directory can be written.
    with naming_faults(final):
        return make_scratch(final)


def _keep(final: Path, previous: Path) -> None:
    if not os.path.lexists(final):
        return
    try:
        os.link(final, previous, follow_symlinks=False)
    except (OSError, NotImplementedError):  # a file system without hard links
        os.replace(final, previous)


def _put_back(final: Path, previous: Path, scratch: Path) -> None:
    if os.path.lexists(previous):
        os.replace(previous, final)
    elif not os.path.lexists(scratch):  # the new file had taken a free name
        final.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    # Windows flushes only files that are open for writing.
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    if os.name != "posix":  # elsewhere a directory cannot be opened
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
