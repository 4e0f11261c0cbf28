"""A temperature becomes part of a network, so that every engine gives calibrated scores."""

from __future__ import annotations

import keras

from geodeforest.errors import ModelError


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Divide the logits of a network of ``build_unet`` by ``temperature``, in its weights.

    What follows the last convolution is linear, up to the softmax; so dividing its kernel
    and bias divides the logits, and costs nothing when the network runs.

    Raises:
        ModelError: the network has no layer of logits, or the temperature is not positive.
    """
    if not temperature > 0:
        raise ModelError(model.name, f"cannot have the temperature {temperature:g}", "calibrate")
    try:
        layer = model.get_layer("logits")
    except ValueError as error:
        raise ModelError(model.name, "has no layer of logits", "use build_unet") from error
    layer.set_weights([weight / temperature for weight in layer.get_weights()])
