"""What a scene's numbers are, where they contradict what is said of them.

A result from numbers that were read wrongly is worth nothing, warning or not. So where the
numbers leave one explanation, it is followed, and said. Opens nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from geodeforest.core.conventions import alternatives
from geodeforest.core.pixels import BandScale
from geodeforest.core.plausible import Levels, Trained, doubts, lie, option_for
from geodeforest.core.reflectance import Reading, reflectance_range
from geodeforest.core.spec import ModelSpec

_NEAR_OFFSET = 0.9
"""What the darkest numbers reach of Sentinel-2's offset; surfaces may reflect less than nothing."""

_RED_GROUND = 1.5
"""So much redder than green is bare ground, but no plant, water or shadow."""


def settle(
    reading: Reading, levels: Levels, spec: ModelSpec, dtype: str
) -> tuple[Reading, list[str]]:
    """The reading that a scene's numbers bear out, and what is to be said of them.

    A model that does not tell its training scenes' dark levels has no doubts.
    """
    trained = Trained.of(spec)
    if trained is None:
        return reading, []
    said: list[str] = []
    if not _bears_out(reading, levels, trained):
        others = [reading.untagged]
        if reading.guess:
            others = [*alternatives(dtype, spec.scale, float(levels.brightest.max()))]
        fit = [o for o in others if o is not None and _bears_out(o, levels, trained)]
        if len(fit) == 1:
            said.append(_read_as(reading, fit[0], levels))
            reading = fit[0]
    if reading.other is not None and _offset_is_wrong(reading, levels, trained, spec):
        said.append(_offset(reading, reading.other))
        reading = _with_other(reading, reading.other)
    return reading, [*said, *doubts(levels, spec, dtype, reading.scale)]


def _bears_out(reading: Reading, levels: Levels, trained: Trained) -> bool:
    scales = (reading.scale, reading.other)
    return any(s is not None and trained.fits(levels.scaled(s)) for s in scales)


def _offset_is_wrong(reading: Reading, levels: Levels, trained: Trained, spec: ModelSpec) -> bool:
    """Whether the numbers have Sentinel-2's offset against what is said of them, or lack it."""
    if reading.other is None:
        return False
    seen, moved = levels.scaled(reading.scale), levels.scaled(reading.other)
    if reading.offset:
        # Corrected already, so what is dark would reflect less than nothing.
        return bool(seen.dark.mean() < _zero(spec)) and not trained.brighter(moved)
    # Land, water and shadow are darker than the offset somewhere in a scene. And what is
    # dark there is green, blue or grey, but not red as bare ground.
    shift = (np.array(reading.other.low) - reading.scale.low) / np.array(reading.scale.span)
    near = seen.darkest >= _zero(spec) + _NEAR_OFFSET * shift
    above = (seen.dark > trained.most).any()
    return bool(near.all() and above) and not (trained.brighter(moved) or _red(moved, spec.bands))


def _zero(spec: ModelSpec) -> float:
    """No reflectance at all, in the model's units."""
    target = reflectance_range(spec.scale)
    return 0.0 if target is None else float(np.mean(-np.array(target.low) / target.span))


def _red(seen: Levels, bands: Sequence[str]) -> bool:
    if not {"red", "green"} <= set(bands):
        return False
    red, green = (seen.dark[bands.index(name)] for name in ("red", "green"))
    return bool(red > _RED_GROUND * green)


def _with_other(reading: Reading, other: BandScale) -> Reading:
    change = "read as if corrected already" if reading.offset else "with Sentinel-2's offset"
    return replace(
        reading,
        scale=other,
        source=f"{reading.source}, {change}, as the numbers show",
        other=None,
        offset=not reading.offset,
    )


def _offset(reading: Reading, other: BandScale) -> str:
    amount = abs(float(np.subtract(other.low, reading.scale.low).flat[0]))
    if reading.offset:
        return (
            f"with Sentinel-2's offset of {amount:g}, told by {reading.source}, dark ground would "
            f"reflect less than nothing; read as corrected already, {_as_with(other)}"
            f"{_or_scale(reading.scale, 'the offset is there')}"
        )
    against = "" if reading.guess else f", of which {reading.source} tells nothing"
    return (
        f"even the darkest numbers lie near or above {amount:g} in every band; read with "
        f"Sentinel-2's offset of {amount:g} (baseline 04.00 and later){against}, {_as_with(other)}"
        f"{_or_scale(reading.scale, 'there is none')}"
    )


def _read_as(reading: Reading, instead: Reading, levels: Levels) -> str:
    return (
        f"{lie(levels)}, which does not fit {reading.source}; read as "
        f"{instead.source}, {_as_with(instead.scale)}{_or_scale(reading.scale, 'they are not')}"
    )


def _as_with(scale: BandScale) -> str:
    return f"as with {option_for(scale)}" if scale.bands is None else f"by {scale}"


def _or_scale(scale: BandScale, if_what: str) -> str:
    if scale.bands is not None:
        return ""  # the option has no way to say it
    return f"; pass {option_for(scale)} if {if_what}"
