"""Whether names can be those of outputs. Looks at what is there; writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from geodeforest.errors import OptionError, OutputUnwritable
from geodeforest.geo.write_faults import naming_faults


def refuse_twins(finals: Sequence[Path]) -> None:
    """Refuse two names of one file.

    Raises:
        OptionError: there are.
    """
    seen: set[object] = set()
    for final in finals:
        place = os.path.normcase(os.path.join(os.path.realpath(final.parent), final.name))
        names = {place, _identity(final)} - {None}
        if names & seen:
            raise OptionError(f"{final}: is the name of two outputs; give each its own")
        seen |= names


def refuse_inputs(finals: Sequence[Path], inputs: Iterable[object]) -> None:
    """Refuse to write over what is read, by whatever name.

    Raises:
        OptionError: an output is an input.
    """
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


def lies_in(path: Path, directory: Path) -> bool:
    """Whether a file is in a directory or below it."""
    place = _identity(directory)
    return place is not None and place in map(_identity, path.absolute().parents)


def check_file(final: Path) -> None:
    """Refuse a name under which there is something else than a file.

    Raises:
        OutputUnwritable: it is a directory, a device, or the like.
    """
    if final.is_dir():
        raise OutputUnwritable(final, "is a directory", "give a file name")
    if final.exists() and not final.is_file():  # to replace /dev/null would harm the system
        raise OutputUnwritable(final, "is not a regular file", "give a file name")


def check_place(final: Path) -> None:
    """Refuse what is no file name, or has no directory to be in.

    Raises:
        OptionError: it is no name.
        OutputUnwritable: there is no such directory.
    """
    if final.name in ("", ".", ".."):
        raise OptionError(f"{final}: is not a file name; give one")
    with naming_faults(final):
        is_there = final.parent.is_dir()
    if not is_there:
        raise OutputUnwritable(final, f"there is no directory {final.parent}", "create it first")
