"""Polygons of a class map: geodeforest against ``rasterio.features.shapes`` and a dissolve.

    python benchmarks/vector_speed.py [--side 10980] [--runs 3]

Both read the same made-up map and write a GeoPackage. The baseline makes shapely polygons of
GDAL's shapes and dissolves them by region, as is usual where a map comes in tiles; it knows
no areas, no scores and no simplification. geodeforest does all of it: statistics, shared borders
simplified, geodesic hectares. Times and peaks are of processes of their own; the peak is what
comes on top of the imports.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import click
import numpy as np
import rasterio

TILE = 549

PEAK = """
import json, sys, time
def peak_kb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
"""

BASELINE = """
import geopandas, numpy, rasterio, rasterio.features, shapely
from shapely.geometry import shape
bare, start = peak_kb(), time.perf_counter()
with rasterio.open(sys.argv[1]) as dataset:
    classes, transform, crs = dataset.read(1), dataset.transform, dataset.crs
found = list(rasterio.features.shapes(classes, classes == 1, transform=transform))
frame = geopandas.GeoDataFrame(
    {"region": range(len(found))}, geometry=[shape(s) for s, _ in found], crs=crs
)
frame = frame.dissolve("region")
frame.to_file(sys.argv[3], driver="GPKG")
print(json.dumps([len(frame), time.perf_counter() - start, peak_kb() - bare]))
"""

OURS = """
from pathlib import Path
import geodeforest.workflows.polygonize_map as work, pyogrio, geopandas
from geodeforest.core.options import VectorOptions
bare, start = peak_kb(), time.perf_counter()
options = VectorOptions(min_area=0, smooth=sys.argv[4] == "smooth")
report = work.polygonize_to(
    Path(sys.argv[1]), [Path(sys.argv[3])], options, only=["1"], scores=Path(sys.argv[2])
)
print(json.dumps([report.polygon_count, time.perf_counter() - start, peak_kb() - bare]))
"""


@click.command()
@click.option("--side", default=10_980, show_default=True, help="Rows and columns of the map.")
@click.option("--runs", default=3, show_default=True, help="The median counts.")
def main(side: int, runs: int) -> None:
    """Print times, peaks and their ratios as JSON."""
    with tempfile.TemporaryDirectory() as scratch:
        maps = write_maps(Path(scratch), side)
        results = {
            "shapes + dissolve": measure(BASELINE, maps, runs, "baseline"),
            "geodeforest": measure(OURS, maps, runs, "default"),
            "geodeforest --smooth": measure(OURS, maps, runs, "smooth"),
        }
    base = results["shapes + dissolve"]
    ratios = {
        name: {key: round(found[key] / base[key], 3) for key in ("seconds", "peak_mb")}
        for name, found in results.items()
    }
    click.echo(json.dumps({"side": side, "results": results, "ratios": ratios}, indent=2))


def measure(code: str, maps: tuple[Path, Path], runs: int, how: str) -> dict[str, float]:
    """The median of some runs in processes of their own."""
    found = []
    for run in range(runs):
        out = maps[0].with_name(f"{how}{run}.gpkg")
        done = subprocess.run(
            [sys.executable, "-c", PEAK + code, *map(str, maps), str(out), how],
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(done.stdout))
        out.unlink()
    count, seconds, kb = (median(column) for column in zip(*found, strict=True))
    return {"polygons": count, "seconds": round(seconds, 2), "peak_mb": round(kb / 1024, 1)}


def write_maps(folder: Path, side: int) -> tuple[Path, Path]:
    """A class map of smooth clearings, about 20,000 in a Sentinel-2 tile, and its scores."""
    rng = np.random.default_rng(0)
    profile = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 1,
        "dtype": "uint8",
        "nodata": 255,
        "crs": "EPSG:32721",
        "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 9.4e6),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
    }
    classes = np.zeros((side, side), np.uint8)
    for row in range(0, side, TILE):
        for col in range(0, side, TILE):
            rows, cols = min(TILE, side - row), min(TILE, side - col)
            classes[row : row + rows, col : col + cols] = clearings(rng)[:rows, :cols]
    scores = np.where(classes == 1, 200, 60).astype(np.uint8)
    paths = folder / "classes.tif", folder / "scores.tif"
    for path, values in zip(paths, (classes, scores), strict=True):
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(values, 1)
    return paths


def clearings(rng: np.random.Generator) -> np.ndarray:
    """A square of smooth noise, cut where it is highest."""
    noise = np.fft.rfft2(rng.normal(size=(TILE, TILE)))
    down, right = np.fft.fftfreq(TILE)[:, np.newaxis], np.fft.rfftfreq(TILE)[np.newaxis]
    smooth = np.fft.irfft2(
        noise * np.exp(-(down**2 + right**2) * 2 * (np.pi * 9) ** 2), s=(TILE, TILE)
    )
    return smooth > 1.35 * smooth.std()


if __name__ == "__main__":
    main()
