"""Whether a chord may replace a part of an outline: nothing else may lie between the two.

Knows marks on the grid of half pixels (see ``GridVertices``); nothing of distances.
"""

from __future__ import annotations

import numpy as np

from geodeforest.core.arrays import Bools, Ints
from geodeforest.core.rings import expanded
from geodeforest.core.slopes import Slopes
from geodeforest.core.vertices import GridVertices


def crossed_chords(slopes: Slopes, vertices: GridVertices, first: Ints, last: Ints) -> Bools:
    """Whether another mark lies between a chord and its arc, or on the chord; or may do so.

    Chord and arc lead from point ``first`` to point ``last``, which is another place. On each
    line of the grid all marks are counted from the westernmost to the easternmost point that
    the two reach; more than the arc's own are too many. Most lines need no count: where the
    arc fills that range, there is no room.
    """
    crossed = np.zeros(len(first), bool)
    if not len(first):
        return crossed
    length = last - first + 1
    _, step = expanded(length)
    point, starts = first.repeat(length) + step, np.flatnonzero(step == 0)
    row, col = slopes.row.take(point), slopes.col.take(point)
    top, bottom = np.minimum.reduceat(row, starts), np.maximum.reduceat(row, starts)
    chord_of, down = expanded(bottom - top + 1)
    line = np.flatnonzero(down == 0) - top  # where the lines of each chord would have row 0
    at = line.repeat(length) + row
    low, high = _on_chord(slopes, first, last, chord_of, top.take(chord_of) + down)
    own = np.bincount(at, minlength=len(down))
    filled = own + _unmarked(low, high, (at, row, col), starts)
    np.minimum.at(low, at, col)
    np.maximum.at(high, at, col)
    wide = np.flatnonzero(high - low >= filled)
    begin = (top[chord_of[wide]] + down[wide]) * vertices.half_stride
    count = np.searchsorted(vertices.marks, begin + high[wide], "right")
    count -= np.searchsorted(vertices.marks, begin + low[wide])
    crossed[chord_of[wide[count > own[wide]]]] = True
    return crossed


def _unmarked(low: Ints, high: Ints, path: tuple[Ints, Ints, Ints], starts: Ints) -> Ints:
    """By line, how many points of the grid the arcs run through between their marks.

    ``path`` has lines, rows and columns of the marks, arcs one after the other from ``starts``
    on. Widens the ranges ``low`` to ``high`` of the lines that an arc crosses without a mark.
    """
    at, row, col = path
    rows, cols = np.diff(row), np.diff(col)
    rows[starts[1:] - 1] = cols[starts[1:] - 1] = 0  # no edge leads from arc to arc
    flat, tall = np.flatnonzero(np.abs(cols) > 1), np.flatnonzero(np.abs(rows) > 1)
    edge, step = expanded(np.abs(rows[tall]) - 1)
    upper = tall + (rows[tall] < 0)
    between = at[upper][edge] + 1 + step
    np.minimum.at(low, between, col[tall][edge])
    np.maximum.at(high, between, col[tall][edge])
    count = np.bincount(between, minlength=len(low))
    np.add.at(count, at[flat], np.abs(cols[flat]) - 1)
    return count


def _on_chord(slopes: Slopes, first: Ints, last: Ints, chord: Ints, row: Ints) -> tuple[Ints, Ints]:
    """The first column not west of a chord on a line, and the last one not east of it.

    Where the chord does not come to the line, a pair that changes no range.
    """
    down = slopes.row[first] <= slopes.row[last]
    a, b = np.where(down, first, last), np.where(down, last, first)
    start = slopes.col[a]
    rows, cols = slopes.row[b] - slopes.row[a], slopes.col[b] - start
    ahead, rows_of = row - slopes.row[a].take(chord), rows.take(chord)
    missed = (ahead < 0) | (ahead > rows_of) | (rows_of == 0)
    shift = ahead * cols.take(chord)
    high = shift // np.maximum(rows_of, 1)
    low = high + (high * rows_of != shift)
    from_col = start.take(chord)
    low += from_col
    high += from_col
    low[missed], high[missed] = np.iinfo(np.int64).max, -1
    return low, high
