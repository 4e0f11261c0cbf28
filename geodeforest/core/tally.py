"""All that is counted of a group of pixels against the truth, and the figures read from it.

Counts of parts add up to those of the whole, so figures are always of pooled counts; the
bootstrap draws groups, not pixels, since pixels of one scene are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Ints
from geodeforest.core.boundary import BoundaryCounter
from geodeforest.core.calibration import Reliability, ScoreHistogram, bin_scores, reliability
from geodeforest.core.decide import STEPS, threshold_step
from geodeforest.core.metrics import Confusion, ratio
from geodeforest.core.objects import CONFIDENCES, ObjectMatcher
from geodeforest.core.spec import NOT_ASSESSED, ModelSpec
from geodeforest.errors import OptionError

Figures: TypeAlias = dict[tuple[str, ...], float]
"""Shares by name, such as ("classes", "forest", "iou"); NaN where there is nothing to share."""

MIN_AREA_M2 = 5000
"""The area of polygons that a scan drops unless told otherwise."""

PERCENTILES = (2.5, 97.5)
_OWN = ("confusion", "scores", "boundary", "objects", "confidence", "unseen")


@dataclass(frozen=True, slots=True)
class Measure:
    """How a model is judged.

    A boundary pixel may lie ``tolerance`` pixels off. Objects of less than ``min_object``
    pixels are passed over, true ones and found ones; None is half a hectare of the model's
    pixels, which is what a scan passes over. ``threshold`` None is the model's.
    Logits are divided by ``temperature``, as if the model had been calibrated by it.
    """

    tolerance: int = 2
    min_object: int | None = None
    threshold: float | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance <= 100:
            raise OptionError(f"tolerance {self.tolerance} px must be in 0..100")
        if self.min_object is not None and self.min_object < 1:
            raise OptionError(f"min_object {self.min_object} px must be at least 1")
        if self.threshold is not None:
            threshold_step(self.threshold)

    def least_object(self, spec: ModelSpec) -> int:
        """The pixels of the smallest object that counts."""
        if self.min_object is not None:
            return self.min_object
        return 1 if spec.gsd_m is None else max(1, math.ceil(MIN_AREA_M2 / spec.gsd_m**2))


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of labelled and assessed pixels.

    ``confusion`` (classes, classes) truth by found, ``scores`` (2, bins) as in a
    ``ScoreHistogram``, ``boundary`` (classes, 4) as a ``BoundaryCounter`` counts, ``objects``
    (3,) and ``confidence`` (3, 3) as in ``ObjectCounts``. ``unseen`` (1,) are labelled
    pixels that were not assessed, and count nowhere else.
    """

    confusion: Ints
    scores: Ints
    boundary: Ints
    objects: Ints
    confidence: Ints
    unseen: Ints

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in _OWN))

    @classmethod
    def weighted(cls, tallies: Sequence[Tally], weights: Ints) -> Iterator[Tally]:
        """For each row of ``weights`` (sums, tallies) the sum of tallies, each so many times."""
        columns = []
        for name in _OWN:
            stack = np.stack([getattr(tally, name) for tally in tallies])
            # As floats, in which matrices are multiplied quickly and counts are exact to 2**53.
            sums = weights.astype(np.float64) @ stack.reshape(len(tallies), -1)
            columns.append(sums.astype(np.int64).reshape(-1, *stack.shape[1:]))
        return (cls(*parts) for parts in zip(*columns, strict=True))

    @property
    def classes(self) -> Confusion:
        """The confusion matrix."""
        return Confusion(self.confusion)

    @property
    def histogram(self) -> ScoreHistogram:
        """Scores by truth."""
        return ScoreHistogram(self.scores)

    @property
    def reliability(self) -> Reliability:
        """What scores of the deforestation class were worth."""
        return reliability(bin_scores(), self.scores)

    def confidences(self) -> dict[str, dict[str, float | int | None]]:
        """Found objects by confidence, their pixels, and the share of these that is true."""
        return {
            name: {
                "polygons": int(objects),
                "pixels": int(pixels),
                "precision": round(int(hits) / int(pixels), 4) if pixels else None,
            }
            for name, (objects, pixels, hits) in zip(CONFIDENCES, self.confidence, strict=True)
        }


