"""``geodeforest scan``: parse, call, print."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geodeforest.cli import (
    emit,
    one_line,
    options,
    progress,
    quiet_libraries,
    say,
    shows_progress,
)
from geodeforest.cli.aside import go_aside
from geodeforest.cli.looks import first_look

if TYPE_CHECKING:
    from geodeforest.core.options import ScanOptions
    from geodeforest.workflows.scan_report import ScanReport
    from geodeforest.workflows.scan_targets import Targets

_PLACEHOLDER = re.compile(r"\{\w*\}")


@click.command(name="scan")
@click.argument("scenes", metavar="SCENE...", type=options.SCENE, nargs=-1, required=True)
@options.scan_outputs
@options.scan_choices
@options.quiet
@options.progress
@options.json
@options.debug
def command(
    scenes: tuple[str, ...],
    outputs: tuple[Path, ...],
    model: str | None,
    engine: Any,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Find deforestation in each SCENE and write it as polygons.

    A SCENE is a GeoTIFF or JPEG 2000 file, or the https:// or s3:// address of a GeoTIFF; a
    Sentinel-2 .SAFE folder or zip; a Landsat folder or its MTL file; a STAC item (.json); or
    several files of one scene, as B04.tif,B03.tif,B02.tif (a path that exists is taken whole,
    commas and all).

    With several scenes every output path must contain {scene}, which stands for the
    scene's file name without its ending; of several files for what their names begin with.
    """
    if chosen["untrusted"]:
        go_aside(scenes, chosen["memory"])
    from geodeforest.workflows.load_model import load_model
    from geodeforest.workflows.scan_report import NO_BASELINE
    from geodeforest.workflows.scan_scene import check_scenes
    from geodeforest.workflows.scan_targets import check_outputs, scene_stem
    from geodeforest.workflows.side_by_side import Job, finishing

    quiet, show = chosen.pop("quiet"), chosen.pop("progress")
    targets = scan_targets(scenes, outputs, chosen)
    settings = scan_options(chosen)
    check_outputs(scenes, targets, settings.files)
    with quiet_libraries():
        predictor = load_model(model, engine, settings.device)
        looks = check_scenes(dict(zip(scenes, targets, strict=True)), settings, predictor)
    written, code = False, 0
    jobs = [Job.of(*each) for each in zip(scenes, targets, looks, strict=True)]
    try:
        with quiet_libraries(), closing(finishing(jobs, settings, predictor)) as finishes:
            for scene, job, look in zip(scenes, jobs, looks, strict=True):
                if shows_progress(show=show, quiet=quiet):
                    say(first_look(look))
                with progress(scene_stem(scene), show=show, quiet=quiet) as bar:
                    report = next(finishes)(bar)
                written, code = True, code or report.exit_code
                if as_json:
                    emit(json.dumps(report.to_dict(), allow_nan=False))
                elif not quiet:
                    emit(one_line(_summary(report, job.targets)))
        for files_of_scene in targets:
            files_of_scene.forget()
    finally:
        if written and not quiet and settings.baseline is None:
            say(f"note: {NO_BASELINE}")
    click.get_current_context().exit(code)


def scan_options(chosen: dict[str, Any]) -> ScanOptions:
    """The values of the options of ``scan_choices``, but for the model and its engine."""
    from geodeforest.core.options import ScanOptions
    from geodeforest.core.pixels import BandScale

    scale = chosen.pop("scale")
    return ScanOptions(scale=None if scale is None else BandScale(*scale), **chosen)


def scan_targets(
    scenes: tuple[str, ...], outputs: tuple[Path, ...], chosen: dict[str, Any]
) -> list[Targets]:
    """Each scene's output paths, of the options of ``scan_outputs``.

    Raises:
        OptionError: two scenes would write the same file, or a path has another placeholder.
    """
    from geodeforest.errors import OptionError
    from geodeforest.workflows.scan_targets import Targets, scene_stem

    names = ("classes", "scores", "report", "overwrite", "resume")
    files = {name: chosen.pop(name) for name in names} | {"lingers": len(scenes) > 1}
    pattern = Targets(outputs or (Path("{scene}_deforestation.geojson"),), **files)
    for path in pattern.paths():
        if strange := set(_PLACEHOLDER.findall(str(path))) - {"{scene}"}:
            raise OptionError(f"{path}: {min(strange)} stands for nothing; there is only {{scene}}")
    made = [
        replace(
            pattern,
            polygons=tuple(_named(path, stem) for path in pattern.polygons),
            classes=_named(pattern.classes, stem),
            scores=_named(pattern.scores, stem),
            report=_named(pattern.report, stem),
        )
        for stem in map(scene_stem, scenes)
    ]
    scene_of: dict[Path, int] = {}
    for number, targets in enumerate(made):
        for path in targets.paths():
            if scene_of.setdefault(path, number) != number:
                raise OptionError(
                    f"{path}: more than one scene would be written to it; "
                    "put {scene} into the output path"
                )
    return made


def _named(path: Any, stem: str) -> Any:
    return None if path is None else Path(str(path).replace("{scene}", stem))


def _summary(report: ScanReport, targets: Targets) -> str:
    share = report.assessed_px / report.scene_px
    files = ", ".join(str(path) for path in targets.polygons)
    noun = "polygon" if report.polygon_count == 1 else "polygons"
    return (
        f"{report.polygon_count} {noun}, {report.deforested_ha:,.1f} ha; "
        f"{share:.1%} of the scene assessed -> {files}"
    )
