"""Draws the pictures of the documentation: each shows what the program really found.

    python docs/make_pictures.py

Needs matplotlib. Knows only the public names of geodeforest and the sample scenes.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import rasterio
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image
from rasterio.plot import plotting_extent

import geodeforest as gd

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "data" / "sample"
CONFIDENCE = {"low": "#ffe08a", "medium": "#ff9d3c", "high": "#ff2d2d"}


def draw_scene(axes: Axes, path: Path) -> None:
    """True colour, brightened for the eye alone."""
    with rasterio.open(path) as scene:
        bands = [scene.descriptions.index(name) + 1 for name in ("B04", "B03", "B02")]
        colours = scene.read(bands).astype(float)
        extent = plotting_extent(scene)
    axes.imshow((colours / 1900).clip(0, 1).transpose(1, 2, 0) ** 0.8, extent=extent)
    axes.set_axis_off()


def draw_polygons(axes: Axes, path: Path, min_area: float) -> None:
    """Outlines of what ``scan`` reports, in the colour of their confidence."""
    draw_scene(axes, path)
    polygons = gd.scan(path, min_area=min_area).polygons
    for name, colour in CONFIDENCE.items():
        chosen = polygons[polygons["confidence"] == name]
        if not chosen.empty:
            look = {"facecolor": colour + "38", "edgecolor": colour, "linewidth": 1.3}
            chosen.plot(ax=axes, aspect=None, **look)


def picture(name: str, scene: Path, min_area: float) -> None:
    """The scene on the left, the same with polygons over it on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5), dpi=110)
    draw_scene(left, scene)
    draw_polygons(right, scene, min_area)
    figure.subplots_adjust(0, 0, 1, 1, wspace=0.02)
    path = HERE / "pictures" / f"{name}.png"
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


def main() -> None:
    """Draw all of them."""
    mpl.use("Agg")
    np.seterr(all="raise", under="ignore")
    picture("hills", SAMPLE / "hills.tif", min_area=0.5)
    picture("romania", SAMPLE / "romania_2019-07-06.tif", min_area=0)


if __name__ == "__main__":
    main()
