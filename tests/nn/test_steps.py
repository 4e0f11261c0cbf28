"""The training step: learns, compiles for accelerators, does not depend on the replicas."""

import re
from contextlib import contextmanager

import keras
import numpy as np
import pytest
import tensorflow as tf

from geodeforest.core.spec import Architecture
from geodeforest.nn.losses import LOSSES
from geodeforest.nn.schedule import optimizer
from geodeforest.nn.steps import Learner
from geodeforest.nn.unet import build_unet

ONE_LEVEL = Architecture((4,))
LIGHT = Architecture((4, 6), block="separable", up="bilinear", stem=2)


def learner(batch=4, loss="cross-entropy", shape=ONE_LEVEL):
    keras.utils.set_random_seed(0)
    model = build_unet(bands=3, classes=2, architecture=shape, scene_inputs=1)
    adam = optimizer(steps=50, learning_rate=1e-2, weight_decay=1e-3)
    adam.build(model.trainable_variables)
    return Learner(model, adam, LOSSES[loss], batch)


def batch_of(count=4, side=16, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.random((count, side // 4, side // 4, 3), np.float32).repeat(4, 1).repeat(4, 2)
    labels = (images[..., 0] > 0.5).astype(np.uint8)
    labels[:, 0] = 255
    return tf.constant(images), tf.constant(labels), tf.zeros((count, 3))


def test_steps_lower_the_loss():
    held = learner()
    step = tf.function(held.train_step)
    losses = [float(step(*batch_of())) for _ in range(40)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_loss_is_divided_by_the_global_batch_not_the_replicas_own():
    one = float(learner(batch=4).train_step(*batch_of()))
    half_of_two = float(learner(batch=8).train_step(*batch_of()))
    assert half_of_two == pytest.approx(one / 2, rel=1e-5)


def test_confusion_counts_every_labelled_pixel_once():
    counts = learner().confusion_step(*batch_of()).numpy()
    assert counts.shape == (4, 2, 2)
    assert (counts.sum(axis=(1, 2)) == 15 * 16).all()


@contextmanager
def policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def assert_static_and_alone(hlo):
    """XLA's program of a step has one shape for all and asks the host for nothing."""
    assert "ENTRY" in hlo
    assert "[<=" not in hlo, "a bounded dynamic dimension"
    assert not re.search(r"custom-call|infeed|outfeed|host-compute", hlo)


@pytest.mark.parametrize(
    ("precision", "loss", "shape"),
    [("float32", "cross-entropy", LIGHT), ("mixed_bfloat16", "hybrid", ONE_LEVEL)],
)
def test_the_step_compiles_by_xla_without_dynamic_shapes_or_host_calls(precision, loss, shape):
    with policy(precision):
        held = learner(loss=loss, shape=shape)
    images, labels, levels = batch_of()
    step = tf.function(held.train_step, jit_compile=True)
    hlo = step.experimental_get_compiler_ir(images, labels, levels)(stage="hlo")
    assert_static_and_alone(hlo)
    assert ("bf16[" in hlo) == (precision == "mixed_bfloat16")
    assert np.isfinite(float(step(images, labels, levels)))
    assert held.model([images, levels], training=False).dtype == tf.float32


def test_the_validation_step_compiles_by_xla_too():
    held = learner()
    step = tf.function(held.confusion_step, jit_compile=True)
    assert_static_and_alone(step.experimental_get_compiler_ir(*batch_of())(stage="hlo"))
    plain = held.confusion_step(*batch_of()).numpy()
    assert np.abs(step(*batch_of()).numpy() - plain).sum() <= 4, "but for ties"


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_and_its_gradient_compile_by_xla(loss):
    _, labels, _ = batch_of()

    def step(logits, labels):
        truth = tf.one_hot(tf.cast(labels, tf.int32), 2)
        weight = tf.cast(labels != 255, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = tf.reduce_sum(LOSSES[loss](truth, tf.nn.softmax(logits), weight))
        return tape.gradient(value, logits)

    logits = tf.random.stateless_normal((*labels.shape, 2), (0, 0))
    compiled = tf.function(step, jit_compile=True)
    assert_static_and_alone(compiled.experimental_get_compiler_ir(logits, labels)(stage="hlo"))
    np.testing.assert_allclose(compiled(logits, labels), step(logits, labels), atol=1e-5)
