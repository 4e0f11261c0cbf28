"""Scenes whose numbers are not what the model takes them for, and the causes that are named."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scene_levels import (
    BYTE,
    LEAST,
    MOST,
    REFLECTANCE,
    SCENES,
    UNIT,
    every_scene,
    levels,
    trained_spec,
)

from geodeforest.core.percentiles import Sample
from geodeforest.core.pixels import BandScale
from geodeforest.core.plausible import Levels, Trained, doubts


def doubtful(dark, bright, dtype="uint16", scale=REFLECTANCE, told=None):
    return doubts(levels(dark, bright), trained_spec(told), dtype, scale)


def test_levels_are_percentiles_by_band_in_stored_numbers():
    sample = np.stack([np.arange(1001), np.full(1001, 7)]).astype(np.uint16)
    found = Levels.of(Sample(sample))
    assert found.darkest.tolist() == [1, 7]
    assert found.dark.tolist() == [20, 7]
    assert found.middle.tolist() == [500, 7]
    assert found.bright.tolist() == [980, 7]
    assert found.brightest.tolist() == [1000, 7]
    assert found.scaled(BandScale((0, 5), 10)).bright.tolist() == [98, 0.4]


@every_scene
def test_real_scenes_raise_no_doubt(scene):
    assert doubtful(*scene) == []


@every_scene
def test_numbers_sixteen_times_too_large_are_noticed_and_named(scene):
    (doubt,) = doubtful(*(np.array(level) * 16 for level in scene))
    assert "brighter than the model's scenes in 0..3558" in doubt
    assert "multiplied by 16" in doubt
    assert "--scale 0,56928" in doubt


@every_scene
def test_an_offset_that_nobody_took_off_is_named(scene):
    (doubt,) = doubtful(*(np.array(level) + 1000 for level in scene))
    assert "brighter" in doubt
    assert "with Sentinel-2's offset (baseline 04.00 and later), pass --scale 1000,4558" in doubt


@every_scene
def test_8_bit_numbers_six_times_too_dark_are_noticed(scene):
    dark, bright = (np.array(level) / 3558 * 255 // 6 for level in scene)
    (doubt,) = doubtful(dark, bright, "uint8", BYTE)
    assert "darker" in doubt
    assert "stretched to 8 bits" in doubt


@every_scene
def test_8_bit_numbers_in_16_bits_get_the_scale_that_fits(scene):
    (doubt,) = doubtful(*(np.array(level) / 3558 * 255 for level in scene))
    assert "8-bit numbers of true colour, pass --scale 0,255" in doubt


def test_8_bit_numbers_end_at_255():
    dark, bright = SCENES["mountain forest"]
    autumn = np.array(dark) / 4, np.array(bright) / 2  # surface reflectance in low sun
    (doubt,) = doubtful(*autumn)
    assert "8-bit" not in doubt


@pytest.mark.parametrize(
    ("gain", "offset", "option"), [(2e-5, -0.1, "5000,22790"), (2.75e-5, -0.2, "7272.73,20210.9")]
)
def test_landsat_numbers_get_the_scale_that_fits(gain, offset, option):
    stored = ((np.array(level) / 1e4 - offset) / gain for level in SCENES["pasture"])
    (doubt,) = doubtful(*stored)
    assert f"--scale {option}" in doubt


@pytest.mark.parametrize(("times", "option"), [(10_000, "0,3558"), (100, "0,35.58")])
def test_floats_that_are_not_0_to_1_are_noticed(times, option):
    dark, bright = (np.array(level) / 10_000 * times for level in SCENES["pasture"])
    (doubt,) = doubtful(dark, bright, "float32", UNIT)
    assert f"--scale {option}" in doubt


@every_scene
@pytest.mark.parametrize("order", [o for o in permutations(range(3)) if o != (0, 1, 2)])
def test_bands_in_another_order_are_noticed(scene, order):
    (doubt,) = doubtful(*(np.array(level)[list(order)] for level in scene))
    assert "another order" in doubt


def test_ground_without_forest_is_in_order():
    """Bare ground is redder than green where it is dark, too, but it also differs more in red."""
    assert doubtful([809, 711, 795], [1060, 837, 865]) == []


@pytest.mark.parametrize("dark", [[60, 90, 70], [0, 5, 0]], ids=["black water", "shadow"])
def test_what_is_dark_may_be_darker_than_in_any_training_scene(dark):
    """Surface reflectance of black rivers and of shadow in the mountains."""
    seen = levels(dark, [1600, 1167, 846])
    seen = replace(seen, middle=np.array([206.0, 355, 99]))
    assert doubts(seen, trained_spec(), "uint16", REFLECTANCE) == []


def test_a_scene_with_more_haze_than_any_of_the_training_raises_no_doubt():
    assert doubtful([711, 949, 1158], [1270, 1228, 1340]) == []


@pytest.mark.parametrize(("fill", "dtype"), [(0, "uint16"), (-9999, "float32"), (0, "uint8")])
def test_a_border_that_is_not_declared_is_named(fill, dtype):
    seen = Levels(*np.repeat([[fill], [fill], [500], [900], [1000]], 3, axis=1).astype(float))
    (doubt,) = doubts(seen, trained_spec(), dtype, REFLECTANCE)
    assert f"are {fill} in every band" in doubt
    assert f"--nodata {fill} SCENE" in doubt


def test_another_band_in_the_place_of_red_is_named():
    (doubt,) = doubtful([2500, 642, 711], [4037, 1435, 1309])
    assert doubt.startswith("the red band is 3.1 times brighter")
    assert "near infrared" in doubt


def test_bands_that_are_not_colours_have_no_order():
    spec = replace(trained_spec(), bands=("red", "green", "nir"))
    assert doubts(levels(*SCENES["forest"]), spec, "uint16", REFLECTANCE) == []


@every_scene
def test_numbers_are_judged_by_the_scale_of_each_band(scene):
    gains = np.array([1, 2, 5])
    dark, bright = (np.array(level) * gains for level in scene)
    assert doubtful(dark, bright, scale=BandScale(0, tuple(3558.0 * gains))) == []
    assert doubtful(dark, bright)


@pytest.mark.parametrize(
    "told", [{}, {"least": LEAST, "most": LEAST[:2]}, {"least": [0, 1, 1], "most": MOST}]
)
def test_a_model_that_tells_no_range_has_no_doubts(told):
    assert Trained.of(trained_spec(told)) is None
    assert doubtful([0, 0, 0], [1, 1, 1], told=told) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["least", "most"]), inner),
    )
)
def test_a_range_of_nonsense_is_no_range(told):
    doubtful([267, 484, 628], [377, 626, 697], told=told)
