"""``geodeforest evaluate``: parse, call, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geodeforest.cli import emit, one_line, options, progress, quiet_libraries

if TYPE_CHECKING:
    from geodeforest.workflows.evaluation import Evaluation


@click.command(name="evaluate")
@click.argument(
    "data", nargs=-1, required=True, type=options.SCENE, metavar="RECORDS... | SCENE LABELS ..."
)
@click.option("--report", type=options.PATH, metavar="PATH.json", help="All figures and counts.")
@click.option(
    "--html", type=options.PATH, metavar="PATH.html", help="The same as a page, with a diagram."
)
@click.option(
    "--maps",
    type=options.PATH,
    metavar="DIR",
    help="Folder for a confusion map of each scene, as a GeoTIFF.",
)
@options.model
@options.engine
@options.label_field
@options.class_map
@options.background
@click.option(
    "--tolerance",
    type=click.IntRange(0, 100),
    default=2,
    show_default=True,
    metavar="PX",
    help="How far a boundary may lie from a true one to be right.",
)
@click.option(
    "--min-object",
    type=click.IntRange(min=1),
    metavar="PX",
    help="Pass over objects of fewer pixels, true ones and found ones. "
    "[default: half a hectare of the model's pixels]",
)
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Draws of groups for the intervals.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Decides the draws.",
)
@options.bands
@options.scale
@options.threshold
@options.chip
@options.overlap
@options.threads
@options.memory
@options.overwrite
@options.quiet
@options.progress
@options.json
@options.debug
def command(data: tuple[str, ...], as_json: bool, **chosen: Any) -> None:
    """Compare what a model finds with the truth.

    On training records (directories or shards; needs geodeforest[train]), or on scenes each
    followed by its labels: a raster on the scene's grid, or polygons in any CRS. A scene is a
    group by its file name.
    """
    from geodeforest.workflows.evaluate_model import EvaluateOptions, evaluate

    quiet, show = chosen.pop("quiet"), chosen.pop("progress")
    names = ("model", "engine", "report", "html", "maps", "overwrite")
    calling = {name: chosen.pop(name) for name in names}
    settings = EvaluateOptions(**chosen)
    with quiet_libraries(), progress("evaluating", show=show, quiet=quiet) as bar:
        found = evaluate(data, settings, progress=bar, **calling)
    if as_json:
        emit(json.dumps(found.to_dict(), allow_nan=False))
    elif not quiet:
        emit("\n".join(map(one_line, _lines(found, calling["report"]))))


def _lines(found: Evaluation, report: Path | None) -> list[str]:
    figures, intervals = found.figures, found.intervals
    pixels, groups = found.total.classes.pixels, len(found.groups)
    rows = [
        (name, _value(figures[key], intervals[key]))
        for name, key in (("accuracy", "accuracy"), ("mean IoU", "mean_iou"), ("ECE", "ece"))
    ]
    for name, shares in figures["classes"].items():
        ends = intervals["classes"][name]
        for key, words in (("iou", "IoU"), ("f1", "F1"), ("boundary_f1", "boundary F1")):
            rows.append((f"{name} {words}", _value(shares[key], ends[key])))
    for key, words in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
        value = _value(figures["objects"][key], intervals["objects"][key])
        rows.append((f"object {words}", value))
    if groups > 1:
        rows.append(("accuracy of the median group", _value(found.medians["accuracy"], None)))
    wide = max(len(name) for name, _ in rows)
    lines = [f"{pixels:,} labelled pixels in {groups} group{'s' * (groups != 1)}"]
    lines += [f"{name:<{wide}}  {value}" for name, value in rows]
    return lines if report is None else [*lines, f"-> {report}"]


def _value(value: float | None, interval: list[float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" + (
        "" if interval is None else f"  ({interval[0]:.4f} to {interval[1]:.4f})"
    )
