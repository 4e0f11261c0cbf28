"""A scene's stored rows under its chips, each pixel read once.

Knows the order of reading and what neighbouring reads share; nothing of networks or scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from geodeforest.core.grid import ChipRow, Window
from geodeforest.core.options import ScanPlan
from geodeforest.core.pixels import Pixels
from geodeforest.core.ports import SceneSource


@dataclass(frozen=True, slots=True)
class ChipGroup:
    """Neighbouring chips of a row, the first of them by its number, with the pixels under them.

    ``pixels`` begin at the first chip's corner, end with the scene at the latest, and may go on
    below the chips. The bands of each lie side by side in memory.
    """

    row: ChipRow
    first: int
    chips: tuple[Window, ...]
    pixels: Pixels

    def under(self, chip: Window) -> Pixels:
        """The pixels of one of the chips, as views."""
        left = chip.col - self.chips[0].col
        return self.pixels.crop(slice(chip.height), slice(left, left + chip.width))


def read_groups(
    scene: SceneSource, plan: ScanPlan, first: int = 0, stop: int | None = None
) -> Iterator[ChipGroup]:
    """All chips in order with their pixels, from chip row ``first`` up to ``stop``.

    What a group shares with the one above and the one to its left is kept, not read again.
    """
    rows = list(plan.grid.rows())[first:stop]
    kept: dict[int, Pixels] = {}
    for row, below in zip(rows, [*rows[1:], None], strict=True):
        left: Pixels | None = None
        for number in range(0, len(row.chips), plan.together):
            chips = row.chips[number : number + plan.together]
            pixels = _read(scene, plan, chips, kept.pop(number, None), left)
            if below is not None:
                shared = slice(below.top - row.top, None)
                kept[number] = pixels.crop(shared, slice(None)).copy()
            if number + len(chips) < len(row.chips):
                end = row.chips[number + len(chips)].col - chips[0].col
                left = pixels.crop(slice(None), slice(end, None))
            yield ChipGroup(row, number, chips, pixels)


def _read(
    scene: SceneSource,
    plan: ScanPlan,
    chips: tuple[Window, ...],
    above: Pixels | None,
    left: Pixels | None,
) -> Pixels:
    """The pixels under some chips, of which those above and to the left are known."""
    corner, grid = chips[0], plan.grid
    width = chips[-1].col + grid.chip - corner.col
    bottom = corner.row + grid.chip + plan.rows_below
    bottom = -(-bottom // plan.tile_rows) * plan.tile_rows  # so no tile is needed twice
    wanted = Window(corner.row, corner.col, bottom - corner.row, width)
    wanted = wanted.within(grid.height, grid.width)
    rows = 0 if above is None else above.valid.shape[0]
    cols = 0 if left is None else left.valid.shape[1]
    if above is not None and rows == wanted.height:
        return above
    height, width = wanted.height - rows, wanted.width - cols
    missing = Window(wanted.row + rows, wanted.col + cols, height, width)
    fresh = scene.read(missing).bands_last()
    if left is not None:
        fresh = Pixels.joined([left.crop(slice(rows, None), slice(None)), fresh], axis=1)
    return fresh if above is None else Pixels.joined([above, fresh], axis=0)
