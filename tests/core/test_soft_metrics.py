"""The seed's soft metrics, and how far they lie from what a map is worth."""

from __future__ import annotations

import numpy as np
import pytest

from geodeforest.core.metrics import Confusion
from geodeforest.core.soft_metrics import soft_f1, soft_iou


def one_hot(labels):
    return np.eye(3)[labels]


def confident(labels, confidence):
    """Scores that give the true class ``confidence``, and share the rest."""
    return one_hot(labels) * confidence + (1 - one_hot(labels)) * (1 - confidence) / 2


def shares(*pixels):
    """Labels of an image with so many pixels of each class."""
    return np.repeat(np.arange(3), pixels).reshape(20, -1)


def test_by_hand():
    truth, score = one_hot([0, 0, 1]), [[0.5, 0.5, 0], [1, 0, 0], [0.2, 0.8, 0]]
    ious = [1.5 / (2 + 1.7 - 1.5), 0.8 / (1 + 1.3 - 0.8), 1]
    assert soft_iou(truth, score) == pytest.approx(np.mean(ious))
    assert soft_f1(truth, score) == pytest.approx(np.mean([3 / 3.7, 1.6 / 2.3, 1]))


def test_an_image_of_one_class_scores_a_third_though_every_pixel_is_right():
    forest = shares(1000, 0, 0)
    score = confident(forest, 0.98)
    assert soft_iou(one_hot(forest), score) == pytest.approx(0.327, abs=5e-4)
    hard = Confusion.of(forest.astype(np.uint8), score.argmax(-1), 3)
    assert (hard.mean_iou, hard.accuracy) == (1, 1)


def test_a_perfect_map_of_three_classes_loses_a_fourteenth_to_its_confidence():
    labels = shares(770, 115, 115)  # the seed's share of forest
    score = confident(labels, 0.98)
    assert soft_iou(one_hot(labels), score) == pytest.approx(0.932, abs=5e-4)
    assert Confusion.of(labels.astype(np.uint8), score.argmax(-1), 3).mean_iou == 1


def test_only_certain_and_right_scores_give_one():
    labels = shares(600, 300, 100)
    assert soft_iou(one_hot(labels), one_hot(labels)) == soft_f1(one_hot(labels), one_hot(labels))
    assert soft_iou(one_hot(labels), one_hot(labels)) == pytest.approx(1)


def test_all_pixels_of_a_batch_count_together():
    labels = np.stack([shares(1000, 0, 0), shares(0, 500, 500)])
    score = confident(labels, 0.9)
    alone = [soft_iou(one_hot(la), confident(la, 0.9)) for la in labels]
    assert soft_iou(one_hot(labels), score) > max(alone)
