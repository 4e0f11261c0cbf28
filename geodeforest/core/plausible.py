"""Whether a scene's numbers can be what a model takes them for, and what they may be instead.

Knows levels of a sample and the model's training range; opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import ModelSpec

DARK, BRIGHT = 2, 98
"""The percentiles of a scene that are looked at."""

DARK_LEVELS = "dark_levels"
"""Where a spec's training facts tell the range of the training scenes' dark levels."""

_LEAST_BRIGHT, _SATURATED = 0.08, 0.98
_FAR_BELOW, _ABOVE, _FAR_ABOVE, _BLUE_OVER_RED = 0.35, 1.05, 2.0, 1.05
_OFFSET = 1000


def doubts(
    dark: NDArray[np.float32],
    bright: NDArray[np.float32],
    spec: ModelSpec,
    dtype: str,
    scale: BandScale,
) -> list[str]:
    """What speaks against a scene's numbers, each with the likely cause and what to do.

    ``dark`` and ``bright`` are the scene's percentiles by band, scaled to 0..1. A model that
    does not tell its training scenes' dark levels has no doubts.
    """
    known = _range(spec)
    if known is None:
        return []
    least, most = known
    too_dark = bright.max() < _LEAST_BRIGHT or (dark / least).max() < _FAR_BELOW
    above = dark / most
    too_bright = dark.min() > _SATURATED or above.min() > _ABOVE or above.max() > _FAR_ABOVE
    if too_dark:
        return [_darker(dark, bright, dtype, scale)]
    if too_bright:
        return [_brighter(dark, bright, most, dtype, scale)]
    return list(_swapped(bright - dark, spec.bands))


def _range(spec: ModelSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """The training scenes' least and greatest dark level by band, if they are told."""
    told: Any = spec.training.get(DARK_LEVELS)
    try:
        least, most = (np.array(told[name], np.float64) for name in ("least", "most"))
    except (KeyError, TypeError, ValueError):
        return None
    usable = least.shape == most.shape == (len(spec.bands),) and bool((least > 0).all())
    return (least, most) if usable else None


def _darker(
    dark: NDArray[np.float32], bright: NDArray[np.float32], dtype: str, scale: BandScale
) -> str:
    bottom, top = (float(scale.stored(v).max()) for v in (dark, bright))
    what = (
        f"96 % of the numbers lie in {bottom:.4g}..{top:.4g}, "
        f"darker than the model's scenes in {scale}"
    )
    if dtype != "uint8" and 1 < top <= 255 < max(scale.numbers):
        return f"{what}; if they are 8-bit numbers, pass --scale 0,255"
    if top <= 1 < max(scale.numbers):
        return f"{what}; if they are reflectance 0..1, pass --scale 0,0.3558"
    return f"{what}; pass the --scale that fits"


def _brighter(
    dark: NDArray[np.float32],
    bright: NDArray[np.float32],
    most: NDArray[np.float64],
    dtype: str,
    scale: BandScale,
) -> str:
    bottom, top = (float(scale.stored(v).max()) for v in (dark, bright))
    what = (
        f"96 % of the numbers lie in {bottom:.4g}..{top:.4g}, "
        f"brighter than the model's scenes in {scale}"
    )
    if dtype.startswith("float") and max(scale.numbers) <= 1:
        return f"{what}; if they are reflectance x 10,000, pass --scale 0,3558, if percent 0,35.58"
    shift = _OFFSET / np.array(scale.span)
    fits = ((dark - shift) / most).max() <= _FAR_ABOVE and bright.max() < 1
    if dtype != "uint8" and fits and bool((dark >= shift).all()) and scale.bands is None:
        lower, upper = (number + _OFFSET for number in scale.numbers)
        return (
            f"{what}; if they have Sentinel-2's offset of {_OFFSET} (baseline 04.00 and later), "
            f"pass --scale {lower:g},{upper:g}"
        )
    return f"{what}; pass the --scale that fits"


def _swapped(spread: NDArray[np.float32], bands: Sequence[str]) -> Iterator[str]:
    """Over land red differs more than blue, since haze hides what is blue."""
    if {"red", "blue"} <= set(bands):
        red, blue = spread[bands.index("red")], spread[bands.index("blue")]
        if blue > _BLUE_OVER_RED * red:
            yield (
                "the blue band differs more from pixel to pixel than the red one; "
                "if they stand in another order, name them with --bands"
            )
