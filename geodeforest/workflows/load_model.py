"""Models by name or directory: which there are, what they say, and ready to run."""

from __future__ import annotations

from os import PathLike
from typing import Literal, get_args

from geodeforest.core.options import Device
from geodeforest.core.ports import Predictor
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import OptionError, WeightsError
from geodeforest.runtime.model_dir import (
    builtin_names,
    model_directory,
    read_spec,
    verify_files,
)
from geodeforest.workflows.extras import need_training


def load_model(
    model: str | PathLike[str] | None = None,
    engine: Literal["onnx", "tensorflow"] = "onnx",
    device: Device = "cpu",
) -> Predictor:
    """A model, checked and ready to predict; None is the default built-in model.

    ``device`` is ``cpu`` or ``gpu``; a GPU needs CUDA.

    ``model.spec`` says what it is; ``model.predict(chips, scene_level=None)`` takes float32
    chips (n, rows, cols, bands) scaled to 0..1 and gives scores (n, rows, cols, classes).

    Raises:
        ModelError: there is no such model, or a check of its files refuses it.
        MissingExtra: the engine is ``tensorflow`` and TensorFlow is not installed, or what a
            GPU needs is not.
        OptionError: the engine or the device is unknown, or the GPU cannot be used.
    """
    if engine not in ("onnx", "tensorflow"):
        raise OptionError(f"engine {engine!r} is unknown; choose onnx or tensorflow")
    if device not in get_args(Device):
        raise OptionError(f"device {device!r} is unknown; choose cpu or gpu")
    directory = model_directory(model)
    if engine == "onnx":
        from geodeforest.runtime.onnx_predictor import OnnxPredictor

        return OnnxPredictor(directory, device)
    need_training("--engine tensorflow")
    verify_files(directory, read_spec(directory))
    from geodeforest.nn.keras_predictor import KerasPredictor

    return KerasPredictor(directory, device)


def builtin_models() -> list[ModelSpec]:
    """The specs of the models that come with the package, by name.

    Raises:
        ModelError: the installation is damaged.
    """
    return [model_spec(name) for name in builtin_names()]


def model_spec(model: str | PathLike[str] | None = None) -> ModelSpec:
    """The spec of a model, without loading or checking its network.

    Raises:
        ModelError: there is no such model, or its spec is wrong.
    """
    return read_spec(model_directory(model))


def model_files_are_whole(model: str | PathLike[str]) -> bool:
    """Whether the files of a model are those that its spec names."""
    directory = model_directory(model)
    try:
        verify_files(directory, read_spec(directory))
    except WeightsError:
        return False
    return True
