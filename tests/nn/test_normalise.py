"""Batch normalisation in one operation gives what Keras' dozen give."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from geodeforest.nn.normalise import BatchNormalization


def pair(**options):
    """Keras' layer and ours with the same odd weights."""
    layers = keras.layers.BatchNormalization(**options), BatchNormalization(**options)
    rng = np.random.default_rng(1)
    weights = [rng.uniform(0.5, 2, 5).astype(np.float32) for _ in range(4)]
    for layer in layers:
        layer.build((None, None, None, 5))
        layer.set_weights(weights)
    return layers


def pixels(dtype=np.float32):
    return tf.constant(np.random.default_rng(0).normal(3, 2, (2, 4, 3, 5)).astype(dtype))


def trained(layer, x):
    """Output, gradients and weights of a pass of training."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 3)
    gradients = tape.gradient(loss, [x, *layer.trainable_variables])
    return [np.asarray(a, np.float32) for a in (y, *gradients, *layer.weights)]


def operations(layer, x):
    graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(x).graph
    return {operation.type for operation in graph.get_operations()}


def test_a_pass_of_training_is_that_of_keras():
    keras_own, fused = pair()
    assert "FusedBatchNormV3" in operations(fused, pixels())
    for expected, found in zip(trained(keras_own, pixels()), trained(fused, pixels()), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("training", [False, None])
def test_at_rest_it_is_keras_own_to_the_bit(training):
    one, other = (layer(pixels(), training=training).numpy() for layer in pair())
    np.testing.assert_array_equal(one, other)


def test_a_frozen_layer_keeps_its_moments():
    _, fused = pair()
    fused.trainable = False
    before = [w.numpy() for w in fused.weights]
    fused(pixels(), training=True)
    np.testing.assert_array_equal(before, [w.numpy() for w in fused.weights])


@pytest.mark.parametrize(
    ("options", "dtype"),
    [({"synchronized": True}, np.float32), ({"dtype": "mixed_bfloat16"}, np.float16)],
    ids=["replicas", "half precision"],
)
def test_moments_of_replicas_and_half_precision_stay_keras_own(options, dtype):
    keras_own, fused = pair(**options)
    x = pixels(dtype)
    assert "FusedBatchNormV3" not in operations(fused, x)
    for expected, found in zip(trained(keras_own, x), trained(fused, x), strict=True):
        np.testing.assert_array_equal(found, expected)
