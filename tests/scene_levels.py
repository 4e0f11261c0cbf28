"""Levels of real scenes, and a model that tells what its own had."""

from dataclasses import replace

import numpy as np
import pytest

from geodeforest.core.pixels import BandScale
from geodeforest.core.plausible import DARK_LEVELS, Levels
from geodeforest.testing import small_spec

LEAST, MOST = [0.07, 0.13, 0.17], [0.23, 0.22, 0.27]
REFLECTANCE, UNIT, BYTE = BandScale(0, 3558), BandScale(0, 0.3558), BandScale(0, 255)

# Dark and bright levels by band, as reflectance x 10,000: true colour over Amazonia, and two
# scenes of surface reflectance, in which haze is taken out.
SCENES = {
    "forest": ([267, 484, 628], [377, 626, 697]),
    "pasture": ([391, 642, 711], [2037, 1435, 1309]),
    "river": ([293, 516, 697], [711, 949, 1087]),
    "hills": ([280, 388, 244], [1600, 1167, 846]),
    "mountain forest": ([146, 239, 38], [654, 700, 327]),
}
every_scene = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)


def trained_spec(told=None):
    facts = {"least": LEAST, "most": MOST} if told is None else told
    scale = {"uint8": BYTE, "uint16": REFLECTANCE, "int16": REFLECTANCE, "float32": UNIT}
    return replace(small_spec(), scale=scale, training={DARK_LEVELS: facts})


def levels(dark, bright):
    """Levels of a scene with a little beyond its 2nd and 98th percentile."""
    dark, bright = np.array(dark, float), np.array(bright, float)
    return Levels(0.9 * dark, dark, 0.85 * dark + 0.15 * bright, bright, 1.05 * bright)
