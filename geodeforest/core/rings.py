"""Outlines of regions as rings of grid vertices, cut into arcs at the nodes they pass.

Knows corners of pixels; nothing of distances on the ground. An arc is the part of an outline
between two nodes, so it has the same neighbours all along; both of them have the same arc.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Bools, Ints
from geodeforest.core.orders import order_by
from geodeforest.core.trace import Region

_POINTS = 2**18
"""Points worked on at a time, if no region has more: enough to hide numpy's overhead."""


def batches(regions: Sequence[Region]) -> Iterator[Sequence[Region]]:
    """The regions in portions of bounded outline."""
    begin = total = 0
    for i, region in enumerate(regions):
        size = sum(map(len, region.rings))
        if i > begin and total + size > _POINTS:
            yield regions[begin:i]
            begin, total = i, 0
        total += size
    if begin < len(regions):
        yield regions[begin:]


def with_rings(regions: Sequence[Region], points: NDArray[Any], length: Ints) -> list[Region]:
    """The regions with other rings: points (n, 2), one ring after the other, and their lengths."""
    parts = (points[a:b] for a, b in pairwise([0, *np.cumsum(length).tolist()]))
    return [replace(region, rings=tuple(islice(parts, len(region.rings)))) for region in regions]


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
    """Closed rings one after the other: their vertices, which are nodes, and their lengths."""

    vertex: Ints
    is_node: Bools
    length: Ints
    stride: int

    @classmethod
    def of(cls, regions: Sequence[Region], nodes: Ints, stride: int) -> Rings:
        """The outlines of regions, with all nodes on them, from which they begin."""
        outlines = [ring for region in regions for ring in region.rings]
        row, col = np.concatenate(outlines).T
        vertex, length = row * stride + col, np.array([len(ring) for ring in outlines])
        return cls(vertex, _among(vertex, nodes), length, stride)._with_nodes(nodes)._from_nodes()

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
        low, high = np.minimum(begin, end), np.maximum(begin, end)
        upright = (high - low) % self.stride == 0
        longer = high - low > np.where(upright, self.stride, 1)
        longer[(np.cumsum(self.length) - 1)[:-1]] = False  # no edge leads from ring to ring
        flat, tall = np.flatnonzero(longer & ~upright), np.flatnonzero(longer & upright)
        # Along an edge nodes stand side by side if they are ordered by row, or else by column.
        downwards = self._by_column(nodes)
        order = order_by(downwards)
        first, count = np.zeros_like(begin), np.zeros_like(begin)
        first[flat], count[flat] = _inside(nodes, low.take(flat), high.take(flat))
        ends = self._by_column(low.take(tall)), self._by_column(high.take(tall))
        first[tall], count[tall] = _inside(downwards.take(order), *ends)
        first[tall] += len(nodes)
        table = np.concatenate([nodes, nodes.take(order)])
        return self._inserted(table, first, count, end < begin)

    def _by_column(self, vertex: Ints) -> Ints:
        """Numbers that rise down each column, and from column to column."""
        row, col = np.divmod(vertex, self.stride)
        return col << 32 | row

    def _inserted(self, table: Ints, first: Ints, count: Ints, backwards: Bools) -> Rings:
        """With ``count`` entries of ``table`` from ``first`` on after each point but the last."""
        place = np.arange(len(self.vertex)) + np.concatenate([[0], np.cumsum(count)])
        edge, step = expanded(count)
        vertex, is_node = np.empty(place[-1] + 1, np.int64), np.ones(place[-1] + 1, bool)
        vertex[place], is_node[place] = self.vertex, self.is_node
        vertex[place[edge] + 1 + step] = table[
            first[edge] + np.where(backwards[edge], count[edge] - 1 - step, step)
        ]
        more = np.add.reduceat(np.append(count, 0), self.start)
        return Rings(vertex, is_node, self.length + more, self.stride)

    def _from_nodes(self) -> Rings:
        """Turned to begin at their first node; where there is none, at the least vertex still."""
        _, step = expanded(self.length)
        to_node = np.where(self.is_node, step, np.iinfo(np.int64).max)
        turn = np.minimum.reduceat(to_node, self.start) % np.iinfo(np.int64).max
        step += turn.repeat(self.length)
        around = (self.length - 1).repeat(self.length)
        step -= np.where(step >= around, around, 0)
        step += self.start.repeat(self.length)
        return replace(self, vertex=self.vertex.take(step), is_node=self.is_node.take(step))

    @property
    def is_end(self) -> Bools:
        """Where arcs begin and end: nodes, and the first and last points of rings."""
        ends = self.is_node.copy()
        ends[self.start] = ends[np.cumsum(self.length) - 1] = True
        return ends


def expanded(count: Ints) -> tuple[Ints, Ints]:
    """So many numbers from 0 for each entry: the entries' indexes, and the numbers."""
    entry = np.arange(len(count)).repeat(count)
    return entry, np.arange(len(entry)) - (np.cumsum(count) - count).repeat(count)


def _inside(rising: Ints, low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Of ascending numbers, the index of the first one between two, and how many there are."""
    first = np.searchsorted(rising, low, "right")
    return first, np.searchsorted(rising, high) - first


def _among(numbers: Ints, rising: Ints) -> Bools:
    """Which numbers are among ascending ones."""
    if not len(rising):
        return np.zeros(len(numbers), bool)
    at = np.minimum(np.searchsorted(rising, numbers), len(rising) - 1)
    found: Bools = rising.take(at) == numbers
    return found
