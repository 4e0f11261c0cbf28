"""The order of whole numbers by several keys. Knows nothing of what they stand for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Ints


def order_by(*keys: Ints) -> Ints:
    """Indexes in the order of the last key, then of the one before it, and so on.

    Keys are not negative. Where all are equal the order stays. numpy sorts numbers of 16 bits
    by counting, ten times as fast as longer ones, so those go word by word.
    """
    order: Ints = np.lexsort([word for key in keys for word in _words(key)])
    return order


def _words(key: Ints) -> Iterator[NDArray[np.uint16]]:
    """The lowest 16 bits, and then the next ones as far as any number has them."""
    yield key.astype(np.uint16)
    for shift in range(16, int(key.max(initial=0)).bit_length(), 16):
        yield (key >> shift).astype(np.uint16)
