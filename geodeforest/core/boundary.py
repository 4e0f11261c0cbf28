"""Boundaries: how much of the outlines that were found lies near true ones, and the reverse.

The boundary F1 of Csurka et al. 2013 (What is a good evaluation measure for semantic
segmentation?, BMVC), with discs as in Perazzi et al. 2016 (CVPR): a boundary pixel is right
where one of the other map lies within a tolerance of so many pixels. Rows pass once, and no
more of them are held than the tolerance asks for.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Bools, Ints
from geodeforest.core.spec import NOT_ASSESSED


class BoundaryCounter:
    """Counts boundary pixels of each class as rows of class indexes pass.

    A boundary pixel has a 4-neighbour of another class; what is 255 (not labelled or not
    assessed) and what lies beyond the rows is no neighbour.
    """

    def __init__(self, classes: int, width: int, tolerance: int) -> None:
        self._tolerance, self._reach = tolerance, tolerance + 1
        self.counts: Ints = np.zeros((classes, 4), np.int64)
        """Per class: true boundary pixels, those with a found one near, and the reverse."""
        self._rows = np.empty((2, 0, width), np.uint8)
        self._done = 0  # rows at the beginning of the held ones that were counted

    def feed(self, truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """Take the next rows (rows, cols); where either is 255, both must be."""
        self._rows = np.concatenate([self._rows, np.stack([truth, found])], axis=1)
        self._count(max(self._done, self._rows.shape[1] - self._reach))
        spare = max(0, self._done - self._reach)
        self._rows, self._done = self._rows[:, spare:], self._done - spare

    def finish(self) -> Ints:
        """Count the last rows; the counts (classes, 4)."""
        self._count(self._rows.shape[1])
        return self.counts

    def _count(self, stop: int) -> None:
        rows = slice(self._done, stop)
        if rows.start == rows.stop:
            return
        for number, counts in enumerate(self.counts):
            real, seen = (boundary(some, number) for some in self._rows)
            for at, (one, other) in enumerate(((real, seen), (seen, real))):
                near = dilated(other, self._tolerance)
                counts[2 * at] += np.count_nonzero(one[rows])
                counts[2 * at + 1] += np.count_nonzero((one & near)[rows])
        self._done = stop


def boundary(classes: NDArray[np.uint8], number: int) -> Bools:
    """The pixels of a class that have a known 4-neighbour of another one."""
    own, known = classes == number, classes != NOT_ASSESSED
    other = known & ~own
    beside = np.zeros_like(own)
    beside[1:] |= other[:-1]
    beside[:-1] |= other[1:]
    beside[:, 1:] |= other[:, :-1]
    beside[:, :-1] |= other[:, 1:]
    edge: Bools = own & beside
    return edge


def dilated(mask: Bools, radius: int) -> Bools:
    """The pixels whose centre lies within ``radius`` pixels of one of the mask's."""
    wide = np.zeros_like(mask)
    rows, cols = mask.shape
    for down in range(-min(radius, rows - 1), min(radius, rows - 1) + 1):
        into, out_of = slice(max(0, down), rows + min(0, down)), slice(max(0, -down), rows - down)
        reach = math.isqrt(radius**2 - down**2)
        wide[into] |= _widened(mask[out_of], min(reach, cols - 1))
    return wide


def _widened(mask: Bools, reach: int) -> Bools:
    """The pixels with one of the mask's in the same row at most ``reach`` away."""
    sums = np.cumsum(np.pad(mask, ((0, 0), (reach + 1, reach))), axis=1, dtype=np.int32)
    wide: Bools = sums[:, 2 * reach + 1 :] > sums[:, : -2 * reach - 1]
    return wide
