"""What a run record says of scene, model and options, and how it is written."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from geodeforest.core.decide import STEPS
from geodeforest.core.options import PathLike, ScanOptions, ScanPlan
from geodeforest.core.reflectance import Reading
from geodeforest.core.spec import ModelSpec
from geodeforest.geo.files import OutputSet, naming_faults
from geodeforest.geo.opening import gdal_version
from geodeforest.geo.origin import Origin
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.scene import Scene
from geodeforest.scanning import Radiometry
from geodeforest.workflows.open_inputs import Inputs
from geodeforest.workflows.scan_report import NO_BASELINE, NOT_ADJUSTED, ScanReport
from geodeforest.workflows.scan_targets import Targets

_LIBRARIES = ("isal", "numpy", "onnxruntime", "pyogrio", "rasterio", "shapely")
_AT_WORK = ("tensorflow", "keras")


def opening_record(
    spec: ModelSpec,
    inputs: Mapping[str, Any],
    options: Mapping[str, Any],
    doubts: Sequence[str],
    held: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The part of a run record that is known before the first chip.

    ``held`` tells what each input held.
    """
    from geodeforest import __version__

    baseline = inputs["baseline"]
    first = [NO_BASELINE] if baseline is None else []
    known = {
        "geodeforest": __version__,
        "scene": inputs["scene"],
        "grid": inputs["grid"],
        "model": {"name": spec.name, "version": spec.version, "sha256": model_hash(spec)},
        "options": dict(options),
        "baseline": baseline,
        "inputs": list(held),
    }
    return {
        "run": run_id(known),
        **known,
        "versions": library_versions(),
        "notes": [*first, NOT_ADJUSTED, *inputs["notes"]],
        "warnings": list(doubts),
    }


_RUN_FIELDS = ("geodeforest", "scene", "grid", "model", "options", "baseline", "inputs")


def run_id(record: Mapping[str, Any]) -> str:
    """What names a run: the SHA-256 of inputs, model, options and version, as compact JSON.

    The same scan gives the same one, whatever its threads, its memory and its outputs.
    """
    known = {name: record.get(name) for name in _RUN_FIELDS}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def origin_of(record: Mapping[str, Any]) -> Origin:
    """What every output says of how it came about: no time, and no place of its own."""
    model = record["model"]
    found = {
        "version": record["geodeforest"],
        "run": record["run"],
        "scene": record["scene"]["name"].encode("utf-8", "replace").decode(),
        "model": f"{model['name']} {model['version']}",
        "model_sha256": model["sha256"],
    }
    return {name: word for name, word in found.items() if word}


_version = cache(version)  # looked up on disk each time else, for every scene of many


def library_versions() -> dict[str, str]:
    """The versions of what the numbers went through, as far as it is installed or at work."""
    names = [*_LIBRARIES, *(name for name in _AT_WORK if name in sys.modules)]
    found = {"gdal": gdal_version()}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = _version(name)
    return found


def input_facts(inputs: Inputs) -> dict[str, Any]:
    """The scene as it was given, the grid that it is scanned on, and how one became the other.

    Maps, polygons and all counts of pixels are those of the grid.
    """
    file, grid = inputs.file, inputs.scene.profile
    return {
        "scene": {
            "name": file.name,
            **_grid_facts(file),
            "date": file.date,
            "bands": list(file.bands),
            "dtype": file.dtype,
        },
        "grid": {**_grid_facts(grid), "resampled": grid.transform != file.transform},
        "baseline": None if inputs.baseline is None else asdict(inputs.baseline),
        "notes": [str(note) for note in inputs.notes],
    }


def band_facts(scene: Scene, wanted: tuple[str, ...]) -> list[dict[str, Any]]:
    """Which band of the file the model will see as which."""
    return [
        {"model": name, "index": band.index, "file": band.name, "nodata": _plain(band.nodata)}
        for name, band in zip(wanted, scene.bands, strict=True)
    ]


def _plain(nodata: float | None) -> float | str | None:
    # JSON knows no NaN.
    return str(nodata) if nodata is not None and not math.isfinite(nodata) else nodata


def _grid_facts(profile: SceneProfile) -> dict[str, Any]:
    return {
        "height": profile.height,
        "width": profile.width,
        "crs": None if profile.crs is None else profile.crs.to_string(),
        "transform": [float(number) for number in tuple(profile.transform)[:6]],
        "gsd_m": profile.gsd_m,
    }


def choices(
    options: ScanOptions, plan: ScanPlan, how: Radiometry | None, reading: Reading
) -> dict[str, Any]:
    """What was chosen or followed, and influences the result."""
    level = None if how is None or how.level is None else how.level.tolist()
    reading = reading if how is None else how.reading
    return {
        "scale": [reading.scale.low, reading.scale.high],
        "scale_from": reading.source,
        "scene_level": level,
        "threshold": plan.step / STEPS,
        "min_area_ha": options.min_area,
        "simplify_m": options.simplify,
        "smooth": options.smooth,
        "merge_small": options.merge_small,
        "resample": options.resample,
        "assign_crs": None if options.assign_crs is None else str(options.assign_crs),
        "mask": _name(options.mask),
        "aoi": _name(options.aoi),
        "on_error": options.on_error,
        "chip": plan.grid.chip,
        "overlap": plan.grid.overlap,
        "device": options.device,
    }


def _name(path: PathLike | None) -> str | None:
    return None if path is None else Path(path).name


def written_files(targets: Targets, outputs: OutputSet) -> list[dict[str, Any]]:
    """Name, bytes and SHA-256 of each finished output that someone named, but the run record.

    Raises:
        OutputUnwritable: one cannot be read back.
    """
    listed = []
    for path in targets.named():
        if path != targets.report:
            listed.append(outputs.fingerprint(path).facts())
    return listed


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
