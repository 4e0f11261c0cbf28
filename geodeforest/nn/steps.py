"""One step of training and one of validation, for one replica. Static shapes, no host calls.

The same functions run plainly, under ``strategy.run`` and compiled by XLA.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.nn.losses import Loss


@dataclass(frozen=True, slots=True)
class Learner:
    """A network in training. ``batch`` is the global one, of all replicas together."""

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    loss: Loss
    batch: int

    def train_step(self, images: tf.Tensor, labels: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
        """Move the weights once; returns this replica's part of the batch's mean loss.

        Every image's loss is divided by the global batch, and the optimizer sums gradients
        over replicas, so the step does not depend on how many there are. Shapes:
        (n, rows, cols, bands), (n, rows, cols) class indexes, (n, inputs * bands).
        """
        classes = int(self.model.output_shape[-1])
        truth = tf.one_hot(tf.cast(labels, tf.int32), classes)
        weight = tf.cast(labels != NOT_ASSESSED, tf.float32)
        with tf.GradientTape() as tape:
            scores = self.model(self._inputs(images, levels), training=True)
            loss = tf.reduce_sum(self.loss(truth, scores, weight)) / self.batch
        weights = self.model.trainable_variables
        gradients = tape.gradient(loss, weights)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return loss

    def confusion_step(self, images: tf.Tensor, labels: tf.Tensor, levels: tf.Tensor) -> tf.Tensor:
        """Confusion counts per image, (n, classes, classes): truth by best-scored class."""
        classes = int(self.model.output_shape[-1])
        scores = self.model(self._inputs(images, levels), training=False)
        found = tf.one_hot(tf.argmax(scores, axis=-1, output_type=tf.int32), classes)
        # one_hot gives an ignored pixel (255) an all-zero row, which counts nowhere.
        truth = tf.one_hot(tf.cast(labels, tf.int32), classes)
        # 0 and 1 are exact in every precision, and so are sums of fewer than 2**24 pixels.
        return tf.cast(tf.einsum("nrct,nrcp->ntp", truth, found), tf.int32)

    def _inputs(self, images: tf.Tensor, levels: tf.Tensor) -> tf.Tensor | list[tf.Tensor]:
        return [images, levels] if len(self.model.inputs) > 1 else images
