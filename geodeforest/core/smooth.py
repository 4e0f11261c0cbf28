"""Outlines with their corners cut, by shares that leave every area as it is.

Knows corners of pixels; nothing of distances on the ground. After Chaikin (1974), with
shares that balance: of an arc's left and right turns those that would lose less are cut in
full, the others so much that both lose the same. Cuts reach no farther than half a pixel, so
outlines do not come to lie on each other; and both neighbours of an arc find the same points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geodeforest.core.arrays import Bools, Floats, Ints
from geodeforest.core.rings import Rings, batches, with_rings
from geodeforest.core.trace import Region
from geodeforest.core.vertices import GridVertices

PASSES = ((1 / 2, 1 / 2), (1 / 4, 2**0.5 / 8))
"""How far a cut reaches in each pass: a share of the edge, and at most so many pixels."""

# Areas are summed in these parts of a pixel: whole numbers add up to the same in any order.
_PARTS = 2**40


def smooth_outlines(regions: Sequence[Region], vertices: GridVertices) -> list[Region]:
    """The regions with rounded outlines; areas, nodes and shared borders stay.

    ``vertices`` are those of the tracer that has just returned the regions. An arc that
    only turns one way, like a rectangle, cannot give back what a cut takes, and stays.
    """
    smooth: list[Region] = []
    for some in batches(regions):
        outlines = _Outlines.of(Rings.of(some, vertices.nodes, vertices.stride))
        for share, reach in PASSES:
            outlines = outlines.cut(share, reach)
        smooth += with_rings(some, *outlines.closed())
    return smooth


@dataclass(frozen=True, slots=True)
class _Outlines:
    """Points (n, 2) of open rings, one after the other; the ring of each; which are nodes."""

    points: Floats
    ring: Ints
    fixed: Bools

    @classmethod
    def of(cls, rings: Rings) -> _Outlines:
        is_open = np.ones(len(rings.vertex), bool)
        is_open[rings.start] = False  # the last point stands for both
        ring = np.arange(len(rings.length)).repeat(rings.length - 1)
        return cls(rings.points[is_open].astype(np.float64), ring, rings.is_node[is_open])

    def closed(self) -> tuple[Floats, Ints]:
        """Closed rings, and their lengths."""
        last = np.flatnonzero(np.diff(self.ring, append=-1))
        first = np.concatenate([[0], last[:-1] + 1])
        return np.insert(self.points, last + 1, self.points[first], axis=0), last - first + 2

    def cut(self, share: float, reach: float) -> _Outlines:
        """With two points in place of every corner that is no node."""
        back, on = self._edges()
        back, on = (_shortened(edge, share, reach) for edge in (back, on))
        turn = back[:, 1] * on[:, 0] - back[:, 0] * on[:, 1]
        part = self._balance(turn)[:, np.newaxis]
        both = np.stack([self.points + part * back, self.points + part * on], axis=1)
        cut = _Outlines(both.reshape(-1, 2), self.ring.repeat(2), self.fixed.repeat(2))
        return cut._without_repeats()

    def _edges(self) -> tuple[Floats, Floats]:
        """From each point to the one before it, and to the one after it, around the rings."""
        last = np.flatnonzero(np.diff(self.ring, append=-1))
        first = np.concatenate([[0], last[:-1] + 1])
        before, after = np.arange(-1, len(self.ring) - 1), np.arange(1, len(self.ring) + 1)
        before[first], after[last] = last, first
        return self.points[before] - self.points, self.points[after] - self.points

    def _balance(self, turn: Floats) -> Floats:
        """The part of its full reach to which each point is cut."""
        starts = self.fixed.copy()
        starts[np.flatnonzero(np.diff(self.ring, prepend=-1))] = True
        arc = np.cumsum(starts) - 1
        loss = np.where(self.fixed, 0, np.rint(np.abs(turn) * _PARTS)).astype(np.int64)
        left, right = np.zeros(arc[-1] + 1, np.int64), np.zeros(arc[-1] + 1, np.int64)
        np.add.at(left, arc[turn > 0], loss[turn > 0])
        np.add.at(right, arc[turn < 0], loss[turn < 0])
        less = np.sqrt(np.minimum(left, right) / np.maximum(np.maximum(left, right), 1))
        greater = np.where(turn > 0, left[arc] > right[arc], right[arc] > left[arc])
        part: Floats = np.where(self.fixed | (turn == 0), 0, np.where(greater, less[arc], 1))
        return part

    def _without_repeats(self) -> _Outlines:
        same = np.zeros(len(self.ring), bool)
        same[1:] = (self.points[1:] == self.points[:-1]).all(axis=1) & (np.diff(self.ring) == 0)
        last = np.flatnonzero(np.diff(self.ring, append=-1))
        first = np.concatenate([[0], last[:-1] + 1])
        same[first] = (self.points[first] == self.points[last]).all(axis=1)
        return _Outlines(self.points[~same], self.ring[~same], self.fixed[~same])


def _shortened(edge: Floats, share: float, reach: float) -> Floats:
    """The beginnings of edges: a share of each, and no longer than ``reach``."""
    length = np.hypot(edge[:, 0], edge[:, 1])
    shortened: Floats = edge * np.minimum(share, reach / length)[:, np.newaxis]
    return shortened
