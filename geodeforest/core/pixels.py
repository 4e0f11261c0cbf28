"""Stored pixels and which of them are real, and their way to the network's input.

Shapes are (bands, rows, cols) on the scene's side and (rows, cols, bands) on the
network's. Nothing here knows where the pixels came from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geodeforest.errors import OptionError


@dataclass(frozen=True, slots=True)
class BandScale:
    """Linear map from stored numbers to model input: ``low`` becomes 0, ``high`` becomes 1."""

    low: float
    high: float

    def __post_init__(self) -> None:
        low, high = float(self.low), float(self.high)
        with np.errstate(over="ignore"):  # in float32, as the scale is used
            finite, span = np.isfinite(np.float32(low)), np.float32(high - low)
        if not (finite and 0 < span < math.inf):
            raise OptionError(
                f"scale {self.low},{self.high}: LOW must be less than HIGH, both finite"
            )

    def __call__(self, stored: NDArray[np.generic]) -> NDArray[np.float32]:
        """Scale and clip to 0..1, in float32."""
        with np.errstate(over="ignore"):  # what is too large for float32 is above HIGH anyway
            above = stored.astype(np.float32) - np.float32(self.low)
        return (above / np.float32(self.high - self.low)).clip(0, 1)


@dataclass(frozen=True, slots=True)
class Pixels:
    """A window's stored values, and which of them are real.

    ``values`` has shape (bands, rows, cols) in the file's dtype. ``valid`` has shape
    (rows, cols) and is False where any band is nodata, masked, transparent or not finite.
    """

    values: NDArray[np.generic]
    valid: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape[1:] != self.valid.shape:
            raise OptionError(
                f"values {self.values.shape} and valid {self.valid.shape} must be "
                "(bands, rows, cols) and (rows, cols)"
            )

    def crop(self, rows: slice, cols: slice) -> Pixels:
        """The pixels of a part, as views."""
        return Pixels(self.values[:, rows, cols], self.valid[rows, cols])


def to_input(pixels: Pixels, scale: BandScale, fill: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale stored pixels to the network's (rows, cols, bands) in 0..1.

    Pixels that are not real become ``fill`` (one value per band), so that what was
    never observed looks like an ordinary pixel of the scene and not like a dark one.
    """
    scaled = np.where(pixels.valid, scale(pixels.values), fill[:, np.newaxis, np.newaxis])
    return np.ascontiguousarray(scaled.transpose(1, 2, 0), np.float32)


def pad_reflect(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Grow (rows, cols, bands) to ``height`` x ``width`` by reflection at the far edges.

    A side of one pixel is repeated, since it has nothing to reflect.
    """
    rows, cols = image.shape[:2]
    return np.pad(image, ((0, height - rows), (0, width - cols), (0, 0)), mode="reflect")
