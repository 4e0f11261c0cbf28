"""A model directory's network as TensorFlow's SavedModel."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from keras.export import ExportArchive

from geodeforest.core.spec import ModelSpec
from geodeforest.nn.export import load_keras


def write_saved_model(home: Path, spec: ModelSpec, chip: int, directory: Path) -> None:
    """Write the network of the model in ``home`` with one signature, ``serve``.

    It takes ``chips`` (n, chip, chip, bands) scaled to 0..1 and, where the model has scene
    inputs, ``scene_level`` (n, inputs * bands), and gives scores (n, chip, chip, classes).
    The side is fixed, since bilinear upsampling cannot be traced for one yet unknown.

    Raises:
        ModelError: the weights are refused.
    """
    model = load_keras(home)
    bands, levels = len(spec.bands), len(spec.bands) * len(spec.scene_inputs)
    signature = [tf.TensorSpec((None, chip, chip, bands), tf.float32, name="chips")]
    if levels:
        signature.append(tf.TensorSpec((None, levels), tf.float32, name="scene_level"))

    def serve(*inputs: tf.Tensor) -> tf.Tensor:
        return model(list(inputs) if levels else inputs[0], training=False)

    archive = ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", serve, input_signature=signature)
    archive.write_out(str(directory), verbose=False)
