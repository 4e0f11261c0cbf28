"""Outlines simplified so that neighbours still share their borders, and nothing crosses.

Knows corners of pixels and their distances on the ground; nothing of coordinates or files.

Each arc is simplified by itself (Douglas and Peucker 1973), from the corners of the pixels
alone. A chord may replace a part of an arc only if no other vertex of any outline lies
between the two, or on the chord; by de Berg, van Kreveld and Schirra (1998, Topologically
correct subdivision simplification) the chords then cross neither each other nor themselves,
and every vertex stays on its side. So both neighbours of an arc find the same chords, whenever
either of them is finished.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geodeforest.core.rings import Rings, batches, expanded, with_rings
from geodeforest.core.trace import Region
from geodeforest.core.vertices import Bools, Floats, GridVertices, Ints

# Half a pixel's diagonal is to be reached by stairs of one pixel, whatever the last bit says.
_ROUNDING = 1 + 1e-9


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

    def metres(self, row: Ints, col: Ints) -> tuple[Floats, Floats]:
        """Right-angled coordinates of corners on the ground."""
        across = self.row * math.sqrt(1 - self.turn**2)
        along: Floats = self.row * self.turn * row + self.col * col
        return across * row.astype(np.float64), along


def simplify_outlines(
    regions: Sequence[Region], vertices: GridVertices, metric: PixelMetric, tolerance: float
) -> list[Region]:
    """The regions with outlines simplified by up to ``tolerance`` metres, borders still shared.

    ``vertices`` are those of the tracer that has just returned the regions. No corner of a
    pixel outline lies farther than the tolerance from the outline that replaces it, whose
    corners are some of them. Nodes stay, and an arc that is not straight keeps its farthest
    corner, so no region vanishes. With a tolerance of 0 outlines only get the nodes on them.
    """
    shared: list[Region] = []
    for some in batches(regions):
        rings = Rings.of(some, vertices.nodes, vertices.stride)
        if tolerance > 0:
            rings = rings.only(_Arcs(rings, vertices, metric).kept(tolerance * _ROUNDING))
        shared += with_rings(some, rings.points, rings.length)
    return shared


class _Arcs:
    """The arcs of rings, and which of their points have to stay."""

    def __init__(self, rings: Rings, vertices: GridVertices, metric: PixelMetric) -> None:
        self._rings, self._vertices = rings, vertices
        self._vertex = rings.vertex
        self._row, self._col = np.divmod(rings.vertex, rings.stride)
        self._y, self._x = metric.metres(self._row, self._col)

    def kept(self, tolerance: float) -> Bools:
        """The points that stay. Parts of all arcs are split side by side until they may."""
        kept = self._rings.ends(self._vertices.nodes)
        cut = np.flatnonzero(kept)
        first, last = cut[:-1], cut[1:]
        must = np.ones(len(first), bool)
        first, last, must = _with_inner(first, last, must)
        while len(first):
            far, height = self._farthest(first, last)
            split = must | (height > tolerance)
            asked = np.flatnonzero(~split)
            split[asked] = self._crossed(first[asked], last[asked])
            first, far, last = first[split], far[split], last[split]
            kept[far] = True
            # Both halves of a loop must keep a point, or they would fall on each other.
            loop = self._vertex[first] == self._vertex[last]
            first, last, must = _with_inner(
                np.concatenate([first, far]), np.concatenate([far, last]), np.tile(loop, 2)
            )
        return kept

    def _farthest(self, first: Ints, last: Ints) -> tuple[Ints, Floats]:
        """Of the points between each two, the farthest from their chord, and its distance."""
        chord, step = expanded(last - first - 1)
        inner = first[chord] + 1 + step
        # From the lesser end: the neighbour, who comes the other way, has to find the same.
        back = self._vertex[first] > self._vertex[last]
        a, b = np.where(back, last, first), np.where(back, first, last)
        dx, dy = self._x[b] - self._x[a], self._y[b] - self._y[a]
        square = dx**2 + dy**2
        px, py = self._x[inner] - self._x[a][chord], self._y[inner] - self._y[a][chord]
        along = (px * dx[chord] + py * dy[chord]) / np.where(square > 0, square, 1)[chord]
        along = np.clip(along, 0, 1)
        distance = np.hypot(px - along * dx[chord], py - along * dy[chord])
        begin = np.flatnonzero(step == 0)
        most = np.maximum.reduceat(distance, begin)
        # Of several as far, the one with the least number.
        rivals = np.flatnonzero(distance == most[chord])
        order = np.lexsort((self._vertex[inner[rivals]], chord[rivals]))
        rivals = rivals[order]
        best = rivals[np.flatnonzero(np.diff(chord[rivals], prepend=-1))]
        return inner[best], most

    def _crossed(self, first: Ints, last: Ints) -> Bools:
        """Whether some other vertex lies between chord and arc, or on the chord; or may do so.

        On each grid line all vertices are counted from the leftmost to the rightmost that
        arc and chord reach; more than the arc's own are too many.
        """
        if not len(first):
            return np.empty(0, bool)
        edge_chord, step = expanded(last - first)
        begin, end = first[edge_chord] + step, first[edge_chord] + step + 1
        upper = np.minimum(self._row[begin], self._row[end])
        lower = np.maximum(self._row[begin], self._row[end])
        edges = np.flatnonzero(step == 0)
        top, bottom = np.minimum.reduceat(upper, edges), np.maximum.reduceat(lower, edges)
        # A line is one grid line of one chord.
        chord, line = expanded(bottom - top + 1)
        row, lines = top[chord] + line, np.flatnonzero(line == 0)
        edge, step = expanded(lower - upper + 1)
        at = (lines - top)[edge_chord[edge]] + upper[edge] + step
        west = np.full(len(row), self._rings.stride)
        east = np.full(len(row), -1)
        np.minimum.at(west, at, np.minimum(self._col[begin], self._col[end])[edge])
        np.maximum.at(east, at, np.maximum(self._col[begin], self._col[end])[edge])
        low, high = self._on_chord(first, last, chord, row)
        start = row * self._rings.stride
        west, east = np.minimum(west, low) + start, np.maximum(east, high) + start
        known = self._vertices.all
        count = np.searchsorted(known, east, "right") - np.searchsorted(known, west)
        found: Bools = np.add.reduceat(count, lines) > last - first + 1
        return found

    def _on_chord(self, first: Ints, last: Ints, chord: Ints, row: Ints) -> tuple[Ints, Ints]:
        """The first column not west of a chord on a grid line, and the last one not east of it.

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
            np.where(crosses, start - (-shift // rows), self._rings.stride),
            np.where(crosses, start + shift // rows, -1),
        )


def _with_inner(first: Ints, last: Ints, must: Bools) -> tuple[Ints, Ints, Bools]:
    """Without those between whose points there is none."""
    inner = last - first > 1
    return first[inner], last[inner], must[inner]
