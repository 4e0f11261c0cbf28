"""Rows of class ids become regions with outlines, in one pass from the first row to the last.

Knows pixels, runs and corners; nothing of coordinates, areas or files. Memory follows the
outlines of regions that may still grow, not the height of the scene. North is where the
first row lies, west where the first column lies, wherever that is on Earth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Bools, Codes, Ints
from geodeforest.core.grid import portions
from geodeforest.core.orders import order_by
from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.core.strips import NE, NOTHING, OTHER, SE, STRIP_PX, TARGET, UNKNOWN, Strip, roots
from geodeforest.core.vertices import GridVertices

Table = dict[str, Ints]
Items = TypeVar("Items", Ints, list[Ints])

# The facts of runs and components, and how those of a whole follow from those of its parts.
_MERGE = {
    "code": np.minimum,
    "first": np.minimum,
    "last": np.maximum,
    "pixels": np.add,
    "score_sum": np.add,
    "score_min": np.minimum,
    "unobserved": np.maximum,
}


@dataclass(frozen=True, slots=True)
class Region:
    """Connected pixels of one class (4-connectivity), finished.

    ``first`` is the (row, col) of the westernmost pixel in its northernmost row.
    ``score_sum`` and ``score_min`` are in stored units of 1/250, 0 where no scores were fed.
    ``rings`` are closed arrays (n, 2) of pixel corners as (row, col): the outer ring first,
    then the holes, corners only.
    """

    class_id: int
    first: tuple[int, int]
    pixels: int
    score_sum: int
    score_min: int
    touches_unobserved: bool
    rings: tuple[NDArray[np.int64], ...]


class RegionTracer:
    """Connects pixels of equal target class as rows arrive, and traces their outlines.

    Regions come in the order of their last row, first row and first column, and are the
    same whatever the heights of the rows fed. Seen with north up, outer rings run
    counter-clockwise and holes clockwise; a ring starts at its smallest (row, col), holes
    follow in the order of their starts. No ring meets itself: where two pixels of a region
    touch only diagonally the outline keeps to the background, so that an outer ring and a
    hole, or two holes, share a point.

    A region touches the unobserved where a pixel of it has a 4-neighbour that is not
    assessed, has the id ``outside`` or lies beyond the scene. 255 (not assessed) may be a
    target too.

    ``vertices`` is told of the outlines of all classes. After each call it still knows those
    around the regions that were returned. Regions under ``least_px`` pixels are not outlined,
    but for those of 255; ``dropped`` counts them.
    """

    def __init__(
        self,
        width: int,
        targets: Collection[int],
        vertices: GridVertices | None = None,
        outside: int | None = None,
        least_px: float = 0,
    ) -> None:
        self._stride, self._least_px, self.dropped = width + 1, least_px, 0
        self._codes, self._ids = _codes(targets)
        self._is_unobserved = (self._ids == NOT_ASSESSED) | (self._ids == outside)
        self._row = 0
        self._above: Codes = np.full(width, NOTHING, np.uint16)
        self._open: Table = {name: np.empty(0, np.int64) for name in _MERGE}
        self._open_runs = np.empty(0, np.int64)  # open component of each target run of _above
        self._corners: list[bytearray] = []  # of each open component, int64 each
        self._vertices = vertices

    def feed(
        self, classes: NDArray[np.uint8], scores: NDArray[np.uint8] | None = None
    ) -> list[Region]:
        """Take the next rows, shape (rows, cols); return the regions that can no longer grow."""
        regions: list[Region] = []
        self._forget()
        for rows in portions(len(classes), self._stride, STRIP_PX):
            regions += self._advance(classes[rows], None if scores is None else scores[rows])
        return regions

    def finish(self) -> list[Region]:
        """Return the regions that reach the scene's last row."""
        beyond = np.full((1, self._stride - 1), NOTHING, np.uint16)
        return self._advance(beyond, None, last=True)

    def _forget(self) -> None:
        """Let go of the vertices above all regions that may still grow."""
        if self._vertices is not None:
            first = self._open["first"].min(initial=self._row * self._stride)
            self._vertices.forget_above(int(first // self._stride))

    def _advance(
        self, rows: Codes, scores: NDArray[np.uint8] | None, *, last: bool = False
    ) -> list[Region]:
        """Join a strip of rows to what is open, and let go of what does not reach its end."""
        strip = Strip.of(self._above, rows, self._codes)
        target = np.flatnonzero(strip.code >= TARGET)
        _, seen = np.unique(self._open_runs, return_index=True)
        anchor = target[seen]  # a run of each open component
        component = self._component(strip, target, anchor)
        facts = _merged(
            [self._open, self._facts(strip, target, scores)],
            np.concatenate([component[anchor], component[target]]),
        )
        reaching = component[target[strip.start[target] > len(rows) * self._stride]]
        alive = np.zeros(len(facts["code"]), bool)
        alive[reaching] = True

        passed = self._row * self._stride
        if self._vertices is not None:
            self._vertices.add(strip.outline_vertices(), passed, last=last)
        key, run = strip.corners()
        key += passed << 3
        done = self._exchange(key, component.take(run), component[anchor], alive)
        number = np.cumsum(alive) - 1
        self._open = {name: fact[alive] for name, fact in facts.items()}
        self._open_runs = number[reaching]
        self._above, self._row = rows[-1].copy(), self._row + len(rows)
        return self._regions(facts, np.flatnonzero(~alive), *done)

    def _component(self, strip: Strip, target: Ints, anchor: Ints) -> Ints:
        """The component of each run, numbered from 0; of runs that are no target, nonsense."""
        below, above = strip.around[SE], strip.around[NE]
        code = strip.meeting[SE]
        meet = np.flatnonzero((code == strip.meeting[NE]) & (code >= TARGET))
        root = roots(
            len(strip.code),
            np.concatenate([above.take(meet), anchor[self._open_runs]]),
            np.concatenate([below.take(meet), target[: len(self._open_runs)]]),
        )
        is_root = np.zeros(len(root), bool)
        is_root[root[target]] = True
        return (np.cumsum(is_root) - 1).take(root)

    def _facts(self, strip: Strip, target: Ints, scores: NDArray[np.uint8] | None) -> Table:
        """The facts of target runs. Those of the row above are in the open components already."""
        old = len(self._open_runs)
        start, stop = strip.start[target], strip.start[target + 1]
        position = start - 1 + (self._row - 1) * self._stride
        pixels, score_sum, score_min = stop - start, np.zeros_like(start), np.zeros_like(start)
        pixels[:old], score_min[:old] = 0, np.iinfo(np.uint8).max
        if scores is not None and old < len(target):
            ends = np.stack([start, stop], axis=1)[old:]
            # Scores have neither the row above nor the pixels of nothing between the rows.
            ends -= self._stride + (ends[:, :1] - 1) // self._stride
            begins, flat = ends.ravel()[:-1], scores.ravel()[: ends[-1, 1]]
            score_sum[old:] = np.add.reduceat(flat, begins, dtype=np.int64)[::2]
            score_min[old:] = np.minimum.reduceat(flat, begins)[::2]
        unobserved = strip.near(self._is_unobserved[strip.code])
        return {
            "code": strip.code[target].astype(np.int64),
            "first": position,
            "last": position,
            "pixels": pixels,
            "score_sum": score_sum,
            "score_min": score_min,
            "unobserved": unobserved[target].astype(np.int64),
        }

    def _exchange(self, key: Ints, owner: Ints, was: Ints, alive: Bools) -> tuple[Ints, Ints]:
        """Keep the corners of components that live on; return all those of the others.

        ``was`` is the component that each open one became. Returns keys and owners.
        """
        pool: dict[int, bytearray] = {}
        for component, held in zip(was.tolist(), self._corners, strict=True):
            other = pool.get(component, bytearray())
            longer, shorter = (held, other) if len(held) > len(other) else (other, held)
            longer += shorter
            pool[component] = longer
        stays = alive.take(owner)
        for component, fresh in _groups(owner.compress(stays), key.compress(stays)):
            pool.setdefault(component, bytearray()).extend(fresh.tobytes())
        self._corners = [pool.pop(component) for component in np.flatnonzero(alive).tolist()]
        freed = [np.frombuffer(held, np.int64) for held in pool.values()]
        owners = np.fromiter(pool, np.int64, len(pool))
        return (
            np.concatenate([key.compress(~stays), *freed]),
            np.concatenate([owner.compress(~stays), owners.repeat([len(f) for f in freed])]),
        )

    def _regions(self, facts: Table, which: Ints, key: Ints, owner: Ints) -> list[Region]:
        """The finished components ``which`` as regions, in canonical order."""
        unseen = self._ids[facts["code"][which]] == NOT_ASSESSED
        wanted = which[unseen | (facts["pixels"][which] >= self._least_px)]
        self.dropped += len(which) - len(wanted)
        which = wanted
        if not len(which):
            return []
        last_row, first = facts["last"][which] // self._stride, facts["first"][which]
        which = which[order_by(first, last_row)]
        rank = np.full(len(facts["code"]), -1)
        rank[which] = np.arange(len(which))
        region = rank.take(owner)
        kept = np.flatnonzero(region >= 0)
        outlines = _outlines(region.take(kept), key.take(kept), self._stride)
        columns = (facts[name][which].tolist() for name in _MERGE)
        return [
            Region(
                class_id=int(self._ids[code]),
                first=divmod(first, self._stride),
                pixels=pixels,
                score_sum=score_sum,
                score_min=score_min,
                touches_unobserved=bool(unobserved),
                rings=rings,
            )
            for (code, first, _, pixels, score_sum, score_min, unobserved), rings in zip(
                zip(*columns, strict=True), outlines, strict=True
            )
        ]


def _outlines(region: Ints, key: Ints, stride: int) -> list[tuple[Ints, ...]]:
    """The rings of finished regions, numbered from 0, from the keys of all their corners.

    Along a row, corners of a region pair up into its horizontal edges, along a column
    into its vertical ones; edges that share corners make up rings.
    """
    order = order_by(key - key.min(), region)
    region, key = region.take(order), key.take(order)
    # Two corners at one vertex: the region's pixels touch diagonally. Each was taken to turn
    # around its own pixel, since it was not known yet whether the two belong together.
    twin = np.flatnonzero((region[1:] == region[:-1]) & (key[1:] >> 3 == key[:-1] >> 3))
    key[twin] ^= 0b011
    key[twin + 1] ^= 0b011
    corner, length = _rings(region, key, stride)
    points = np.stack(np.divmod(key.take(corner) >> 3, stride), axis=1)
    stop = np.cumsum(length)
    rings = _split(points, stop)
    last_ring = np.searchsorted(region[corner[stop - 1]], np.arange(region[-1] + 1), "right")
    return [tuple(some) for some in _split(rings, last_ring)]


def _rings(region: Ints, key: Ints, stride: int) -> tuple[Ints, Ints]:
    """Indexes of sorted corners as closed rings, one after the other, and their lengths.

    Corners ``2 i`` and ``2 i + 1`` are the western and eastern end of horizontal edge ``i``.
    """
    # Travelling with the region to the left, an edge goes west where the region lies south
    # of it, which the corner at its western end tells.
    westward = (key[::2] >> 1 ^ key[::2]) & 1 ^ 1
    head = np.arange(1, len(key), 2) - westward
    edge, edges = _cycles(_partners(region, key, stride).take(head) >> 1)
    head = head.take(edge)
    ends = np.stack([head ^ 1, head], axis=1).ravel()
    begin = 2 * (np.cumsum(edges) - edges)
    # A ring starts at the western end of its first edge: the head, if that goes west.
    shift, length = westward[edge[begin >> 1]], 2 * edges + 1
    turn = np.arange(length.sum()) - (np.cumsum(length) - length - shift).repeat(length)
    turn %= (length - 1).repeat(length)
    turn += begin.repeat(length)
    return ends.take(turn), length


def _partners(region: Ints, key: Ints, stride: int) -> Ints:
    """For each corner the one at the other end of its vertical edge."""
    row, col = np.divmod(key >> 3, stride)
    order = order_by((row - row.min()) * 2 + (key >> 1 & 1), col, region)
    partner = np.empty_like(order)
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    return partner


def _cycles(following: Ints) -> tuple[Ints, Ints]:
    """The cycles of a permutation one after the other, by least member, and their lengths."""
    then = following.tolist()
    fresh = bytearray(b"\1") * len(then)
    order: list[int] = []
    stops: list[int] = []
    start = fresh.find(1)
    while start >= 0:
        at = start
        while fresh[at]:
            fresh[at] = 0
            order.append(at)
            at = then[at]
        stops.append(len(order))
        start = fresh.find(1, start)
    return np.fromiter(order, np.int64, len(order)), np.diff(stops, prepend=0)


def _split(values: Items, stops: Ints) -> list[Items]:
    """The parts of a sequence up to each stop."""
    return [values[a:b] for a, b in pairwise([0, *stops.tolist()])]


def _merged(tables: Sequence[Table], group: Ints) -> Table:
    """The facts of components, from those of their parts; every number of ``group`` occurs."""
    order = order_by(group)
    begin = np.flatnonzero(np.diff(group[order], prepend=-1))
    return {
        name: merge.reduceat(np.concatenate([table[name] for table in tables]).take(order), begin)
        for name, merge in _MERGE.items()
    }


def _groups(owner: Ints, values: Ints) -> Iterator[tuple[int, Ints]]:
    """The values of each owner."""
    order = order_by(owner)
    owner, values = owner[order], values[order]
    begin = np.flatnonzero(np.diff(owner, prepend=-1)).tolist()
    for start, stop in pairwise([*begin, len(owner)]):
        yield int(owner[start]), values[start:stop]


def _codes(targets: Collection[int]) -> tuple[Codes, Ints]:
    """The code of each class id and of nothing, and the class id of each code."""
    ids = np.full(TARGET + 256, NOT_ASSESSED)
    ids[OTHER : OTHER + NOT_ASSESSED] = np.arange(NOT_ASSESSED)
    ids[TARGET:] = np.arange(256)
    codes = np.arange(OTHER, OTHER + NOTHING + 1, dtype=np.uint16)
    codes[[NOT_ASSESSED, NOTHING]] = UNKNOWN
    wanted = sorted(set(targets))
    codes[wanted] = TARGET + np.array(wanted, int)
    return codes, ids
