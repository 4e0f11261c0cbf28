"""How far a chip's border is felt, and what overlap that asks for.

    python benchmarks/halo.py [--model NAME|DIR] [SCENE...]

Each scene is mirrored to three times its size, so that borders of chips lie in its midst.
Then three measurements:

* what a chip's scores are off by, and how many of its class pixels differ, by distance from
  its border, against one pass over the whole plane;
* how far a pixel is felt: a block of 2 x 2 px is changed, and the scores around it are
  compared (the effective receptive field; Luo et al. 2016, arXiv 1701.04128);
* the share of class pixels of a scan that differ from one pass, and the cost, by overlap.

Without SCENE the samples of the repository are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import rasterio
from numpy.typing import NDArray

import geodeforest as gd
from geodeforest.core.grid import ChipGrid
from geodeforest.core.ports import Predictor

SAMPLES = Path(__file__).parents[1] / "data" / "sample"
OVERLAPS = (0, 32, 64, 96, 128, 160, 192)
DISTANCES = (0, 2, 4, 8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 128)
SIDE = 1536


@dataclass(frozen=True)
class Plane:
    """A mirrored scene: stored numbers, the same in 0..1, and the scene inputs."""

    raster: gd.Raster
    image: NDArray[np.float32]
    level: NDArray[np.float32] | None


@click.command()
@click.option("--model", default=None, help="Built-in model or model directory.")
@click.argument("scenes", nargs=-1, type=click.Path(path_type=Path))
def main(model: str | None, scenes: tuple[Path, ...]) -> None:
    """Print the three tables."""
    predictor = gd.load_model(model)
    planes = [plane(path, predictor) for path in scenes or sorted(SAMPLES.glob("*.tif"))]
    click.echo(f"{len(planes)} scenes, mirrored to {SIDE} x {SIDE} px\n")
    for table in (border_table, field_table, overlap_table):
        for line in table(planes, predictor):
            click.echo(line)
        click.echo()


def plane(path: Path, predictor: Predictor) -> Plane:
    """The scene mirrored to ``SIDE``, read as a scan reads it."""
    with rasterio.open(path) as file:
        bands = [3, 2, 1] if file.count > 3 else [1, 2, 3]
        stored, transform, crs = file.read(bands), file.transform, file.crs
    after = [(0, SIDE - side) for side in stored.shape[1:]]
    stored = np.pad(stored, [(0, 0), *after], mode="symmetric")
    raster = gd.Raster(stored, transform, crs)
    options = scanned(raster, predictor, SIDE, 0).record["options"]
    low, high = (np.reshape(end, (-1, 1, 1)) for end in options["scale"])
    image = ((stored - low) / (high - low)).astype(np.float32).transpose(1, 2, 0)
    level = options["scene_level"]
    flat = None if level is None else np.float32(level).reshape(1, -1)
    return Plane(raster, np.ascontiguousarray(image), flat)


def scanned(raster: gd.Raster, predictor: Predictor, chip: int, overlap: int) -> gd.ScanReport:
    """A scan with its class map, whatever memory that takes; pixels are not resampled."""
    return gd.scan(
        raster, model=predictor, chip=chip, overlap=overlap, classes=True, memory=16_000,
        resample=False, threads=1,
    )  # fmt: skip


def score(plane: Plane, predictor: Predictor, rows: slice, cols: slice) -> NDArray[np.float32]:
    """Deforestation scores of a part of the plane that the network sees alone."""
    chip = np.clip(plane.image[rows, cols], 0, 1)[np.newaxis]
    return predictor.predict(chip, plane.level)[0, ..., predictor.spec.deforestation]


def border_table(planes: Sequence[Plane], predictor: Predictor) -> Iterable[str]:
    """Scores and classes of chips against one pass, by distance from the chip's border."""
    chip = predictor.spec.chip
    line = np.minimum(np.arange(chip), chip - 1 - np.arange(chip))
    distance = np.minimum.outer(line, line)
    off, turned = np.zeros((2, chip // 2)), np.zeros(chip // 2)
    part = slice((SIDE - chip) // 2, (SIDE + chip) // 2)
    for each in planes:
        whole = score(each, predictor, slice(None), slice(None))[part, part]
        alone = score(each, predictor, part, part)
        error = np.abs(alone - whole)
        np.maximum.at(off[1], distance, error)
        off[0] += np.bincount(distance.ravel(), error.ravel())
        step = predictor.spec.threshold
        turned += np.bincount(distance[(alone >= step) != (whole >= step)], minlength=chip // 2)
    pixels = np.bincount(distance.ravel()) * len(planes)
    yield "px from the border  mean error  greatest  class pixels that differ"
    for first, end in zip(DISTANCES, [*DISTANCES[1:], chip // 2], strict=True):
        ring = slice(first, end)
        count = pixels[ring].sum()
        mean, share = off[0, ring].sum() / count, turned[ring].sum() / count
        yield f"{first:4d} to {end - 1:3d} {mean:20.6f} {off[1, ring].max():9.4f} {share:14.4%}"


def field_table(planes: Sequence[Plane], predictor: Predictor) -> Iterable[str]:
    """How much of the response to a changed block lies within a distance of it."""
    chip, multiple = predictor.spec.chip, predictor.spec.multiple
    reach = chip // 2
    felt = np.zeros(reach)
    across = np.maximum.outer(*[np.abs(np.arange(chip) - reach)] * 2).clip(max=reach - 1)
    for number, each in enumerate(planes):
        shift = number % multiple  # where in the network's own grid the block lies
        part = slice((SIDE - chip) // 2 - shift, (SIDE + chip) // 2 - shift)
        before = score(each, predictor, part, part)
        changed = Plane(each.raster, each.image.copy(), each.level)
        block = changed.image[part, part][reach : reach + 2, reach : reach + 2]
        block[:] = np.where(block > 0.5, block - 0.3, block + 0.3)
        np.maximum.at(felt, across, np.abs(score(changed, predictor, part, part) - before))
    yield "px from a changed block  greatest change of a score"
    for first, end in zip(DISTANCES, [*DISTANCES[1:], reach], strict=True):
        yield f"{first:4d} to {end - 1:3d} {felt[first:end].max():26.6f}"


def overlap_table(planes: Sequence[Plane], predictor: Predictor) -> Iterable[str]:
    """Class pixels that differ from one pass, and the pixels computed, by overlap."""
    chip = predictor.spec.chip
    wholes = [scanned(each.raster, predictor, SIDE, 0).class_map() for each in planes]
    large = 10_980
    yield f"overlap  class pixels that differ  computed per pixel of {large} x {large}"
    for overlap in OVERLAPS:
        differ = [
            (scanned(each.raster, predictor, chip, overlap).class_map() != whole).mean()
            for each, whole in zip(planes, wholes, strict=True)
        ]
        cost = len(ChipGrid(large, large, chip, overlap)) * chip**2 / large**2
        yield f"{overlap:7d} {np.mean(differ):25.4%} {cost:20.3f}"


if __name__ == "__main__":
    main()
