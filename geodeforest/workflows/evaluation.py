"""What an evaluation found, as values and as JSON. Knows counts; opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from geodeforest.core.calibration import RELIABILITY_BINS
from geodeforest.core.spec import ModelSpec
from geodeforest.core.tally import Tally, bootstrap, figures, nested
from geodeforest.errors import RecordError

SCHEMA = 1


@dataclass(frozen=True)
class Evaluation:
    """Counts by group of a model's results against the truth, and the figures read from them.

    ``settings`` are what was chosen. Figures are of pooled counts; intervals are 95 %,
    bootstrapped over groups, ``draws`` times from ``seed``.
    """

    spec: ModelSpec
    groups: Mapping[str, Tally]
    settings: Mapping[str, Any] = field(default_factory=dict)
    draws: int = 1000
    seed: int = 0

    @property
    def names(self) -> list[str]:
        """The names of the classes, in the order of the counts."""
        return [c.name for c in self.spec.classes]

    @cached_property
    def total(self) -> Tally:
        """All groups together."""
        first, *rest = self.groups.values()
        return sum(rest, start=first)

    @cached_property
    def figures(self) -> dict[str, Any]:
        """The shares of the pooled counts, by name; None where there is nothing to share."""
        return nested(figures(self.total, self.names))

    @cached_property
    def intervals(self) -> dict[str, Any]:
        """Low and high end of each of ``figures``; None where there is but one group."""
        drawn = bootstrap(list(self.groups.values()), self.names, draws=self.draws, seed=self.seed)
        return nested(drawn)

    @property
    def accuracy(self) -> float:
        """Share of the labelled and assessed pixels whose class is right."""
        return self.total.classes.accuracy

    @property
    def mean_iou(self) -> float:
        """Mean of the classes' intersection over union."""
        return self.total.classes.mean_iou

    @cached_property
    def medians(self) -> dict[str, float | None]:
        """Accuracy and mean IoU of the median group; None where no group has one."""
        each = [tally.classes for tally in self.groups.values() if tally.classes.pixels]
        shares = {"accuracy": [c.accuracy for c in each], "mean_iou": [c.mean_iou for c in each]}
        return {
            name: round(float(np.nanmedian(values)), 4) if np.isfinite(values).any() else None
            for name, values in shares.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, ready for JSON."""
        total = self.total
        true, found, matched = total.objects.tolist()
        return {
            "schema": SCHEMA,
            "model": f"{self.spec.name} {self.spec.version}",
            "settings": {**self.settings, "draws": self.draws, "seed": self.seed},
            "pixels": total.classes.pixels,
            "not_assessed_px": int(total.unseen[0]),
            "figures": self.figures,
            "intervals_95": self.intervals,
            "median_group": self.medians,
            "confusion": {
                "rows": "truth",
                "columns": "found",
                "classes": self.names,
                "counts": total.confusion.tolist(),
            },
            "objects": {"true": true, "found": found, "matched": matched},
            "confidence": total.confidences(),
            "reliability": _reliability(total),
            "groups": {name: self._group(tally) for name, tally in self.groups.items()},
        }

    def _group(self, tally: Tally) -> dict[str, Any]:
        return {
            "pixels": tally.classes.pixels,
            "not_assessed_px": int(tally.unseen[0]),
            **nested(figures(tally, self.names)),
            "confusion": tally.confusion.tolist(),
        }


def counted(groups: Mapping[str, Tally], where: object) -> Mapping[str, Tally]:
    """The groups again, unless there is nothing in them to judge a model by.

    Raises:
        RecordError: not one labelled pixel was assessed.
    """
    if not sum(tally.classes.pixels for tally in groups.values()):
        raise RecordError(where, "has no labelled pixel that was assessed", "check the labels")
    return groups


def _reliability(tally: Tally) -> list[dict[str, Any]]:
    found = tally.reliability
    return [
        {
            "from": number / RELIABILITY_BINS,
            "to": (number + 1) / RELIABILITY_BINS,
            "pixels": int(pixels),
            "mean_score": None if np.isnan(mean) else round(float(mean), 4),
            "true_share": None if np.isnan(share) else round(float(share), 4),
        }
        for number, (pixels, mean, share) in enumerate(
            zip(found.pixels, found.mean_score, found.true_share, strict=True)
        )
    ]
