"""Outlines simplified so that neighbours still share their borders, and nothing crosses.

Knows corners of pixels and their distances on the ground; nothing of coordinates or files.

First stairs become slopes: corners are cut from the middle of the pixel sides, as many that turn
left as turn right, so that no area changes. Then each arc is simplified by itself (Douglas
and Peucker 1973). A chord may replace a part of an arc only if no other vertex of any
outline lies between the two, or on the chord; by de Berg, van Kreveld and Schirra (1998,
Topologically correct subdivision simplification) the chords then cross neither each other nor
themselves, and every vertex stays on its side. All of it follows from the pixels around, so
both neighbours of an arc find the same chords, whenever either of them is finished.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geodeforest.core.arrays import Bools, Floats, Ints
from geodeforest.core.rings import Rings, batches, expanded, with_rings
from geodeforest.core.slopes import Slopes
from geodeforest.core.trace import Region
from geodeforest.core.vertices import GridVertices

# So that chords of just the tolerance are told apart from longer ones by no last bit.
_ROUNDING = 1e-9
# Of half a pixel's diagonal: farther from its chord no point is on it, whatever was rounded.
_NEAR = 1e-3


@dataclass(frozen=True, slots=True)
class PixelMetric:
    """Lengths on the ground, in metres: of a step over one row and over one column.

    ``turn`` is the cosine of the angle between the two, 0 where the grid is not sheared.
    """

    row: float
    col: float
    turn: float = 0.0

    @property
    def half_diagonal(self) -> float:
        """Half the longer diagonal of a pixel."""
        return math.sqrt(self.row**2 + 2 * abs(self.turn) * self.row * self.col + self.col**2) / 2

    @property
    def cut(self) -> float:
        """How deep cuts from the middle of pixel sides go; as far is the centre from a cut."""
        area = self.row * self.col * math.sqrt(1 - self.turn**2)
        return area / self.half_diagonal / 4

    def metres(self, row: Ints, col: Ints) -> tuple[Floats, Floats]:
        """Right-angled coordinates of corners on the ground."""
        across = self.row * math.sqrt(1 - self.turn**2)
        along: Floats = self.row * self.turn * row + self.col * col
        return across * row.astype(np.float64), along


def simplify_outlines(
    regions: Sequence[Region],
    vertices: GridVertices,
    metric: PixelMetric,
    tolerance: float | None = None,
) -> list[Region]:
    """The regions with outlines simplified by up to ``tolerance`` metres, borders still shared.

    ``vertices`` are those of the tracer that has just returned the regions. No corner of a
    pixel outline lies farther than the tolerance from the outline that replaces it. Nodes
    stay, and an arc that is not straight keeps its farthest point, so no region vanishes.
    None means half a pixel's diagonal, and that no pixel's centre changes sides: burnt
    into the grid, the polygons give the same pixels. Under half a diagonal corners are
    dropped, not cut. With 0 outlines only get the nodes on them.
    """
    cut = tolerance is None or tolerance >= metric.half_diagonal * (1 - _ROUNDING)
    if tolerance is None:
        left = metric.cut * (1 - _ROUNDING)
    else:
        left = (tolerance - metric.cut * cut) * (1 + _ROUNDING)
    shared: list[Region] = []
    for some in batches(regions):
        rings = Rings.of(some, vertices.nodes, vertices.stride)
        if tolerance == 0:
            shared += with_rings(some, rings.points, rings.length)
            continue
        slopes = Slopes.of(rings, vertices.nodes, cut=cut)
        kept = _Arcs(slopes, vertices, metric).kept(left)
        length = np.add.reduceat(kept, np.cumsum(slopes.length) - slopes.length, dtype=np.int64)
        points = np.stack([slopes.row[kept], slopes.col[kept]], axis=1) / 2
        shared += with_rings(some, points, length)
    return shared


class _Arcs:
    """The arcs of rings, and which of their points have to stay."""

    def __init__(self, slopes: Slopes, vertices: GridVertices, metric: PixelMetric) -> None:
        self._slopes, self._row, self._col = slopes, slopes.row, slopes.col
        self._marks, self._stride = vertices.marks, vertices.half_stride
        self._mark = slopes.row * self._stride + slopes.col
        y, x = metric.metres(slopes.row, slopes.col)
        self._y, self._x = y / 2, x / 2
        self._near = _NEAR * metric.half_diagonal

    def kept(self, tolerance: float) -> Bools:
        """The points that stay. Parts of all arcs are split side by side until they may."""
        usable = np.flatnonzero(self._slopes.usable)
        kept = self._slopes.is_end.copy()
        cut = np.flatnonzero(kept[usable])
        first, last, must = _with_inner(cut[:-1], cut[1:], np.ones(len(cut) - 1, bool))
        while len(first):
            far, height = self._farthest(usable, first, last)
            split = (must & (height > 0)) | (height > tolerance)
            asked = np.flatnonzero(~split)
            split[asked] = self._crossed(usable[first[asked]], usable[last[asked]])
            first, far, last = first[split], far[split], last[split]
            kept[usable[far]] = True
            # Both halves of a loop must keep a point, or they would fall on each other.
            loop = self._mark[usable[first]] == self._mark[usable[last]]
            first, last, must = _with_inner(
                np.concatenate([first, far]), np.concatenate([far, last]), np.tile(loop, 2)
            )
        return kept

    def _farthest(self, usable: Ints, first: Ints, last: Ints) -> tuple[Ints, Floats]:
        """Of the usable points between each two, the farthest from their chord; how far it is."""
        chord, step = expanded(last - first - 1)
        inner = step + (first + 1)[chord]
        begin = np.flatnonzero(step == 0)
        # From the lesser end: the neighbour, who comes the other way, has to find the same.
        a, b = usable[first], usable[last]
        back = self._mark[a] > self._mark[b]
        a, b = np.where(back, b, a), np.where(back, a, b)
        at = usable[inner]
        distance = self._distance(at, a, b, chord)
        # Points on the chord, told exactly; rounding leaves them very near to it.
        near = np.flatnonzero(distance < self._near)
        of = chord[near]
        distance[near[self._beside(at[near], a[of], b[of]) == 0]] = 0
        most = np.maximum.reduceat(distance, begin)
        # Of several as far, the one with the least number.
        rivals = np.flatnonzero(distance == most[chord])
        rivals = rivals[np.lexsort((self._mark[at[rivals]], chord[rivals]))]
        best = rivals[np.flatnonzero(np.diff(chord[rivals], prepend=-1))]
        return inner[best], most

    def _distance(self, at: Ints, a: Ints, b: Ints, chord: Ints) -> Floats:
        """How far points are from their chords. In place: this is most of simplifying's time."""
        dx, dy = self._x[b] - self._x[a], self._y[b] - self._y[a]
        square = dx**2 + dy**2
        px, py, dx, dy = self._x.take(at), self._y.take(at), dx.take(chord), dy.take(chord)
        px -= self._x[a].take(chord)
        py -= self._y[a].take(chord)
        along = px * dx
        along += py * dy
        along /= np.where(square > 0, square, 1).take(chord)
        np.minimum(np.maximum(along, 0, out=along), 1, out=along)
        dx *= along
        dy *= along
        px -= dx
        py -= dy
        distance: Floats = np.hypot(px, py, out=px)
        return distance

    def _beside(self, at: Ints, a: Ints, b: Ints) -> Ints:
        """Twice the area of the triangles of points and chords; of loops, 1."""
        rows, cols = self._row[b] - self._row[a], self._col[b] - self._col[a]
        area = rows * (self._col[at] - self._col[a]) - cols * (self._row[at] - self._row[a])
        return np.where((rows == 0) & (cols == 0), 1, area)

    def _crossed(self, first: Ints, last: Ints) -> Bools:
        """Whether another mark lies between chord and arc, or on the chord; or may do so.

        On each line of the grid all marks are counted from the westernmost to the easternmost
        point that arc and chord reach; more than the arc's own are too many.
        """
        if not len(first):
            return np.empty(0, bool)
        chord_of, step = expanded(last - first)
        begin, end = first[chord_of] + step, first[chord_of] + step + 1
        upper = np.minimum(self._row[begin], self._row[end])
        lower = np.maximum(self._row[begin], self._row[end])
        edges = np.flatnonzero(step == 0)
        top, bottom = np.minimum.reduceat(upper, edges), np.maximum.reduceat(lower, edges)
        chord, line = expanded(bottom - top + 1)
        row, lines = top[chord] + line, np.flatnonzero(line == 0)
        edge, step = expanded(lower - upper + 1)
        at = (lines - top)[chord_of[edge]] + upper[edge] + step
        west, east = np.full(len(row), self._stride), np.full(len(row), -1)
        np.minimum.at(west, at, np.minimum(self._col[begin], self._col[end])[edge])
        np.maximum.at(east, at, np.maximum(self._col[begin], self._col[end])[edge])
        low, high = self._on_chord(first, last, chord, row)
        west, east = np.minimum(west, low), np.maximum(east, high)
        begin = row * self._stride
        count = np.searchsorted(self._marks, begin + east, "right")
        count -= np.searchsorted(self._marks, begin + west)
        found: Bools = np.add.reduceat(count, lines) > last - first + 1
        return found

    def _on_chord(self, first: Ints, last: Ints, chord: Ints, row: Ints) -> tuple[Ints, Ints]:
        """The first column not west of a chord on a line, and the last one not east of it.

        Where the chord does not come to the line, a pair that changes no range.
        """
        down = self._row[first] <= self._row[last]
        a, b = np.where(down, first, last), np.where(down, last, first)
        rows, cols = self._row[b] - self._row[a], self._col[b] - self._col[a]
        ahead, rows = row - self._row[a][chord], rows[chord]
        crosses = (ahead >= 0) & (ahead <= rows) & (rows > 0)
        shift, rows = ahead * cols[chord], np.maximum(rows, 1)
        start = self._col[a][chord]
        return (
            np.where(crosses, start - (-shift // rows), self._stride),
            np.where(crosses, start + shift // rows, -1),
        )


def _with_inner(first: Ints, last: Ints, must: Bools) -> tuple[Ints, Ints, Bools]:
    """Without those between whose points there is none."""
    inner = last - first > 1
    return first[inner], last[inner], must[inner]
