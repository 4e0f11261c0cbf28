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
from geodeforest.core.crossings import crossed_chords
from geodeforest.core.rings import Rings, batches, with_rings
from geodeforest.core.slopes import Slopes
from geodeforest.core.trace import Region
from geodeforest.core.vertices import GridVertices

# So that chords of just the tolerance are told apart from longer ones by no last bit.
_ROUNDING = 1e-9
# Distances that differ by less are the same, but for the last bits.
_AS_FAR = 1e-12


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
    def area(self) -> float:
        """Square metres of a pixel."""
        return self.col * self._across

    @property
    def cut(self) -> float:
        """How deep cuts from the middle of pixel sides go; as far is the centre from a cut."""
        return self.area / self.half_diagonal / 4

    @property
    def _across(self) -> float:
        """From one line of the grid to the next."""
        return self.row * math.sqrt(1 - self.turn**2)

    def metres(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        """Right-angled coordinates (y, x) on the ground of steps over half pixels."""
        y: Floats = self._across / 2 * row
        x: Floats = self.row * self.turn / 2 * row + self.col / 2 * col
        return y, x

    def along(self, y: Floats, x: Floats) -> tuple[Floats, Floats]:
        """Of a step over half a row and over half a column, the product with metres (y, x)."""
        return self._across / 2 * y + self.row * self.turn / 2 * x, self.col / 2 * x


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
    cut, left = _steps(metric, tolerance)
    shared: list[Region] = []
    for some in batches(regions):
        rings = Rings.of(some, vertices.nodes, vertices.stride)
        if tolerance == 0:
            shared += with_rings(some, rings.points, rings.length)
            continue
        slopes = Slopes.of(rings, cut=cut)
        kept = _Arcs(slopes, vertices, metric).kept(left)
        length = np.add.reduceat(kept, np.cumsum(slopes.length) - slopes.length, dtype=np.int64)
        stay = np.flatnonzero(kept)
        points = np.stack([slopes.row.take(stay), slopes.col.take(stay)], axis=1) / 2
        shared += with_rings(some, points, length)
    return shared


def least_pixels(area_px: float, metric: PixelMetric, tolerance: float | None) -> float:
    """Pixels from which a region's simplified outline may reach an area of so many pixels.

    Slopes change no area, and a chord lies no farther from its arc than what is left of the
    tolerance. Widened by r, a connected shape grows by at most r times its perimeter and
    pi r^2 (Steiner 1840); n connected pixels have up to 2 n + 2 sides.
    """
    _, left = _steps(metric, tolerance)
    side = left * max(metric.row, metric.col) / metric.area
    return (area_px - 2 * side - math.pi * left**2 / metric.area) / (1 + 2 * side)


def _steps(metric: PixelMetric, tolerance: float | None) -> tuple[bool, float]:
    """Whether corners are cut, and how far chords may then be from what is left, in metres."""
    if tolerance is None:
        return True, metric.cut * (1 - _ROUNDING)
    cut = tolerance >= metric.half_diagonal * (1 - _ROUNDING)
    return cut, (tolerance - metric.cut * cut) * (1 + _ROUNDING)


class _Arcs:
    """The arcs of rings, and which of their points have to stay."""

    def __init__(self, slopes: Slopes, vertices: GridVertices, metric: PixelMetric) -> None:
        self._slopes, self._vertices, self._metric = slopes, vertices, metric
        # What lies inside a straight line is never farther from a chord than both of its ends.
        self._bends = _bends(slopes)
        row, col = slopes.row.take(self._bends), slopes.col.take(self._bends)
        self._mark = row * vertices.half_stride + col
        self._row, self._col = row.astype(np.float64), col.astype(np.float64)

    def kept(self, tolerance: float) -> Bools:
        """The points that stay. Parts of all arcs are split side by side until they may."""
        kept = self._slopes.is_end.copy()
        cut = np.flatnonzero(kept[self._bends])
        parts = _Parts.between(cut[:-1], cut[1:], np.ones(len(cut) - 1, bool))
        while len(parts.first):
            near = self._near(parts, tolerance, kept)
            chords = self._bends[near.first], self._bends[near.last]
            parts = near.only(crossed_chords(self._slopes, self._vertices, *chords))
            if len(parts.first):
                parts = self._halves(parts, self._farthest(parts)[0], kept)
        return kept

    def _near(self, parts: _Parts, tolerance: float, kept: Bools) -> _Parts:
        """Parts of parts that are near to their chords.

        Sets in ``kept`` the points where they were split.
        """
        found: list[_Parts] = []
        while len(parts.first):
            far, height = self._farthest(parts)
            split = (parts.must & (height > 0)) | (height > tolerance)
            found.append(parts.only(~split))
            parts = self._halves(parts.only(split), far[split], kept)
        return _Parts.all_of(found)

    def _halves(self, parts: _Parts, far: Ints, kept: Bools) -> _Parts:
        """Parts split at their farthest points, which are set in ``kept``."""
        kept[self._bends.take(far)] = True
        # Both halves of a loop must keep a point, or they would fall on each other.
        loop = self._mark.take(parts.first) == self._mark.take(parts.last)
        return _Parts.between(
            np.concatenate([parts.first, far]),
            np.concatenate([far, parts.last]),
            np.concatenate([loop, loop]),
        )

    def _farthest(self, parts: _Parts) -> tuple[Ints, Floats]:
        """The point of each part that is farthest from its chord; how far it is, in metres."""
        count = parts.last - parts.first - 1
        begin = np.cumsum(count) - count
        inner = np.arange(begin[-1] + count[-1]) + (parts.first + 1 - begin).repeat(count)
        height, unit = self._heights(parts, inner, count)
        most = np.maximum.reduceat(height, begin)
        # Of several as far, the one with the least number.
        rivals = np.flatnonzero(height >= (most * (1 - _AS_FAR)).repeat(count))
        far, begin = inner.take(rivals), np.searchsorted(rivals, begin)
        if len(rivals) > len(most):
            mark = self._mark.take(far)
            least = np.minimum.reduceat(mark, begin)
            far = far[mark == least.repeat(np.diff(begin, append=len(rivals)))]
        return far, most * unit

    def _heights(self, parts: _Parts, inner: Ints, count: Ints) -> tuple[Floats, Floats]:
        """How far points are from their chords, and the unit of each chord in metres.

        In place, as this is most of simplifying's time. Beside a chord it is twice the area of a
        triangle of half pixels: a whole number, so that points as far are exactly as far, and the
        neighbour, who comes the other way, finds the same.
        """
        row_a, col_a = self._row.take(parts.first), self._col.take(parts.first)
        rows, cols = self._row.take(parts.last) - row_a, self._col.take(parts.last) - col_a
        y, x = self._metric.metres(rows, cols)
        length = np.hypot(y, x)
        unit = np.ones_like(length)
        np.divide(self._metric.area / 4, length, out=unit, where=length > 0)
        # A step along the chord, from its middle, for each row and for each column.
        by_row, by_col = self._metric.along(y, x)
        chords = np.array([row_a, col_a, rows, cols, by_row, by_col, length**2 / 2])
        row, col, rows, cols, by_row, by_col, half = chords.repeat(count, axis=1)
        np.subtract(self._row.take(inner), row, out=row)
        np.subtract(self._col.take(inner), col, out=col)
        by_row *= row
        by_row += np.multiply(by_col, col, out=by_col)
        by_row -= half
        beyond = np.flatnonzero(np.abs(by_row, out=by_col) >= half)
        at_end = by_row.take(beyond) > 0
        y, x = self._metric.metres(
            row.take(beyond) - at_end * rows.take(beyond),
            col.take(beyond) - at_end * cols.take(beyond),
        )
        height = np.multiply(row, cols, out=cols)
        height -= np.multiply(col, rows, out=rows)
        np.abs(height, out=height)
        of = np.searchsorted(np.cumsum(count), beyond, "right")
        height[beyond] = np.hypot(y, x) / unit.take(of)
        return height, unit


@dataclass(frozen=True, slots=True)
class _Parts:
    """Parts of arcs, by their ends; whether each must keep a point between, if it is bent."""

    first: Ints
    last: Ints
    must: Bools

    @classmethod
    def between(cls, first: Ints, last: Ints, must: Bools) -> _Parts:
        """Those between whose ends there is a point."""
        return cls(first, last, must).only(last - first > 1)

    @classmethod
    def all_of(cls, some: Sequence[_Parts]) -> _Parts:
        """Parts of several rounds."""
        return cls(
            np.concatenate([parts.first for parts in some]),
            np.concatenate([parts.last for parts in some]),
            np.concatenate([parts.must for parts in some]),
        )

    def only(self, which: Bools) -> _Parts:
        """Some of the parts."""
        at = np.flatnonzero(which)
        return _Parts(self.first.take(at), self.last.take(at), self.must.take(at))


def _bends(slopes: Slopes) -> Ints:
    """The usable points at which outlines turn, and all where arcs end."""
    usable = np.flatnonzero(slopes.usable)
    rows, cols = np.diff(slopes.row.take(usable)), np.diff(slopes.col.take(usable))
    bends = slopes.is_end.take(usable)
    bends[1:-1] |= rows[1:] * cols[:-1] != rows[:-1] * cols[1:]
    return usable[bends]
