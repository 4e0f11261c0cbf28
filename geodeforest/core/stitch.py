"""Overlapping chips become rows of scores, one chip height at a time.

Knows weights and row buffers; nothing of files, classes or thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.grid import ChipRow, Window


def taper(chip: int, overlap: int) -> NDArray[np.float32]:
    """Blending weights of a chip, shape (chip, chip), in 0..1 and never zero.

    The weight rises linearly over the ``overlap`` outer pixels, so that a score counts
    less the nearer it lies to its chip's border, where the network saw less around it.
    Never zero: a pixel that only one chip covers gets that chip's score unchanged.
    """
    ramp = np.minimum(np.arange(chip) + 1, chip - np.arange(chip)) / (overlap + 1)
    line = np.minimum(ramp, 1).astype(np.float32)
    return np.outer(line, line)


@dataclass(frozen=True, slots=True)
class Held:
    """Blended scores that are not final yet: ``mean`` (planes, rows, width) by ``seen`` weights.

    ``seen`` is (rows, width); both float32. The rows follow the last settled one.
    """

    mean: NDArray[np.float32]
    seen: NDArray[np.float32]


class RowStitcher:
    """Weighted mean of overlapping chips, holding one chip height of rows.

    Memory is ``(planes + 1) * chip * width * 4`` bytes, whatever the scene's height. The
    mean is a running one: equal scores come out exactly equal, at borders too.
    """

    def __init__(self, planes: int, chip: int, width: int, overlap: int) -> None:
        self._mean = np.zeros((planes, chip, width), np.float32)
        self._seen = np.zeros((chip, width), np.float32)
        self._taper = taper(chip, overlap)

    def add(self, window: Window, scores: NDArray[np.float32]) -> None:
        """Blend in a chip's scores (planes, chip, chip); what lies beyond the width is cut."""
        cols = slice(window.col, min(window.col + window.width, self._seen.shape[1]))
        wide = cols.stop - cols.start
        weight = self._taper[:, :wide]
        seen, mean = self._seen[:, cols], self._mean[:, :, cols]
        seen += weight
        mean += (scores[:, :, :wide] - mean) * (weight / seen)

    def held(self, row: ChipRow) -> Held:
        """What is left after ``row`` was settled: views, until the next chip is added."""
        kept = self._seen.shape[0] - (row.settled.stop - row.settled.start)
        return Held(self._mean[:, :kept], self._seen[:kept])

    def go_on(self, held: Held) -> None:
        """Begin with what another one, of the same sizes, had left."""
        kept = len(held.seen)
        self._mean[:, :kept], self._seen[:kept] = held.mean, held.seen

    def settle(self, row: ChipRow) -> NDArray[np.float32]:
        """Hand out the rows that are final after ``row``, and make room for the next.

        Shape (planes, settled rows, width); rows that no chip touched are zero.
        """
        done = row.settled.stop - row.settled.start
        settled = self._mean[:, :done].copy()
        for held in (self._mean, self._seen[np.newaxis]):
            held[:, : held.shape[1] - done] = held[:, done:]
            held[:, held.shape[1] - done :] = 0
        return settled
