"""Scenes to measure with, the same on every machine. Knows rasters; measures nothing.

Forest with clearings by fractal noise, in the colours that the built-in model finds in the sample
``hills.tif``; 8-bit red, green and blue in deflated tiles, as true-colour scenes come. What was
made is kept in a folder, and made once.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

BLOCK = 512
PERIOD = 2048
"""Pixels after which the pattern repeats; it meets itself without a step."""

FOREST, CLEARING = (25.6, 34.6, 21.7), (76.9, 58.4, 41.8)
"""Mean 8-bit red, green and blue of both classes in the sample."""

FOREST_SPREAD, CLEARING_SPREAD = (4.9, 4.6, 3.2), (20.0, 12.0, 9.0)

CLEARED_SHARE = 0.25


def folder() -> Path:
    """Where scenes, models and results are kept between runs."""
    named = os.environ.get("GEODEFOREST_BENCHMARKS")
    kept = Path(named) if named else Path(tempfile.gettempdir()) / "geodeforest-benchmarks"
    kept.mkdir(parents=True, exist_ok=True)
    return kept


def forest(height: int, width: int) -> Path:
    """A scene of so many rows and columns with clearings everywhere."""

    def write(path: Path) -> None:
        with rasterio.open(path, "w", **_profile(height, width)) as scene:
            for top in range(0, height, BLOCK):
                rows = min(BLOCK, height - top)
                scene.write(_rows(top, rows, width), window=Window(0, top, width, rows))

    return _once(f"forest-{height}x{width}.tif", write)


def forest_pieces(count: int, across: int) -> list[Path]:
    """A forest cut into scenes of one block each, from left to right, then down."""
    home = folder() / f"pieces-{count}-{across}"
    paths = [home / f"scene{number:03}.tif" for number in range(count)]
    if not all(path.exists() for path in paths):
        home.mkdir(exist_ok=True)
        for number, path in enumerate(paths):
            row, col = (BLOCK * place for place in divmod(number, across))
            profile = _profile(BLOCK, BLOCK)
            profile["transform"] @= rasterio.Affine.translation(col, row)
            with rasterio.open(path, "w", **profile) as scene:
                scene.write(_rows(row, BLOCK, BLOCK, col))
    return paths


def sparse(side: int) -> Path:
    """A square of nodata, of which the file holds no block but one of forest in the middle."""

    def write(path: Path) -> None:
        profile = _profile(side, side) | {"nodata": 0, "SPARSE_OK": True, "BIGTIFF": "YES"}
        middle = side // 2 // BLOCK * BLOCK
        with rasterio.open(path, "w", **profile) as scene:
            scene.write(_rows(0, BLOCK, BLOCK), window=Window(middle, middle, BLOCK, BLOCK))

    return _once(f"sparse-{side}.tif", write)


def _once(name: str, write: Any) -> Path:
    path = folder() / name
    if not path.exists():
        part = path.with_name(f"part-{name}")
        write(part)
        part.replace(path)
    return path


def _profile(height: int, width: int) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:32721",
        "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 9.4e6),
        "photometric": "RGB",
        "interleave": "pixel",
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "deflate",
    }


def _rows(top: int, rows: int, width: int, left: int = 0) -> NDArray[np.uint8]:
    """Some rows of the endless pattern, (bands, rows, cols)."""
    pattern = _pattern()
    down = np.arange(top, top + rows) % PERIOD
    across = np.arange(left, left + width) % PERIOD
    return np.ascontiguousarray(pattern[:, down][:, :, across])


@cache
def _pattern() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    relief = _fractal(rng, 2.0)
    edge = np.quantile(relief, 1 - CLEARED_SHARE)
    cleared = 1 / (1 + np.exp(-(relief - edge) / 0.04))  # a border some pixels wide
    shade, patches = _fractal(rng, 0.6), _fractal(rng, 1.2)
    bands = []
    for band in range(3):
        grain = rng.normal(0, 0.5, (PERIOD, PERIOD))
        forest = FOREST[band] + FOREST_SPREAD[band] * (0.8 * shade + grain)
        bare = CLEARING[band] + CLEARING_SPREAD[band] * (0.8 * patches + 0.3 * shade)
        bands.append(forest + cleared * (bare - forest))
    return np.stack(bands).round().clip(1, 255).astype(np.uint8)


def _fractal(rng: np.random.Generator, steepness: float) -> NDArray[np.float64]:
    """Noise whose amplitude falls with the frequency to that power; mean 0, deviation 1."""
    noise = np.fft.rfft2(rng.normal(size=(PERIOD, PERIOD)))
    down, right = np.fft.fftfreq(PERIOD)[:, np.newaxis], np.fft.rfftfreq(PERIOD)[np.newaxis]
    frequency = np.hypot(down, right)
    frequency[0, 0] = 1
    # Nothing is wider than a sixteenth of the pattern, so that every chip shows both classes.
    noise *= (frequency + 16 / PERIOD) ** -steepness
    noise[0, 0] = 0
    made = np.fft.irfft2(noise, s=(PERIOD, PERIOD))
    return made / made.std()
