"""A scan of a stranger's file from Python: asked of a confined process, and told by it.

What goes over is JSON in lines: the scan's arguments there, what becomes of it here. Nothing that
comes back is run; polygons are numbers and text.
"""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import IO, Any, TypeVar

from geodeforest import errors
from geodeforest.core.options import ScanOptions
from geodeforest.core.ports import Progress
from geodeforest.errors import GeodeforestError, GeodeforestWarning, OptionError, ReaderLost
from geodeforest.geo.polygons import COLUMNS
from geodeforest.geo.vector_sinks import frame_of
from geodeforest.workflows.guard import SCANS, ending, interrupted_too, start_aside
from geodeforest.workflows.scan_report import ClassArea, ScanReport
from geodeforest.workflows.scan_targets import Targets

Kind = TypeVar("Kind", bound=BaseException)


def scan_aside(
    scene: object,
    targets: Targets,
    options: ScanOptions,
    model: tuple[object, str],
    progress: Progress | None = None,
) -> ScanReport:
    """Have a confined process scan with a model, by name or directory, and an engine.

    Raises:
        OptionError: scene or model are no paths, or the system has no such limits.
        GeodeforestError: what the scan raised there.
        ReaderLost: the process came to a limit, or crashed.
    """
    request = _request(scene, targets, options, model)
    process = start_aside(SCANS, [json.dumps(request)], options.memory, subprocess.PIPE)
    told: dict[str, Any] = {"features": []}
    with interrupted_too(process):
        for kind, what in _lines(process.stdout):
            if kind == "features":
                told[kind] += what
            elif kind == "warning":
                _warn(*what)
            elif kind != "progress":
                told[kind] = what
            elif progress is not None:
                progress(*what)
        code = ending(process.wait(), [str(scene)])
    if "error" in told:
        raise _error(*told["error"])
    if "report" not in told:
        raise ReaderLost(scene, f"exit code {code}")
    return _report(told, targets)


def _request(
    scene: object, targets: Targets, options: ScanOptions, model: tuple[object, str]
) -> dict[str, Any]:
    named, engine = model
    if not isinstance(scene, str | os.PathLike):
        raise OptionError("untrusted: the scene is not the path of a file; give one")
    if not isinstance(named, str | os.PathLike | None):
        raise OptionError("untrusted: the model is not a name or a directory; give one")
    if not isinstance(options.assign_crs, str | None):
        raise OptionError("untrusted: assign_crs is not text; give for example 'EPSG:32721'")
    chosen = {field.name: getattr(options, field.name) for field in fields(options)}
    scale = None if options.scale is None else asdict(options.scale)
    hidden = None if targets.scratch is None else targets.scratch.path
    places = {field.name: getattr(targets, field.name) for field in fields(targets)}
    del places["in_turn"]  # files of strangers go one by one
    asked = {
        "scene": scene,
        "targets": {**places, "scratch": hidden},
        "options": {**chosen, "scale": scale},
        "model": named,
        "engine": engine,
    }
    plain: dict[str, Any] = json.loads(json.dumps(asked, default=os.fspath))
    return plain


def _lines(stream: IO[bytes] | None) -> Iterator[tuple[str, Any]]:
    for line in stream or ():
        if line.endswith(b"\n"):  # else the process was lost in the middle of it
            kind, what = json.loads(line)
            yield kind, what


def _named(name: str, among: type[Kind]) -> type[Kind]:
    """The class of that name in ``errors``; ``among`` itself for what is none of its kind."""
    found = getattr(errors, name, among)
    return found if isinstance(found, type) and issubclass(found, among) else among


def _warn(name: str, message: str) -> None:
    warnings.warn(_named(name, GeodeforestWarning)(message), stacklevel=5)


def _error(
    name: str, message: str, notes: Iterable[str], facts: Mapping[str, Any]
) -> GeodeforestError:
    """The error of that name, with the sentence that it composed there and the notes it got."""
    kind = _named(name, GeodeforestError)
    error = kind.__new__(kind)
    error.args = (message,)
    vars(error).update(facts)
    for note in notes:
        error.add_note(note)
    return error


def _report(told: Mapping[str, Any], targets: Targets) -> ScanReport:
    facts = told["report"]
    rows = told["features"]
    table = {name: [row[number] for row in rows] for number, name in enumerate(COLUMNS)}
    shapes = [bytes.fromhex(row[-1]) for row in rows]
    return ScanReport(
        **{**facts, "classes": [ClassArea(**each) for each in facts["classes"]]},
        _frame=frame_of(table, shapes, told["crs"]),
        _rasters=targets.places(),
        _scratch=targets.scratch,
    )
