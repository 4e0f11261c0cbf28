"""Time and memory of a whole ``geodeforest scan`` against the network's bare arithmetic.

    python benchmarks/scan_speed.py [--side 4096] [--model NAME|DIR]

The scene is the sample ``hills.tif`` mirrored until it has the size asked for, as an 8-bit
true-colour GeoTIFF (deflate, 512 px blocks). The baseline is ONNX Runtime alone on as many
chips that lie in memory, with as many threads. Peak memory is the process's own maximum.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np
import rasterio
from rasterio.windows import Window

from geodeforest.runtime.onnx_predictor import OnnxPredictor
from geodeforest.workflows.load_model import load_model

SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "hills.tif"
BLOCK = 512


@click.command()
@click.option("--side", default=4096, show_default=True, help="Rows and columns of the scene.")
@click.option("--model", default=None, help="Built-in model or model directory.")
@click.option("--threads", default=os.cpu_count(), show_default=True)
def main(side: int, model: str | None, threads: int) -> None:
    """Print seconds per megapixel, peak memory and the ratio to the bare network."""
    with tempfile.TemporaryDirectory() as folder:
        scene = made_scene(Path(folder) / "scene.tif", side)
        seconds, record, peak_mb = scanned(scene, model, threads)
    chips = chip_count(record)
    bare = bare_seconds(model, chips, record["options"]["chip"], threads)
    megapixels = side * side / 1e6
    click.echo(f"scene            {side} x {side} px, {megapixels:.1f} Mpx, {threads} threads")
    click.echo(f"chips            {chips} of {record['options']['chip']} px")
    click.echo(f"polygons         {record['counts']['polygons']}")
    click.echo(f"whole process    {seconds:.1f} s, {seconds / megapixels:.3f} s/Mpx")
    click.echo(f"bare network     {bare:.1f} s, {bare / megapixels:.3f} s/Mpx")
    click.echo(f"ratio            {seconds / bare:.2f}")
    click.echo(f"peak RSS         {peak_mb:.0f} MB")


def made_scene(path: Path, side: int) -> Path:
    """The sample, mirrored in rows and columns until it fills the scene."""
    with rasterio.open(SAMPLE) as sample:
        tile = (sample.read([3, 2, 1]) / 3558 * 255).clip(1, 255).astype(np.uint8)
        profile = {**sample.profile, "count": 3, "dtype": "uint8", "height": side, "width": side}
    pair = np.concatenate([tile, tile[:, :, ::-1]], axis=2)
    pattern = np.concatenate([pair, pair[:, ::-1]], axis=1)
    height, width = pattern.shape[1:]
    columns = np.arange(side) % width
    profile |= {"blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate"}
    with rasterio.open(path, "w", **profile) as scene:
        for top in range(0, side, BLOCK):
            rows = np.arange(top, min(top + BLOCK, side)) % height
            scene.write(pattern[:, rows][:, :, columns], window=Window(0, top, side, len(rows)))
    return path


def scanned(scene: Path, model: str | None, threads: int) -> tuple[float, dict, float]:
    """Seconds, run record and peak MB of the command in a process of its own."""
    outputs = ["-o", "p.geojson", "--classes", "c.tif", "--scores", "x.tif"]
    chosen = [] if model is None else ["-m", str(Path(model).resolve())]
    command = [sys.executable, "-m", "geodeforest", "scan", str(scene), *outputs, *chosen]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--json", "-q", "--threads", str(threads)],
        cwd=scene.parent,
        capture_output=True,
        check=True,
        text=True,
    )
    seconds = time.perf_counter() - started
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return seconds, json.loads(done.stdout), peak_kb / 1024


def chip_count(record: dict) -> int:
    """How many chips the scan ran."""
    from geodeforest.core.grid import ChipGrid

    scene, options = record["scene"], record["options"]
    return len(ChipGrid(scene["height"], scene["width"], options["chip"], options["overlap"]))


def bare_seconds(model: str | None, chips: int, side: int, threads: int) -> float:
    """ONNX Runtime alone on random chips, ``threads`` runs side by side."""
    predictor = load_model(model)
    if not isinstance(predictor, OnnxPredictor):
        raise TypeError("the baseline is ONNX Runtime")
    spec = predictor.spec
    chip = np.random.default_rng(0).random((1, side, side, len(spec.bands)), np.float32)
    levels = len(spec.scene_inputs) * len(spec.bands)
    level = np.full((1, levels), 0.1, np.float32) if levels else None
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as workers:
        for _ in workers.map(lambda _: predictor.predict(chip, level), range(chips)):
            pass
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
