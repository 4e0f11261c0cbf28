"""Groups dealt to the folds of a cross-validation: each in exactly one, folds of like size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from geodeforest.errors import OptionError


def deal(weights: Mapping[str, int], folds: int, seed: int = 0) -> list[list[str]]:
    """The groups of each fold, sorted by name.

    The heaviest group goes first, each to the lightest fold so far (Graham 1969, Bounds on
    multiprocessing timing anomalies); groups of one weight come in an order drawn from
    ``seed``. No fold is empty, and none outweighs another by more than the heaviest group.

    Raises:
        OptionError: fewer groups than folds, or fewer than two folds.
    """
    if folds < 2:
        raise OptionError(f"{folds} folds: a cross-validation needs at least 2")
    if len(weights) < folds:
        raise OptionError(f"{folds} folds of {len(weights)} groups: ask for fewer folds")
    names = sorted(weights)
    drawn = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    dealt: list[list[str]] = [[] for _ in range(folds)]
    loads = [0] * folds
    for group in sorted(drawn, key=lambda name: -weights[name]):
        # A fold without a group goes first, else groups of no weight could leave one empty.
        lightest = min(range(folds), key=lambda fold: (bool(dealt[fold]), loads[fold], fold))
        dealt[lightest].append(group)
        loads[lightest] += weights[group]
    return [sorted(fold) for fold in dealt]
