"""Scenes whose numbers are not what the model takes them for, and the causes that are named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.pixels import BandScale
from geodeforest.core.plausible import DARK_LEVELS, doubts
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


def doubtful(dark, bright, dtype="uint16", scale=REFLECTANCE, told=None):
    facts = {"least": LEAST, "most": MOST} if told is None else told
    spec = replace(small_spec(), bands=("red", "green", "blue"), training={DARK_LEVELS: facts})
    levels = (np.array(level, float) for level in (dark, bright))
    dark, bright = (np.clip((v - scale.low) / (scale.high - scale.low), 0, 1) for v in levels)
    return doubts(dark.astype(np.float32), bright.astype(np.float32), spec, dtype, scale)


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_real_scenes_raise_no_doubt(scene):
    assert doubtful(*scene) == []


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_numbers_sixteen_times_too_large_are_noticed(scene):
    (doubt,) = doubtful(*(np.array(level) * 16 for level in scene))
    assert "brighter than the model's scenes in 0..3558" in doubt


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_the_offset_of_1000_is_named(scene):
    (doubt,) = doubtful(*(np.array(level) + 1000 for level in scene))
    assert "brighter" in doubt
    if max(scene[1]) < 2500:
        assert "offset of 1000" in doubt
        assert "--scale 1000,4558" in doubt


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_8_bit_numbers_six_times_too_dark_are_noticed(scene):
    dark, bright = (np.array(level) / 3558 * 255 / 6 for level in scene)
    (doubt,) = doubtful(dark, bright, "uint8", BYTE)
    assert "darker" in doubt


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_8_bit_numbers_in_16_bits_get_the_scale_that_fits(scene):
    (doubt,) = doubtful(*(np.array(level) / 3558 * 255 for level in scene))
    assert "pass --scale 0,255" in doubt


@pytest.mark.parametrize("times", [10_000, 100])
def test_floats_that_are_not_0_to_1_are_noticed(times):
    dark, bright = (np.array(level) / 10_000 * times for level in SCENES["pasture"])
    (doubt,) = doubtful(dark, bright, "float32", UNIT)
    assert "--scale 0,3558, if percent 0,35.58" in doubt


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_bands_in_another_order_are_noticed(scene):
    (doubt,) = doubtful(*(level[::-1] for level in scene))
    assert "another order" in doubt


def test_a_model_that_tells_no_range_has_no_doubts():
    assert doubtful([0, 0, 0], [1, 1, 1], told={}) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["least", "most"]), inner),
    )
)
def test_a_range_of_nonsense_is_no_range(told):
    doubtful([267, 484, 628], [377, 626, 697], told=told)
