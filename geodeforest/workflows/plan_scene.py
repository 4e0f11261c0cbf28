"""A look at a scene before any work: what a scan would read, need and refuse. Writes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from geodeforest.core.options import CACHE_BYTES, ScanOptions, ScanPlan
from geodeforest.core.ports import Predictor
from geodeforest.errors import GeodeforestError
from geodeforest.geo.scene import Scene, Source, block_cache
from geodeforest.scanning import Radiometry, radiometry
from geodeforest.workflows.numbers import number_facts, reading_of
from geodeforest.workflows.open_inputs import open_inputs
from geodeforest.workflows.scan_record import choices, input_facts
from geodeforest.workflows.scan_scene import plan_of

_ROWS_SECONDS_PER_MPX = 0.1
"""Reading, stitching, vectorising and writing beside the network, on one core of today."""


@dataclass(slots=True)
class PlanReport:
    """What is known of a scan that was not begun.

    ``facts`` are ready for JSON; what a refusal keeps from being known is missing.
    ``exit_code`` is that of the first refusal, 0 without one.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    exit_code: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**self.facts, "warnings": self.warnings, "refusals": self.refusals}

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Note what is refused inside, and go on."""
        try:
            yield
        except GeodeforestError as error:
            self.refusals.append(str(error))
            self.exit_code = self.exit_code or error.exit_code


def plan_scene(scene: Source, options: ScanOptions, predictor: Predictor) -> PlanReport:
    """Look at a scene as a scan would: its header, a bounded sample, and one chip of zeros.

    Raises nothing of what a scan would refuse; it stands in the report's ``refusals``.
    """
    spec, report = predictor.spec, PlanReport()
    with report.refusing(), open_inputs(scene, options, spec, report.refusing) as inputs:
        opened = inputs.scene
        report.facts |= input_facts(inputs)
        report.facts["bands"] = _bands(opened, spec.bands)
        reading = plan = how = None
        with report.refusing():
            reading = reading_of(opened, spec, options)
        with report.refusing():
            plan = plan_of(opened, spec, options)
            report.facts |= _needs(opened, plan, predictor)
        if reading is not None:
            with report.refusing(), block_cache(CACHE_BYTES):
                how = radiometry(opened, spec, reading)
                report.warnings += _warnings(opened, how)
                if how is not None:
                    report.facts["numbers"] = number_facts(how, spec)
        if reading is not None and plan is not None:
            report.facts["options"] = choices(options, plan, how, reading)
    return report


def _bands(scene: Scene, wanted: tuple[str, ...]) -> list[dict[str, Any]]:
    """Which band of the file the model will see as which."""
    return [
        {"model": name, "index": band.index, "file": band.name, "nodata": _plain(band.nodata)}
        for name, band in zip(wanted, scene.bands, strict=True)
    ]


def _plain(nodata: float | None) -> float | str | None:
    # JSON knows no NaN.
    return str(nodata) if nodata is not None and not np.isfinite(nodata) else nodata


def _needs(scene: Scene, plan: ScanPlan, predictor: Predictor) -> dict[str, Any]:
    pixels = scene.height * scene.width
    chips = len(plan.grid) * _chip_seconds(plan, predictor) / plan.threads
    return {
        "chips": len(plan.grid),
        "threads": plan.threads,
        "memory_mb": round(plan.bytes / 2**20),
        # Class map and score map, each once in scratch tiles and once as it is kept.
        "disk_mb": round(4 * pixels / 2**20, 1),
        "seconds": round(chips + pixels / 1e6 * _ROWS_SECONDS_PER_MPX, 1),
    }


def _chip_seconds(plan: ScanPlan, predictor: Predictor) -> float:
    """Seconds of one network run, measured at its second go."""
    spec, side = predictor.spec, plan.grid.chip
    chip = np.zeros((1, side, side, len(spec.bands)), np.float32)
    inputs = len(spec.scene_inputs) * len(spec.bands)
    level = np.zeros((1, inputs), np.float32) if inputs else None
    predictor.predict(chip, level)
    started = time.perf_counter()
    predictor.predict(chip, level)
    return time.perf_counter() - started


def _warnings(scene: Scene, how: Radiometry | None) -> list[str]:
    name = scene.profile.name
    if how is None:
        return [f"{name}: no pixel was observed; nothing can be found"]
    return [f"{name}: {doubt}" for doubt in how.doubts]
