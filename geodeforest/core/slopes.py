"""Stairs of pixels become slopes, and no area changes: corners are cut half a pixel each way.

Knows corners of pixels; nothing of distances on the ground. Of each arc as many left turns as
right turns are cut, and each takes or gives an eighth of a pixel. The turns that are too many
stay, those between the longest edges first: they are the likeliest to be corners on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodeforest.core.arrays import Bools, Ints
from geodeforest.core.orders import order_by
from geodeforest.core.rings import Rings, expanded


@dataclass(frozen=True, slots=True)
class Slopes:
    """Rings on the grid of half pixels, with all marks on them (see ``GridVertices``).

    An outline may run through the points that are ``usable``; arcs end where ``is_end``.
    """

    row: Ints
    col: Ints
    usable: Bools
    is_end: Bools
    length: Ints

    @classmethod
    def of(cls, rings: Rings, *, cut: bool) -> Slopes:
        """The slopes of rings; without ``cut`` they run through the pixels' corners as before."""
        corners = _Corners.of(rings)
        is_cut = corners.is_corner & ~corners.sharp() if cut else np.zeros_like(corners.is_corner)
        return corners.marked(is_cut)


@dataclass(frozen=True, slots=True)
class _Corners:
    """The points of closed rings; their turns, positive to one side, and the edges around."""

    rings: Rings
    row: Ints
    col: Ints
    is_corner: Bools
    is_end: Bools
    before: Ints
    after: Ints
    turn: Ints

    @classmethod
    def of(cls, rings: Rings) -> _Corners:
        row, col = rings.points.T
        start, stop = rings.start, np.cumsum(rings.length) - 1
        back, on = np.arange(len(row)) - 1, np.arange(len(row)) + 1
        back[start], on[stop] = stop - 1, start + 1  # the last point is the first again
        (row_in, col_in), (row_out, col_out) = (
            (row - row.take(back), col - col.take(back)),
            (row.take(on) - row, col.take(on) - col),
        )
        return cls(
            rings,
            row,
            col,
            ~rings.is_node,
            rings.is_end,
            before=abs(row_in) + abs(col_in),
            after=abs(row_out) + abs(col_out),
            turn=np.sign(row_in * col_out - col_in * row_out),
        )

    def sharp(self) -> Bools:
        """The corners that stay."""
        stop = np.cumsum(self.rings.length) - 1
        counted = self.is_corner.copy()
        counted[stop] = False
        arc = np.cumsum(self.is_end)
        surplus = np.zeros(arc[-1] + 1, np.int64)
        np.add.at(surplus, arc.compress(counted), self.turn.compress(counted))
        rivals = np.flatnonzero(counted & (self.turn * surplus.take(arc) > 0))
        sides = self.before.take(rivals), self.after.take(rivals)
        near, far = np.minimum(*sides), np.maximum(*sides)
        longest = far.max(initial=0)
        # A ring without a node begins at a corner, and so has to keep it.
        arc_of = arc.take(rivals) << 1 | ~self.is_end.take(rivals)
        place = self.col.take(rivals), self.row.take(rivals)
        rivals = rivals.take(order_by(*place, longest - far, longest - near, arc_of))
        _, rank = expanded(np.diff(np.flatnonzero(np.diff(arc[rivals], prepend=-1, append=-1))))
        stays = np.zeros(len(arc), bool)
        stays[rivals[rank < abs(surplus[arc[rivals]])]] = True
        stays[stop] = stays[self.rings.start]
        return stays

    def marked(self, is_cut: Bools) -> Slopes:
        """With the marks beside each corner, of which those beside a cut are usable."""
        begins, ends = self.is_corner[:-1].copy(), self.is_corner[1:].copy()
        between = (np.cumsum(self.rings.length) - 1)[:-1]  # no edge leads from ring to ring
        begins[between] = ends[between] = False
        single = begins & ends & (self.after[:-1] == 1)
        count = begins.astype(np.int64) + ends - single
        place = np.arange(len(self.row)) + np.concatenate([[0], np.cumsum(count)])
        from_begin, to_end = np.flatnonzero(begins), np.flatnonzero(ends & ~single)
        at = np.concatenate([place.take(from_begin) + 1, place.take(to_end + 1) - 1])
        row, col = (
            _with_halves(values, place, at, from_begin, to_end) for values in (self.row, self.col)
        )
        usable, is_end = np.zeros(len(row), bool), np.zeros(len(row), bool)
        usable[place], is_end[place] = ~is_cut, self.is_end
        usable[at] = np.concatenate(
            [is_cut[from_begin] | (is_cut[from_begin + 1] & single[from_begin]), is_cut[to_end + 1]]
        )
        more = np.add.reduceat(np.append(count, 0), self.rings.start)
        return Slopes(row, col, usable, is_end, self.rings.length + more)


def _with_halves(values: Ints, place: Ints, at: Ints, from_begin: Ints, to_end: Ints) -> Ints:
    """Twice the values at their places, and half a pixel along edges from either end."""
    step = np.sign(np.diff(values))
    marked = np.empty(place[-1] + 1, np.int64)
    marked[place] = 2 * values
    marked[at] = np.concatenate(
        [
            2 * values.take(from_begin) + step.take(from_begin),
            2 * values.take(to_end + 1) - step.take(to_end),
        ]
    )
    return marked
