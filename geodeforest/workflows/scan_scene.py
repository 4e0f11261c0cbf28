"""One scene in; polygons, rasters and a run record out."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from geodeforest.core.options import MAX_PIXELS, Device, OnError, ScanOptions, ScanPlan
from geodeforest.core.pixels import BandScale
from geodeforest.core.ports import Predictor, Progress
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import (
    NothingAssessed,
    OptionError,
    PartlyUnread,
    ScanResumed,
    UnlikelyNumbers,
)
from geodeforest.geo.files import OutputSet
from geodeforest.geo.journal import RowJournal
from geodeforest.geo.scene import Scene, Source, block_cache
from geodeforest.scanning import WHOLE, Radiometry, SettledRows, scan_rows
from geodeforest.workflows.budget import check_budget, plan_of, telling_needs
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.numbers import doubts_of, reading_of
from geodeforest.workflows.open_inputs import open_inputs
from geodeforest.workflows.resume import Scan, resumed_rows, what_goes_on, work_key
from geodeforest.workflows.run_inputs import RunInputs
from geodeforest.workflows.sampling import opened_to_sample, sampled
from geodeforest.workflows.scan_aside import scan_aside
from geodeforest.workflows.scan_record import (
    band_facts,
    choices,
    input_facts,
    opening_record,
    origin_of,
    write_record,
    written_files,
)
from geodeforest.workflows.scan_report import ScanReport, report_of
from geodeforest.workflows.scan_targets import PathLike, Targets, chosen_targets
from geodeforest.workflows.scan_work import ScanWork

Engine = Literal["onnx", "tensorflow"]


def scan(
    scene: Source,
    *,
    output: PathLike | Sequence[PathLike] = (),
    classes: PathLike | bool = False,
    scores: PathLike | bool = False,
    report: PathLike | None = None,
    model: PathLike | Predictor | None = None,
    engine: Engine = "onnx",
    device: Device = "cpu",
    bands: Sequence[int | str] | str | None = None,
    scale: tuple[float, float] | None = None,
    threshold: float | None = None,
    min_area: float = 0.5,
    simplify: float | None = None,
    smooth: bool = False,
    merge_small: bool = False,
    baseline: PathLike | None = None,
    mask: PathLike | None = None,
    aoi: PathLike | None = None,
    on_error: OnError = "fail",
    chip: int | None = None,
    overlap: int | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    memory: int = 1024,
    resample: bool = True,
    assign_crs: object = None,
    max_pixels: int = MAX_PIXELS,
    allow_vrt: bool = False,
    untrusted: bool = False,
    resume: bool = True,
    progress: Progress | Literal[False] | None = None,
) -> ScanReport:
    """Find deforestation in a scene. Writes no file unless a path is given.

    Args:
        scene: a path, an open rasterio dataset, a rioxarray DataArray or a ``Raster``.
        output: polygons, the format by extension (.geojson, .gpkg, .fgb, .parquet); one path
            or several.
        classes: class map as a Cloud Optimized GeoTIFF; True keeps it in a scratch file.
        scores: deforestation scores, likewise.
        report: run record (.json).
        model: name of a built-in model, a model directory, or a loaded model.
        engine: ``onnx`` or ``tensorflow``.
        device: ``cpu``, or ``gpu`` with CUDA; a loaded model stays on its own.
        bands: 1-based indices or descriptions, in the model's order.
        scale: stored numbers that become the model's 0 and 1.
        threshold: score from which a pixel is deforestation.
        min_area: polygons under this many hectares are dropped.
        simplify: metres that outlines may move, borders still shared; None is half a
            pixel's diagonal with every pixel's centre on its side, 0 pixel-exact.
        smooth: round the pixels' outlines instead; no area changes.
        merge_small: give regions under ``min_area`` to the neighbour with the longest shared
            border before polygons are made.
        baseline: raster or polygons of what was forest; deforestation elsewhere is dropped.
        mask: raster or polygons of clouds, shadows, anything not to assess.
        aoi: raster or polygons of the area of interest; all else is ``outside``.
        on_error: ``fail`` at a block that cannot be read, or ``skip`` it: then what it
            holds and what lies near it is not assessed.
        chip: side of the chips in pixels.
        overlap: pixels that neighbouring chips share.
        overwrite: replace outputs that exist.
        threads: CPU threads; all by default. The result does not depend on it.
        memory: MB that the plan must fit in.
        resample: bring pixels that are not of the model's size to it; False refuses them.
        assign_crs: the CRS of a scene that has a geotransform and none, such as "EPSG:32721".
        max_pixels: larger scenes are refused.
        allow_vrt: open VRT files that only put plain local rasters together.
        untrusted: for files of strangers: the scene is a plain GeoTIFF, read by a process with
            limits and without network. The model is a name or a directory then.
        resume: continue an interrupted scan of the same inputs, model and options into the same
            first output; False starts afresh, and cannot be continued itself.
        progress: called with the chips done and their total.

    Raises:
        OptionError: an argument is out of range or of a wrong type.
        SceneError: the scene is missing, unreadable or does not fit the model.
        ModelError: the model is refused.
        OutputError: an output exists or cannot be written.
        BudgetExceeded: the plan needs more than ``memory``.
        SceneTooLarge: the scene has more than ``max_pixels``.
        ReaderLost: an untrusted scene brought its process to a limit, or to a crash.
    """
    options = ScanOptions(
        bands=_bands(bands),
        scale=_band_scale(scale),
        threshold=threshold,
        min_area=min_area,
        simplify=simplify,
        smooth=smooth,
        merge_small=merge_small,
        baseline=baseline,
        mask=mask,
        aoi=aoi,
        on_error=on_error,
        chip=chip,
        overlap=overlap,
        threads=threads,
        memory=memory,
        resample=resample,
        assign_crs=assign_crs,
        max_pixels=max_pixels,
        allow_vrt=allow_vrt,
        untrusted=untrusted,
        device=device,
    )
    targets = chosen_targets(output, classes, scores, report, overwrite=overwrite, resume=resume)
    return _scan_with(scene, targets, options, (model, engine), _told(progress))


def check_scenes(
    scenes: Mapping[Source, Targets], options: ScanOptions, predictor: Predictor
) -> list[dict[str, Any]]:
    """Refuse, before any work, scenes that cannot be scanned. Reads headers, not pixels.

    Returns what is known of each scene then, ready for JSON.

    Raises:
        SceneError: a scene is missing, unreadable or does not fit the model.
        BudgetExceeded: a plan needs more memory than allowed.
    """
    return [_checked(scene, targets, options, predictor) for scene, targets in scenes.items()]


def _checked(
    scene: Source, targets: Targets, options: ScanOptions, predictor: Predictor
) -> dict[str, Any]:
    spec = predictor.spec
    with open_inputs(scene, options, spec) as inputs:
        targets.check_crs(inputs.file)
        reading_of(inputs.scene, spec, options)
        plan = plan_of(inputs.scene, predictor, options, targets)
        check_budget(plan, inputs.file, options)
        return {
            **input_facts(inputs),
            "bands": band_facts(inputs.scene, spec.bands),
            "chips": len(plan.grid),
            "memory_mb": round(plan.bytes / 2**20),
            "in_place_mb": -(-plan.in_place().bytes // 2**20),
            "program_mb": plan.program_bytes // 2**20,
        }


def scan_to(
    scene: Source,
    targets: Targets,
    options: ScanOptions,
    predictor: Predictor,
    progress: Progress | None = None,
    *,
    in_place: bool = False,
) -> ScanReport:
    """Scan with a loaded model into ``targets``; what ``scan`` and the command line share.

    With ``in_place`` all is done by the thread that calls, as where others scan beside it.
    """
    started = time.perf_counter()
    spec, read = predictor.spec, RunInputs(scene, options)
    with ExitStack() as stack:
        inputs = stack.enter_context(open_inputs(scene, options, spec))
        opened = inputs.scene
        targets.check_crs(inputs.file)
        reading = reading_of(opened, spec, options)
        plan = plan_of(opened, predictor, options, targets)
        plan = plan.in_place() if in_place else plan
        check_budget(plan, inputs.file, options)
        stack.enter_context(telling_needs(plan, targets))
        outputs = stack.enter_context(targets.reserve([*inputs.file.files, *options.files]))
        stack.enter_context(block_cache(plan.cache_bytes))
        with (
            opened_to_sample(inputs, scene, options, spec) as scenes,
            sampled(scenes, spec, reading) as waiting,
        ):
            held = read.fingerprints(inputs.file)
            how = waiting()
        for note in inputs.notes:
            warnings.warn(note, stacklevel=3)
        found = _doubts(opened, spec, how)
        chosen = choices(options, plan, how, reading)
        record = opening_record(spec, input_facts(inputs), chosen, found, held)
        key = work_key(record, predictor)
        finished = outputs.take_up(key, afresh=not targets.resume)
        if finished is not None:
            warnings.warn(f"{opened.profile.name}: {_FINISHED}", ScanResumed, stacklevel=3)
            if not targets.keep:
                return report_of(finished, targets.places())
            outputs.again()
        work = ScanWork(inputs, spec, options, origin_of(record))
        # Closed before the scene, so that no thread reads what is no longer open.
        scan = partial(scan_rows, opened, predictor, plan, how, progress)
        rows = stack.enter_context(_rows(scan, plan, outputs, opened))
        with read.unchanged():
            frame = work.run(rows, targets, outputs, plan.crew)
        record["files"] = written_files(targets, outputs)
        with targets.in_turn():
            outputs.flush()
        report = work.report(record, targets, time.perf_counter() - started, frame)
        _say_what_is_missing(report)
        if targets.report is not None:
            write_record(outputs.scratch(targets.report), report)
        outputs.conclude(report.to_dict())
    return report


@contextmanager
def _rows(
    scan: Scan, plan: ScanPlan, outputs: OutputSet, scene: Scene
) -> Iterator[Generator[SettledRows]]:
    """The scene's rows, journalled where that is of use."""
    place, name = outputs.journal_place(), scene.profile.name
    with ExitStack() as stack:
        if place is None:
            yield stack.enter_context(closing(scan(WHOLE)))
            return
        journal = stack.enter_context(RowJournal(place, scene.width))
        said = what_goes_on(plan, journal)
        if said is not None:
            warnings.warn(f"{name}: {said}", ScanResumed, stacklevel=5)
        yield stack.enter_context(closing(resumed_rows(scan, plan, journal)))


