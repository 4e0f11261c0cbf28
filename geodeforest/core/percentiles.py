"""Percentiles of samples; of small integers by how often each occurs. Knows arrays only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.pixels import BandScale

_COUNTED = ("uint8", "int8", "uint16", "int16")
"""Counting these takes a tenth of the time of putting them in order."""


class Sample:
    """Stored numbers (bands, pixels), counted once for all percentiles that are asked for."""

    def __init__(self, stored: NDArray[np.generic]) -> None:
        self.stored = stored

    def percentiles(
        self, wanted: Sequence[float], scale: BandScale | None = None
    ) -> NDArray[np.float64]:
        """Percentiles (wanted, bands) of at least one pixel.

        With ``scale`` they are of the scaled numbers. Between two pixels they are interpolated
        linearly, as numpy does by default (Hyndman and Fan 1996, type 7).
        """
        stored = self.stored
        if stored.dtype.name not in _COUNTED:
            values = stored.astype(np.float64) if scale is None else scale(stored)
            found: NDArray[np.float64] = np.percentile(values, wanted, axis=1).astype(np.float64)
            return found
        places = np.asarray(wanted, np.float64) / 100 * (stored.shape[1] - 1)
        below = np.floor(places).astype(np.intp)
        above = np.minimum(below + 1, stored.shape[1] - 1)
        low, high = np.split(self._in_order(np.concatenate([below, above]), scale), 2)
        between: NDArray[np.float64] = low + (high - low) * (places - below)[:, np.newaxis]
        return between

    def _in_order(self, ranks: NDArray[np.intp], scale: BandScale | None) -> NDArray[np.float64]:
        """The numbers (ranks, bands) that stand at ``ranks`` when a band is put in order."""
        bands = [np.searchsorted(upto, ranks, side="right") + least for least, upto in self._counts]
        stored = np.stack(bands).astype(self.stored.dtype)
        # A scale is monotone, so what comes out is in the same order.
        scaled = stored if scale is None else scale(stored)
        found: NDArray[np.float64] = scaled.T.astype(np.float64)
        return found

    @cached_property
    def _counts(self) -> list[tuple[int, NDArray[np.intp]]]:
        """Of each band a number, and how many pixels are no greater than it and those after it."""
        found = []
        for band in self.stored:
            least = min(int(band.min()), 0)
            counts = np.bincount((band.astype(np.int32) - least) if least else band)
            found.append((least, np.cumsum(counts)))
        return found
