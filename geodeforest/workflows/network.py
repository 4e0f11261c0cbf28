"""The public door to the network builder, for people who train in their own scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geodeforest.core.spec import Architecture
from geodeforest.workflows.extras import need_training

if TYPE_CHECKING:
    import keras


def build_unet(
    bands: int = 3,
    classes: int = 2,
    architecture: str | Architecture = "unet",
    *,
    scene_inputs: int = 0,
) -> keras.Model:
    """A U-Net with softmax scores (n, rows, cols, classes), as an uncompiled Keras model.

    It takes ``chips`` (n, rows, cols, bands), float32 scaled to 0..1, whose sides are
    multiples of ``architecture.multiple``, and, where ``scene_inputs`` > 0,
    ``scene_level`` (n, scene_inputs * bands). ``architecture`` is an ``Architecture`` or
    one of the names ``light``, ``unet``, ``seed-unet`` and ``seed-dense``.

    Raises:
        MissingExtra: TensorFlow is not installed.
        OptionError: the architecture's name is unknown.
    """
    need_training("building a network")
    from geodeforest.nn.unet import build_unet as build

    return build(bands=bands, classes=classes, architecture=architecture, scene_inputs=scene_inputs)
