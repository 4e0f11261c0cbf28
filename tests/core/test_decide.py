"""Stored scores and the class ids that follow from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.decide import decide, quantise, stitched_planes, threshold_step
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import (
    Architecture,
    ClassDef,
    ConfidenceRule,
    ModelSpec,
)
from geodeforest.errors import OptionError

FOREST = ClassDef(0, "forest", "forest")
CLEARED = ClassDef(1, "deforestation", "deforestation")
OTHER = ClassDef(2, "other", "other")


def spec(*classes):
    return ModelSpec(
        name="m",
        version="1",
        bands=("red",),
        scale={"uint8": BandScale(0, 255)},
        gsd_m=10,
        chip=64,
        halo=8,
        classes=classes,
        threshold=0.5,
        confidence=ConfidenceRule(0.7, 0.9),
        architecture=Architecture((4, 8)),
    )


@given(st.floats(0, 1, width=32))
def test_a_stored_score_is_the_nearest_step(score):
    stored = quantise(np.array([score], np.float32))[0]
    assert abs(stored / 250 - score) <= 0.5 / 250 + 1e-6
    assert stored <= 250


@given(st.integers(1, 250))
def test_a_threshold_on_a_step_is_that_step(step):
    assert threshold_step(step / 250) == step


@given(st.floats(0.0001, 1))
def test_the_threshold_step_is_the_first_that_reaches_it(threshold):
    step = threshold_step(threshold)
    assert step / 250 >= threshold - 1e-8
    assert step == 1 or (step - 1) / 250 < threshold


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, float("nan")])
def test_a_threshold_outside_its_range_is_refused(threshold):
    with pytest.raises(OptionError, match="threshold"):
        threshold_step(threshold)


def test_one_other_class_needs_no_plane():
    assert stitched_planes(spec(FOREST, CLEARED)) == (1,)


def test_two_other_classes_need_theirs():
    assert stitched_planes(spec(FOREST, CLEARED, OTHER)) == (1, 0, 2)


@given(st.integers(0, 2**32 - 1), st.integers(1, 250))
def test_a_pixel_is_deforestation_if_and_only_if_its_stored_score_reaches_the_step(seed, step):
    rng = np.random.default_rng(seed)
    scores = rng.random((3, 5, 7), np.float32)
    valid = rng.random((5, 7)) < 0.8
    classes, stored = decide(scores, valid, spec(FOREST, CLEARED, OTHER), step)
    assert ((classes == 1) == (valid & (stored >= step))).all()
    assert ((classes == 255) == ~valid).all()
    assert ((stored == 255) == ~valid).all()


def test_below_the_step_the_best_other_class_wins():
    planes = np.array([[[0.4, 0.4]], [[0.1, 0.35]], [[0.5, 0.25]]], np.float32)
    classes, _ = decide(planes, np.ones((1, 2), bool), spec(FOREST, CLEARED, OTHER), 125)
    assert classes.tolist() == [[2, 0]]


def test_class_ids_are_the_specs_not_positions():
    odd = (ClassDef(7, "cut", "deforestation"), ClassDef(9, "forest", "forest"))
    scores = np.array([[[0.9, 0.1]]], np.float32)
    classes, _ = decide(scores, np.ones((1, 2), bool), spec(*odd), 125)
    assert classes.tolist() == [[7, 9]]
