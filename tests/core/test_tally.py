"""Counts of groups, the figures of pooled counts, and their intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from geodeforest.core.tally import Measure, Scorer, Tally, bootstrap, figures, nested
from geodeforest.errors import OptionError
from geodeforest.testing import small_spec

SPEC = small_spec()
NAMES = [c.name for c in SPEC.classes]


def tally_of(truth, found, scores=None, measure=None):
    truth, found = np.asarray(truth, np.uint8), np.asarray(found, np.uint8)
    stored = np.where(found == 1, 240, 10).astype(np.uint8) if scores is None else scores
    scorer = Scorer(SPEC, truth.shape[1], measure or Measure(min_object=1))
    scorer.feed(truth, found, stored)
    return scorer.finish()


TRUTH = [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 255, 255]]
FOUND = [[0, 1, 1, 1], [0, 0, 1, 255], [0, 0, 1, 1]]


def test_figures_by_hand():
    found = figures(tally_of(TRUTH, FOUND), NAMES)
    assert found["accuracy",] == pytest.approx(8 / 9)
    assert found["classes", "deforestation", "iou"] == pytest.approx(3 / 4)
    assert found["classes", "deforestation", "precision"] == pytest.approx(3 / 4)
    assert found["classes", "deforestation", "recall"] == 1
    assert found["classes", "forest", "f1"] == pytest.approx(10 / 11)
    assert found["mean_iou",] == pytest.approx((3 / 4 + 5 / 6) / 2)
    assert found["objects", "f1"] == 1


def test_labelled_pixels_that_were_not_assessed_are_told_and_count_nowhere_else():
    tally = tally_of(TRUTH, FOUND)
    assert tally.unseen.tolist() == [1]
    assert tally.confusion.sum() == tally.scores.sum() == 9


def test_the_calibration_error_by_hand():
    # three of four pixels at 0.96 are true, none of five at 0.04
    expected = (4 * (0.96 - 0.75) + 5 * 0.04) / 9
    assert figures(tally_of(TRUTH, FOUND), NAMES)["ece",] == pytest.approx(expected, abs=2e-3)


def test_the_confidence_of_found_objects():
    found = tally_of(TRUTH, FOUND).confidences()
    assert found["high"] == {"polygons": 1, "pixels": 4, "precision": 0.75}
    assert found["low"] == {"polygons": 0, "pixels": 0, "precision": None}


@given(arrays.arrays(np.uint8, (2, 6, 5), elements=st.sampled_from([0, 1, 255])))
def test_counts_do_not_depend_on_how_rows_are_fed(maps):
    truth, found = maps
    stored = np.where(found == 1, 200, 20).astype(np.uint8)
    scorer = Scorer(SPEC, 5, Measure(min_object=1))
    for row in range(6):
        scorer.feed(*(part[row : row + 1] for part in (truth, found, stored)))
    parts, whole = scorer.finish(), tally_of(truth, found, stored)
    assert nested(figures(parts, NAMES)) == nested(figures(whole, NAMES))


def test_the_figures_of_two_groups_are_those_of_their_pooled_counts():
    one, other = tally_of([[0, 1]], [[0, 1]]), tally_of([[1] * 8], [[0] * 8])
    assert figures(one + other, NAMES)["accuracy",] == pytest.approx(2 / 10)


def test_a_class_that_is_not_there_has_no_figures():
    found = nested(figures(tally_of([[0, 0]], [[0, 0]]), NAMES))
    assert found["classes"]["deforestation"] == dict.fromkeys(found["classes"]["forest"])
    assert found["objects"]["f1"] is None


@pytest.mark.parametrize(("truth", "found"), [([[0, 1]], [[0, 0]]), ([[0, 0]], [[0, 1]])])
def test_a_boundary_on_one_side_only_is_worth_nothing(truth, found):
    assert figures(tally_of(truth, found), NAMES)["classes", "deforestation", "boundary_f1"] == 0


def test_equal_groups_have_no_spread():
    one = tally_of(TRUTH, FOUND)
    low, high = bootstrap([one] * 4, NAMES, draws=50)["accuracy",]
    assert low == high == pytest.approx(8 / 9)


def test_intervals_are_the_same_for_the_same_seed_only():
    groups = [tally_of([[0] * 10], [[0] * (10 - i) + [1] * i]) for i in range(8)]
    some = bootstrap(groups, NAMES, seed=1)
    assert some == bootstrap(groups, NAMES, seed=1)
    assert some["accuracy",] != bootstrap(groups, NAMES, seed=2)["accuracy",]


def test_an_interval_is_as_wide_as_theory_has_it():
    # 100 groups of one pixel each, 70 of them right: 0.7 +- 1.96 sqrt(0.7 * 0.3 / 100)
    groups = [tally_of([[0]], [[int(i >= 70)]]) for i in range(100)]
    low, high = bootstrap(groups, NAMES)["accuracy",]
    assert (low, high) == pytest.approx((0.61, 0.79), abs=0.02)


def test_one_group_has_no_interval():
    assert bootstrap([tally_of(TRUTH, FOUND)], NAMES)["accuracy",] is None


@pytest.mark.parametrize("wrong", [{"tolerance": -1}, {"tolerance": 101}, {"min_object": 0}])
def test_measures_out_of_range_are_refused(wrong):
    with pytest.raises(OptionError):
        Measure(**wrong)


def test_tallies_are_taken_as_many_times_as_their_weights_say():
    one, other = tally_of(TRUTH, FOUND), tally_of([[0, 1]], [[1, 1]])
    (both,) = Tally.weighted([one, other], np.array([[3, 1]]))
    assert (both.confusion == (one + one + one + other).confusion).all()
    assert (both.scores == (one + one + one + other).scores).all()


@pytest.mark.parametrize(("gsd_m", "least"), [(10.0, 50), (30.0, 6), (100.0, 1), (None, 1)])
def test_objects_count_from_half_a_hectare_unless_told_otherwise(gsd_m, least):
    spec = replace(SPEC, gsd_m=gsd_m)
    assert Measure().least_object(spec) == least
    assert Measure(min_object=7).least_object(spec) == 7
