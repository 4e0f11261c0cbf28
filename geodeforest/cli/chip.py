"""``geodeforest chip``: cut a scene into georeferenced chips."""

from __future__ import annotations

import json
from pathlib import Path

import click

from geodeforest.cli import emit, one_line, options, quiet_libraries
from geodeforest.cli.aside import go_aside


@click.command(name="chip")
@click.argument("scene", metavar="SCENE", type=options.SCENE)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=options.PATH,
    required=True,
    help="New directory for the chips.",
)
@click.option(
    "--labels",
    metavar="FILE",
    type=options.PATH,
    help="Labels of the scene, raster or polygons: cut into label chips too.",
)
@click.option(
    "--chip",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    metavar="PX",
    help="Side of a chip, in pixels; at the edge of a small scene it is less.",
)
@click.option(
    "--overlap",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="PX",
    help="Pixels that neighbouring chips share.",
)
@options.untrusted
@options.overwrite
@options.json
@options.debug
def command(
    scene: str,
    output: Path,
    labels: Path | None,
    chip: int,
    overlap: int,
    untrusted: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Cut SCENE into georeferenced GeoTIFF chips."""
    if untrusted:
        go_aside([scene])
    from geodeforest.workflows.cut_chips import cut_chips

    with quiet_libraries():
        report = cut_chips(
            scene,
            output,
            chip=chip,
            overlap=overlap,
            labels=labels,
            untrusted=untrusted,
            overwrite=overwrite,
        )
    if as_json:
        emit(json.dumps(report.to_dict()))
        return
    with_labels = " with labels" if report.label_chips else ""
    emit(one_line(f"{report.chips} chips{with_labels} of {report.scene} -> {report.directory}"))
