"""``geodeforest plan``: parse, call, print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from geodeforest.cli import emit, one_line, options, quiet_libraries, say
from geodeforest.cli.aside import go_aside
from geodeforest.cli.looks import bands_of, counted, size_of
from geodeforest.cli.scan import scan_options, scan_targets


@click.command(name="plan")
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
    """Look at each SCENE and say what a scan would read, need and refuse. Writes nothing.

    Takes the options of scan. Ends with the exit code that the scan would be refused with.
    """
    if chosen["untrusted"]:
        go_aside(scenes, chosen["memory"])
    from geodeforest.workflows.load_model import load_model
    from geodeforest.workflows.plan_scene import plan_scene

    quiet, _ = chosen.pop("quiet"), chosen.pop("progress")  # there is nothing to wait for
    targets = scan_targets(scenes, outputs, chosen)
    settings = scan_options(chosen)
    load = partial(load_model, model, engine, settings.device)
    code = 0
    for scene, files in zip(scenes, targets, strict=True):
        with quiet_libraries():
            report = plan_scene(scene, settings, load, files)
        code = code or report.exit_code
        if as_json:
            emit(json.dumps(report.to_dict(), allow_nan=False))
        elif not quiet:
            for line in _lines(report.facts):
                emit(one_line(line))
        for warning in report.warnings:
            say(f"warning: {warning}")
        for refusal in report.refusals:
            say(f"error: {refusal}")
    click.get_current_context().exit(code)


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    """What is known, a line for each kind of thing, the most general first."""
    if "scene" not in facts:
        return
    scene, grid = facts["scene"], facts.get("grid", {})
    yield f"scene   {scene['name']}: {size_of(scene)}"
    yield f"crs     {scene['crs'] or 'unknown'}, image of {scene['date'] or 'unknown date'}"
    if grid.get("resampled"):
        yield f"grid    {size_of(grid)}"
    yield f"bands   {bands_of(facts) or ', '.join(scene['bands'])}; {scene['dtype']}"
    yield f"nodata  {', '.join(map(_mask, facts['masks'])) or 'none'}"
    if facts.get("assessed_share") is not None:
        yield f"seen    about {facts['assessed_share']:.0%} can be assessed, by a sample"
    if "options" in facts:
        yield from _numbers(facts)
    if "chips" in facts:
        yield _needs(facts)
    yield from (f"note    {note}" for note in facts.get("notes", []))


def _mask(kind: dict[str, Any]) -> str:
    value = "" if kind["value"] is None else f" {kind['value']}"
    if not kind["bands"]:
        return f"{kind['kind']}{value}"
    bands = ", ".join(map(str, kind["bands"]))
    return f"{kind['kind']}{value} (band{'s' * (len(kind['bands']) != 1)} {bands})"


def _needs(facts: dict[str, Any]) -> str:
    seconds = f"about {facts['seconds']:.0f} s" if facts["seconds"] >= 1 else "under a second"
    sizes = {"for the maps": facts["disk_mb"], "for the journal": facts["journal_mb"]}
    disk = " and ".join(f"{size:g} MB {what}" for what, size in sizes.items() if size)
    disk = f", up to {disk} on the disk" if disk else ""
    return (
        f"needs   {seconds} for {counted(facts['chips'], 'chip')} on "
        f"{counted(facts['threads'], 'thread')}, {facts['memory_mb']} MB of memory{disk}, to write "
        f"{', '.join(_names(facts['outputs']))}"
    )


def _names(outputs: dict[str, str | list[str]]) -> Iterator[str]:
    for names in outputs.values():
        yield from [names] if isinstance(names, str) else names


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
