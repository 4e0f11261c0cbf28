"""What ``geodeforest plan`` foretells against what ``geodeforest scan`` then takes.

    python benchmarks/plan_truth.py [--side 2000 --side 3000] [--repeat 3]

Scenes are those of ``scan_speed.py``: once as they are, once as if their pixels had 5 m, so that
they are resampled. Seconds are those of the run record, memory the process's own maximum.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import rasterio
from scan_speed import made_scene

OUTPUTS = ("-o", "p.gpkg", "--classes", "c.tif", "--scores", "x.tif")


@click.command()
@click.option("--side", "sides", default=(2000, 3000), multiple=True, show_default=True)
@click.option("--repeat", default=3, show_default=True)
def main(sides: tuple[int, ...], repeat: int) -> None:
    """Print foretold and true seconds and memory, and their ratios."""
    click.echo("scene             threads  seconds  foretold  ratio   MB  foretold  ratio")
    with tempfile.TemporaryDirectory() as folder:
        for side in sides:
            for kind in ("as it is", "of 5 m"):
                scene = made_scene(Path(folder) / f"{side}.tif", side)
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
    words = [sys.executable, "-m", "geodeforest", command, scene.name, *OUTPUTS, "--overwrite"]
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [*words, "--json", "-q", "--threads", str(threads)],
            cwd=scene.parent,
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
        peak_mb = _peak_mb(process)
        out.seek(0)
        return json.loads(out.read()), peak_mb


def _peak_mb(process: subprocess.Popen) -> float:
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss / 2**10


if __name__ == "__main__":
    main()
