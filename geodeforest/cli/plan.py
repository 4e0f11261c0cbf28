"""``geodeforest plan``: parse, call, print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from geodeforest.cli import emit, one_line, options, quiet_libraries, say
from geodeforest.cli.scan import scan_options

if TYPE_CHECKING:
    from geodeforest.workflows.plan_scene import PlanReport


@click.command(name="plan")
@click.argument("scene", metavar="SCENE", type=options.SCENE)
@options.scan_choices
@options.json
@options.debug
def command(scene: str, model: str | None, engine: Any, as_json: bool, **chosen: Any) -> None:
    """Look at SCENE and say what a scan would read, need and refuse. Writes nothing.

    Takes the options of scan. Ends with the exit code that the scan would be refused with.
    """
    from geodeforest.workflows.load_model import load_model
    from geodeforest.workflows.plan_scene import plan_scene

    settings = scan_options(chosen)
    with quiet_libraries():
        report = plan_scene(scene, settings, load_model(model, engine))
    if as_json:
        emit(json.dumps(report.to_dict(), allow_nan=False))
    else:
        for line in _lines(report):
            emit(one_line(line))
        for warning in report.warnings:
            say(f"warning: {warning}")
        for refusal in report.refusals:
            say(f"error: {refusal}")
    click.get_current_context().exit(report.exit_code)


def _lines(report: PlanReport) -> Iterator[str]:
    facts = report.facts
    if "scene" in facts:
        scene = facts["scene"]
        gsd = "unknown" if scene["gsd_m"] is None else f"{scene['gsd_m']:.2f} m"
        yield f"scene   {scene['name']}: {scene['height']} x {scene['width']} px of {gsd}"
        yield f"crs     {scene['crs']}, image of {scene['date'] or 'unknown date'}"
        pairs = (f"{b['model']} is band {_band(b)}" for b in facts["bands"])
        yield f"bands   {', '.join(pairs)}; {scene['dtype']}"
        nodata = [b["nodata"] for b in facts["bands"]]
        yield f"nodata  {'none' if nodata == [None] * len(nodata) else nodata}"
    if "options" in facts:
        yield from _numbers(facts)
    if "chips" in facts:
        seconds = f"about {facts['seconds']:.0f} s" if facts["seconds"] >= 1 else "under a second"
        yield (
            f"needs   {seconds} for {_counted(facts['chips'], 'chip')} on "
            f"{_counted(facts['threads'], 'thread')}, {facts['memory_mb']} MB of memory, "
            f"up to {facts['disk_mb']:g} MB of disk for the maps"
        )


def _numbers(facts: dict[str, Any]) -> Iterator[str]:
    from geodeforest.core.pixels import BandScale

    chosen = facts["options"]
    yield f"scale   {BandScale(*chosen['scale'])} become the model's 0..1 ({chosen['scale_from']})"
    for band in facts.get("numbers", []):
        trained = ""
        if band["trained_dark"] is not None:
            trained = f" (training scenes begin at {_range(band['trained_dark'])})"
        name, stored = f"{band['band']}:", _range(band["stored"])
        yield f"numbers {name} 96 % in {stored}, for the model {_range(band['model'])}{trained}"


def _range(ends: list[float]) -> str:
    return "..".join(f"{end:.4g}" for end in ends)


def _band(band: dict[str, Any]) -> str:
    number = str(band["index"])
    return number if band["file"] == number else f"{number} ({band['file']})"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
