"""Objects: connected pixels of one class in truth and in what was found, and which match.

Two objects match where their intersection is more than half of their union. Then an object
matches one other at most (Kirillov et al. 2019, Panoptic segmentation, CVPR), so nothing
has to be chosen. Rows pass once; memory follows the number of objects, not the scene's area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Bools, Ints
from geodeforest.core.decide import STEPS
from geodeforest.core.run_labels import RunLabels
from geodeforest.core.spec import NOT_ASSESSED, ConfidenceRule

MATCH_IOU = 0.5
"""Objects match from above this intersection over union."""

CONFIDENCES = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class ObjectCounts:
    """Objects, and how good those of each confidence are.

    ``matches`` are the objects of the truth, those found, and the pairs that match.
    ``confidence`` (3, 3) has a row for low, medium and high confidence: found objects, their
    pixels, and those of the pixels that are true.
    """

    matches: Ints
    confidence: Ints


class ObjectMatcher:
    """Takes the rows of two masks, then tells which 4-connected objects of them match."""

    def __init__(self, width: int) -> None:
        self._truth, self._found = _Objects(width), _Objects(width)
        self._pairs: list[Ints] = []  # (3, n): labels of both, and pixels they share

    def feed(self, truth: Bools, found: Bools, scores: NDArray[np.uint8]) -> None:
        """Take the next rows (rows, cols), with the stored scores of what was found."""
        ones = np.ones_like(scores)
        strips = zip(self._truth.add(truth, ones), self._found.add(found, scores), strict=True)
        for real, seen in strips:
            both = (real >= 0) & (seen >= 0)
            pair, pixels = np.unique(np.stack([real[both], seen[both]]), axis=1, return_counts=True)
            self._pairs.append(np.concatenate([pair, pixels[np.newaxis]]))

    def finish(self, rule: ConfidenceRule, min_px: int = 1) -> ObjectCounts:
        """The counts; objects of less than ``min_px`` pixels are passed over on both sides.

        The confidence of an object is that of its mean score, as of a polygon.
        """
        real, seen = self._truth.regions(), self._found.regions()
        one, other, shared = self._intersections(real.region, seen.region)
        union = real.pixels[one] + seen.pixels[other] - shared
        big = (real.pixels[one] >= min_px) & (seen.pixels[other] >= min_px)
        matched = np.count_nonzero(big & (shared > MATCH_IOU * union))
        hits = np.bincount(other, shared, minlength=len(seen.pixels)).astype(np.int64)
        counted = seen.pixels >= min_px
        mean = seen.scores[counted] / seen.pixels[counted] / STEPS
        level = (mean >= rule.medium).astype(np.int64) + (mean >= rule.high)
        facts = np.stack([np.ones_like(level), seen.pixels[counted], hits[counted]], axis=1)
        confidence = np.zeros((len(CONFIDENCES), 3), np.int64)
        np.add.at(confidence, level, facts)
        objects = np.count_nonzero(real.pixels >= min_px), np.count_nonzero(counted)
        return ObjectCounts(np.array([*objects, matched], np.int64), confidence)

    def _intersections(self, real: Ints, seen: Ints) -> tuple[Ints, Ints, Ints]:
        """Pairs of regions that share pixels, and how many."""
        one, other, pixels = np.concatenate([np.empty((3, 0), np.int64), *self._pairs], axis=1)
        span = int(seen.max(initial=0)) + 1
        pairs, which = np.unique(real[one] * span + seen[other], return_inverse=True)
        shared = np.zeros(len(pairs), np.int64)
        np.add.at(shared, which, pixels)
        return *np.divmod(pairs, span), shared


@dataclass(frozen=True, slots=True)
class _Regions:
    """The region of each label; of each region its pixels and the sum of their scores."""

    region: Ints
    pixels: Ints
    scores: Ints


class _Objects:
    """The labels of one mask, with their pixels and scores."""

    def __init__(self, width: int) -> None:
        self._labels = RunLabels(width)
        self._sums = np.zeros((2, 0), np.int64)

    def add(self, mask: Bools, scores: NDArray[np.uint8]) -> list[Ints]:
        """The labels of the next rows in strips (rows, cols); -1 outside the mask."""
        classes = np.where(mask, np.uint8(1), np.uint8(NOT_ASSESSED))
        strips, first = [], 0
        for labelled in self._labels.label(classes):
            label = labelled.pixels(labelled.label)
            inside = label >= 0
            self._count(label[inside], scores[first : first + len(label)][inside])
            strips.append(label)
            first += len(label)
        return strips

    def _count(self, label: Ints, scores: NDArray[np.uint8]) -> None:
        known = max(self._sums.shape[1], int(label.max(initial=-1)) + 1)
        self._sums = np.pad(self._sums, ((0, 0), (0, known - self._sums.shape[1])))
        for total, weights in zip(self._sums, (None, scores), strict=True):
            total += np.bincount(label, weights, minlength=known).astype(np.int64)

    def regions(self) -> _Regions:
        region = self._labels.regions()
        sums = np.zeros((2, int(region.max(initial=-1)) + 1), np.int64)
        for total, parts in zip(sums, self._sums, strict=True):
            np.add.at(total, region[: len(parts)], parts)
        return _Regions(region, sums[0], sums[1])
