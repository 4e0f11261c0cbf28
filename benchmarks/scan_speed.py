"""Time and memory of a whole ``geodeforest scan`` against the network's bare arithmetic.

    python benchmarks/scan_speed.py [--side 4096] [--model NAME|DIR|plain]

The scene is a forest with clearings (``scenes.py``); it becomes GeoJSON, class map and score map.
The baseline is ONNX Runtime alone (``bare.py``) on as many chips, with its best set-up;
``plain`` is a U-Net of 16 to 256 filters.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import click
from measuring import Run, geodeforest, run
from networks import plain_unet
from scenes import folder, forest

OUTPUTS = ("-o", "p.geojson", "--classes", "c.tif", "--scores", "x.tif")
MOST_CHIPS = 160
"""Chips that the baseline runs; its time per chip does not change with their number."""


class Scan(NamedTuple):
    """A finished scan: what its process took, and its run record."""

    run: Run
    record: dict[str, Any]


@click.command()
@click.option("--side", default=4096, show_default=True, help="Rows and columns of the scene.")
@click.option("--model", default=None, help="Built-in model, model directory, or plain.")
@click.option("--threads", default=os.cpu_count(), show_default=True)
def main(side: int, model: str | None, threads: int) -> None:
    """Print seconds per megapixel, peak memory and the ratio to the bare network."""
    model = str(plain_unet()) if model == "plain" else model
    scan = scanned(forest(side, side), model, threads)
    chips = chip_count(scan.record)
    bare = bare_seconds(model, chips, scan.record["options"]["chip"], threads)
    megapixels = side * side / 1e6
    seconds, cpu = scan.run.seconds, scan.run.cpu_seconds
    click.echo(f"scene            {side} x {side} px, {megapixels:.1f} Mpx, {threads} threads")
    click.echo(f"chips            {chips} of {scan.record['options']['chip']} px")
    click.echo(f"polygons         {scan.record['counts']['polygons']}")
    click.echo(f"whole process    {seconds:.1f} s, {seconds / megapixels:.3f} s/Mpx")
    click.echo(f"processors       {cpu:.1f} s, {cpu / megapixels:.3f} s/Mpx")
    click.echo(f"bare network     {bare:.1f} s, {bare / megapixels:.3f} s/Mpx")
    click.echo(f"ratio            {seconds / bare:.2f}")
    click.echo(f"peak RSS         {scan.run.peak_mb:.0f} MB")


def scanned(
    scene: Path,
    model: str | None,
    threads: int | None = None,
    *,
    cwd: Path | None = None,
    **limits: Any,
) -> Scan:
    """A scan in a process of its own, its outputs in ``cwd``, or in a folder that does not stay."""
    with tempfile.TemporaryDirectory(dir=folder()) as passing:
        done = run(scan_command(scene, model, threads), cwd or Path(passing), **limits)
    return Scan(done, json.loads(done.out) if done.code == 0 else {})


def scan_command(
    scene: Path, model: str | None, threads: int | None = None, *more: object
) -> list[str]:
    """The command of a scan into polygons and both maps, that prints its run record."""
    chosen = [] if model is None else ["-m", Path(model).resolve()]
    if threads is not None:
        chosen += ["--threads", threads]
    return geodeforest("scan", scene.resolve(), *OUTPUTS, *chosen, *more, "--json", "-q")


def chip_count(record: dict[str, Any]) -> int:
    """How many chips the scan ran."""
    from geodeforest.core.grid import ChipGrid

    scene, options = record["scene"], record["options"]
    return len(ChipGrid(scene["height"], scene["width"], options["chip"], options["overlap"]))


def bare_seconds(model: str | None, chips: int, side: int, threads: int | None = None) -> float:
    """ONNX Runtime alone on so many chips."""
    words = [] if model is None else ["--model", model]
    words += ["--chips", min(chips, MOST_CHIPS), "--side", side]
    words += ["--threads", threads or os.cpu_count()]
    done = run([sys.executable, Path(__file__).with_name("bare.py"), *words])
    return json.loads(done.out)["seconds_per_chip"] * chips


if __name__ == "__main__":
    main()
