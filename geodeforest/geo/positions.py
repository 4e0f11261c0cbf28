"""Positions as JSON text, all at once: Python writes one number at a time.

Knows decimal digits; nothing of longitudes or features.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.arrays import Ints

DECIMALS = 7
"""Of degrees; the last one is a centimetre."""

_LARGEST = 1000  # digits before the point: three
_UNIT, _LAST = 10**DECIMALS, 10_000  # the last four decimals are looked up at once

# Stands where nothing is written, until all is together.
_NOTHING = "\0"


def _words(texts: Iterable[str]) -> NDArray[np.uint32]:
    """Texts as one number each, which is written at once, filled up to four bytes."""
    return np.frombuffer("".join(text.ljust(4, _NOTHING) for text in texts).encode(), np.uint32)


# Behind a sign, the digits before the point; the point and three decimals, and again if the last
# four are zeros; the last four decimals.
_WHOLE_WORDS = _words(f"{n:4d}".replace(" ", _NOTHING) for n in range(_LARGEST))
_FIRST_WORDS = _words(
    [f".{n:03d}" for n in range(1000)] + [f".{f'{n:03d}'.rstrip('0') or 0}" for n in range(1000)]
)
_LAST_WORDS = _words(f"{n:04d}".rstrip("0") for n in range(_LAST))

# "[-123.1234567,-123.1234567]," of which each position keeps some.
_BLANK = b"[-000.0000000,-000.0000000],"
_STARTS = 1, 14
_ROW = np.dtype(
    {
        "names": [f"{part}{i}" for i in range(2) for part in ("sign", "whole", "first", "last")]
        + ["end"],
        "formats": ["u1", "u4", "u4", "u4"] * 2 + ["S2"],
        "offsets": [start + at for start in _STARTS for at in (0, 0, 4, 8)] + [len(_BLANK) - 2],
        "itemsize": len(_BLANK),
    }
)


def ring_texts(points: NDArray[np.float64], stops: Ints) -> list[str] | None:
    """Positions (n, 2) as the text of JSON arrays, one for each part that ends at a stop.

    Numbers are as short as they can be, with one decimal at least. None where one has more
    than ``DECIMALS`` decimals or three digits before the point.
    """
    scaled = np.rint(points * _UNIT)
    if not (np.abs(points) < _LARGEST).all() or (scaled / _UNIT != points).any():
        return None
    text = np.frombuffer(_BLANK * len(points), np.uint8).copy().view(_ROW)
    for i, numbers in enumerate(scaled.T):
        _write(np.ascontiguousarray(numbers), text, i)
    text["end"][stops - 1] = b"]\n"
    parts = text.tobytes().translate(None, _NOTHING.encode()).decode("ascii").split("\n")
    return [f"[{part}]" for part in parts[:-1]]


def _write(numbers: NDArray[np.float64], text: NDArray[np.void], i: int) -> None:
    """Numbers in units of the last decimal into ``-123.1234567``, and nothing for what is left."""
    size = np.abs(numbers)
    # Below 2^53 quotients of whole numbers round to none that is greater than they are.
    whole = np.floor(size / _UNIT)
    part = size - whole * _UNIT
    first = np.floor(part / _LAST)
    last = part - first * _LAST
    first += (last == 0) * 1000
    text[f"whole{i}"] = _WHOLE_WORDS.take(whole.astype(np.intp))
    text[f"first{i}"] = _FIRST_WORDS.take(first.astype(np.intp))
    text[f"last{i}"] = _LAST_WORDS.take(last.astype(np.intp))
    text[f"sign{i}"][numbers < 0] = ord("-")
