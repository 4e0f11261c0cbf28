"""Losses: values by hand, ignored pixels, gradients where the seed's had none."""

import numpy as np
import pytest
import tensorflow as tf

from geodeforest.nn.losses import (
    LOSSES,
    cross_entropy,
    dice,
    hybrid,
    loss_named,
    seed_hybrid,
    tversky,
    tversky_index,
)

MENDED = sorted(LOSSES.keys() - {"seed-hybrid"})


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


@pytest.mark.parametrize("name", MENDED)
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


@pytest.mark.parametrize("name", MENDED)
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


def by_the_book(truth, score, weights, share, alpha, beta, s=1e-16):
    """The seed's formula for one image, in plain numpy and double precision."""
    classes = truth.shape[-1]
    loss = 0.0
    for c in range(classes):
        t, p = truth[..., c].astype(float), score[..., c].astype(float)
        tp, fp, fn = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
        loss += classes - weights[c] * (tp + s) / (tp + alpha * fp + beta * fn + s)
        loss += share * (classes - (2 * tp + s) / ((p**2).sum() + (t**2).sum() + s))
    return loss


@pytest.mark.parametrize(
    ("chosen", "weights", "share"),
    [
        ({}, (0.4, 2.2, 0.4), 1.0),
        ({"class_weights": (0.5, 2.0, 0.5), "dice_share": 0.3}, (0.5, 2.0, 0.5), 0.3),
    ],
)
def test_the_seeds_loss_is_its_formula_for_every_image(chosen, weights, share):
    draw = np.random.default_rng(2)
    truth = np.eye(3, dtype=np.float32)[draw.integers(0, 3, (4, 6, 5))]
    score = tf.nn.softmax(draw.normal(0, 2, truth.shape).astype(np.float32)).numpy()
    found = seed_hybrid(truth, score, np.ones(truth.shape[:3], np.float32), **chosen)
    expected = [
        by_the_book(t, p, weights, share, 0.5, 0.5) for t, p in zip(truth, score, strict=True)
    ]
    assert found.numpy() == pytest.approx(expected, rel=1e-5)


def test_the_seeds_loss_runs_from_12_to_18_as_its_logs_from_1_5_to_2_25():
    truth = np.eye(3, dtype=np.float32)[np.arange(48).reshape(1, 6, 8) % 3]
    weight = np.ones((1, 6, 8), np.float32)
    best, worst = (float(seed_hybrid(truth, p, weight)[0]) for p in (truth, truth[..., [1, 2, 0]]))
    assert (best, worst) == (pytest.approx(12), pytest.approx(18))
    assert (8 * best / 64, 8 * worst / 64) == (pytest.approx(1.5), pytest.approx(2.25))


def test_the_seeds_loss_has_no_gradient_against_an_absent_class():
    truth = one_hot(np.zeros((1, 8, 8), int))
    score = tf.Variable(tf.fill((1, 8, 8, 2), 0.5))
    with tf.GradientTape() as tape:
        index = tversky_index(truth, score, all_weight(truth), smooth=1e-16)[..., 1]
    assert (np.abs(tape.gradient(index, score).numpy()[..., 1]) < 1e-12).all()


@pytest.mark.parametrize("name", ["hybrid", "seed-hybrid"])
def test_the_heavy_class_is_the_models_deforestation(name):
    truth = one_hot([[[0, 1, 2, 2]]], 3)
    scores = [one_hot([[[2, 1, 2, 2]]], 3), one_hot([[[0, 2, 2, 2]]], 3)]
    for deforestation in (0, 1):
        loss = loss_named(name, 3, deforestation)
        costs = [float(loss(truth, score, all_weight(truth))[0]) for score in scores]
        assert costs.index(max(costs)) == deforestation
