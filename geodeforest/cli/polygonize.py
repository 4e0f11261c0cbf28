"""``geodeforest polygonize``: parse, call, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geodeforest.cli import emit, one_line, options, progress, quiet_libraries


@click.command(name="polygonize")
@click.argument("class_map", metavar="CLASSMAP", type=options.SCENE)
@options.polygon_files("<class map>_polygons.geojson")
@click.option(
    "--only",
    multiple=True,
    metavar="CLASS",
    help="Class to make polygons of, by name or id, or all; repeatable. "
    "[default: deforestation, which is 1 in a map that does not say]",
)
@click.option(
    "--scores",
    type=options.PATH,
    metavar="FILE",
    help="Score map of the same grid, for the score columns.",
)
@options.min_area
@options.merge_small
@options.simplify
@options.smooth
@options.overwrite
@options.quiet
@options.progress
@options.json
@options.debug
def command(
    class_map: str,
    outputs: tuple[Path, ...],
    only: tuple[str, ...],
    scores: Path | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Make polygons of the classes in CLASSMAP, a raster of class ids (255 = not assessed)."""
    from geodeforest.core.options import VectorOptions
    from geodeforest.workflows.polygonize_map import polygonize_to

    show = chosen.pop("progress")
    source = Path(class_map)
    paths = outputs or (Path(f"{source.stem}_polygons.geojson"),)
    settings = VectorOptions(**chosen)
    with quiet_libraries(), progress(source.name, show=show, quiet=quiet) as bar:
        report = polygonize_to(
            class_map,
            paths,
            settings,
            only=only,
            scores=scores,
            overwrite=overwrite,
            progress=bar,
        )
    if as_json:
        emit(json.dumps(report.to_dict(), allow_nan=False))
    elif not quiet:
        noun = "polygon" if report.polygon_count == 1 else "polygons"
        files = ", ".join(map(str, paths))
        emit(one_line(f"{report.polygon_count} {noun}, {report.hectares:,.1f} ha -> {files}"))
