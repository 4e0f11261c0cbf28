"""A look at a scene before any work: what a scan would read, need and refuse. Writes nothing.

A refusal ends no more of the look than it has to: what else is known is still told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geodeforest.core.options import CACHE_BYTES, ScanOptions, ScanPlan
from geodeforest.core.ports import Predictor
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import GeodeforestError
from geodeforest.geo.georeference import scene_gsd
from geodeforest.geo.mask_kinds import scene_kinds
from geodeforest.geo.profile import image_date
from geodeforest.geo.scene import Scene, Source, block_cache, open_scene
from geodeforest.geo.sources import find_scene, open_parts
from geodeforest.scanning import Radiometry, radiometry
from geodeforest.workflows.budget import check_budget, cpus, journal_bytes, map_bytes, plan_of
from geodeforest.workflows.estimates import Trial, WatchedScene, chip_seconds, reading_seconds
from geodeforest.workflows.numbers import doubts_of, number_facts, reading_of
from geodeforest.workflows.open_inputs import Inputs, open_inputs
from geodeforest.workflows.scan_record import band_facts, choices, input_facts
from geodeforest.workflows.scan_targets import Targets, check_outputs


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
        """Note what is refused inside, once, and go on."""
        try:
            yield
        except GeodeforestError as error:
            if str(error) not in self.refusals:
                self.refusals.append(str(error))
            self.exit_code = self.exit_code or error.exit_code


def plan_scene(
    scene: Source, options: ScanOptions, load: Callable[[], Predictor], targets: Targets
) -> PlanReport:
    """Look at a scene as a scan would: its header, a bounded sample, and a few chips of zeros.

    ``load`` gives the model. Raises nothing of what a scan would refuse; it stands in the
    report's ``refusals``.
    """
    report, predictor = PlanReport(), None
    with report.refusing():
        check_outputs([str(scene)], [targets], options.files)
    with report.refusing():
        predictor = load()
    with report.refusing():
        report.facts |= _header(scene, options)
    if predictor is not None:
        look = _Look(report, options, predictor, targets)
        with report.refusing(), open_inputs(scene, options, predictor.spec, report.refusing) as it:
            look.at(it)
    if "scene" in report.facts and "grid" not in report.facts:
        # It was refused for the first reason that was found. There may be others.
        with report.refusing(), open_scene(scene, palette=True, rules=options.rules):
            pass
        if predictor is not None:
            with report.refusing(), _unplaced(scene, options, predictor.spec) as opened:
                look.at(Inputs(opened, opened.profile))
    return report


def _unplaced(
    scene: Source, options: ScanOptions, spec: ModelSpec
) -> AbstractContextManager[Scene]:
    """The scene with the model's bands, wherever it lies and whatever its colours."""
    return open_scene(
        scene,
        bands=options.bands,
        wanted=spec.bands,
        georeferenced=False,
        palette=True,
        rules=options.rules,
    )


def _header(scene: Source, options: ScanOptions) -> dict[str, Any]:
    """What the first raster of a scene says of itself, whatever is wrong with it."""
    with ExitStack() as stack:
        found = find_scene(scene, stack, options.rules)
        parts = open_parts(found, stack, options.rules)
        part = parts[0]
        masks = scene_kinds(parts, len(found.bands))
        known = None if found.listing is None else found.listing.date
        return {
            "scene": {
                "name": found.name,
                "height": part.height,
                "width": part.width,
                "crs": None if part.crs is None else part.crs.to_string(),
                "transform": [float(number) for number in tuple(part.transform)[:6]],
                "gsd_m": scene_gsd(part.transform, part.crs, part.height, part.width),
                "date": known or image_date(part.tags for part in parts),
                "bands": [band.name for band in found.bands],
                "dtype": part.dtype(1),
            },
            "block": list(part.block),
            "masks": [
                {"kind": kind.kind, "bands": list(kind.bands), "value": kind.value}
                for kind in masks
            ],
        }


class _Look:
    """What is found out about an open scene goes into the report."""

    def __init__(
        self, report: PlanReport, options: ScanOptions, predictor: Predictor, targets: Targets
    ) -> None:
        self._report, self._options, self._targets = report, options, targets
        self._predictor, self._spec = predictor, predictor.spec

    def at(self, inputs: Inputs) -> None:
        """Find out what a scan of ``inputs`` would read and need."""
        report, options, spec, scene = self._report, self._options, self._spec, inputs.scene
        report.facts |= input_facts(inputs)
        report.facts["bands"] = band_facts(scene, spec.bands)
        report.facts["masks"] += _limits(inputs, options)
        reading = plan = how = None
        watched = WatchedScene(inputs.sampled)
        with report.refusing():
            self._targets.check_crs(inputs.file)
        with report.refusing():
            reading = reading_of(scene, spec, options)
        with report.refusing():
            plan = plan_of(scene, self._predictor, options, self._targets)
            check_budget(plan, inputs.file, options)
        if reading is not None:
            with report.refusing(), block_cache(CACHE_BYTES):
                how = radiometry(watched, spec, reading)
                report.warnings += _warnings(scene, spec, how)
                report.facts["assessed_share"] = watched.assessed_share
                if how is not None:
                    report.facts["numbers"] = number_facts(how, spec)
        if plan is not None:
            report.facts |= self._needs(inputs, plan, watched)
        if reading is not None and plan is not None:
            report.facts["options"] = choices(options, plan, how, reading)

    def _needs(self, inputs: Inputs, plan: ScanPlan, watched: WatchedScene) -> dict[str, Any]:
        maps = len(self._targets.rasters())
        chip, slowness = chip_seconds(plan, self._predictor)
        trial = Trial(
            chip=chip,
            reading=reading_seconds(watched, inputs.file),
            sample=watched.seconds,
            busy_share=watched.busy_share,
            slowness=slowness,
        )
        return {
            "chips": len(plan.grid),
            "threads": plan.threads,
            "outputs": self._targets.names(),
            "memory_mb": round(plan.bytes / 2**20),
            "disk_mb": round(map_bytes(plan, self._targets) / 2**20, 1),
            "journal_mb": round(journal_bytes(plan, self._targets) / 2**20, 1),
            "seconds": round(trial.seconds(plan, cpus(), maps), 1),
        }


def _limits(inputs: Inputs, options: ScanOptions) -> list[dict[str, Any]]:
    """What limits a scan beside the scene's own masks."""
    product = inputs.file.product
    named = {
        "product mask": None if product is None or product.mask is None else product.mask.name,
        "mask file": options.mask,
        "area of interest": options.aoi,
        "baseline": options.baseline,
    }
    return [
        {"kind": kind, "bands": [], "value": Path(value).name}
        for kind, value in named.items()
        if value is not None
    ]


def _warnings(scene: Scene, spec: ModelSpec, how: Radiometry | None) -> list[str]:
    found = doubts_of(scene, spec, how)
    if how is None:
        found.append("no pixel was observed; nothing can be found")
    return [f"{scene.profile.name}: {doubt}" for doubt in found]
