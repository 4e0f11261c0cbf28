"""The U-Net, in any shape an ``Architecture`` can name. Knows Keras, and no data.

Ronneberger, Fischer, Brox 2015 (doi 10.1007/978-3-319-24574-4_28).
"""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import layers

from geodeforest.core.spec import Architecture
from geodeforest.core.spec import architecture as architecture_of
from geodeforest.nn.normalise import BatchNormalization


def build_unet(
    *, bands: int, classes: int, architecture: Architecture | str = "unet", scene_inputs: int = 0
) -> keras.Model:
    """Build a network of softmax scores for chips of any multiple of ``architecture.multiple``.

    The inputs are ``chips`` (n, rows, cols, bands), stored numbers scaled to 0..1, and,
    where ``scene_inputs`` > 0, ``scene_level`` (n, scene_inputs * bands). The network then
    sees the bands and the bands minus each level. The output is (n, rows, cols, classes)
    in float32, whatever the precision policy.

    Raises:
        OptionError: an architecture's name is unknown.
    """
    shape = architecture_of(architecture)
    chips = keras.Input((None, None, bands), name="chips", dtype="float32")
    inputs = [chips]
    x = chips
    if scene_inputs:
        level = keras.Input((scene_inputs * bands,), name="scene_level", dtype="float32")
        inputs.append(level)
        x = _with_levels(chips, level, bands, scene_inputs)
    x = _body(x, shape)
    x = layers.Conv2D(classes, 1, name="logits")(x)
    if shape.stem > 1:
        x = layers.UpSampling2D(shape.stem, interpolation="bilinear", name="full_size")(x)
    scores = layers.Softmax(name="scores", dtype="float32")(x)
    # A list of one input would make Keras warn of every plain tensor it is called with.
    return keras.Model(inputs if scene_inputs else chips, scores, name="unet")


def _with_levels(
    chips: keras.KerasTensor, level: keras.KerasTensor, bands: int, scene_inputs: int
) -> keras.KerasTensor:
    flat = layers.Reshape((1, 1, scene_inputs * bands), name="level_map")(level)
    repeated = layers.Concatenate(name="repeated")([chips] * scene_inputs)
    above = layers.Subtract(name="above_level")([repeated, flat])
    return layers.Concatenate(name="bands_and_above")([chips, above])


def _body(x: keras.KerasTensor, shape: Architecture) -> keras.KerasTensor:
    if shape.stem > 1:
        x = layers.Conv2D(
            shape.filters[0], 3, shape.stem, "same", kernel_initializer="he_normal", name="stem"
        )(x)
        x = _activate(x, shape, "stem")
    skips: list[keras.KerasTensor] = []
    for depth, filters in enumerate(shape.filters):
        if depth:
            x = layers.MaxPooling2D(2, name=f"pool{depth}")(x)
        x = _level(x, filters, shape, f"down{depth}")
        skips.append(x)
    x = skips[-1]
    if shape.dropout:
        x = layers.SpatialDropout2D(shape.dropout, name="dropout")(x)
    raised = [_raised(skip, depth, shape) for depth, skip in enumerate(skips)]
    for depth in reversed(range(len(shape.filters) - 1)):
        up = _up(x, shape.filters[depth], shape, f"up{depth}")
        deeper = [raised[d][d - 1 - depth] for d in range(len(skips) - 1, depth, -1) if shape.dense]
        x = layers.Concatenate(name=f"join{depth}")([skips[depth], up, *deeper])
        x = _level(x, shape.filters[depth], shape, f"out{depth}")
    return x


def _raised(skip: keras.KerasTensor, depth: int, shape: Architecture) -> list[keras.KerasTensor]:
    """A dense network's level, carried up one size at a time to every finer level."""
    carried: list[keras.KerasTensor] = []
    if not shape.dense:
        return carried
    for step in range(depth):
        x = layers.UpSampling2D(2, name=f"raise{depth}_{step}_size")(skip)
        skip = _conv(x, shape.filters[depth], 3, shape, f"raise{depth}_{step}")
        carried.append(skip)
    return carried


def _level(x: keras.KerasTensor, filters: int, shape: Architecture, name: str) -> keras.KerasTensor:
    for step in range(2):
        x = _conv(x, filters, 3, shape, f"{name}_{step}")
    return x


def _up(x: keras.KerasTensor, filters: int, shape: Architecture, name: str) -> keras.KerasTensor:
    if shape.up == "transpose":
        x = layers.Conv2DTranspose(filters, shape.up_kernel, 2, "same", name=name)(x)
        return _activate(x, shape, name)
    if shape.block == "separable":
        # Mixing channels before the size grows costs a quarter and gives the same numbers.
        x = _conv(x, filters, 1, shape, name)
        return layers.UpSampling2D(2, interpolation=shape.up, name=f"{name}_size")(x)
    x = layers.UpSampling2D(2, interpolation=shape.up, name=f"{name}_size")(x)
    return _conv(x, filters, shape.up_kernel, shape, name)


def _conv(
    x: keras.KerasTensor, filters: int, kernel: int, shape: Architecture, name: str
) -> keras.KerasTensor:
    if shape.block == "separable" and kernel > 1:
        x = layers.DepthwiseConv2D(kernel, padding="same", use_bias=False, name=f"{name}_depth")(x)
        kernel = 1
    x = layers.Conv2D(
        filters,
        kernel,
        padding="same",
        use_bias=not shape.norm,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return _activate(x, shape, name)


def _activate(x: keras.KerasTensor, shape: Architecture, name: str) -> keras.KerasTensor:
    if shape.norm:
        # Moments over the whole batch, so that a step does not depend on the number of
        # replicas, and their running means stay the same on all of them.
        several = tf.distribute.get_strategy().num_replicas_in_sync > 1
        x = BatchNormalization(synchronized=several, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
