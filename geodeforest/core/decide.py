"""From blended scores to what is stored: quantised scores and class ids.

The stored number decides, so that score map, class map and polygons cannot disagree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.pixels import Pixels, is_uniform
from geodeforest.core.spec import NOT_ASSESSED, ClassDef, ModelSpec
from geodeforest.errors import OptionError

STEPS = 250
"""A stored score is a whole number of 1/250."""


def quantise(score: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scores 0..1 to the nearest of 0..250; halves go up."""
    steps = score * np.float32(STEPS)
    steps += np.float32(0.5)
    return steps.astype(np.uint8)  # which cuts off


def threshold_step(threshold: float) -> int:
    """The smallest stored score that reaches ``threshold``, in 1..250.

    Raises:
        OptionError: the threshold is not in 0..1, zero excluded.
    """
    if not 0 < threshold <= 1:
        raise OptionError(f"threshold {threshold:g} must be above 0 and at most 1")
    # A hair less than the product, so that 0.7 * 250 = 175.00000000000003 stays 175.
    return max(1, int(np.ceil(threshold * STEPS - 1e-6)))


def stitched_planes(spec: ModelSpec) -> tuple[int, ...]:
    """Class indexes whose scores must be stitched, deforestation first.

    With one other class its score decides nothing and is not kept.
    """
    first = spec.deforestation
    others = tuple(i for i in range(len(spec.classes)) if i != first)
    return (first, *others) if len(others) > 1 else (first,)


def decide(
    planes: NDArray[np.float32], valid: NDArray[np.bool_], spec: ModelSpec, step: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Class ids and stored deforestation scores of rows, both (rows, cols).

    A pixel is deforestation if and only if its stored score reaches ``step``; otherwise it
    has the best of the other classes. Where ``valid`` is False both are 255. ``planes``
    holds the scores of ``stitched_planes``, shape (planes, rows, cols).
    """
    if not valid.any():  # most of a sparse scene
        nothing = np.full(valid.shape, NOT_ASSESSED, np.uint8)
        return nothing, nothing.copy()
    order = stitched_planes(spec)
    ids = [c.id for c in spec.classes]
    stored = quantise(planes[0])
    if len(order) > 1:
        best = np.array([ids[i] for i in order[1:]], np.uint8)[planes[1:].argmax(axis=0)]
    else:
        best = np.array([next(i for i in ids if i != ids[spec.deforestation])], np.uint8)
    found = np.array(ids[spec.deforestation], np.uint8)
    # Sums of bytes wrap around, and 255 is all bits: 50 times as fast as choosing by pixel.
    classes = (stored >= step).view(np.uint8) * (found - best) + best
    if not (is_uniform(valid) and valid[0, 0]):
        unseen = (~valid).view(np.uint8) * np.uint8(NOT_ASSESSED)
        classes |= unseen
        stored |= unseen
    return classes, stored


def other_class(spec: ModelSpec) -> ClassDef:
    """The class of what looks like deforestation where the baseline had no forest.

    The model's own, or one beside the model's: id 2, or the first one free.
    """
    for known in spec.classes:
        if known.role == "other":
            return known
    taken = {c.id for c in spec.classes}
    return ClassDef(next(i for i in (2, *range(NOT_ASSESSED)) if i not in taken), "other", "other")


def outside_id(spec: ModelSpec) -> int:
    """A class id for what lies outside the area of interest, until it is stored as 255.

    The greatest that no class has, so that counts and polygons can tell the two apart.
    """
    taken = {*(c.id for c in spec.classes), other_class(spec).id}
    return next(i for i in reversed(range(NOT_ASSESSED)) if i not in taken)


def restrict(
    classes: NDArray[np.uint8], stored: NDArray[np.uint8], pixels: Pixels, spec: ModelSpec
) -> None:
    """Apply baseline and area of interest to what was decided, in place; all (rows, cols).

    Where there was no forest the score becomes 0 and deforestation the other class. What is
    outside gets ``outside_id`` and the score 255.
    """
    if pixels.before is not None:
        never = (pixels.before == 0) & (stored != NOT_ASSESSED)
        found = spec.classes[spec.deforestation].id
        classes[never & (classes == found)] = other_class(spec).id
        stored[never] = 0
    if pixels.outside is not None:
        classes[pixels.outside] = outside_id(spec)
        stored[pixels.outside] = NOT_ASSESSED
