"""The training step: learns, compiles for accelerators, does not depend on the replicas."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from geodeforest.core.spec import Architecture
from geodeforest.nn.losses import LOSSES
from geodeforest.nn.schedule import optimizer
from geodeforest.nn.steps import Learner
from geodeforest.nn.unet import build_unet


def learner(batch=4, norm=True, loss="cross-entropy"):
    keras.utils.set_random_seed(0)
    model = build_unet(
        bands=3, classes=2, architecture=Architecture((4, 6), norm=norm, stem=2), scene_inputs=1
    )
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


@pytest.mark.parametrize("loss", LOSSES)
def test_the_step_compiles_by_xla_without_dynamic_shapes_or_host_calls(loss):
    held = learner(loss=loss)
    step = tf.function(held.train_step, jit_compile=True)
    hlo = step.experimental_get_compiler_ir(*batch_of())(stage="hlo")
    assert "ENTRY" in hlo
    assert "[<=" not in hlo, "a bounded dynamic dimension"
    assert not re.search(r"custom-call|infeed|outfeed|host-compute", hlo)
    assert np.isfinite(float(step(*batch_of())))


MIRRORED = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, {folder!r})
from test_steps import batch_of, learner
import numpy as np

def weights_after(strategy, steps=3):
    with strategy.scope():
        held = learner(norm=False)
    images = tf.data.Dataset.from_tensors(batch_of()).repeat(steps).unbatch().batch(4, True)

    @tf.function
    def train(batch):
        parts = strategy.run(held.train_step, args=batch)
        return strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)

    losses = [float(train(b)) for b in strategy.experimental_distribute_dataset(images)]
    return losses, [w.numpy() for w in held.model.trainable_variables]

two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert two.num_replicas_in_sync == 2
alone_losses, alone = weights_after(tf.distribute.get_strategy())
losses, mirrored = weights_after(two)
np.testing.assert_allclose(losses, alone_losses, rtol=1e-4)
for a, b in zip(alone, mirrored):
    np.testing.assert_allclose(a, b, atol=1e-4)
print("same")
"""


def test_two_replicas_take_the_same_steps_as_one():
    program = MIRRORED.format(folder=os.path.dirname(__file__))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip().endswith("same"), done.stderr[-2000:]
