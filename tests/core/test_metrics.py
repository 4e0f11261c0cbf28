"""The pooled confusion matrix and what is read from it."""

import numpy as np
import pytest

from geodeforest.core.metrics import Confusion


@pytest.fixture
def counts():
    # truth 0: 6 right, 2 taken for 1; truth 1: 1 taken for 0, 3 right
    return Confusion(np.array([[6, 2], [1, 3]]))


def test_pixels_are_counted_by_truth_and_prediction():
    truth = np.array([[0, 0], [1, 1]], np.uint8)
    found = np.array([[0, 1], [1, 1]], np.uint8)
    assert Confusion.of(truth, found, 2).counts.tolist() == [[1, 1], [0, 2]]


def test_ignored_pixels_count_nowhere():
    truth = np.array([255, 1, 255], np.uint8)
    assert Confusion.of(truth, np.array([0, 1, 1]), 2).counts.tolist() == [[0, 0], [0, 1]]


def test_metrics_by_hand(counts):
    assert counts.accuracy == pytest.approx(9 / 12)
    assert counts.iou == pytest.approx([6 / 9, 3 / 6])
    assert counts.f1 == pytest.approx([12 / 15, 6 / 9])
    assert counts.precision == pytest.approx([6 / 7, 3 / 5])
    assert counts.recall == pytest.approx([6 / 8, 3 / 4])


def test_pooling_is_not_the_mean_of_the_parts(counts):
    small = Confusion(np.array([[0, 1], [0, 0]]))
    assert (counts + small).accuracy == pytest.approx(9 / 13)


def test_an_absent_class_has_no_iou_and_leaves_the_mean_alone():
    only_forest = Confusion(np.array([[5, 0], [0, 0]]))
    assert np.isnan(only_forest.iou[1])
    assert only_forest.mean_iou == 1


def test_nothing_counted_is_not_a_number():
    assert np.isnan(Confusion(np.zeros((2, 2), np.int64)).accuracy)
