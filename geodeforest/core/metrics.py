"""Accuracy, IoU and F1 from one pooled confusion matrix of hard classes.

Metrics of single images or batches are never averaged: an absent class would count as
right or wrong by convention.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geodeforest.core.spec import NOT_ASSESSED


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of (truth, prediction) pairs: rows are truth, columns are predictions."""

    counts: NDArray[np.int64]

    @classmethod
    def of(
        cls, truth: NDArray[np.integer], prediction: NDArray[np.integer], classes: int
    ) -> Confusion:
        """Count class indexes of equal shape; pixels whose truth is 255 are left out."""
        known = truth != NOT_ASSESSED
        pairs = truth[known].astype(np.int64) * classes + prediction[known]
        return cls(np.bincount(pairs, minlength=classes**2).reshape(classes, classes))

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.counts + other.counts)

    @property
    def pixels(self) -> int:
        """How many pixels were counted."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """Share of pixels whose class is right; NaN where nothing was counted."""
        return float(ratio(np.trace(self.counts), self.counts.sum()))

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union per class; NaN for a class neither true nor predicted."""
        hit = np.diag(self.counts)
        return ratio(hit, self.counts.sum(axis=0) + self.counts.sum(axis=1) - hit)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall per class; NaN like ``iou``."""
        return ratio(2 * np.diag(self.counts), self.counts.sum(axis=0) + self.counts.sum(axis=1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the pixels predicted as a class that are of it."""
        return ratio(np.diag(self.counts), self.counts.sum(axis=0))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the pixels of a class that are predicted as it."""
        return ratio(np.diag(self.counts), self.counts.sum(axis=1))

    @property
    def mean_iou(self) -> float:
        """Mean of the classes' IoU over the classes that occur."""
        known = self.iou[~np.isnan(self.iou)]
        return float(known.mean()) if known.size else float("nan")


def ratio(part: ArrayLike, whole: ArrayLike) -> NDArray[np.float64]:
    """Their quotient, NaN where ``whole`` is zero."""
    counts = np.asarray(whole, np.float64)
    ratio = np.full(counts.shape, np.nan)
    np.divide(np.asarray(part, np.float64), counts, out=ratio, where=counts > 0)
    return ratio
