"""How far a mark on a few pixels reaches.

Knows booleans only; nothing of what is marked.
"""

from __future__ import annotations

import numpy as np

from geodeforest.core.arrays import Bools


def spread(marked: Bools, reach: int) -> Bools:
    """Mark all pixels (rows, cols) in whose square of ``2 reach + 1`` pixels one is marked."""
    for axis in (0, 1):
        count = np.cumsum(marked, axis=axis, dtype=np.int32)
        count = np.concatenate([np.zeros_like(count.take([0], axis)), count], axis)
        at, length = np.arange(marked.shape[axis]), marked.shape[axis]
        after, before = np.minimum(at + reach + 1, length), np.maximum(at - reach, 0)
        marked = count.take(after, axis) > count.take(before, axis)
    return marked