_FINISHED = "was finished before; not scanned again"


def _say_what_is_missing(report: ScanReport) -> None:
    """Warn of a result that says nothing of the forest, or not of all that was asked for."""
    if report.assessed_px == 0:
        why = "no pixel was observed; an empty result says nothing about the forest"
        warnings.warn(f"{report.scene}: {why}", NothingAssessed, stacklevel=4)
    if report.failed_px:
        why = (
            f"{report.failed_ha:,.1f} ha ({report.failed_px / report.scene_px:.1%} of the scene) "
            "were not assessed because blocks cannot be read"
        )
        warnings.warn(f"{report.scene}: {why}", PartlyUnread, stacklevel=4)


def _doubts(scene: Scene, spec: ModelSpec, how: Radiometry | None) -> list[str]:
    """Warns of bands and numbers that are not what the model expects; also returns that."""
    found = doubts_of(scene, spec, how)
    for doubt in found:
        warnings.warn(f"{scene.profile.name}: {doubt}", UnlikelyNumbers, stacklevel=4)
    return found


def _scan_with(
    scene: Source,
    targets: Targets,
    options: ScanOptions,
    model: tuple[PathLike | Predictor | None, Engine],
    progress: Progress | None,
) -> ScanReport:
    """Scan with a model that may have to be loaded, here or in a confined process."""
    named, engine = model
    if options.untrusted:
        return scan_aside(scene, targets, options, model, progress)
    if named is None or isinstance(named, str | os.PathLike):
        named = load_model(named, engine, options.device)
    if not hasattr(named, "spec"):
        raise OptionError(f"model: {named!r} is not a name, a directory or a loaded model")
    options = replace(options, device=getattr(named, "device", "cpu"))
    return scan_to(scene, targets, options, named, progress)


def _told(progress: Progress | Literal[False] | None) -> Progress | None:
    if progress is None or progress is False:  # False is what --no-progress is called here
        return None
    if not callable(progress):
        raise OptionError(f"progress: {progress!r} is not a function; it gets (done, total)")
    return progress


def _bands(asked: Sequence[int | str] | str | None) -> tuple[str, ...] | None:
    entries = asked.split(",") if isinstance(asked, str) else asked
    if entries is not None and not isinstance(entries, Iterable):
        raise OptionError(f"bands: {asked!r} is not a sequence; give for example (3, 2, 1)")
    return None if entries is None else tuple(str(entry).strip() for entry in entries)


def _band_scale(asked: tuple[float, float] | None) -> BandScale | None:
    if asked is None:
        return None
    try:
        low, high = map(float, asked)
    except (TypeError, ValueError):
        raise OptionError(f"scale: {asked!r} is not two numbers, LOW and HIGH") from None
    return BandScale(low, high)
