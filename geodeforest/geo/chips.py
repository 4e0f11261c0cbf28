"""Georeferenced chips of a scene, in memory and as GeoTIFF files.

Knows windows, pixels and the way a chip's file tells what is not real. Nothing of models:
all data bands, stored numbers as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

from geodeforest.core.grid import ChipGrid, Window
from geodeforest.core.pixels import writable
from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.geo.bands import Band
from geodeforest.geo.files import naming_faults
from geodeforest.geo.opening import GDAL_ERRORS
from geodeforest.geo.profile import shifted
from geodeforest.geo.scene import Scene

_BLOCK_PX = 512


@dataclass(frozen=True, eq=False)
class Chip:
    """A part of a scene with its place on Earth.

    ``values`` has shape (bands, rows, cols) in the scene's dtype, ``valid`` (rows, cols).
    ``window`` lies inside the scene: a chip at the edge of a small scene is smaller.
    """

    window: Window
    values: NDArray[np.generic]
    valid: NDArray[np.bool_]
    transform: Affine
    crs: CRS | None


def read_chips(scene: Scene, chip: int, overlap: int) -> Iterator[Chip]:
    """Yield the chips that cover an open scene, row by row.

    Raises:
        OptionError: chip or overlap make no grid.
        SceneUnreadable: a block is corrupt or cut short.
    """
    profile = scene.profile
    for square in ChipGrid(scene.height, scene.width, chip, overlap):
        window = square.within(scene.height, scene.width)
        pixels = scene.read(window)
        place = shifted(profile.transform, window.row, window.col)
        values, valid = writable(pixels.values), writable(pixels.valid)
        yield Chip(window, values, valid, place, profile.crs)


def write_chip(path: Path, chip: Chip, bands: tuple[Band, ...], tags: Mapping[str, str]) -> None:
    """Write a chip as a GeoTIFF with the names, colours and nodata of its ``bands``.

    Pixels that are not real take the nodata value in all bands; where the bands have no
    common one, an internal mask tells them.

    Raises:
        OutputUnwritable: the disk is full.
    """
    nodata = _common_nodata(bands)
    values = chip.values if nodata is None else _fill(chip.values, chip.valid, nodata)
    mask = None if nodata is not None or chip.valid.all() else chip.valid
    with _writing(path, _layout(chip, values, nodata)) as dataset:
        dataset.update_tags(**tags)
        dataset.colorinterp = [ColorInterp[_colour(band)] for band in bands]
        dataset.descriptions = [band.description for band in bands]
        dataset.write(values)
        if mask is not None:
            dataset.write_mask(mask)


def write_labels(
    path: Path, labels: NDArray[np.uint8], chip: Chip, tags: Mapping[str, str]
) -> None:
    """Write class ids (rows, cols) on a chip's grid, 255 = ignored as nodata.

    Raises:
        OutputUnwritable: the disk is full.
    """
    values = labels[np.newaxis]
    with _writing(path, _layout(chip, values, NOT_ASSESSED)) as dataset:
        dataset.update_tags(**tags)
        dataset.set_band_description(1, "class")
        dataset.write(values)


@contextmanager
def _writing(path: Path, layout: Mapping[str, Any]) -> Iterator[Any]:
    """A dataset that becomes a file once it is whole.

    In memory until then: what a disk did not take when GDAL wrote a tag, a mask or the rest at
    closing would be lost without an error.
    """
    with naming_faults(path, *GDAL_ERRORS), MemoryFile() as memory:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), memory.open(**layout) as dataset:
            yield dataset
        path.write_bytes(memory.getbuffer())


def _layout(chip: Chip, values: NDArray[np.generic], nodata: float | None) -> dict[str, Any]:
    count, height, width = values.shape
    side = min(_BLOCK_PX, -(-max(height, width) // 16) * 16)  # TIFF counts tiles in 16 px
    return {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": values.dtype.name,
        "nodata": nodata,
        "transform": chip.transform,
        "crs": chip.crs,
        "tiled": True,
        "blockxsize": side,
        "blockysize": side,
        "compress": "DEFLATE",
        "predictor": 3 if values.dtype.kind == "f" else 2,
        "BIGTIFF": "IF_SAFER",
        # By itself GDAL makes four bands of bytes red, green, blue and alpha.
        "photometric": "MINISBLACK",
        "alpha": "NO",
    }


def _common_nodata(bands: tuple[Band, ...]) -> float | None:
    # A GeoTIFF has one nodata value for all of its bands.
    values = {str(band.nodata): band.nodata for band in bands}  # as text, NaN equals NaN
    return next(iter(values.values())) if len(values) == 1 else None


def _fill(
    values: NDArray[np.generic], valid: NDArray[np.bool_], nodata: float
) -> NDArray[np.generic]:
    filled = values.copy()
    filled[:, ~valid] = nodata
    return filled


def _colour(band: Band) -> str:
    return "undefined" if band.colour == "palette" else band.colour
