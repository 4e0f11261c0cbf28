"""The seed system's soft IoU and F1, for comparison with its figures alone.

They take scores for partly counted pixels, and a class that is nowhere for one more class
of the mean. So they tell neither how many pixels are right nor what the IoU of the map is:
``core/metrics.py`` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

EPSILON = 1e-16


def soft_iou(truth: ArrayLike, score: ArrayLike) -> float:
    """Mean over the classes of (hit + e) / (true + predicted - hit + e), with e = 1e-16.

    ``truth`` (one-hot) and ``score`` are (..., classes); hit, true and predicted are sums
    of truth * score, truth and score over all pixels given. The seed gave it the images
    that one device had in a step, and took the mean over the steps.
    """
    hit, true, predicted = _sums(truth, score)
    return float(((hit + EPSILON) / (true + predicted - hit + EPSILON)).mean())


def soft_f1(truth: ArrayLike, score: ArrayLike) -> float:
    """Mean over the classes of (2 hit + e) / (true + predicted + e), like ``soft_iou``."""
    hit, true, predicted = _sums(truth, score)
    return float(((2 * hit + EPSILON) / (true + predicted + EPSILON)).mean())


def _sums(truth: ArrayLike, score: ArrayLike) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Hit, true and predicted per class, in double precision."""
    wanted, given = (np.asarray(array, np.float64) for array in (truth, score))
    pixels = tuple(range(wanted.ndim - 1))
    return (wanted * given).sum(pixels), wanted.sum(pixels), given.sum(pixels)
