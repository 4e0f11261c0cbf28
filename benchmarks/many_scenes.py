"""Many small scenes in one scan against one mosaic of the same pixels.

    python benchmarks/many_scenes.py [--count 200] [--runs 1]

Each scene is a block of 512 x 512 px of the mosaic; both become GeoJSON, class map and score
map. Chips of the mosaic overlap, and it writes three files; scenes have one chip, and three each.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from statistics import median

import click
from measuring import Run, geodeforest, run
from scenes import BLOCK, folder, forest, forest_pieces

OUTPUTS = ("-o", "{scene}.geojson", "--classes", "{scene}_c.tif", "--scores", "{scene}_x.tif")


@click.command()
@click.option("--count", default=200, show_default=True, help="How many scenes.")
@click.option("--runs", default=1, show_default=True, help="The median counts.")
def main(count: int, runs: int) -> None:
    """Print seconds, processor seconds and peaks of both, and their ratio."""
    pieces, mosaic = compare(count, runs)
    for name, found in (("scenes", pieces), ("mosaic", mosaic)):
        click.echo(
            f"{name:8}{found.seconds:8.1f} s {found.cpu_seconds:8.1f} s of processors "
            f"{found.peak_mb:6.0f} MB"
        )
    click.echo(
        f"ratio   {pieces.seconds / mosaic.seconds:8.2f}   "
        f"{pieces.cpu_seconds / mosaic.cpu_seconds:8.2f}"
    )


def compare(count: int, runs: int = 1) -> tuple[Run, Run]:
    """The scenes' run and the mosaic's, each the median by time of so many, by turns."""
    scenes, mosaic = scenes_of(count)
    found = [(scanned(scenes), scanned([mosaic])) for _ in range(runs)]
    pieces, wholes = zip(*found, strict=True)
    return _middle(pieces), _middle(wholes)


def scenes_of(count: int) -> tuple[list[Path], Path]:
    """The scenes, and the mosaic of them, about as wide as it is high."""
    across = 2 ** math.ceil(math.log2(count) / 2)
    while count % across:
        across //= 2
    mosaic = forest(count // across * BLOCK, across * BLOCK)
    return forest_pieces(count, across), mosaic


def scanned(scenes: list[Path]) -> Run:
    """One process that scans all of them."""
    with tempfile.TemporaryDirectory(dir=folder()) as cwd:
        return run(geodeforest("scan", *scenes, *OUTPUTS, "-q"), Path(cwd))


def _middle(runs: tuple[Run, ...]) -> Run:
    seconds = median(each.seconds for each in runs)
    return min(runs, key=lambda each: abs(each.seconds - seconds))


if __name__ == "__main__":
    main()
