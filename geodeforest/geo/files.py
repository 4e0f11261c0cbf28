"""Outputs that appear whole or not at all.

Knows paths, scratch directories and renames; nothing of what is written. Everything is
written in ``.<name>.gdf-*/`` beside its final name and renamed at the end, so that a final
name holds the complete old file, the complete new one, or nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Self

from geodeforest.errors import OptionError, OutputExists, OutputLocked, OutputUnwritable
from geodeforest.geo.commit import CommitList, Renaming, keep, put_back, sync, sync_directory
from geodeforest.geo.final_names import (
    check_file,
    check_place,
    lies_in,
    refuse_inputs,
    refuse_twins,
)
from geodeforest.geo.fingerprints import Fingerprint, file_fingerprint
from geodeforest.geo.scratch import (
    CARRIED,
    JOURNAL,
    LIST,
    PREVIOUS,
    JournalPlace,
    ScratchDirectory,
    drop_empty_scratch,
    make_scratch,
    scratch_left,
)
from geodeforest.geo.write_faults import final_name, is_full, may_pass, naming_faults, unwritable

__all__ = ["DirectoryOutput", "OutputSet", "final_name", "forget", "naming_faults", "unwritable"]

GO_ON = "run the same command again to continue"
"""Said where a journal is left behind."""

_RESUMED = frozenset({JOURNAL, CARRIED})


class OutputSet:
    """Files that are written together: all of them appear, in the given order, or none.

    Entering reserves a scratch directory beside each. Leaving without an error renames
    them into place; leaving with one touches no final name. Those in ``replaceable`` are replaced
    even without ``overwrite``, and so are those that a process put there that was killed before it
    had put them all.

    With ``home``, one of the outputs, the work can be resumed: ``take_up`` has to be called once it
    is known what it is, and what lies in the home's scratch directory by the names ``JOURNAL`` and
    ``CARRIED`` outlives errors that need not come again. With ``lingers`` it stays known there that
    the outputs are finished, until ``forget`` is called.

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
        home: Path | None = None,
        lingers: bool = False,
    ) -> None:
        self._finals = [Path(path) for path in paths]
        self._replaceable = frozenset(self._finals if overwrite else replaceable)
        self._scratch: dict[Path, ScratchDirectory] = {}
        self._held: dict[Path, Fingerprint] = {}
        self._flushed: set[Path] = set()
        self._home, self._lingers = home, lingers
        self._key: str | None = None
        self._record: Mapping[str, Any] = {}
        self._is_taken_up = self._is_finished = False
        refuse_twins(self._finals)
        refuse_inputs(self._finals, inputs)
        left = self._list_left()
        for final in self._finals:
            check_place(final)
            with naming_faults(final):
                check_file(final)
        for final in self._finals:
            if left is None or not left.may_own(final):
                try:
                    self._check_free(final)
                except OutputExists:
                    drop_empty_scratch(self._finals)
                    raise

    def __contains__(self, path: object) -> bool:
        """Whether ``path`` is one of the outputs."""
        return path in self._finals

    def scratch(self, path: str | os.PathLike[str]) -> Path:
        """Where to write what will become ``path``: the same file name in its scratch directory."""
        return self._scratch[Path(path)].path / Path(path).name

    def fingerprint(self, path: Path) -> Fingerprint:
        """What a finished output holds, before it has its name.

        Raises:
            OutputUnwritable: it cannot be read back.
        """
        if path not in self._held:
            with naming_faults(path):
                self._held[path] = file_fingerprint(self.scratch(path))
        return self._held[path]

    def __enter__(self) -> Self:
        try:
            for final in self._finals:
                self._scratch[final] = _reserve(final)
            if self._home is None:
                self.take_up(None)
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def take_up(self, key: str | None, *, afresh: bool = False) -> Mapping[str, Any] | None:
        """Say which work this is, and go on where an earlier process left it.

        ``key`` is None for work that cannot be told from other work, so never resumed. Outputs of
        which a killed process had renamed some get their names first. Returns the record of the
        outputs if they are finished, and nothing is left to do. ``afresh`` resumes nothing.

        Raises:
            OutputExists: an output exists, and this work has not put it there.
            OutputUnwritable: a file cannot be renamed.
        """
        left, done = self._list_left(), False
        if left is not None:
            if left.key is not None and left.names(self._finals):
                with naming_faults(self._finals[0]):
                    done = left.finish(self._replaceable)
            if left.key == key:
                self._replaceable |= {final for final in self._finals if left.owns(final)}
        self._is_taken_up, self._key = True, None if afresh or self._home is None else key
        if left is not None and done and left.key == self._key:
            self._is_finished = True
            return left.record
        self.again()
        return None

    def again(self) -> None:
        """Do the work of ``take_up`` even if its outputs are finished.

        Raises:
            OutputExists: as there.
        """
        self._is_finished = False
        for final in self._finals:
            self._check_free(final)
        for final, directory in self._scratch.items():
            directory.sweep(_RESUMED if final == self._home and self._key is not None else ())

    def journal_place(self) -> JournalPlace | None:
        """Where a journal may lie, and of what; None for work that cannot be resumed."""
        if self._home is None or self._key is None or self._scratch[self._home].lock is None:
            return None
        return JournalPlace(self._scratch[self._home].path, self._key, self._home)

    def flush(self) -> None:
        """Wait until the outputs that are written are on the disk; leaving waits for the others.

        Raises:
            OutputUnwritable: the disk is full.
        """
        for final in self._finals:
            if final not in self._flushed and os.path.lexists(self.scratch(final)):
                with naming_faults(final):
                    sync(self.scratch(final))
                    sync_directory(self._scratch[final].path)
                self._flushed.add(final)

    def conclude(self, record: Mapping[str, Any]) -> None:
        """Tell what ``take_up`` is to return where this work was finished already."""
        self._record = record

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None and not self._is_finished:
                self._commit()
            elif error is not None and is_full(error):
                raise unwritable(self._blamed(error), error) from error
        except BaseException as failure:
            self._leave(failure)
            raise
        self._leave(error)

    def _commit(self) -> None:
        self.flush()
        for final in self._finals:
            self._check_free(final)  # it may have appeared while this was at work
        listed = self._write_list()
        done: list[Path] = []
        try:
            for final in self._finals:
                with naming_faults(final):
                    self._check_free(final)
                    done.append(final)
                    keep(final, self._scratch[final].path / PREVIOUS)
                    os.replace(self.scratch(final), final)
            for directory, final in {final.parent: final for final in self._finals}.items():
                with naming_faults(final):
                    sync_directory(directory)
        except BaseException:
            for final in reversed(done):
                put_back(final, self._scratch[final].path / PREVIOUS, self.scratch(final))
            if listed is not None:
                (listed / LIST).unlink(missing_ok=True)
            raise

    def _write_list(self) -> Path | None:
        """List what gets which name; not for one file whose work is never resumed."""
        if len(self._finals) < 2 and self._key is None:
            return None
        home = self._home or self._finals[0]
        directory = self._scratch[home].path
        files = [
            Renaming.of(
                self.scratch(final),
                final,
                self.fingerprint(final),
                replaces=final in self._replaceable,
            )
            for final in self._finals
        ]
        with naming_faults(home):
            CommitList(tuple(files), self._key, self._record).write(directory)
            sync_directory(directory)
        return directory

    def _list_left(self) -> CommitList | None:
        home = self._home or next(iter(self._finals), None)
        directory = None if home is None else scratch_left(home)
        return None if directory is None else CommitList.read(directory)

    def _check_free(self, final: Path) -> None:
        if final not in self._replaceable and os.path.lexists(final):
            raise OutputExists(final)

    def _blamed(self, error: OSError) -> Path:
        named = final_name(error.filename) if isinstance(error.filename, str) else None
        return named if named in self._scratch else self._finals[0]

    def _leave(self, error: BaseException | None) -> None:
        """Leave in the scratch directories what someone may go on with, and drop the locks."""
        if error is not None and not self._is_taken_up:
            for directory in self._scratch.values():
                directory.leave()
            return
        kept = self._kept(error)
        # The home last: it holds the list.
        for final in sorted(self._scratch, key=lambda final: final == self._home):
            directory = self._scratch[final]
            if kept and final == self._home:
                directory.sweep(kept)
                directory.leave()
            else:
                directory.remove()

    def _kept(self, error: BaseException | None) -> frozenset[str]:
        """Which files in the home's scratch directory outlive this."""
        if self.journal_place() is None or self._home is None:
            return frozenset()
        if error is None:
            return frozenset({LIST} if self._lingers else ())
        if may_pass(error) and self._scratch[self._home].holds(JOURNAL):
            error.add_note(GO_ON)
            return _RESUMED
        return frozenset()


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
            if isinstance(source, str | os.PathLike) and lies_in(Path(source), self._final):
                raise OptionError(f"{path}: holds the input {source}; give another directory")
        check_place(self._final)
        with naming_faults(self._final):
            self._check_existing()

    def __enter__(self) -> Path:
        self._scratch = _reserve(self._final)
        self._scratch.sweep()
        work = self._scratch.path / self._final.name
        with naming_faults(self._final):
            work.mkdir()
        return work

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._scratch is None:
            return
        try:
            if error is None:
                self._commit(self._scratch.path)
            elif is_full(error):
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
                    sync(file)
            sync_directory(work)
            self._check_existing()
            if os.path.lexists(self._final):
                os.replace(self._final, previous)
            try:
                os.replace(work, self._final)
                sync_directory(self._final.parent)
            except BaseException:
                if not work.exists():
                    os.replace(self._final, work)
                if previous.exists():
                    os.replace(previous, self._final)
                raise


def _reserve(final: Path) -> ScratchDirectory:
    # Making it is the true test of whether the directory can be written.
    with naming_faults(final):
        return make_scratch(final)


def forget(home: Path) -> None:
    """Forget that the outputs of a resumable set that lingers are finished."""
    with suppress(OSError, OutputLocked):  # what another scan does there is its own affair
        make_scratch(home).remove()
