"""Class maps on grids of many kinds, and their polygons as rasters again."""

import sqlite3
from contextlib import closing

import numpy as np
from affine import Affine
from rasterio.features import rasterize

import geodeforest as gd
from geodeforest.testing import make_scene

NORTH_UP = Affine(10, 0, 500_000, 0, -10, 9_300_000)
GRIDS = {
    "UTM": (NORTH_UP, "EPSG:32721"),
    "degrees": (Affine(9e-5, 0, -55.3, 0, -9e-5, -6.1), "EPSG:4326"),
    "south-up": (Affine(10, 0, 500_000, 0, 10, 9_300_000), "EPSG:32721"),
    "rotated": (Affine(8, 6, 500_000, 6, -8, 9_300_000), "EPSG:32721"),
    "oblong": (Affine(20, 0, 500_000, 0, -5, 9_300_000), "EPSG:32721"),
}
EDGE_CASES = {
    "antimeridian in degrees": (Affine(9e-5, 0, 179.999, 0, -9e-5, -16.5), "EPSG:4326"),
    "antimeridian in UTM": (Affine(10, 0, 833_750, 0, -10, 100_000), "EPSG:32660"),
    "north pole": (Affine(90, 0, -1_750, 0, -90, 1_630), "EPSG:3413"),
    "south pole": (Affine(90, 0, -1_750, 0, -90, 1_630), "EPSG:3031"),
    "tiny pixels": (Affine(0.02, 0, 500_000, 0, -0.02, 9_300_000), "EPSG:32721"),
}


def patches(seed, shape=(40, 36), count=3):
    """Blocks of classes with noise and some 255."""
    rng = np.random.default_rng(seed)
    classes = np.kron(rng.integers(0, count, (10, 9)), np.ones((4, 4), int)).astype(np.uint8)
    noise = rng.random(classes.shape) < 0.06
    classes[noise] = rng.choice([*range(count), 255], noise.sum())
    return classes[: shape[0], : shape[1]]


def polygonized(classes, grid="UTM", **options):
    return gd.polygonize(classes, *{**GRIDS, **EDGE_CASES}[grid], **{"min_area": 0, **options})


def burnt(frame, classes, grid="UTM", values=None):
    """The polygons as a raster of ids; what no polygon covers is 255."""
    values = frame["class"].astype(int) if values is None else values
    pairs = list(zip(frame.geometry, values, strict=True))
    place = {"out_shape": classes.shape, "transform": GRIDS[grid][0], "fill": 255}
    return rasterize(pairs, **place, dtype="uint8") if pairs else np.full(classes.shape, 255)


def named_map(path, names=("forest", "clearing", "water")):
    tags = {f"CLASS_{number}": name for number, name in enumerate(names)}
    return make_scene(path, patches(7), nodata=255, tags=tags)


def styles(path):
    with closing(sqlite3.connect(path)) as file:
        return dict(file.execute("SELECT f_table_name, styleQML FROM layer_styles"))
