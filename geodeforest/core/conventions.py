"""Ways to store an image that files do not tell: what numbers may be that are not as usual.

Values only. Which of them a scene's numbers are like is ``core.plausible``'s to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from geodeforest.core.pixels import BandScale
from geodeforest.core.reflectance import (
    SENTINEL2_OFFSET,
    Calibration,
    Reading,
    reflectance_range,
    stored_range,
    times,
)

_OFFSET_NAME = "with Sentinel-2's offset (baseline 04.00 and later)"

_TIMES_10_000 = ("reflectance x 10,000", 1e-4, 0.0)
_TIMES_10_000_OFFSET = (f"reflectance x 10,000 {_OFFSET_NAME}", 1e-4, SENTINEL2_OFFSET)
_UNIT = ("reflectance 0..1", 1.0, 0.0)
_UNIT_OFFSET = (f"reflectance {_OFFSET_NAME}", 1.0, SENTINEL2_OFFSET)
_PERCENT = ("reflectance in percent", 0.01, 0.0)

# Scale and offset of Collection 2: U.S. Geological Survey, Landsat 8-9 Collection 2 Level 1
# data format control book and Level 2 Science Product Guide. Level 1 is without the sun's height.
_LANDSAT = (
    ("Landsat Collection 2 level-1 numbers", 2e-5, -0.1),
    ("Landsat Collection 2 level-2 numbers", 2.75e-5, -0.2),
)

_TWELVE_BITS = ("reflectance x 10,000 multiplied by 16, as 12 bits are in 16", 1e-4 / 16, 0.0)

_INTEGERS = (_TIMES_10_000, _TIMES_10_000_OFFSET, _PERCENT, *_LANDSAT, _TWELVE_BITS)
_FLOATS = (_UNIT, _UNIT_OFFSET, _TIMES_10_000, _TIMES_10_000_OFFSET, _PERCENT, *_LANDSAT)

_BYTE_MOST, _WORD_MOST = 255, 65535


def conventions(dtype: str, scales: Mapping[str, BandScale], most: float) -> list[Reading]:
    """What numbers of a data type and up to ``most`` may be, for a model with ``scales``."""
    return list(_conventions(dtype, scales, most))


def alternatives(dtype: str, scales: Mapping[str, BandScale], most: float) -> list[Reading]:
    """What numbers may be that are not reflectance, as their data type suggests.

    Only what cannot be mistaken for each other: each of these has numbers of another size.
    """
    target = reflectance_range(scales)
    found = []
    if dtype.startswith("float") and target is not None:
        times_10_000 = replace(
            _reading(_TIMES_10_000, target),
            other=_reading(_TIMES_10_000_OFFSET, target).scale,
            guess=True,
        )
        found = [times_10_000, _reading(_PERCENT, target)]
    return found if dtype == "uint8" else [*found, *_bytes(scales, most)]


def _conventions(dtype: str, scales: Mapping[str, BandScale], most: float) -> Iterator[Reading]:
    target = reflectance_range(scales)
    if dtype == "uint8":
        return
    yield from _bytes(scales, most)
    if "uint8" in scales and dtype == "uint16":
        stretched = times(scales["uint8"], _WORD_MOST / _BYTE_MOST)
        yield Reading(stretched, "8-bit numbers stretched to 0..65535")
    if target is not None:
        for known in _FLOATS if dtype.startswith("float") else _INTEGERS:
            yield _reading(known, target)


def _bytes(scales: Mapping[str, BandScale], most: float) -> list[Reading]:
    if "uint8" not in scales or most > _BYTE_MOST:
        return []
    return [Reading(scales["uint8"], "8-bit numbers of true colour")]


def _reading(known: tuple[str, float, float], target: BandScale) -> Reading:
    name, gain, offset = known
    bands = target.bands or 1
    return Reading(
        stored_range(target, Calibration((gain,) * bands, (offset,) * bands, name)), name
    )
