"""Overlapping chips become scores, chip by chip from north-west to south-east.

Knows weights and what neighbouring chips share; nothing of files, classes or thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.grid import ChipGrid, ChipRow

_STEEPNESS = 12
"""Power of the linear weight: of a chip's outer pixels next to nothing counts. Measured."""

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


@dataclass(frozen=True, slots=True)
class Held:
    """Blended scores that are not final yet: ``mean`` (planes, rows, cols) by ``seen`` weights.

    ``seen`` is (rows, cols); both float32. Where no chip was added both are 0.
    """

    mean: NDArray[np.float32]
    seen: NDArray[np.float32]

    def crop(self, rows: slice, cols: slice) -> Held:
        """A part of it, as views."""
        return Held(self.mean[:, rows, cols], self.seen[rows, cols])

    def blend(self, earlier: Held) -> None:
        """Add, in place, what chips before this one gave for the first of its pixels.

        ``mean += (x - mean) * w / seen``: equal scores stay exactly equal.
        """
        rows, cols = earlier.seen.shape
        mean, weight = self.mean[:, :rows, :cols], self.seen[:rows, :cols]
        seen = weight + earlier.seen
        mean -= earlier.mean
        mean *= weight / seen
        mean += earlier.mean
        weight[...] = seen


@dataclass(frozen=True, slots=True)
class HeldRow:
    """What a chip row leaves to the next: scores that are not final, of some of its chips.

    ``chips`` are their numbers in the row. Of each ``mean`` (planes, rows, cols) and ``seen``
    (rows, cols) hold the columns up to where the next one begins, side by side.
    """

    chips: NDArray[np.int32]
    mean: NDArray[np.float32]
    seen: NDArray[np.float32]


_NONE = np.zeros((0, 0), np.float32)


class RowStitcher:
    """Weighted mean of overlapping chips, which are added in the order of the grid.

    Of a chip row only the rows that the next one shares are held: as a rule
    ``(planes + 1) * overlap * width * 4`` bytes, whatever the scene's height. Nothing is held
    where chips were left out.
    """

    def __init__(self, grid: ChipGrid, planes: int) -> None:
        self._chip, self._width, self._planes = grid.chip, grid.width, planes
        self._taper = taper(grid.chip, grid.overlap)
        # By the number of the chip that begins where they do, up to where the next one begins.
        self._above: dict[int, Held] = {}
        self._below: dict[int, Held] = {}
        self._left: Held | None = None

    def add(
        self, row: ChipRow, number: int, scores: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        """Blend in the scores (planes, chip, chip) of a row's chip; their memory is used.

        Returns the final scores (planes, settled rows, cols), from the chip's left side to where
        the next one begins. A chip without scores is one whose pixels nobody asks for.
        """
        if number == 0:
            self._above, self._below, self._left = self._below, {}, None
        if scores is None:
            self._left = None
            self._above.pop(number, None)
            return None
        wide = min(self._chip, self._width - row.chips[number].col)
        chip = Held(scores[:, :, :wide], self._taper[:, :wide].copy())
        self._blend_earlier(chip, row, number)
        self._above.pop(number, None)
        settled = row.settled.stop - row.settled.start
        final, last = self._cell(row, number), number + 1 == len(row.chips)
        kept = chip.crop(slice(settled, None), slice(final))
        self._below[number] = Held(kept.mean.copy(), kept.seen.copy())
        self._left = None if last else chip.crop(slice(None), slice(final, None))
        return chip.mean[:, :settled, :final]

    def _blend_earlier(self, chip: Held, row: ChipRow, number: int) -> None:
        """Blend in what the chip to the left gave, then what remains of those above."""
        done = 0
        if self._left is not None:
            chip.blend(self._left)
            done = self._left.seen.shape[1]
        wide, first = chip.seen.shape[1], row.chips[number].col
        for other in range(number, len(row.chips)):
            start = row.chips[other].col - first
            if start >= wide:
                break
            above, skipped = self._above.get(other), max(0, done - start)
            if above is not None and skipped < above.seen.shape[1]:
                cols = slice(start + skipped, None)
                part = above.crop(slice(None), slice(skipped, skipped + wide - cols.start))
                chip.crop(slice(None), cols).blend(part)

    def _cell(self, row: ChipRow, number: int) -> int:
        """How many columns of a chip no later chip of its row touches."""
        after = row.chips[number + 1].col if number + 1 < len(row.chips) else self._width
        return after - row.chips[number].col

    def held(self) -> HeldRow:
        """What is left when all chips of a row were added."""
        chips = np.array(sorted(self._below), np.int32)
        parts = [self._below[number] for number in chips.tolist()]
        if not parts:
            return HeldRow(chips, np.zeros((self._planes, 0, 0), np.float32), _NONE)
        mean = np.concatenate([part.mean for part in parts], axis=2)
        return HeldRow(chips, mean, np.concatenate([part.seen for part in parts], axis=1))

    def go_on(self, row: ChipRow, held: HeldRow) -> None:
        """Begin after ``row``, with what another one of the same grid had left."""
        whole, done = Held(held.mean, held.seen), 0
        for number in held.chips.tolist():
            cols = slice(done, done + self._cell(row, number))
            self._below[number] = whole.crop(slice(None), cols)
            done = cols.stop
