"""What a raster's header may claim, checked before anything of its size is held.

A file of 300 bytes can declare 65,535 bands, or a block of 2 GB that any read has to hold
whole. Knows sizes only; nothing of bands' meaning, CRS or pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geodeforest.core.options import OpenRules
from geodeforest.errors import SceneTooLarge, SceneUnreadable

MAX_BANDS = 1000
"""More than any sensor has; GDAL keeps an object for each."""

MAX_BLOCK_BYTES = 2**28
"""A block is decoded whole, and held twice while that lasts."""


def check_header(dataset: Any, path: object, rules: OpenRules) -> None:
    """Refuse a dataset that would not fit, by its header alone.

    Raises:
        SceneUnreadable: it declares more bands or larger blocks than anything real has.
        SceneTooLarge: it has more pixels than the rules allow.
    """
    if dataset.count > MAX_BANDS:
        raise SceneUnreadable(
            path,
            f"its header declares {dataset.count} bands; at most {MAX_BANDS} are read",
            "write those that are needed to a file of their own",
        )
    if dataset.height * dataset.width > rules.max_pixels:
        raise SceneTooLarge(path, dataset.height, dataset.width, rules.max_pixels)
    if (size := _block_bytes(dataset)) > MAX_BLOCK_BYTES:
        raise SceneUnreadable(
            path,
            f"its header declares blocks of {size // 2**20} MB, which are read whole; "
            f"at most {MAX_BLOCK_BYTES // 2**20} MB are",
            "write it in tiles, for example with rio convert FILE OUT.tif --co TILED=YES",
        )


def _block_bytes(dataset: Any) -> int:
    rows, cols = dataset.block_shapes[0]
    # One block holds all bands where they are stored pixel by pixel.
    together = dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL"
    return int(rows * cols * _item_bytes(dataset.dtypes[0]) * (dataset.count if together else 1))


def _item_bytes(dtype: str) -> int:
    # rasterio has names for complex integers that numpy does not know.
    return 16 if dtype.startswith("complex") else np.dtype(dtype).itemsize
