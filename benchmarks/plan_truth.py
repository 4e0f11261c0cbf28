"""What ``geodeforest plan`` foretells against what ``geodeforest scan`` then takes.

    python benchmarks/plan_truth.py [--side 2000 --side 3000] [--format gpkg] [--repeat 3]

Scenes are those of ``scenes.py``: once as they are, once as if their pixels had 5 m, so that
they are resampled. Polygons go to a file of each format, beside both maps. Seconds are those of
the run record, memory the process's maximum.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from itertools import product
from pathlib import Path

import click
import rasterio
from measuring import geodeforest, run
from scenes import folder, forest

MAPS = ("--classes", "c.tif", "--scores", "x.tif")
FORMATS = ("geojson", "gpkg", "fgb", "parquet")
KINDS = ("as it is", "of 5 m")


@click.command()
@click.option("--side", "sides", default=(2000, 3000), multiple=True, show_default=True)
@click.option("--format", "formats", default=FORMATS, multiple=True, show_default=True)
@click.option("--kind", "kinds", default=KINDS, multiple=True, show_default=True)
@click.option("--repeat", default=1, show_default=True)
def main(
    sides: tuple[int, ...], formats: tuple[str, ...], kinds: tuple[str, ...], repeat: int
) -> None:
    """Print foretold and true seconds and memory, and their ratios."""
    click.echo("scene              format  threads  seconds  foretold  ratio   MB  foretold  ratio")
    with tempfile.TemporaryDirectory(dir=folder()) as work:
        for side, kind in product(sides, kinds):
            scene = Path(shutil.copy(forest(side, side), work))
            if kind == "of 5 m":
                halved(scene)
            for polygons, threads, _ in product(formats, (1, 2), range(repeat)):
                words = ("-o", f"p.{polygons}", *MAPS, "--threads", threads)
                compare(f"{side} px, {kind}".ljust(18) + f"{polygons:>8}", scene, words)


def halved(scene: Path) -> None:
    """Say that the scene's pixels have half their size."""
    with rasterio.open(scene, "r+") as dataset:
        dataset.transform = dataset.transform @ rasterio.Affine.scale(0.5)


def compare(name: str, scene: Path, chosen: tuple[object, ...]) -> None:
    """Plan and scan a scene as the words say, and print both figures."""
    foretold, _ = told("plan", scene, chosen)
    record, peak_mb = told("scan", scene, chosen)
    seconds, planned = record["seconds"], foretold["seconds"]
    memory_mb = foretold["memory_mb"]
    click.echo(
        f"{name}{foretold['threads']:8} {seconds:8.2f} {planned:9.2f} {planned / seconds:6.2f} "
        f"{peak_mb:5.0f} {memory_mb:8.0f} {memory_mb / peak_mb:6.2f}"
    )


def told(command: str, scene: Path, chosen: tuple[object, ...]) -> tuple[dict, float]:
    """The JSON that a command prints, and the peak MB of its process."""
    words = (command, scene.name, *chosen, "--overwrite", "--json", "-q")
    done = run(geodeforest(*words), scene.parent)
    return json.loads(done.out), done.peak_mb


if __name__ == "__main__":
    main()
