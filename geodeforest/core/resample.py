"""Pixels of one size become pixels of another, axis by axis, on a grid with the same corner.

Knows arrays, weights and validity; nothing of metres, CRS or files. Along an axis a target
pixel is the mean of the source pixels it covers, weighted by how far it covers each, or, where
it is the smaller one, lies between the two nearest centres (bilinear). A target pixel depends
on its number alone and its terms are added in a fixed order, so any window of the target holds
the same numbers as the whole, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.pixels import Pixels
from geodeforest.errors import OptionError

Floats: TypeAlias = NDArray[Any]  # of 32 or 64 bits, as the source's dtype needs

MOST_LOST = 0.5
"""A target pixel is valid where no more than this share of its weight is on invalid pixels."""

_ROUNDING = 1e-6  # of a share that is summed up in float32


@dataclass(frozen=True, slots=True)
class Taps:
    """Source pixels that target pixels are made of: ``index`` and ``weight`` (targets, taps).

    Weights of a target add up to 1. Some taps may weigh nothing.
    """

    index: NDArray[np.int64]
    weight: NDArray[np.float64]

    @property
    def source(self) -> slice:
        """The range of source pixels they need."""
        return slice(int(self.index.min()), int(self.index.max()) + 1)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of ``source`` pixels, of which ``step`` make one target pixel.

    ``step`` is less than 1 where the target is the finer grid. Target pixels begin at the
    first source pixel; the last one covers half a pixel of source at least.
    """

    source: int
    step: float

    def __post_init__(self) -> None:
        if self.source < 1 or not 0 < self.step < math.inf:
            raise OptionError(f"{self.source} px in steps of {self.step} px cannot be resampled")

    @property
    def target(self) -> int:
        """Target pixels, one at least."""
        return max(1, math.floor(self.source / self.step + 0.5))

    @property
    def is_finer(self) -> bool:
        """Whether source pixels are the smaller ones, so that a target is a mean of several."""
        return self.step > 1

    def taps(self, start: int, stop: int) -> Taps:
        """The sources of the target pixels from ``start`` to before ``stop``."""
        target = np.arange(start, stop, dtype=np.float64)[:, np.newaxis]
        return self._covered(target) if self.is_finer else self._nearest(target)

    def _covered(self, target: NDArray[np.float64]) -> Taps:
        first, last = target * self.step, (target + 1) * self.step
        index = np.floor(first) + np.arange(math.ceil(self.step) + 1.0)
        inside = np.minimum(np.minimum(index + 1, last), self.source) - np.maximum(index, first)
        weight = np.maximum(inside, 0)
        return self._inside(index, weight / weight.sum(axis=1, keepdims=True))

    def _nearest(self, target: NDArray[np.float64]) -> Taps:
        centre = (target + 0.5) * self.step - 0.5
        first = np.floor(centre)
        share = centre - first
        return self._inside(
            np.concatenate([first, first + 1], axis=1), np.concatenate([1 - share, share], axis=1)
        )

    def _inside(self, index: NDArray[np.float64], weight: NDArray[np.float64]) -> Taps:
        # Past the edge the outermost pixel goes on; what weighs nothing asks for no more pixels.
        known = np.where(weight > 0, index, index[:, :1]).clip(0, self.source - 1)
        return Taps(known.astype(np.int64), weight)


def resample(pixels: Pixels, rows: Taps, cols: Taps) -> Pixels:
    """The target pixels of ``rows`` and ``cols`` from the window of source pixels they need.

    Only valid pixels count, and what has any part in a failed one has failed. Integers are
    rounded to the nearest, halves to the even one.
    """
    dtype = pixels.values.dtype
    kind = np.result_type(dtype, np.float32)
    values, lost = pixels.values, None
    if not pixels.valid.all():
        values = np.where(pixels.valid, values, values.dtype.type(0))
        lost = _blend(_blend(~pixels.valid[np.newaxis], rows, 1, kind), cols, 2, kind)[0]
    with np.errstate(over="ignore"):  # becomes infinite, which is invalid
        mean = _blend(_blend(values, rows, 1, kind), cols, 2, kind)
    valid = np.ones(mean.shape[1:], bool)
    if lost is not None:
        valid = lost <= MOST_LOST + _ROUNDING
        mean /= np.where(valid, 1 - lost, 1)
    failed = None
    if pixels.failed is not None:
        touched = _blend(_blend(pixels.failed[np.newaxis], rows, 1, kind), cols, 2, kind)[0]
        failed = touched > 0
        valid &= ~failed
    if dtype.kind == "f":
        valid &= np.isfinite(mean).all(axis=0)
        return Pixels(mean.astype(dtype, copy=False), valid, failed=failed)
    return Pixels(np.rint(mean).astype(dtype), valid, failed=failed)


def _blend(values: NDArray[Any], taps: Taps, axis: int, kind: np.dtype[Any]) -> Floats:
    """Weighted sums along an axis of (bands, rows, cols), tap after tap."""
    index, weight = taps.index.T - taps.source.start, taps.weight.T.astype(kind)
    if axis == 1:
        weight = weight[:, :, np.newaxis]
    total: Floats = values.take(index[0], axis) * weight[0]
    for place, share in zip(index[1:], weight[1:], strict=True):
        if share.any():
            total += values.take(place, axis) * share
    return total
