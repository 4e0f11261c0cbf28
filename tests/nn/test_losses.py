"""Losses: values by hand, ignored pixels, gradients where the seed's had none."""

import numpy as np
import pytest
import tensorflow as tf

from geodeforest.nn.losses import LOSSES, cross_entropy, dice, hybrid, tversky, tversky_index


def one_hot(ids, classes=2):
    return tf.one_hot(tf.constant(ids), classes)


def all_weight(truth):
    return tf.ones(truth.shape[:-1])


@pytest.fixture
def scene():
    truth = one_hot([[[0, 1], [1, 1]]])
    score = tf.constant([[[[0.8, 0.2], [0.4, 0.6]], [[0.1, 0.9], [0.5, 0.5]]]])
    return truth, score, all_weight(truth)


def test_cross_entropy_by_hand(scene):
    expected = -np.mean(np.log([0.8, 0.6, 0.9, 0.5]))
    assert cross_entropy(*scene).numpy() == pytest.approx([expected], rel=1e-5)


def test_tversky_index_by_hand(scene):
    hit, missed, false = 0.6 + 0.9 + 0.5, 0.4 + 0.1 + 0.5, 0.2
    expected = (hit + 1) / (hit + 0.7 * missed + 0.3 * false + 1)
    assert tversky_index(*scene, miss_cost=0.7).numpy()[0, 1] == pytest.approx(expected, rel=1e-5)


def test_dice_is_tversky_with_equal_costs(scene):
    assert dice(*scene).numpy() == pytest.approx(tversky(*scene, miss_cost=0.5).numpy(), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_map_costs_nothing(name):
    truth = one_hot([[[0, 1], [1, 1]]])
    assert LOSSES[name](truth, truth, all_weight(truth)).numpy() == pytest.approx([0], abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_worse_map_costs_more(name, scene):
    truth, score, weight = scene
    worse = score[..., ::-1]
    assert LOSSES[name](truth, worse, weight) > LOSSES[name](truth, score, weight)


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_change_nothing(name, scene):
    truth, score, weight = scene
    weight = tf.tensor_scatter_nd_update(weight, [[0, 1, 1]], [0.0])
    changed = tf.tensor_scatter_nd_update(score, [[0, 1, 1]], [[0.0, 1.0]])
    loss = LOSSES[name]
    assert loss(truth, score, weight).numpy() == pytest.approx(loss(truth, changed, weight).numpy())


@pytest.mark.parametrize("name", LOSSES)
def test_every_image_has_its_own_loss(name, scene):
    both = [tf.concat([part, part], axis=0) for part in scene]
    single = LOSSES[name](*scene).numpy()
    assert LOSSES[name](*both).numpy() == pytest.approx([single[0], single[0]], rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_false_alarms_of_an_absent_class_have_a_gradient(name):
    truth = one_hot(np.zeros((1, 8, 8), int))
    logits = tf.Variable(tf.zeros((1, 8, 8, 2)))
    with tf.GradientTape() as tape:
        loss = LOSSES[name](truth, tf.nn.softmax(logits), all_weight(truth))
    gradient = tape.gradient(loss, logits).numpy()[..., 1]
    assert (gradient > 1e-5).all()


def test_an_image_without_labels_costs_nothing_and_is_finite():
    truth = tf.zeros((1, 4, 4, 2))
    score = tf.fill((1, 4, 4, 2), 0.5)
    assert cross_entropy(truth, score, tf.zeros((1, 4, 4))).numpy() == [0]


def test_hybrid_weighs_deforestation_more():
    truth = one_hot([[[0, 1, 2, 2]]], 3)
    forest_missed = one_hot([[[2, 1, 2, 2]]], 3)
    cleared_missed = one_hot([[[0, 2, 2, 2]]], 3)
    weight = all_weight(truth)
    assert hybrid(truth, cleared_missed, weight) > hybrid(truth, forest_missed, weight)


def test_hybrid_of_the_worst_map_is_bounded_by_twice_the_classes():
    truth = one_hot(np.zeros((1, 64, 64), int), 3)
    worst = one_hot(np.ones((1, 64, 64), int), 3)
    loss = float(hybrid(truth, worst, all_weight(truth))[0])
    assert 3 < loss <= 6
