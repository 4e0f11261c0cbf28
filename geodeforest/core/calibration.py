"""Whether scores mean what they say: histograms of scores by truth, temperature, calibration error.

Pure counts. A network's scores are calibrated by one number, the temperature that its logits
are divided by (Guo et al. 2017, On calibration of modern neural networks, ICML). It is fitted
on scores of scenes that the network has not seen, and changes no order of scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geodeforest.core.metrics import ratio
from geodeforest.core.spec import ConfidenceRule
from geodeforest.errors import OptionError

BINS = 1000
LIMIT = 12.0
"""A histogram spans log-odds of -12 to 12, scores of 6e-6 to 1 - 6e-6; what lies beyond counts
in the last bin. Its bins are 0.024 wide, at most 0.006 of a score, and two of them meet at 0.5.
"""

RELIABILITY_BINS = 20
"""Bins of the reliability diagram: scores of 0 to 0.05, 0.05 to 0.1 and so on."""

_COLDEST, _HOTTEST = 0.05, 20.0


@dataclass(frozen=True, slots=True)
class ScoreHistogram:
    """Labelled pixels by truth and by the log-odds of their deforestation score.

    ``counts`` has shape (2, BINS): row 1 counts pixels that are deforestation, row 0 all
    others. Histograms of parts add up to that of the whole.
    """

    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.counts.shape != (2, BINS):
            raise OptionError(f"a score histogram has shape {self.counts.shape}, not (2, {BINS})")

    @classmethod
    def of(cls, deforested: NDArray[np.bool_], scores: NDArray[np.floating]) -> ScoreHistogram:
        """Count labelled pixels: whether they are deforestation, and their scores in 0..1."""
        share = scores.astype(np.float64).ravel()
        with np.errstate(divide="ignore"):  # scores of 0 and 1 go to the last bins
            odds = np.log(share) - np.log1p(-share)
        at = np.floor((odds + LIMIT) * (BINS / (2 * LIMIT))).clip(0, BINS - 1).astype(np.int64)
        counts = np.bincount(deforested.ravel() * BINS + at, minlength=2 * BINS)
        return cls(counts.reshape(2, BINS))

    @classmethod
    def empty(cls) -> ScoreHistogram:
        """Nothing counted."""
        return cls(np.zeros((2, BINS), np.int64))

    def __add__(self, other: ScoreHistogram) -> ScoreHistogram:
        return ScoreHistogram(self.counts + other.counts)

    @property
    def pixels(self) -> int:
        """How many pixels were counted."""
        return int(self.counts.sum())


def bin_scores(temperature: float = 1.0) -> NDArray[np.float64]:
    """The score in the middle of each bin once log-odds are divided by ``temperature``.

    Exact for two classes. With more, the others are taken as one, which is exact where one
    of them has nearly all of what deforestation has not.
    """
    return 1 / (1 + np.exp(-_middles() / temperature))


def fit_temperature(histogram: ScoreHistogram) -> float:
    """The temperature of the least mean negative log-likelihood, within 0.05 to 20.

    1 where nothing was counted. The likelihood is concave in 1 / temperature, so halving
    the range where its slope changes its sign finds the only maximum.
    """
    if not histogram.pixels:
        return 1.0
    odds, (others, deforested) = _middles(), histogram.counts
    low, high = 1 / _HOTTEST, 1 / _COLDEST
    for _ in range(60):
        inverse = (low + high) / 2
        found = 1 / (1 + np.exp(-odds * inverse))
        slope = (odds * (found * (others + deforested) - deforested)).sum()
        low, high = (low, inverse) if slope > 0 else (inverse, high)
    return 2 / (low + high)


def cooled(scores: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Scores (..., classes) as they would be with logits divided by ``temperature``."""
    if temperature == 1:
        return scores
    with np.errstate(divide="ignore"):  # a score of 0 stays 0
        logits = np.log(scores.astype(np.float64)) / temperature
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True), np.float32)


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram: per bin of scores the pixels, their mean score and true share.

    All have shape (bins,); mean and share are NaN in a bin without pixels.
    """

    pixels: NDArray[np.int64]
    mean_score: NDArray[np.float64]
    true_share: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of share and score, weighted by pixels."""
        known = self.pixels > 0
        gap = np.abs(self.mean_score[known] - self.true_share[known])
        return float(ratio((gap * self.pixels[known]).sum(), self.pixels.sum()))


def reliability(scores: ArrayLike, counts: NDArray[np.int64]) -> Reliability:
    """The diagram of pixels that are counted by truth (2, n) at each of n ``scores``."""
    at = np.asarray(scores, np.float64)
    bins = np.minimum((at * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    both = counts.sum(axis=0)
    pixels, true, total = (
        np.bincount(bins, weights=weights, minlength=RELIABILITY_BINS)
        for weights in (both, counts[1], both * at)
    )
    return Reliability(pixels.astype(np.int64), ratio(total, pixels), ratio(true, pixels))


def confidence_precision(
    scores: ArrayLike, counts: NDArray[np.int64], rule: ConfidenceRule, threshold: float
) -> dict[str, dict[str, float | int | None]]:
    """Of the pixels found as deforestation, by confidence: how many, and the share that is it.

    By pixels: a pixel has the confidence that a polygon of its score would have. ``counts``
    (2, n) are pixels by truth at each of n ``scores``.
    """
    at = np.asarray(scores, np.float64)
    edges = {"low": (threshold, rule.medium), "medium": (rule.medium, rule.high)}
    edges["high"] = (rule.high, np.inf)
    found: dict[str, dict[str, float | int | None]] = {}
    for name, (least, below) in edges.items():
        inside = counts[:, (at >= max(least, threshold)) & (at < below)].sum(axis=1)
        pixels = int(inside.sum())
        share = round(float(inside[1] / pixels), 4) if pixels else None
        found[name] = {"pixels": pixels, "precision": share}
    return found


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the scores of unseen scenes say of a model's calibration.

    ``confidence`` holds, after calibration, pixels and precision of each class of
    confidence, by pixels.
    """

    temperature: float
    ece_before: float
    ece_after: float
    pixels: int
    confidence: Mapping[str, Mapping[str, float | int | None]]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a spec's metrics; shares have four decimals."""
        facts = asdict(self)
        shares = ("temperature", "ece_before", "ece_after")
        return {**facts, **{name: round(facts[name], 4) for name in shares}}


def calibrate(histogram: ScoreHistogram, rule: ConfidenceRule, threshold: float) -> Calibration:
    """Fit the temperature to out-of-fold scores, and say what it does to them.

    It is 1 where the fitted one would make the calibration error larger: the likelihood is
    swayed most by the pixels that are surest and wrong, such as a scene unlike the others.

    Raises:
        OptionError: nothing was counted.
    """
    if not histogram.pixels:
        raise OptionError("no labelled pixel was scored, so nothing can be calibrated")

    def error(temperature: float) -> float:
        return reliability(bin_scores(temperature), histogram.counts).error

    temperature = min(1.0, fit_temperature(histogram), key=error)
    after = bin_scores(temperature)
    return Calibration(
        temperature=temperature,
        ece_before=error(1.0),
        ece_after=error(temperature),
        pixels=histogram.pixels,
        confidence=confidence_precision(after, histogram.counts, rule, threshold),
    )


def _middles() -> NDArray[np.float64]:
    """Log-odds in the middle of each bin."""
    return np.asarray((np.arange(BINS) + 0.5) * (2 * LIMIT / BINS) - LIMIT, np.float64)
