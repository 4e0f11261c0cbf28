"""A scan that a confined process does for another one, which it tells of in lines of JSON.

Loads nothing that reads rasters before its rights are given up.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geodeforest.errors import GeodeforestError, GeodeforestWarning
from geodeforest.workflows.confine import confine

if TYPE_CHECKING:
    from geodeforest.workflows.scan_report import ScanReport
    from geodeforest.workflows.scan_targets import Targets

_FEATURES = 1000  # in a line

Tell = Callable[[str, Any], None]
"""Tells the first process something of a kind."""


def main() -> None:
    """What the confined process does: give up its rights, then do the scan."""
    confine(int(sys.argv[1]))
    # What a library may print must not come between the lines.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)

        def tell(kind: str, what: Any) -> None:
            out.write(json.dumps([kind, what]) + "\n")
            out.flush()

        _scan(json.loads(sys.argv[2]), tell)


def _scan(request: dict[str, Any], tell: Tell) -> None:
    from geodeforest.core.options import ScanOptions
    from geodeforest.core.pixels import BandScale
    from geodeforest.workflows.load_model import load_model
    from geodeforest.workflows.scan_scene import scan_to

    def show(message: Warning | str, kind: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(kind, GeodeforestWarning):
            tell("warning", [kind.__name__, str(message)])

    warnings.simplefilter("always", GeodeforestWarning)
    warnings.showwarning = show  # type: ignore[assignment]  # it takes more than is told
    chosen = request["options"]
    if chosen["scale"] is not None:
        chosen["scale"] = BandScale(**chosen["scale"])
    try:
        report = scan_to(
            request["scene"],
            _targets(request["targets"]),
            ScanOptions(**chosen),
            load_model(request["model"], request["engine"], request["options"]["device"]),
            lambda done, total: tell("progress", [done, total]),
        )
    except GeodeforestError as error:
        tell("error", _told(error))
        return
    _tell_report(report, tell)


def _told(error: GeodeforestError) -> list[Any]:
    """An error's class by name, its sentence, its notes, and what it knows, all as plain values."""
    knows = dict(vars(error))
    notes = knows.pop("__notes__", [])
    facts = {
        name: value if isinstance(value, str | int | float | None) else str(value)
        for name, value in knows.items()
    }
    return [type(error).__name__, str(error), notes, facts]


def _targets(asked: dict[str, Any]) -> Targets:
    from geodeforest.workflows.scan_report import Scratch
    from geodeforest.workflows.scan_targets import Targets

    for name in ("classes", "scores", "report"):
        asked[name] = None if asked[name] is None else Path(asked[name])
    asked["polygons"] = tuple(map(Path, asked["polygons"]))
    asked["scratch"] = None if asked["scratch"] is None else Scratch(Path(asked["scratch"]))
    return Targets(**asked)


def _tell_report(report: ScanReport, tell: Tell) -> None:
    from geodeforest.geo.polygons import COLUMNS

    frame = report.polygons
    columns = [frame[name].astype(object).tolist() for name in COLUMNS]
    rows = list(zip(*columns, frame.geometry.to_wkb(hex=True), strict=True))
    for first in range(0, len(rows), _FEATURES):
        tell("features", rows[first : first + _FEATURES])
    tell("crs", frame.crs.to_wkt())
    facts = {f.name: getattr(report, f.name) for f in fields(report) if not f.name.startswith("_")}
    tell("report", {**facts, "classes": [asdict(each) for each in report.classes]})
