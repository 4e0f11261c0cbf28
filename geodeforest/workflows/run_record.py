"""Run records that were written: found beside an output, read, and not believed blindly.

A record may come from anyone, with anything in it: names of files are plain names, so that
nothing outside of the record's folder is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geodeforest.errors import RunRecordError
from geodeforest.geo.fingerprints import Fingerprint
from geodeforest.geo.origin import read_origin
from geodeforest.workflows.scan_record import run_id

_LIMIT_BYTES = 16 * 2**20
_REMEDY = "give the .json that scan wrote with --report, or an output beside it"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run record, and where it lies. ``files`` and ``inputs`` are those it lists.

    ``is_whole``: what it says of inputs, model and options gives the name of the run.
    """

    path: Path
    facts: Mapping[str, Any]
    files: Sequence[Fingerprint]
    inputs: Sequence[tuple[str, Fingerprint]]
    is_whole: bool


def find_record(path: Path) -> RunRecord:
    """The record that ``path`` is; or else the one beside it that lists it.

    Where several list it, that of the run which the file names.

    Raises:
        RunRecordError: there is none, or the file is none.
    """
    if not path.is_file():
        raise RunRecordError(path, "there is no such file", "check the path")
    if path.suffix.lower() == ".json":
        return read_record(path)
    told = read_origin(path)
    beside = [r for r in _records_in(path.parent) if path.name in {f.name for f in r.files}]
    named = [record for record in beside if record.facts["run"] == told.get("run")]
    if found := [*named, *beside]:
        return found[0]
    made = ", ".join(f"{name} {word}" for name, word in told.items()) or "nothing of its origin"
    raise RunRecordError(path, f"no run record beside it lists it; it says {made}", _REMEDY)


def read_record(path: Path) -> RunRecord:
    """Read a record.

    Raises:
        RunRecordError: it is none, or names files outside of its folder.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT_BYTES + 1)
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
        raise RunRecordError(path, why, "check its permissions") from error
    try:
        facts = json.loads(content if len(content) <= _LIMIT_BYTES else b"")
        if not isinstance(facts, dict) or not isinstance(facts["run"], str):
            raise TypeError(facts)
        return RunRecord(
            path,
            facts,
            [_fingerprint(entry) for entry in facts["files"]],
            [(str(entry["role"]), _fingerprint(entry)) for entry in facts["inputs"]],
            facts["run"] == run_id(facts),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunRecordError(path, "is no run record with hashes", _REMEDY) from error


def _records_in(folder: Path) -> Iterator[RunRecord]:
    for path in sorted(folder.glob("*.json")):
        if path.is_file():  # opening a pipe would wait for ever
            with suppress(RunRecordError):
                yield read_record(path)


def _fingerprint(entry: Any) -> Fingerprint:
    name, size, sha256 = entry["name"], entry["bytes"], entry["sha256"]
    remote = isinstance(name, str) and "://" in name
    if not isinstance(name, str) or (Path(name).name != name and not remote):
        raise ValueError(name)
    if not isinstance(size, int | None) or not isinstance(sha256, str | None):
        raise TypeError(entry)
    return Fingerprint(name, size, sha256)
