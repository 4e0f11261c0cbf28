"""What ``geodeforest plan`` foretells against what ``geodeforest scan`` then takes.

    python benchmarks/plan_truth.py [--side 2000 --side 3000] [--repeat 3]

Scenes are those of ``scenes.py``: once as they are, once as if their pixels had 5 m, so that
they are resampled. Seconds are those of the run record, memory the process's maximum.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import click
import rasterio
from measuring import geodeforest, run
from scenes import folder, forest

OUTPUTS = ("-o", "p.gpkg", "--classes", "c.tif", "--scores", "x.tif")


@click.command()
@click.option("--side", "sides", default=(2000, 3000), multiple=True, show_default=True)
@click.option("--repeat", default=3, show_default=True)
def main(sides: tuple[int, ...], repeat: int) -> None:
    """Print foretold and true seconds and memory, and their ratios."""
    click.echo("scene             threads  seconds  foretold  ratio   MB  foretold  ratio")
    with tempfile.TemporaryDirectory(dir=folder()) as work:
        for side in sides:
            for kind in ("as it is", "of 5 m"):
                scene = Path(shutil.copy(forest(side, side), work))
                if kind == "of 5 m":
                    halved(scene)
                for threads in (1, 2):
                    for _ in range(repeat):
                        compare(f"{side} px, {kind}", scene, threads)


def halved(scene: Path) -> None:
    """Say that the scene's pixels have half their size."""
    with rasterio.open(scene, "r+") as dataset:
        dataset.transform = dataset.transform @ rasterio.Affine.scale(0.5)


def compare(name: str, scene: Path, threads: int) -> None:
    """Plan and scan a scene, and print both figures."""
    foretold, _ = told("plan", scene, threads)
    record, peak_mb = told("scan", scene, threads)
    seconds, planned = record["seconds"], foretold["seconds"]
    memory_mb = foretold["memory_mb"]
    click.echo(
        f"{name:18}{threads:6} {seconds:8.2f} {planned:9.2f} {planned / seconds:6.2f} "
        f"{peak_mb:5.0f} {memory_mb:8.0f} {memory_mb / peak_mb:6.2f}"
    )


def told(command: str, scene: Path, threads: int) -> tuple[dict, float]:
    """The JSON that a command prints, and the peak MB of its process."""
    words = (command, scene.name, *OUTPUTS, "--overwrite", "--json", "-q", "--threads", threads)
    done = run(geodeforest(*words), scene.parent)
    return json.loads(done.out), done.peak_mb


if __name__ == "__main__":
    main()
