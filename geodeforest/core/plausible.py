"""Whether a scene's numbers can be what they are taken for, and what they may be instead.

Knows levels of a sample and the model's training range; opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.conventions import conventions
from geodeforest.core.percentiles import Sample
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import ModelSpec

DARK = 2
_LEVELS = {"darkest": 0.1, "dark": DARK, "middle": 50, "bright": 98, "brightest": 100}
"""The percentiles of a scene that are looked at."""

DARK_LEVELS = "dark_levels"
"""Where a spec's training facts tell the range of the training scenes' dark levels."""

# As parts of the training scenes' dark levels.
_FAR_BELOW, _ABOVE, _FAR_ABOVE = 0.45, 1.3, 2.0

_MORE, _MUCH = 1.05, 1.2

_FAR = 3
"""Farther than this, as the logarithm of a factor, no cause is likely."""

_ORDERED = 4
"""Orders of more bands than these are too many to be tried."""

_CAUSES = 3
"""As many likely causes are named at most."""


@dataclass(frozen=True, eq=False, slots=True)
class Levels:
    """Percentiles of a sample's stored numbers, each (bands,)."""

    darkest: NDArray[np.float64]
    dark: NDArray[np.float64]
    middle: NDArray[np.float64]
    bright: NDArray[np.float64]
    brightest: NDArray[np.float64]

    @classmethod
    def of(cls, sample: Sample) -> Levels:
        """The levels of a sample."""
        return cls(*sample.percentiles(tuple(_LEVELS.values())))

    @property
    def fill(self) -> float | None:
        """The number that a border seems to be filled with: the least of all, in all bands."""
        least = float(self.dark[0])
        same = (self.darkest == least) & (self.dark == least) & (self.brightest > least)
        return least if least <= 0 and bool(same.all()) else None

    def of_bands(self, order: list[int]) -> Levels:
        """The levels of some of the bands."""
        return Levels(*(getattr(self, level)[order] for level in _LEVELS))

    def scaled(self, scale: BandScale) -> Levels:
        """The same in the model's units, not clipped."""
        low, span = np.array(scale.low), np.array(scale.span)
        return Levels(*((getattr(self, level) - low) / span for level in _LEVELS))


@dataclass(frozen=True, eq=False, slots=True)
class Trained:
    """The training scenes' least and greatest dark level, (bands,) each."""

    least: NDArray[np.float64]
    most: NDArray[np.float64]

    @classmethod
    def of(cls, spec: ModelSpec) -> Trained | None:
        """The range that a spec tells; None if it tells none."""
        told: Any = spec.training.get(DARK_LEVELS)
        try:
            least, most = (np.array(told[name], np.float64) for name in ("least", "most"))
        except (KeyError, TypeError, ValueError):
            return None
        fit = least.shape == most.shape == (len(spec.bands),)
        return cls(least, most) if fit and bool(((least > 0) & (most >= least)).all()) else None

    def darker(self, seen: Levels) -> bool:
        """Whether the middle of most bands is far darker than what was dark in the training.

        The dark level itself may be, in shadow and black water; and a single band, as blue is
        where haze was taken out.
        """
        return bool(np.median(seen.middle / self.least) < _FAR_BELOW)

    def brighter(self, seen: Levels) -> bool:
        """Whether scaled levels are brighter in most bands, or in one by far."""
        above = seen.dark / self.most
        return bool(np.median(above) > _ABOVE or above.max() > _FAR_ABOVE)

    def fits(self, seen: Levels) -> bool:
        """Whether scaled levels are neither."""
        return not self.darker(seen) and not self.brighter(seen)

    def distance(self, seen: Levels) -> float:
        """How far dark levels lie from the range, as the logarithm of a factor."""
        dark = np.maximum(seen.dark, np.finfo(np.float64).tiny)
        away = np.log(dark / dark.clip(self.least, self.most))
        return float(np.sqrt(np.mean(away**2)))


