"""Connected runs of one class get a number as rows pass, in strips that meet the row before.

Knows class ids and runs; nothing of sizes, areas or files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Codes, Ints
from geodeforest.core.grid import portions
from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.core.strips import NE, NOTHING, SE, STRIP_PX, TARGET, UNKNOWN, Strip, roots

Kind = TypeVar("Kind", bound=np.generic)

# Every class is a target here.
_CODES: Codes = np.arange(TARGET, TARGET + NOTHING + 1, dtype=np.uint16)
_CODES[[NOT_ASSESSED, NOTHING]] = UNKNOWN


@dataclass(frozen=True, slots=True)
class Labelled:
    """A strip whose first row is known already, and the label of each run; -1 is no region."""

    strip: Strip
    stride: int
    label: Ints

    def pixels(self, values: NDArray[Kind]) -> NDArray[Kind]:
        """Values of runs as new rows of pixels (rows, cols), without the row known before."""
        flat = np.repeat(values, np.diff(self.strip.start))
        return flat[self.stride + 1 :].reshape(-1, self.stride)[:, :-1]


class RunLabels:
    """Numbers connected runs of a class as rows pass; what meets later gets a link."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._above: Codes = np.full(width, NOTHING, np.uint16)
        self._above_label = np.empty(0, np.int64)  # of the regions' runs in the row above
        self._count = 0
        self._links: list[Ints] = []

    def links(self) -> tuple[int, Ints]:
        """How many labels there are, and pairs (2, n) of those that are one region."""
        return self._count, np.concatenate([np.empty((2, 0), np.int64), *self._links], axis=1)

    def regions(self) -> Ints:
        """The region of each label so far, numbered from 0."""
        count, (one, other) = self.links()
        return np.unique(roots(count, one, other), return_inverse=True)[1]

    def label(self, classes: NDArray[np.uint8]) -> Iterator[Labelled]:
        """The next rows in strips."""
        for some in portions(len(classes), self.width + 1, STRIP_PX):
            rows = classes[some]
            strip = Strip.of(self._above, rows, _CODES)
            label = self._numbered(strip)
            yield Labelled(strip, self.width + 1, label)
            last = strip.start[:-1] > len(rows) * (self.width + 1)
            self._above, self._above_label = rows[-1].copy(), label[last & (label >= 0)]

    def _numbered(self, strip: Strip) -> Ints:
        target = np.flatnonzero(strip.code >= TARGET)
        known = target[: len(self._above_label)]
        held, first, which = np.unique(self._above_label, return_index=True, return_inverse=True)
        above, below = strip.around[NE], strip.around[SE]
        meet = (strip.code[above] == strip.code[below]) & (strip.code[above] >= TARGET)
        root = roots(
            len(strip.code),
            np.concatenate([above[meet], known[first][which]]),
            np.concatenate([below[meet], known]),
        )
        label = np.full(len(strip.code), np.iinfo(np.int64).max)
        np.minimum.at(label, root[known], self._above_label)
        fresh = np.unique(root[target])
        fresh = fresh[label[fresh] == np.iinfo(np.int64).max]
        label[fresh] = self._count + np.arange(len(fresh))
        self._count += len(fresh)
        found = np.where(strip.code >= TARGET, label[root], -1)
        joined = np.stack([held, found[known[first]]])
        self._links.append(joined[:, joined[0] != joined[1]])
        return found
