"""Small regions are given to the neighbour with the longest shared border.

Knows class ids, runs and areas by column; nothing of coordinates or files. Rows pass twice:
``Sieve`` learns regions, areas and borders from them, and makes a ``Relabelling`` to which
the same rows are fed again. Memory follows the number of regions, not the scene's area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Floats, Ints
from geodeforest.core.run_labels import Labelled, RunLabels
from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.core.strips import NE, SE, TARGET, roots


class Sieve:
    """Takes the rows of a class map; ``relabelling`` then merges what is too small.

    ``row_m`` and ``col_m`` are the lengths of a pixel's sides along a column and a row.
    """

    def __init__(self, width: int, row_m: float, col_m: float) -> None:
        self._labels = RunLabels(width)
        self._row_m, self._col_m = row_m, col_m
        self._facts = _Facts()

    def feed(self, classes: NDArray[np.uint8], column_areas: Floats) -> None:
        """Take the next rows (rows, cols), and the hectares of a pixel in each column."""
        west_of = np.concatenate([[0], np.cumsum(column_areas)])
        for labelled in self._labels.label(classes):
            self._facts.add(labelled, west_of)

    def relabelling(self, min_area: float) -> Relabelling:
        """What becomes of each region when none under ``min_area`` hectares is to stay.

        Small regions join the neighbour with the longest shared border (of two such the
        larger, then the first), all at once, until none is left that has a neighbour.
        What is joined has the class of its largest region. What was not assessed neither
        gives nor takes.
        """
        graph = self._facts.graph(self._labels.regions(), self._row_m, self._col_m)
        return Relabelling(self._labels.width, graph.merged(min_area)[graph.region])


class Relabelling:
    """Rows of class ids in which small regions have their neighbours' class."""

    def __init__(self, width: int, class_of: NDArray[np.uint8]) -> None:
        self._labels = RunLabels(width)
        self._class_of = np.append(class_of, np.uint8(NOT_ASSESSED))  # label -1 is no region

    def feed(self, classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The next rows, cut just as they were when they were fed first."""
        return np.concatenate(
            [some.pixels(self._class_of[some.label]) for some in self._labels.label(classes)]
        )


class _Facts:
    """Hectares and class of each label, and the sides that two labels share."""

    def __init__(self) -> None:
        self._hectares, self._class_id = np.zeros(0), np.zeros(0, np.uint8)
        self._sides: list[Ints] = []

    def add(self, some: Labelled, west_of: Floats) -> None:
        """Count what is new in a strip. ``west_of`` are hectares west of each column."""
        strip, label = some.strip, some.label
        known = max(len(self._hectares), int(label.max(initial=-1)) + 1)
        self._hectares = np.pad(self._hectares, (0, known - len(self._hectares)))
        self._class_id = np.pad(self._class_id, (0, known - len(self._class_id)))
        new = np.flatnonzero((label >= 0) & (strip.start[:-1] > some.stride))
        begin = (strip.start[new] - 1) % some.stride
        end = begin + strip.start[new + 1] - strip.start[new]
        np.add.at(self._hectares, label[new], west_of[end] - west_of[begin])
        self._class_id[label[new]] = strip.code[new] - TARGET
        beside = np.stack([label[new], label[new + 1]])
        here, there = label[strip.around[NE][:-1]], label[strip.around[SE][:-1]]
        self._sides.append(
            _summed(
                np.concatenate([beside, np.stack([here, there])], axis=1),
                upright=np.concatenate([np.ones(len(new), int), np.zeros(len(here), int)]),
                level=np.concatenate([np.zeros(len(new), int), np.diff(strip.vertex)]),
            )
        )

    def graph(self, region: Ints, row_m: float, col_m: float) -> _Graph:
        """The regions that labels make up, ``region`` of each label, and their borders."""
        regions = int(region.max(initial=-1)) + 1
        hectares, class_id = np.zeros(regions), np.zeros(regions, np.uint8)
        np.add.at(hectares, region, self._hectares)
        class_id[region] = self._class_id
        sides = np.concatenate([np.empty((4, 0), np.int64), *self._sides], axis=1)
        *pair, upright, level = _summed(region[sides[:2]], sides[2], sides[3])
        metres = upright * row_m + level * col_m
        return _Graph(region, hectares, class_id, np.stack(pair), metres)


@dataclass(frozen=True, slots=True)
class _Graph:
    """Regions with hectares and class, pairs (2, n) of neighbours, the metres they share.

    ``region`` is that of each label.
    """

    region: Ints
    hectares: Floats
    class_id: NDArray[np.uint8]
    pair: Ints
    metres: Floats

    def merged(self, min_area: float) -> NDArray[np.uint8]:
        """The class of each region after all merging."""
        count = len(self.hectares)
        group, class_id = np.arange(count), self.class_id
        # Those of the largest region speak for a group; of equal ones the first.
        rank = np.empty(count, np.int64)
        rank[np.lexsort((np.arange(count), -self.hectares))] = np.arange(count)
        while True:
            hectares = np.bincount(group, self.hectares, minlength=count)
            one, other, metres = self._borders(group)
            small = hectares[one] < min_area
            if not small.any():
                return class_id
            one, other, metres = one[small], other[small], metres[small]
            best = np.lexsort((other, -hectares[other], -metres, one))
            chosen = best[np.flatnonzero(np.diff(one[best], prepend=-1))]
            group = roots(count, one[chosen], other[chosen])[group]
            leader = np.full(count, count)
            np.minimum.at(leader, group, rank)
            class_id = self.class_id[np.argsort(rank)[leader[group]]]
            alike = class_id[self.pair[0]] == class_id[self.pair[1]]
            group = roots(count, group[self.pair[0][alike]], group[self.pair[1][alike]])[group]

    def _borders(self, group: Ints) -> tuple[Ints, Ints, Floats]:
        """Groups, their neighbours and the metres they share, each pair both ways."""
        one, other = group[self.pair]
        apart = one != other
        one, other, metres = one[apart], other[apart], self.metres[apart]
        key = np.concatenate([one, other]) * len(group) + np.concatenate([other, one])
        pairs, which = np.unique(key, return_inverse=True)
        total = np.zeros(len(pairs))
        np.add.at(total, which, np.tile(metres, 2))
        one, other = np.divmod(pairs, len(group))
        return one, other, total


def _summed(pair: Ints, upright: Ints, level: Ints) -> Ints:
    """Rows (lesser, greater, upright sides, level sides) of pairs of regions, each pair once."""
    lesser, greater = pair.min(axis=0), pair.max(axis=0)
    real = (lesser >= 0) & (lesser != greater)
    lesser, greater, upright, level = lesser[real], greater[real], upright[real], level[real]
    span = int(greater.max(initial=0)) + 1
    pairs, which = np.unique(lesser * span + greater, return_inverse=True)
    sums = [np.zeros(len(pairs), np.int64), np.zeros(len(pairs), np.int64)]
    for total, sides in zip(sums, (upright, level), strict=True):
        np.add.at(total, which, sides)
    return np.stack([*np.divmod(pairs, span), *sums])
