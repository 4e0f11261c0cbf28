"""Positions as JSON text, all at once: Python writes one number at a time.

Knows decimal digits; nothing of longitudes or features.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Ints

DECIMALS = 7
"""Of degrees; the last one is a centimetre."""

_LARGEST = 1000  # digits before the point: three

# Every number under 10,000 as four digits, and how many zeros stand at its end.
_DIGITS = np.array([list(f"{n:04d}".encode()) for n in range(10_000)], np.uint8)
_ZEROS = np.array([4 - len(f"{n:04d}".rstrip("0")) for n in range(10_000)], np.int8)

# "[-123.1234567,-123.1234567]," of which each position keeps some.
_NUMBER = 1 + 3 + 1 + DECIMALS
_BLANK = np.frombuffer(b"[-000.0000000,-000.0000000],", np.uint8)
_STARTS = 1, 1 + _NUMBER + 1


def ring_texts(points: NDArray[np.float64], stops: Ints) -> list[str] | None:
    """Positions (n, 2) as the text of JSON arrays, one for each part that ends at a stop.

    Numbers are as short as they can be, with one decimal at least. None where one has more
    than ``DECIMALS`` decimals or three digits before the point.
    """
    scaled = np.rint(points * 10**DECIMALS)
    if not (np.abs(points) < _LARGEST).all() or (scaled / 10**DECIMALS != points).any():
        return None
    text = np.tile(_BLANK, (len(points), 1))
    kept = np.ones(text.shape, bool)
    for start, numbers in zip(_STARTS, scaled.T.astype(np.int64), strict=True):
        columns = slice(start, start + _NUMBER)
        _write(numbers, text[:, columns], kept[:, columns])
    length = kept.sum(axis=1)
    ends = np.cumsum(length)[stops - 1].tolist()
    flat = text[kept].tobytes().decode("ascii")
    return [f"[{flat[a : b - 1]}]" for a, b in pairwise([0, *ends])]


def _write(numbers: Ints, text: NDArray[np.uint8], kept: NDArray[np.bool_]) -> None:
    """Numbers in units of the last decimal into ``-123.1234567``, and which of it to keep."""
    whole, part = np.divmod(np.abs(numbers), 10**DECIMALS)
    first, last = np.divmod(part, 10_000)
    text[:, 1:4] = _DIGITS[whole, 1:]
    text[:, 5:8] = _DIGITS[first, 1:]
    text[:, 8:] = _DIGITS[last]
    kept[:, 0] = numbers < 0
    kept[:, 1], kept[:, 2] = whole > 99, whole > 9
    zeros = np.where(last == 0, 4 + _ZEROS[first], _ZEROS[last])
    kept[:, 6:] = np.arange(1, DECIMALS) < DECIMALS - zeros[:, np.newaxis]
