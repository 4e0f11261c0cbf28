"""``geodeforest verify``: parse, call, print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geodeforest.cli import emit, one_line, options, quiet_libraries, say

if TYPE_CHECKING:
    from geodeforest.workflows.verify_run import Verification


@click.command(name="verify")
@click.argument("out", metavar="OUT", type=options.PATH)
@click.option(
    "--inputs",
    type=options.PATH,
    metavar="DIR",
    help="Folder in which, or below which, the scene and the files laid over it lie. "
    "[default: beside the run record, if they are there]",
)
@click.option(
    "-m",
    "--model",
    metavar="NAME|DIR",
    help="The model that was used. [default: the built-in one of that name, if there is one]",
)
@options.json
@options.debug
def command(out: Path, inputs: Path | None, model: str | None, as_json: bool) -> None:
    """Compare the files of a scan with its run record, and say what made them.

    OUT is a run record, as scan writes it with --report, or an output that lies beside one.
    Ends with exit code 3 if a file is missing or not what it was.
    """
    from geodeforest.workflows.verify_run import verify

    with quiet_libraries():
        found = verify(out, inputs, model)
    if as_json:
        emit(json.dumps(found.to_dict()))
    else:
        for line in _lines(found):
            emit(one_line(line))
    for problem in found.problems:
        say(f"error: {problem}")
    click.get_current_context().exit(found.exit_code)


def _lines(found: Verification) -> Iterator[str]:
    """What made the files, and how each is now; of a record that may say anything."""
    facts = found.record
    scene, model = _part(facts, "scene"), _part(facts, "model")
    counts, hectares = _part(facts, "counts"), _part(facts, "hectares")
    yield f"run     {facts['run']} of geodeforest {facts.get('geodeforest')}"
    size = f"{scene.get('height')} x {scene.get('width')} px, {scene.get('crs')}"
    yield f"scene   {scene.get('name')}, image of {scene.get('date') or 'unknown date'}; {size}"
    sha256 = f" (SHA-256 {model['sha256']})" if model.get("sha256") else ""
    yield f"model   {model.get('name')} {model.get('version')}{sha256}"
    chosen = (f"{name} {json.dumps(word)}" for name, word in _part(facts, "options").items())
    yield f"options {', '.join(chosen)}"
    yield f"with    {', '.join(f'{n} {v}' for n, v in _part(facts, 'versions').items())}"
    yield (
        f"found   {counts.get('polygons')} polygons, {hectares.get('deforested')} ha; assessed "
        f"{hectares.get('assessed')} ha, not assessed {hectares.get('not_assessed')} ha"
    )
    yield from (f"{each.role:7} {each.name}: {each.state}" for each in found.checked)


def _part(facts: Any, name: str) -> dict[str, Any]:
    part = facts.get(name)
    return part if isinstance(part, dict) else {}
