"""The seed system's networks written after its description, twice over: as plain TensorFlow
operations and as Keras 2 layers. Nothing of geodeforest is used here.

Each network is a function of a *builder*, which makes the layers: ``Plain`` computes at once
and remembers the weights it drew, ``Keras2`` builds a model of the package tf_keras.
"""

from __future__ import annotations

import warnings

import h5py
import numpy as np
import tensorflow as tf

PUBLISHED = (32, 64, 128, 256, 512, 1024, 2048)
LATER = (16, 32, 64, 128, 512)


def published(make, x, filters, *, up_first=True, classes=3):
    """Two convolutions a level, no batch normalisation, two ReLUs after the way up."""
    skips = []
    for width in filters:
        if skips:
            x = make.pool(x)
        for _ in range(2):
            x = make.relu(make.conv(x, width, 3))
        skips.append(x)
    for width, skip in zip(filters[-2::-1], skips[-2::-1], strict=True):
        x = make.relu(make.relu(make.conv(make.grow(x), width, 2)))
        x = make.join([x, skip] if up_first else [skip, x])
        for _ in range(2):
            x = make.relu(make.conv(x, width, 3))
    return make.softmax(make.conv(x, classes, 1))


def later(make, x, filters, *, up_first=False, when_needed=False, classes=3):
    """Every deep level is also carried up, step by step, to all finer ones."""
    skips, raised = [], {}

    def carry(depth):
        steps = [skips[depth]]
        for _ in range(depth):
            steps.append(make.relu(make.conv(make.grow(steps[-1]), filters[depth], 3)))
        raised[depth] = steps[1:]

    for depth, width in enumerate(filters):
        if skips:
            x = make.pool(x)
        for _ in range(2):
            x = make.relu(make.conv(x, width, 3))
        skips.append(x)
        if not when_needed:
            carry(depth)
    for depth in reversed(range(len(filters) - 1)):
        if when_needed:
            carry(depth + 1)
        up = make.relu(make.conv(make.grow(x), filters[depth], 2))
        first = [up, skips[depth]] if up_first else [skips[depth], up]
        deeper = [raised[d][d - 1 - depth] for d in range(len(filters) - 1, depth, -1)]
        x = make.join([*first, *deeper])
        for _ in range(2):
            x = make.relu(make.conv(x, filters[depth], 3))
    return make.softmax(make.conv(x, classes, 1))


class Plain:
    """Computes at once with weights it draws; ``layers`` are (kernel, bias) as they were made."""

    def __init__(self, seed=0):
        self.draw, self.layers = np.random.default_rng(seed), []

    def conv(self, x, width, side):
        shape = (side, side, int(x.shape[-1]), width)
        kernel = self.draw.normal(0, (2 / np.prod(shape[:3])) ** 0.5, shape).astype(np.float32)
        bias = self.draw.normal(0, 0.1, width).astype(np.float32)
        self.layers.append((kernel, bias))
        return tf.nn.conv2d(x, kernel, 1, "SAME") + bias

    def pool(self, x):
        return tf.nn.max_pool2d(x, 2, 2, "VALID")

    def grow(self, x):
        return tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)

    def join(self, parts):
        return tf.concat(parts, axis=-1)

    relu = staticmethod(tf.nn.relu)
    softmax = staticmethod(tf.nn.softmax)


class Keras2:
    """Builds layers of tf_keras; ``fused`` puts an activation into its convolution."""

    def __init__(self, keras):
        self.layers = keras.layers

    def conv(self, x, width, side):
        made = self.layers.Conv2D(width, side, padding="same", kernel_initializer="he_normal")
        return made(x)

    def pool(self, x):
        return self.layers.MaxPooling2D((2, 2))(x)

    def grow(self, x):
        return self.layers.UpSampling2D(size=(2, 2))(x)

    def join(self, parts):
        return self.layers.concatenate(parts)

    def relu(self, x):
        return self.layers.Activation("relu")(x)

    def softmax(self, x):
        return self.layers.Activation("softmax")(x)


class Fused(Keras2):
    """The same with the first activation inside the convolution, as the seed wrote it at times."""

    def conv(self, x, width, side):
        how = {"padding": "same", "kernel_initializer": "he_normal"}
        how["activation"] = "softmax" if side == 1 else "relu"
        return self.layers.Conv2D(width, side, **how)(x)

    def relu(self, x):
        return x

    softmax = relu


def keras_model(keras, network, filters, make=Keras2, *, seed=0, side=None, **how):
    """A model of tf_keras with weights drawn at random, biases too."""
    inputs = keras.Input((side, side, 3))
    model = keras.Model(inputs, network(make(keras), inputs, filters, **how))
    draw = np.random.default_rng(seed)

    def drawn(w):
        spread = 0.1 if w.ndim == 1 else (2 / np.prod(w.shape[:3])) ** 0.5
        return draw.normal(0, spread, w.shape).astype(np.float32)

    model.set_weights([drawn(w) for w in model.get_weights()])
    return model


def save_whole(model, path):
    """``model.save``: weights, configuration and optimizer in one file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises another format
        model.save(path, save_format="h5")


def write_h5(path, layers, *, under=None):
    """A weights file laid out as TensorFlow 2.4 did, with h5py alone.

    Layers without weights are listed, too, as pooling and joining layers are in real files.
    """
    with h5py.File(path, "w") as file:
        root = file if under is None else file.create_group(under)
        names = ["input_1"]
        for number in range(len(layers)):
            names += [numbered("conv2d", number), numbered("activation", number)]
        root.attrs["layer_names"] = [name.encode("utf8") for name in names]
        root.attrs["backend"] = b"tensorflow"
        root.attrs["keras_version"] = b"2.4.0"
        convs = iter(layers)
        for name in names:
            group = root.create_group(name)
            parts = ()
            if name.startswith("conv"):
                parts = zip(("kernel", "bias"), next(convs), strict=True)
            kept = [(f"{name}/{part}:0", array) for part, array in parts]
            group.attrs["weight_names"] = [label.encode("utf8") for label, _ in kept]
            for label, array in kept:
                group.create_dataset(label, array.shape, array.dtype)[:] = array
    return path


def numbered(name, number):
    return f"{name}_{number}" if number else name
