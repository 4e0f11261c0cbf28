"""Histograms of scores, the temperature, and the calibration error, against sums over pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.calibration import (
    BINS,
    RELIABILITY_BINS,
    ScoreHistogram,
    bin_scores,
    calibrate,
    confidence_precision,
    cooled,
    fit_temperature,
    reliability,
)
from geodeforest.core.spec import ConfidenceRule
from geodeforest.errors import OptionError

RULE = ConfidenceRule(medium=0.75, high=0.9)


def sigmoid(odds):
    return 1 / (1 + np.exp(-odds))


def drawn(temperature, pixels=200_000, seed=0):
    """Truths drawn from calibrated log-odds, and the scores of a network that is so hot."""
    noise = np.random.default_rng(seed)
    odds = noise.normal(0, 2, pixels)
    return noise.random(pixels) < sigmoid(odds), sigmoid(odds * temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_made_scores_is_found(temperature):
    assert fit_temperature(ScoreHistogram.of(*drawn(temperature))) == pytest.approx(
        temperature, rel=0.03
    )


def test_no_other_temperature_is_more_likely():
    truth, scores = drawn(1.7, pixels=5000)
    odds = np.log(scores / (1 - scores))

    def loss(temperature):
        found = sigmoid(odds / temperature)
        return -np.log(np.where(truth, found, 1 - found)).mean()

    best = fit_temperature(ScoreHistogram.of(truth, scores))
    assert loss(best) <= min(map(loss, np.geomspace(0.3, 5, 200))) + 1e-5


def test_scores_that_are_never_wrong_do_not_run_away():
    truth = np.array([True, False])
    assert 0.04 < fit_temperature(ScoreHistogram.of(truth, np.array([0.9, 0.1]))) < 0.06


def test_histograms_of_parts_add_up_to_the_whole():
    truth, scores = drawn(1, pixels=1000)
    parts = ScoreHistogram.of(truth[:300], scores[:300]) + ScoreHistogram.of(
        truth[300:], scores[300:]
    )
    assert (parts.counts == ScoreHistogram.of(truth, scores).counts).all()


@given(st.floats(0, 1, width=32))
def test_a_score_lies_in_the_bin_of_its_own(score):
    counts = ScoreHistogram.of(np.array([True]), np.array([score], np.float32)).counts
    assert counts[0].sum() == 0
    assert bin_scores()[counts[1].argmax()] == pytest.approx(score, abs=0.0031)


def test_one_half_is_in_the_upper_half():
    counts = ScoreHistogram.of(np.array([False]), np.array([0.5], np.float32)).counts
    assert counts[0].argmax() == BINS // 2


def test_a_temperature_changes_no_sides_of_one_half():
    assert ((bin_scores(3.0) > 0.5) == (bin_scores() > 0.5)).all()


def test_the_calibration_error_is_that_of_the_pixels():
    truth, scores = drawn(2.0, pixels=20_000)
    bins = np.minimum((scores * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    gaps = [
        abs(scores[bins == b].mean() - truth[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    histogram = ScoreHistogram.of(truth, scores)
    assert reliability(bin_scores(), histogram.counts).error == pytest.approx(sum(gaps), abs=2e-3)


def test_calibration_error_by_hand():
    # four pixels at 0.9 of which two are true, six at 0.1 of which none is
    counts = np.array([[6, 2], [0, 2]])
    assert reliability([0.1, 0.9], counts).error == pytest.approx(0.4 * 0.4 + 0.6 * 0.1)


def test_an_empty_bin_has_no_share():
    diagram = reliability([0.9], np.array([[1], [1]]))
    assert np.isnan(diagram.true_share[0])
    assert diagram.true_share[18] == 0.5


def test_precision_of_each_class_of_confidence_by_hand():
    counts = np.array([[9, 3, 1, 0], [1, 1, 1, 4]])
    found = confidence_precision([0.3, 0.6, 0.8, 0.95], counts, RULE, 0.5)
    assert found == {
        "low": {"pixels": 4, "precision": 0.25},
        "medium": {"pixels": 2, "precision": 0.5},
        "high": {"pixels": 4, "precision": 1.0},
    }


def test_a_high_threshold_leaves_a_lower_confidence_without_pixels():
    found = confidence_precision([0.6, 0.95], np.array([[1, 0], [0, 1]]), RULE, 0.9)
    assert found["low"] == found["medium"] == {"pixels": 0, "precision": None}


def test_calibration_brings_the_error_down():
    found = calibrate(ScoreHistogram.of(*drawn(2.5)), RULE, 0.5)
    assert found.ece_before > 0.08
    assert found.ece_after < 0.01
    assert found.to_dict()["temperature"] == round(found.temperature, 4)


def test_a_temperature_that_does_harm_is_not_applied():
    # Calibrated scores, and one scene in a hundred where the network is sure and wrong.
    truth, scores = drawn(1.0)
    wrong = np.full(2000, 1 - 1e-5)
    histogram = ScoreHistogram.of(truth, scores) + ScoreHistogram.of(np.zeros(2000, bool), wrong)
    assert fit_temperature(histogram) > 1.1
    found = calibrate(histogram, RULE, 0.5)
    assert found.temperature == 1
    assert found.ece_after == found.ece_before


def test_nothing_counted_cannot_be_calibrated():
    with pytest.raises(OptionError, match="nothing can be calibrated"):
        calibrate(ScoreHistogram.empty(), RULE, 0.5)


def test_cooled_scores_are_the_softmax_of_divided_logits():
    logits = np.random.default_rng(0).normal(0, 3, (50, 3))

    def softmax(values):
        return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)

    found = cooled(softmax(logits).astype(np.float32), 1.8)
    assert found == pytest.approx(softmax(logits / 1.8), abs=1e-6)


def test_a_score_of_zero_can_be_cooled():
    assert cooled(np.array([[0, 1]], np.float32), 2.0).tolist() == [[0, 1]]
