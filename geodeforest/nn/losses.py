"""Losses as pure functions of one-hot truth, scores and pixel weights.

Everywhere ``truth`` and ``score`` are (batch, rows, cols, classes), ``weight`` is
(batch, rows, cols) with 0 for pixels to ignore, and the result has shape (batch,): one
loss per image, so that the caller can divide by the global batch of all replicas.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import tensorflow as tf

Loss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
LossName = Literal["cross-entropy", "dice", "tversky", "hybrid", "seed-hybrid"]

SMOOTH = 1.0
"""Pixels added to both sides of an index.

A class that an image lacks then scores 1 when nothing of it is predicted, and false
alarms still have a gradient; with 1e-16 they have none.
"""

SEED_SMOOTH = 1e-16
"""What the seed system added instead, kept in ``seed_hybrid`` alone."""


def cross_entropy(truth: tf.Tensor, score: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Mean of ``-log(score of the true class)`` over the pixels that count."""
    surprise = -tf.reduce_sum(truth * tf.math.log(tf.clip_by_value(score, 1e-7, 1.0)), axis=-1)
    counted = tf.reduce_sum(weight, axis=(1, 2))
    return tf.math.divide_no_nan(tf.reduce_sum(surprise * weight, axis=(1, 2)), counted)


def tversky_index(
    truth: tf.Tensor,
    score: tf.Tensor,
    weight: tf.Tensor,
    *,
    miss_cost: float = 0.5,
    smooth: float = SMOOTH,
) -> tf.Tensor:
    """Tversky index per image and class, shape (batch, classes), 1 at best.

    index = (hit + s) / (hit + miss_cost * missed + (1 - miss_cost) * false + s)

    ``miss_cost`` above 0.5 prefers a false alarm to a missed clearing; at 0.5 it is the
    Dice coefficient. Salehi, Erdogmus, Gholipour 2017 (doi 10.1007/978-3-319-67389-9_44).
    """
    counted = weight[..., tf.newaxis]
    hit = tf.reduce_sum(truth * score * counted, axis=(1, 2))
    missed = tf.reduce_sum(truth * (1 - score) * counted, axis=(1, 2))
    false = tf.reduce_sum((1 - truth) * score * counted, axis=(1, 2))
    return (hit + smooth) / (hit + miss_cost * missed + (1 - miss_cost) * false + smooth)


def dice(truth: tf.Tensor, score: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """One minus the Dice coefficient, mean over the classes."""
    return 1 - tf.reduce_mean(tversky_index(truth, score, weight), axis=-1)


def tversky(
    truth: tf.Tensor,
    score: tf.Tensor,
    weight: tf.Tensor,
    *,
    miss_cost: float = 0.7,
    class_weights: tuple[float, ...] | None = None,
) -> tf.Tensor:
    """One minus the Tversky index, mean over the classes by their weights."""
    index = tversky_index(truth, score, weight, miss_cost=miss_cost)
    return tf.reduce_sum((1 - index) * _shares(index, class_weights), axis=-1)


def hybrid(
    truth: tf.Tensor,
    score: tf.Tensor,
    weight: tf.Tensor,
    *,
    class_weights: tuple[float, ...] | None = None,
    dice_share: float = 1.0,
) -> tf.Tensor:
    """Class-weighted Tversky plus ``dice_share`` times Dice: the seed system's loss, mended.

    loss = sum_c w_c (1 - Tversky_c) + lambda * sum_c (1 - Dice_c), with the weights summing
    to the number of classes, so that a perfect map costs 0 and the worst one
    (1 + lambda) * classes. Against ``seed_hybrid`` it has no constant, and the smoothing
    that gives false alarms of an absent class a gradient. By default the weights are the
    seed's, with deforestation as the second class.
    """
    index = tversky_index(truth, score, weight)
    classes = index.shape[-1]
    chosen = class_weights or seed_weights(classes)
    weighted = tf.reduce_sum((1 - index) * _shares(index, chosen), axis=-1) * classes
    return weighted + dice_share * tf.reduce_sum(1 - index, axis=-1)


def seed_hybrid(
    truth: tf.Tensor,
    score: tf.Tensor,
    weight: tf.Tensor,
    *,
    class_weights: tuple[float, ...] | None = None,
    dice_share: float = 1.0,
    miss_cost: float = 0.5,
) -> tf.Tensor:
    """The seed system's loss to the letter, for comparison with its logs.

    loss = sum_c (C - w_c Tversky_c) + lambda * sum_c (C - Dice_c) for C classes, with
    Dice = (2 hit + s) / (sum of score^2 + sum of truth^2 + s) and s = 1e-16. With three
    classes and the seed's weights (0.4, 2.2, 0.4) a perfect map costs 12 and the worst one
    18. Its logs show the sum over 8 images divided by 64: 1.5 to 2.25. Its own defaults,
    which its training did not use, are the weights (0.5, 2.0, 0.5).
    """
    tversky_part = tversky_index(truth, score, weight, miss_cost=miss_cost, smooth=SEED_SMOOTH)
    classes = int(tversky_part.shape[-1])
    counted = weight[..., tf.newaxis]
    hit = tf.reduce_sum(truth * score * counted, axis=(1, 2))
    squares = tf.reduce_sum((truth**2 + score**2) * counted, axis=(1, 2))
    dice_part = (2 * hit + SEED_SMOOTH) / (squares + SEED_SMOOTH)
    weights = tf.constant(class_weights or seed_weights(classes), tversky_part.dtype)
    weighted = tf.reduce_sum(classes - weights * tversky_part, axis=-1)
    return weighted + dice_share * tf.reduce_sum(classes - dice_part, axis=-1)


LOSSES: dict[LossName, Loss] = {
    "cross-entropy": cross_entropy,
    "dice": dice,
    "tversky": tversky,
    "hybrid": hybrid,
    "seed-hybrid": seed_hybrid,
}


def loss_named(name: LossName, classes: int, deforestation: int = 1) -> Loss:
    """The loss of a name for so many classes; ``deforestation`` is the index of that class."""
    if name == "hybrid":
        return partial(hybrid, class_weights=seed_weights(classes, deforestation))
    if name == "seed-hybrid":
        return partial(seed_hybrid, class_weights=seed_weights(classes, deforestation))
    return LOSSES[name]


def seed_weights(classes: int, deforestation: int = 1) -> tuple[float, ...]:
    """The seed system's class weights: 2.2 for deforestation, 0.4 for each other class."""
    return tuple(2.2 if c == deforestation else 0.4 for c in range(classes))


def _shares(index: tf.Tensor, class_weights: tuple[float, ...] | None) -> tf.Tensor:
    """Weights that add up to 1, in the index's dtype."""
    weights = class_weights or (1.0,) * int(index.shape[-1])
    return tf.constant([w / sum(weights) for w in weights], index.dtype)