class Scorer:
    """Compares rows of what was found with the truth, and keeps counts only."""

    def __init__(self, spec: ModelSpec, width: int, measure: Measure) -> None:
        self._spec, self._measure = spec, measure
        classes = len(spec.classes)
        self._confusion = Confusion(np.zeros((classes, classes), np.int64))
        self._histogram = ScoreHistogram.empty()
        self._boundary = BoundaryCounter(classes, width, measure.tolerance)
        self._objects = ObjectMatcher(width)
        self._unseen = 0

    def feed(
        self,
        truth: NDArray[np.uint8],
        found: NDArray[np.uint8],
        stored: NDArray[np.uint8],
        scores: NDArray[np.float32] | None = None,
    ) -> None:
        """Take the next rows (rows, cols) of class indexes, 255 = not labelled or assessed.

        ``stored`` are scores as in a score map, ``scores`` the same before they were rounded.
        """
        unknown = (truth == NOT_ASSESSED) | (found == NOT_ASSESSED)
        self._unseen += int(np.count_nonzero(unknown & (truth != NOT_ASSESSED)))
        truth, found = (np.where(unknown, np.uint8(NOT_ASSESSED), c) for c in (truth, found))
        target = self._spec.deforestation
        share = stored / np.float32(STEPS) if scores is None else scores
        self._confusion += Confusion.of(truth, found, len(self._spec.classes))
        self._histogram += ScoreHistogram.of(truth[~unknown] == target, share[~unknown])
        self._boundary.feed(truth, found)
        self._objects.feed(truth == target, found == target, stored)

    def finish(self) -> Tally:
        """All counts, after the last row."""
        objects = self._objects.finish(
            self._spec.confidence, self._measure.least_object(self._spec)
        )
        return Tally(
            self._confusion.counts,
            self._histogram.counts,
            self._boundary.finish(),
            objects.matches,
            objects.confidence,
            np.array([self._unseen], np.int64),
        )


def figures(tally: Tally, names: Sequence[str]) -> Figures:
    """The shares that a tally gives, by class under the classes' ``names``."""
    classes, found = tally.classes, Figures()
    found["accuracy",] = classes.accuracy
    found["mean_iou",] = classes.mean_iou
    found["ece",] = tally.reliability.error
    by_class = {
        "iou": classes.iou,
        "f1": classes.f1,
        "precision": classes.precision,
        "recall": classes.recall,
        **_boundary(tally.boundary),
    }
    for number, name in enumerate(names):
        found |= {("classes", name, what): float(v[number]) for what, v in by_class.items()}
    true, seen, matched = tally.objects
    objects = {"precision": (matched, seen), "recall": (matched, true)}
    objects["f1"] = (2 * matched, seen + true)
    found |= {("objects", what): float(ratio(*pair)) for what, pair in objects.items()}
    return found


def _boundary(counts: Ints) -> dict[str, NDArray[np.float64]]:
    true, met, seen, right = counts.T
    precision, recall = ratio(right, seen), ratio(met, true)
    # All that is missed, or found where nothing is, is worth 0, as in the F1 of pixels; only
    # where neither side has a boundary there is nothing to judge.
    p, r = np.nan_to_num(precision), np.nan_to_num(recall)
    f1 = np.where(p + r == 0, 0.0, 2 * p * r / np.where(p + r == 0, 1, p + r))
    f1[true + seen == 0] = np.nan
    return {"boundary_precision": precision, "boundary_recall": recall, "boundary_f1": f1}


def bootstrap(
    tallies: Sequence[Tally], names: Sequence[str], *, draws: int = 1000, seed: int = 0
) -> dict[tuple[str, ...], tuple[float, float] | None]:
    """95 % intervals of the pooled figures: groups drawn with replacement, percentiles.

    None for a figure that not one draw has, and for all where there are fewer than two
    groups (Efron and Tibshirani 1993, An introduction to the bootstrap, chapter 13).
    """
    count = len(tallies)
    if count < 2:
        return dict.fromkeys(figures(tallies[0], names)) if count else {}
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
    drawn = [figures(tally, names) for tally in Tally.weighted(tallies, weights)]
    return {path: _interval(np.array([one[path] for one in drawn])) for path in drawn[0]}


def _interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, high = np.percentile(known, PERCENTILES)
    return float(low), float(high)


def nested(figures: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """The same as dictionaries in dictionaries, four decimals; None for what is not a number."""
    whole: dict[str, Any] = {}
    for path, value in figures.items():
        place = whole
        for step in path[:-1]:
            place = place.setdefault(step, {})
        place[path[-1]] = _plain(value)
    return whole


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if value is None or np.isnan(value) else round(float(value), 4)