def doubts(levels: Levels, spec: ModelSpec, dtype: str, scale: BandScale) -> list[str]:
    """What speaks against stored numbers read by ``scale``, with likely causes and what to do.

    A model that does not tell its training scenes' dark levels has no doubts.
    """
    trained = Trained.of(spec)
    if trained is None:
        return []
    if (fill := levels.fill) is not None:
        return [
            f"2 % of the pixels or more are {fill:g} in every band, and are taken for ground; if "
            f"that stands for no data, say so: rio edit-info --nodata {fill:g} SCENE"
        ]
    seen = levels.scaled(scale)
    swapped = _swapped(seen, spec.bands)
    if trained.fits(seen):
        return swapped
    if swapped and any(trained.fits(seen.of_bands(order)) for order in _orders(spec.bands)):
        return swapped  # a band is too dark or too bright only for the place that it stands in
    return [_unlike(levels, trained, spec, dtype, scale)]


def option_for(scale: BandScale) -> str:
    """The option that asks for a scale."""
    return f"--scale {','.join(f'{number:g}' for number in scale.numbers)}"


def _orders(bands: Sequence[str]) -> Iterator[list[int]]:
    yield from map(list, permutations(range(len(bands)))) if len(bands) <= _ORDERED else ()


def _unlike(levels: Levels, trained: Trained, spec: ModelSpec, dtype: str, scale: BandScale) -> str:
    seen = levels.scaled(scale)
    darker, above = trained.darker(seen), seen.dark / trained.most
    if not darker and np.median(above) <= _ABOVE:
        return (
            f"the {spec.bands[int(above.argmax())]} band is {above.max():.1f} times brighter "
            "where it is dark than in any of the model's scenes; if another band, such as near "
            "infrared, stands in its place, name them with --bands"
        )
    what = f"{lie(levels)}, {'darker' if darker else 'brighter'} than the model's scenes in {scale}"
    ways = conventions(dtype, spec.scale, float(levels.brightest.max()))
    ways = [way for way in ways if way.scale != scale]
    near = {way: trained.distance(levels.scaled(way.scale)) for way in ways}
    fit = [w for w in ways if near[w] < _FAR and trained.fits(levels.scaled(w.scale))]
    fit.sort(key=lambda way: near[way])
    if fit:
        causes = (f"if they are {w.source}, pass {option_for(w.scale)}" for w in fit[:_CAUSES])
        return f"{what}; {', '.join(causes)}"
    if dtype == "uint8":
        return (
            f"{what}; if they were stretched to 8 bits otherwise than true colour is, "
            f"pass --scale LOW,HIGH, the numbers that stand for the model's 0 and 1"
        )
    return f"{what}; pass the --scale that fits; if there is none, expect less of the result"


def lie(levels: Levels) -> str:
    """Where the numbers lie, in words."""
    ends = levels.dark.min(), levels.bright.max()
    low, high = (f"{end:.0f}" if abs(end) >= 1000 else f"{end:.4g}" for end in ends)
    return f"96 % of the numbers lie in {low}..{high}"


def _swapped(seen: Levels, bands: Sequence[str]) -> list[str]:
    """A sign of another order of bands than red, green, blue.

    Haze hides what is blue most and what is red least, and soil, the bright part of most
    scenes, is red: contrast falls from red to blue. Only a scene of plants alone has more in
    green than in red; but then green is brighter where it is dark, too.
    """
    if not {"red", "green", "blue"} <= set(bands):
        return []
    order = [bands.index(name) for name in ("red", "green", "blue")]
    red, green, blue = (seen.bright - seen.dark)[order]
    dark_red, dark_green, _ = seen.dark[order]
    if blue > _MORE * red:
        sign = "the blue band differs more from pixel to pixel than the red one"
    elif blue > _MORE * green:
        sign = "the blue band differs more from pixel to pixel than the green one"
    elif dark_red > dark_green and dark_red * green > _MUCH * dark_green * red:
        sign = "the red band is brighter than the green one where both are dark, yet differs less"
    else:
        return []
    return [f"{sign}; if they stand in another order, name them with --bands"]


def usual_level(spec: ModelSpec) -> NDArray[np.float32] | None:
    """What stands for a scene's dark level (bands,) where nobody measured it; None if untold.

    The median of the training scenes' levels, or the middle of their range.
    """
    if [i.percentile for i in spec.scene_inputs] != [DARK]:
        return None
    told: Any = spec.training.get(DARK_LEVELS)
    try:
        if "median" in told:
            return np.array(told["median"], np.float32)
        return np.asarray(np.mean([told["least"], told["most"]], axis=0), np.float32)
    except (KeyError, TypeError, ValueError):
        return None
