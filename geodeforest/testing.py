"""Fakes for tests: scenes, models and sinks that need no file, no weights and no patience.

Everything here runs on numpy; ``make_scene`` alone loads rasterio, when it is called.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geodeforest.core.grid import Window
from geodeforest.core.pixels import BandScale, Pixels
from geodeforest.core.spec import Architecture, ClassDef, ConfidenceRule, ModelSpec
from geodeforest.core.trace import Region

UTM_21S = "EPSG:32721"
CORNER = (500_000.0, 9_300_000.0)
"""North-west corner of the made scenes: x and y in UTM zone 21 south, in the Amazon."""


def make_scene(
    path: str | os.PathLike[str],
    values: ArrayLike,
    *,
    gsd_m: float = 10,
    crs: Any = UTM_21S,
    nodata: float | None = None,
    valid: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    colours: Sequence[str] | None = None,
    tags: dict[str, str] | None = None,
    **profile: Any,
) -> Path:
    """Write a GeoTIFF of ``values``, shape (bands, rows, cols) or (rows, cols).

    Its north-west corner is ``CORNER``, its pixels are ``gsd_m`` units of the CRS.
    ``valid`` becomes an internal mask, ``names`` the band descriptions, ``colours`` the
    colour interpretation; ``profile`` goes to rasterio (``transform``, ``blockxsize``, ...).
    """
    import rasterio
    from rasterio.enums import ColorInterp

    array = np.asarray(values)
    array = array[np.newaxis] if array.ndim == 2 else array
    count, height, width = array.shape
    west, north = CORNER
    facts: dict[str, Any] = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": array.dtype.name,
        "crs": crs,
        "nodata": nodata,
        "transform": rasterio.Affine(gsd_m, 0, west, 0, -gsd_m, north),
        "photometric": "MINISBLACK",
        "alpha": "NO",
    }
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **{**facts, **profile}) as dataset,
    ):
        dataset.update_tags(**(tags or {}))
        if names is not None:
            dataset.descriptions = tuple(names)
        if colours is not None:
            dataset.colorinterp = [ColorInterp[colour] for colour in colours]
        dataset.write(array)
        if valid is not None:
            dataset.write_mask(np.asarray(valid, bool))
    return Path(path)


class ArraySource:
    """A ``SceneSource`` over an array (bands, rows, cols).

    ``limits`` are those of ``Pixels``: ``outside``, ``failed``, ``before``.
    """

    def __init__(
        self,
        values: NDArray[np.generic],
        valid: NDArray[np.bool_] | None = None,
        **limits: NDArray[Any],
    ) -> None:
        seen = np.ones(values.shape[1:], bool) if valid is None else valid
        self._pixels = Pixels(values, seen, **limits)

    @property
    def height(self) -> int:
        """Rows of the scene."""
        return int(self._pixels.valid.shape[0])

    @property
    def width(self) -> int:
        """Columns of the scene."""
        return int(self._pixels.valid.shape[1])

    def read(self, window: Window) -> Pixels:
        """The stored pixels of a window that lies inside the scene."""
        if window.within(self.height, self.width) != window:
            raise ValueError(f"{window} leaves the scene of {self.height} x {self.width} px")
        return self._pixels.crop(window.rows, window.cols)


def small_spec(
    *, bands: tuple[str, ...] = ("red", "green", "blue"), chip: int = 64, halo: int = 8
) -> ModelSpec:
    """A two-class model that wants 10 m pixels; ``chip`` is a multiple of 4."""
    return ModelSpec(
        name="small",
        version="1",
        bands=bands,
        scale={
            "uint8": BandScale(0, 255),
            "uint16": BandScale(0, 10_000),
            "float32": BandScale(0, 1),
        },
        gsd_m=10.0,
        chip=chip,
        halo=halo,
        classes=(ClassDef(0, "forest", "forest"), ClassDef(1, "deforestation", "deforestation")),
        threshold=0.5,
        confidence=ConfidenceRule(medium=0.6, high=0.8),
        architecture=Architecture(filters=(4, 8, 16)),
        licence="CC0-1.0",
    )


@dataclass(frozen=True)
class ThresholdPredictor:
    """A ``Predictor`` that sees deforestation where the first band is above a number.

    ``above`` is compared with the model's input, which is scaled to 0..1.
    """

    above: float = 0.5
    spec: ModelSpec = field(default_factory=small_spec)

    def predict(
        self, chips: NDArray[np.float32], scene_level: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Scores of 0 and 1, shape (n, rows, cols, 2)."""
        cleared = (chips[..., 0] > self.above).astype(np.float32)
        return np.stack([1 - cleared, cleared], axis=-1)


@dataclass(frozen=True)
class ConstantPredictor:
    """A ``Predictor`` that gives every pixel the same deforestation score."""

    score: float
    spec: ModelSpec = field(default_factory=small_spec)

    def predict(
        self, chips: NDArray[np.float32], scene_level: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """One score everywhere, shape (n, rows, cols, 2)."""
        pair = np.array([1 - self.score, self.score], np.float32)
        return np.broadcast_to(pair, (*chips.shape[:3], 2)).copy()


class ArraySink:
    """A ``RowSink`` that keeps the rows."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.uint8]] = []

    def write(self, rows: NDArray[np.uint8]) -> None:
        """Append rows of shape (rows, cols)."""
        self._parts.append(rows.copy())

    @property
    def array(self) -> NDArray[np.uint8]:
        """All rows so far, shape (rows, cols)."""
        return np.concatenate(self._parts)


class ListSink:
    """A ``RegionSink`` that keeps the regions."""

    def __init__(self) -> None:
        self.regions: list[Region] = []

    def write(self, regions: Sequence[Region]) -> None:
        """Append regions."""
        self.regions.extend(regions)
