"""What a scene says of its numbers, and the one rule by which they become the model's input.

Values only: whoever reads a product's metadata fills them. Knows no file and no pixels.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.pixels import BandScale
from geodeforest.errors import OptionError


@dataclass(frozen=True, slots=True)
class Calibration:
    """Reflectance = stored number * ``gain`` + ``offset``, one of each per band to read.

    ``source`` says in a few words where the numbers come from.
    """

    gain: tuple[float, ...]
    offset: tuple[float, ...]
    source: str

    def __post_init__(self) -> None:
        if not self.gain or len(self.gain) != len(self.offset):
            raise OptionError(f"{self.source}: needs a gain and an offset for each band")
        if not all(map(math.isfinite, self.gain + self.offset)) or min(self.gain) <= 0:
            raise OptionError(
                f"{self.source}: gain {self.gain} and offset {self.offset} must be finite, "
                "and the gain positive"
            )


def tag_calibration(gain: Sequence[float], offset: Sequence[float]) -> Calibration | None:
    """What a raster's scale and offset tags say; None if nothing, or nonsense."""
    plain = all(g == 1 for g in gain) and not any(offset)
    sense = all(map(math.isfinite, (*gain, *offset))) and min(gain) > 0
    source = "the scale and offset tags"
    return Calibration(tuple(gain), tuple(offset), source) if sense and not plain else None


@dataclass(frozen=True, slots=True)
class ProductMask:
    """A raster that says which pixels are cloud, shadow or otherwise not the ground.

    ``path`` is anything ``open_raster`` takes. A pixel is hidden where its number in one of
    ``bands`` is one of ``hidden_values`` or has one of ``hidden_bits`` (0 is the lowest) set.
    """

    path: str | os.PathLike[str]
    hidden_values: tuple[int, ...]
    hidden_bits: tuple[int, ...]
    name: str
    bands: tuple[int, ...] = (1,)


@dataclass(frozen=True, slots=True)
class Product:
    """What is known of a scene because it is a product of a known kind.

    ``kind`` is such as "sentinel-2-l2a" or "landsat-c2-l1", ``baseline`` the processing
    baseline such as "05.10", ``date`` the image's ISO 8601 date. None is unknown.
    """

    kind: str
    baseline: str | None = None
    calibration: Calibration | None = None
    date: str | None = None
    mask: ProductMask | None = None


SENTINEL2_OFFSET = -0.1
"""What Sentinel-2's processing baseline 04.00 and later adds to get from numbers to reflectance."""

_SAME_OFFSET = 0.01

# Not the true-colour image, which is stretched after the offset was taken off.
_MAYBE_OFFSET = ("sentinel-2-l1c", "sentinel-2-l2a", "stac")

UNITS: Mapping[str, float] = {"float32": 1.0, "float64": 1.0, "uint16": 1e-4, "int16": 1e-4}
"""The reflectance of one unit, by data type, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How stored numbers are read: ``scale``, and in a few words what it follows.

    ``other`` reads the same numbers with Sentinel-2's offset taken off where ``scale`` takes
    none off, and without where it does (``offset``). None where that is no question.
    ``guess`` is True where nothing but the data type speaks for the reading. ``untagged`` is
    what the data type alone says where tags were followed, since a program may have applied
    them and left them there.
    """

    scale: BandScale
    source: str
    other: BandScale | None = None
    offset: bool = False
    guess: bool = False
    untagged: Reading | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a scene says of its numbers: data type, a product's word, scale and offset tags."""

    dtype: str
    product: Product | None = None
    tags: Calibration | None = None


def read_numbers(
    numbers: Numbers, scales: Mapping[str, BandScale], asked: BandScale | None
) -> Reading | None:
    """The reading of a scene's numbers for a model with ``scales`` by data type.

    What the user asked for; else what the product says; else the tags, unless a product
    has spoken; else what is usual for the data type. None where the model knows none.
    """
    if asked is not None:
        return Reading(asked, "--scale")
    product, target = numbers.product, reflectance_range(scales)
    sentinel2 = product is None or product.kind in _MAYBE_OFFSET
    plain = None
    if numbers.dtype in scales:
        plain = _usual(numbers.dtype, scales[numbers.dtype], sentinel2)
    if target is None:
        return plain
    if product is not None and product.calibration is not None:
        return _calibrated(product.calibration, target, sentinel2)
    if numbers.tags is not None:
        return replace(_calibrated(numbers.tags, target, sentinel2), untagged=plain)
    return plain


def _usual(dtype: str, scale: BandScale, sentinel2: bool) -> Reading:
    unit = UNITS.get(dtype)
    if unit is None:
        return Reading(scale, f"{dtype} numbers, by the model's scale", guess=True)
    other = _moved(scale, (-SENTINEL2_OFFSET / unit,)) if sentinel2 else None
    source = f"{dtype} numbers: reflectance" + (" x 10,000" if unit < 1 else " 0..1")
    return Reading(scale, source, other, guess=True)


def reflectance_range(scales: Mapping[str, BandScale]) -> BandScale | None:
    """The reflectances that are a model's 0 and 1; None where it knows 8-bit numbers only.

    Its floats are reflectance, its 16-bit integers reflectance x 10,000.
    """
    for dtype, unit in UNITS.items():
        if dtype in scales:
            return times(scales[dtype], unit)
    return None


def stored_range(target: BandScale, calibration: Calibration) -> BandScale:
    """The stored numbers whose reflectances are ``target``."""
    gain, offset = (np.array(part) for part in (calibration.gain, calibration.offset))
    low, high = ((np.array(part) - offset) / gain for part in (target.low, target.high))
    return BandScale(_rounded(low), _rounded(high))


def _calibrated(told: Calibration, target: BandScale, sentinel2: bool) -> Reading:
    scale, other = stored_range(target, told), None
    offset = np.allclose(told.offset, SENTINEL2_OFFSET, atol=_SAME_OFFSET)
    if sentinel2 and (offset or np.allclose(told.offset, 0, atol=_SAME_OFFSET)):
        instead = (0.0 if offset else SENTINEL2_OFFSET,) * len(told.offset)
        other = stored_range(target, replace(told, offset=instead))
    return Reading(scale, told.source, other, bool(offset and sentinel2))


def _moved(scale: BandScale, by: Sequence[float]) -> BandScale:
    low, high = (_rounded(np.add(part, by)) for part in (scale.low, scale.high))
    return BandScale(low, high)


def times(scale: BandScale, factor: float) -> BandScale:
    """The scale of numbers that are so many times as large."""
    low, high = (_rounded(np.multiply(part, factor)) for part in (scale.low, scale.high))
    return BandScale(low, high)


def _rounded(numbers: NDArray[np.float64]) -> tuple[float, ...]:
    # 0.3558 / 1e-4 is 3557.9999999999995; to people and to the run record it is 3558.
    return tuple(float(f"{number:.12g}") for number in np.atleast_1d(numbers).tolist())
