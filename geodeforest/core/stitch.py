"""Overlapping chips become scores, chip by chip from north-west to south-east.

Knows weights and what neighbouring chips share; nothing of files, classes or thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.grid import ChipGrid, ChipRow

_STEEPNESS = 12
"""Power of the linear weight: of a chip's outer pixels next to nothing counts. Measured."""

SHARES = 8
"""How many chips' shares are known at a time: those of a grid repeat from row to row."""

_LEAST = 2.0**-56
"""Weight along a line of a chip's outermost pixels, whose square float32 still holds."""


def taper(chip: int, overlap: int) -> NDArray[np.float32]:
    """Blending weights of a chip, shape (chip, chip), in 0..1 and never zero.

    The weight rises with a power of the distance over the ``overlap`` outer pixels, so that a
    score counts less the nearer it lies to its chip's border, where the network saw less
    around it. Never zero: a pixel that only one chip covers gets that chip's score unchanged.
    """
    ramp = np.minimum(np.arange(chip) + 1, chip - np.arange(chip)) / (overlap + 1)
    line = np.clip(ramp**_STEEPNESS, _LEAST, 1).astype(np.float32)
    return np.outer(line, line)


def share(
    weights: NDArray[np.float32], above: tuple[int, ...], beside: tuple[int, ...]
) -> NDArray[np.float32]:
    """What a chip's scores count for in the mean of all chips up to it, by pixel: 0..1.

    ``weights`` (chip, chip) are those of every chip. Chips of earlier rows begin ``above`` pixels
    lower, so a negative number, and those of a row ``beside`` pixels to the right, itself at 0.
    """
    chip, seen = len(weights), np.zeros_like(weights)
    for row in (*above, 0):
        for col in beside:
            if row or col < 0:
                left, right = max(col, 0), chip + min(col, 0)
                seen[: chip + row, left:right] += weights[-row:, left - col : right - col]
    seen += weights
    return weights / seen


@dataclass(frozen=True, slots=True)
class HeldRow:
    """What a chip row leaves to the next: scores that are not final, of some of its chips.

    ``chips`` are their numbers in the row. Of each ``mean`` (planes, rows, cols) holds the
    columns up to where the next one begins, side by side.
    """

    chips: NDArray[np.int32]
    mean: NDArray[np.float32]


class RowStitcher:
    """Weighted mean of overlapping chips, which are added in the order of the grid.

    Of a chip row only the rows that the next one shares are held: as a rule
    ``planes * overlap * width * 4`` bytes, whatever the scene's height. Nothing is held where
    chips were left out. How much a chip counts follows from the grid alone, as if none had been:
    it matters where no such chip lies, and there the chips before it were all added.
    """

    def __init__(self, grid: ChipGrid, planes: int) -> None:
        self._grid, self._planes = grid, planes
        self._share = lru_cache(SHARES)(partial(share, taper(grid.chip, grid.overlap)))
        self._tops: tuple[int, ...] = ()
        # By the number of the chip that begins where they do, up to where the next one begins.
        self._above: dict[int, NDArray[np.float32]] = {}
        self._below: dict[int, NDArray[np.float32]] = {}
        self._left: NDArray[np.float32] | None = None

    def add(
        self, row: ChipRow, number: int, scores: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        """Blend in the scores (planes, chip, chip) of a row's chip; their memory is used.

        Returns the final scores (planes, settled rows, cols), from the chip's left side to where
        the next one begins. A chip without scores is one whose pixels nobody asks for.
        """
        if number == 0:
            self._above, self._below, self._left = self._below, {}, None
            offsets = [top - row.top for top in self._grid.tops()]
            self._tops = tuple(offset for offset in offsets if -self._grid.chip < offset < 0)
        if scores is None:
            self._left = None
            self._above.pop(number, None)
            return None
        mean = scores[:, :, : self._grid.width - row.chips[number].col]
        self._blend_earlier(mean, row, number)
        self._above.pop(number, None)
        settled = row.settled.stop - row.settled.start
        final, last = self._cell(row, number), number + 1 == len(row.chips)
        self._below[number] = mean[:, settled:, :final].copy()
        self._left = None if last else mean[:, :, final:]
        return mean[:, :settled, :final]

    def _blend_earlier(self, mean: NDArray[np.float32], row: ChipRow, number: int) -> None:
        """Blend in what the chip to the left gave, then what remains of those above."""
        weight, done = self._share(self._tops, self._beside(row, number)), 0
        if self._left is not None:
            _blend(mean, self._left, weight)
            done = self._left.shape[2]
        wide, first = mean.shape[2], row.chips[number].col
        for other in range(number, len(row.chips)):
            start = row.chips[other].col - first
            if start >= wide:
                break
            above, skipped = self._above.get(other), max(0, done - start)
            if above is not None and skipped < above.shape[2]:
                at = start + skipped
                part = above[:, :, skipped : skipped + wide - at]
                _blend(mean[:, :, at:], part, weight[:, at:])

    def _beside(self, row: ChipRow, number: int) -> tuple[int, ...]:
        """How far to the right of a chip those of its row begin that share pixels with it."""
        grid, first = self._grid, row.chips[number].col
        near = grid.chip // (grid.chip - grid.overlap) + 1  # one more, as the last is pulled back
        cols = [other.col - first for other in row.chips[max(0, number - near) : number + near + 1]]
        return tuple(col for col in cols if abs(col) < grid.chip)

    def _cell(self, row: ChipRow, number: int) -> int:
        """How many columns of a chip no later chip of its row touches."""
        last = number + 1 == len(row.chips)
        after = self._grid.width if last else row.chips[number + 1].col
        return after - row.chips[number].col

    def held(self) -> HeldRow:
        """What is left when all chips of a row were added."""
        chips = np.array(sorted(self._below), np.int32)
        nothing = np.empty((self._planes, 0, 0), np.float32)
        parts = [self._below[number] for number in chips.tolist()] or [nothing]
        return HeldRow(chips, np.concatenate(parts, axis=2))

    def go_on(self, row: ChipRow, held: HeldRow) -> None:
        """Begin after ``row``, with what another one of the same grid had left."""
        done = 0
        for number in held.chips.tolist():
            end = done + self._cell(row, number)
            self._below[number] = held.mean[:, :, done:end]
            done = end


def _blend(
    mean: NDArray[np.float32], earlier: NDArray[np.float32], weight: NDArray[np.float32]
) -> None:
    """Add, in place, what chips before this one gave for the first of its pixels.

    ``mean = earlier + (mean - earlier) * weight``: equal scores stay exactly equal.
    """
    rows, cols = earlier.shape[1:]
    mean = mean[:, :rows, :cols]
    mean -= earlier
    mean *= weight[:rows, :cols]
    mean += earlier
