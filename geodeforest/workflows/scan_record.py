"""What a run record says of scene, model and options, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geodeforest.core.decide import STEPS
from geodeforest.core.options import ScanOptions, ScanPlan
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import ModelSpec
from geodeforest.geo.files import naming_faults
from geodeforest.geo.scene import Scene
from geodeforest.scanning import Radiometry
from geodeforest.workflows.scan_report import NO_BASELINE, NOT_ADJUSTED, ScanReport


def opening_record(
    spec: ModelSpec, scene: Mapping[str, Any], options: Mapping[str, Any], doubts: Sequence[str]
) -> dict[str, Any]:
    """The part of a run record that is known before the first chip."""
    from geodeforest import __version__

    return {
        "geodeforest": __version__,
        "scene": dict(scene),
        "model": {"name": spec.name, "version": spec.version, "sha256": model_hash(spec)},
        "options": dict(options),
        "baseline": None,
        "notes": [NO_BASELINE, NOT_ADJUSTED],
        "warnings": list(doubts),
    }


def scene_facts(scene: Scene) -> dict[str, Any]:
    """The scene as the run record tells it."""
    profile = scene.profile
    return {
        "name": profile.name,
        "height": profile.height,
        "width": profile.width,
        "crs": None if profile.crs is None else profile.crs.to_string(),
        "transform": [float(number) for number in tuple(profile.transform)[:6]],
        "gsd_m": profile.gsd_m,
        "date": profile.date,
        "bands": list(profile.bands),
        "dtype": profile.dtype,
    }


def choices(
    options: ScanOptions, plan: ScanPlan, how: Radiometry | None, scale: BandScale
) -> dict[str, Any]:
    """What was chosen or followed, and influences the result."""
    level = None if how is None or how.level is None else how.level.tolist()
    return {
        "scale": [scale.low, scale.high],
        "scene_level": level,
        "threshold": plan.step / STEPS,
        "min_area_ha": options.min_area,
        "simplify_m": options.simplify,
        "smooth": options.smooth,
        "merge_small": options.merge_small,
        "chip": plan.grid.chip,
        "overlap": plan.grid.overlap,
    }


def write_record(path: Path, report: ScanReport) -> None:
    """Write the run record as JSON.

    Raises:
        OutputUnwritable: the disk is full.
    """
    text = json.dumps(report.to_dict(), indent=2, allow_nan=False) + "\n"
    with naming_faults(path):
        path.write_text(text, encoding="utf-8")


def model_hash(spec: ModelSpec) -> str:
    """The SHA-256 of the network; empty for a model that has no files."""
    file = spec.files.get("model.onnx")
    return "" if file is None else file.sha256
