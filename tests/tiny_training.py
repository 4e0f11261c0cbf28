"""A training so small that a test can run it several times."""

import csv

import numpy as np
import tensorflow as tf

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import Architecture
from geodeforest.nn.augment import Augmentation
from geodeforest.nn.fit import Data, FitOptions
from geodeforest.nn.pipeline import Feed, training_batches, validation_batches

FEED = Feed(BandScale(0, 255), (0, 1), batch=2, seed=3)
TINY = FitOptions(
    architecture=Architecture((4,)),
    augmentation=Augmentation(crop=16),
    steps=6,
    batch=2,
    learning_rate=1e-2,
    validate_every=2,
)


def parsed(count, side=32):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    return tf.data.Dataset.from_tensor_slices(
        {
            "image": images,
            "labels": (images[..., 0] > 127).astype(np.uint8),
            "valid": np.ones((count, side, side), bool),
            "scene_level": np.zeros((count, 0), np.float32),
            "group": np.array([f"g{i % 2}" for i in range(count)]),
        }
    )


def data(validation=True, feed=FEED, **more):
    records, how = parsed(5), TINY.augmentation
    return Data(
        bands=3,
        classes=2,
        scene_inputs=0,
        training=lambda start: training_batches(records, feed, how, count=5, start=start),
        validation=validation_batches(records, feed, ["g0", "g1"], count=5) if validation else None,
        val_groups=["g0", "g1"] if validation else [],
        **more,
    )


def rows(directory):
    with (directory / "log.csv").open() as file:
        return list(csv.DictReader(file))


class Killed(BaseException):
    """What nobody catches, like the end of the process."""


def kill_at(step):
    def on_step(done, total, loss):
        if done == step:
            raise Killed

    return on_step
