"""A run record or an output in; whether all files are still what the scan wrote and read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from geodeforest.core.options import PathLike
from geodeforest.errors import ModelError, OptionError
from geodeforest.geo.fingerprints import Fingerprint, file_fingerprint
from geodeforest.runtime.model_dir import builtin_names
from geodeforest.workflows.load_model import model_files_are_whole, model_spec
from geodeforest.workflows.run_record import RunRecord, find_record
from geodeforest.workflows.scan_record import model_hash

State: TypeAlias = Literal["as recorded", "changed", "missing", "not here", "not known"]
"""``not here``: not looked for where it might be; ``not known``: the record has no hash of it."""

_REFUSED = 3  # an exit code


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that a record lists, and what has become of it. ``role`` says what it was."""

    role: str
    name: str
    state: State


@dataclass(frozen=True, slots=True)
class Verification:
    """What a run record says, and whether the files still agree with it.

    ``record`` is the run record's content, ``path`` where it lies. ``problems`` are sentences
    of one line, none if all is as recorded.
    """

    path: str
    record: Mapping[str, Any]
    checked: Sequence[Checked]
    problems: Sequence[str] = field(default_factory=tuple)

    @property
    def exit_code(self) -> int:
        """What the command line ends with: 0 if all is as recorded, else 3."""
        return _REFUSED if self.problems else 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "ok": not self.problems,
            "run": self.record["run"],
            "checked": [{"role": c.role, "name": c.name, "state": c.state} for c in self.checked],
            "problems": list(self.problems),
            "record": dict(self.record),
        }


def verify(
    out: PathLike, inputs: PathLike | None = None, model: PathLike | None = None
) -> Verification:
    """Compare the files of a scan with its run record. Reads them whole, writes nothing.

    Args:
        out: a run record, or an output with its run record beside it.
        inputs: folder in which, or below which, the inputs lie under their names; None looks
            beside the record, and does not mind if they are elsewhere.
        model: model directory or built-in name; None takes the built-in model of the recorded
            name, if there is one.

    Raises:
        RunRecordError: there is no run record.
        OptionError: ``inputs`` is no folder.
    """
    record = find_record(Path(out))
    if inputs is not None and not Path(inputs).is_dir():
        raise OptionError(f"{os.fspath(inputs)}: is no folder; give the one that holds the inputs")
    outputs = [_checked("output", f, [record.path.parent / f.name]) for f in record.files]
    found = _places(None if inputs is None else Path(inputs), record)
    absent: State = "not here" if inputs is None else "missing"
    read = [_checked(role, f, found(f), absent) for role, f in record.inputs]
    checked = [*outputs, *read, _model(record, model)]
    return Verification(str(record.path), record.facts, checked, tuple(_problems(record, checked)))


def _places(folder: Path | None, record: RunRecord) -> Callable[[Fingerprint], list[Path]]:
    """Gives the places in which an input may lie."""
    if folder is None:
        return lambda found: [record.path.parent / found.name]
    below: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        below.setdefault(path.name, []).append(path)
    return lambda found: below.get(found.name, [])


def _checked(
    role: str, recorded: Fingerprint, places: Sequence[Path], absent: State = "missing"
) -> Checked:
    if recorded.sha256 is None:
        return Checked(role, recorded.name, "not known")
    there = [path for path in places if path.is_file()]
    same = any(_is_same(path, recorded) for path in there)
    state: State = "as recorded" if same else "changed" if there else absent
    return Checked(role, recorded.name, state)


def _is_same(path: Path, recorded: Fingerprint) -> bool:
    try:
        return path.stat().st_size == recorded.bytes and file_fingerprint(path) == recorded
    except OSError:  # what cannot be read is not what was written
        return False


def _model(record: RunRecord, model: PathLike | None) -> Checked:
    told = record.facts.get("model")
    told = told if isinstance(told, dict) else {}
    name, sha256 = str(told.get("name")), told.get("sha256")
    if not sha256:
        return Checked("model", name, "not known")
    if model is None and name not in builtin_names():
        return Checked("model", name, "not here")
    wanted = name if model is None else model
    try:
        same = model_hash(model_spec(wanted)) == sha256 and model_files_are_whole(wanted)
    except ModelError:
        return Checked("model", name, "missing")
    return Checked("model", name, "as recorded" if same else "changed")


def _problems(record: RunRecord, checked: Sequence[Checked]) -> Iterator[str]:
    if not record.is_whole:
        why = "was changed after the scan: inputs, model and options do not give its run"
        yield f"{record.path.name}: {why}; get it again"
    for file in checked:
        if file.role == "output" and file.state == "changed":
            yield f"{file.name}: was changed after the scan; scan again or get it again"
        elif file.role == "model" and file.state in ("changed", "missing"):
            yield f"{file.name}: is not the model of the scan; name that one with --model"
        elif file.state == "changed":
            yield f"{file.name}: is not the {file.role} that was scanned; look for that one"
        elif file.state == "missing":
            yield f"{file.name}: is missing; put it where it was, or scan again"
