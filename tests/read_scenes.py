"""Bands that tell their number, and what is read of a scene or product that was opened."""

import numpy as np
import rasterio
from affine import Affine

from geodeforest.core.grid import Window
from geodeforest.geo.scene import open_scene
from geodeforest.testing import CORNER

RGB = ("red", "green", "blue")
WEST, NORTH = CORNER
PLACE = Affine(10, 0, WEST, 0, -10, NORTH)
EARTH = rasterio.CRS.from_epsg(32721)


def planes(count, rows=6, cols=8, dtype="uint8"):
    """Bands that hold their own number times ten, so that order shows."""
    return np.stack([np.full((rows, cols), 10 * (i + 1)) for i in range(count)]).astype(dtype)


def read_all(scene):
    return scene.read(Window(0, 0, scene.height, scene.width))


def numbers(source, **choice):
    """The first pixel of each band read, over ten."""
    with open_scene(source, **choice) as scene:
        return [int(number) // 10 for number in read_all(scene).values[:, 0, 0]]


def product(source, **choice):
    with open_scene(source, **{"wanted": RGB, **choice}) as scene:
        return scene.profile.product
