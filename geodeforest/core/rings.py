"""Outlines of regions as rings of grid vertices, cut into arcs at the nodes they pass.

Knows corners of pixels; nothing of distances on the ground. An arc is the part of an outline
between two nodes, so it has the same neighbours all along; both of them have the same arc.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Bools, Ints
from geodeforest.core.trace import Region

_POINTS = 2**18
"""Points worked on at a time, if no region has more: enough to hide numpy's overhead."""


def batches(regions: Sequence[Region]) -> Iterator[Sequence[Region]]:
    """The regions in portions of bounded outline."""
    begin = total = 0
    for i, region in enumerate(regions):
        size = sum(len(ring) for ring in region.rings)
        if i > begin and total + size > _POINTS:
            yield regions[begin:i]
            begin, total = i, 0
        total += size
    if begin < len(regions):
        yield regions[begin:]


def with_rings(regions: Sequence[Region], points: NDArray[Any], length: Ints) -> list[Region]:
    """The regions with other rings: points (n, 2), one ring after the other, and their lengths."""
    parts = (points[a:b] for a, b in pairwise([0, *np.cumsum(length).tolist()]))
    return [replace(region, rings=tuple(next(parts) for _ in region.rings)) for region in regions]


def area_px(regions: Iterable[Region]) -> float:
    """The area inside the rings of all regions together, in pixels."""
    rings = [ring for region in regions for ring in region.rings]
    if not rings:
        return 0.0
    row, col = np.concatenate(rings).T
    twice = row[:-1] * col[1:] - row[1:] * col[:-1]
    twice[np.cumsum([len(ring) for ring in rings])[:-1] - 1] = 0  # from ring to ring
    # Rows run south, so outer rings, counter-clockwise with north up, count as positive.
    return float(twice.sum()) / 2


@dataclass(frozen=True, slots=True)
class Rings:
    """Closed rings one after the other: the numbers of their vertices, and their lengths."""

    vertex: Ints
    length: Ints
    stride: int

    @classmethod
    def of(cls, regions: Sequence[Region], nodes: Ints, stride: int) -> Rings:
        """The outlines of regions, with all nodes on them, from which they begin."""
        outlines = [ring for region in regions for ring in region.rings]
        row, col = np.concatenate(outlines).T
        rings = cls(row * stride + col, np.array([len(ring) for ring in outlines]), stride)
        return rings._with_nodes(nodes)._from_nodes(nodes)

    @property
    def points(self) -> Ints:
        """Rows and columns of all vertices, shape (n, 2)."""
        return np.stack(np.divmod(self.vertex, self.stride), axis=1)

    @property
    def start(self) -> Ints:
        """The index of each ring's first point."""
        return np.cumsum(self.length) - self.length

    def _with_nodes(self, nodes: Ints) -> Rings:
        """With the nodes that lie inside straight edges: neighbours turn or end there."""
        begin, end = self.vertex[:-1], self.vertex[1:]
        upright = (end - begin) % self.stride == 0
        # Nodes by row, then by column: along an edge they stand side by side in one of the two.
        row, col = np.divmod(nodes, self.stride)
        order = np.lexsort((row, col))
        table = np.concatenate([nodes, nodes[order]])
        span = int(max(self.vertex.max(), nodes.max(initial=0))) // self.stride + 1
        sideways = (col * span + row)[order]
        low, high = np.minimum(begin, end), np.maximum(begin, end)
        low, high = (
            np.where(upright, v % self.stride * span + v // self.stride, v) for v in (low, high)
        )
        first, count = np.empty_like(begin), np.empty_like(begin)
        for which, keys, base in ((~upright, nodes, 0), (upright, sideways, len(nodes))):
            edge = np.flatnonzero(which)
            at = np.searchsorted(keys, low.take(edge), "right")
            first[edge], count[edge] = base + at, np.searchsorted(keys, high.take(edge)) - at
        count[(np.cumsum(self.length) - 1)[:-1]] = 0  # no edge leads from ring to ring
        return self._inserted(table, first, count, end < begin)

    def _inserted(self, table: Ints, first: Ints, count: Ints, backwards: Bools) -> Rings:
        """With ``count`` entries of ``table`` from ``first`` on after each point but the last."""
        place = np.arange(len(self.vertex)) + np.concatenate([[0], np.cumsum(count)])
        edge, step = expanded(count)
        vertex = np.empty(place[-1] + 1, np.int64)
        vertex[place] = self.vertex
        vertex[place[edge] + 1 + step] = table[
            first[edge] + np.where(backwards[edge], count[edge] - 1 - step, step)
        ]
        more = np.add.reduceat(np.append(count, 0), self.start)
        return replace(self, vertex=vertex, length=self.length + more)

    def _from_nodes(self, nodes: Ints) -> Rings:
        """Turned to begin at their first node; where there is none, at the least vertex still."""
        _, step = expanded(self.length)
        to_node = np.where(among(self.vertex, nodes), step, np.iinfo(np.int64).max)
        turn = np.minimum.reduceat(to_node, self.start) % np.iinfo(np.int64).max
        step += turn.repeat(self.length)
        around = (self.length - 1).repeat(self.length)
        step -= np.where(step >= around, around, 0)
        step += self.start.repeat(self.length)
        return replace(self, vertex=self.vertex.take(step))

    def ends(self, nodes: Ints) -> Bools:
        """Where arcs begin and end: nodes, and the first and last points of rings."""
        ends = among(self.vertex, nodes)
        ends[self.start] = ends[np.cumsum(self.length) - 1] = True
        return ends


def expanded(count: Ints) -> tuple[Ints, Ints]:
    """So many numbers from 0 for each entry: the entries' indexes, and the numbers."""
    entry = np.arange(len(count)).repeat(count)
    return entry, np.arange(len(entry)) - (np.cumsum(count) - count).repeat(count)


def among(numbers: Ints, rising: Ints) -> Bools:
    """Which numbers are among ascending ones."""
    if not len(rising):
        return np.zeros(len(numbers), bool)
    at = np.minimum(np.searchsorted(rising, numbers), len(rising) - 1)
    found: Bools = rising.take(at) == numbers
    return found
