"""A trained network becomes a model directory, and comes back from one. Knows no training.

What is written is not the network that was trained but its twin, rebuilt in float32 from the
spec with the same weights: so whatever the precision or the devices of the training, the
directory holds exactly the network that its spec describes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime as ort
import tensorflow as tf
from numpy.typing import NDArray

from geodeforest.core.spec import ModelFile, ModelSpec
from geodeforest.errors import ModelError, OutputUnwritable, SpecError, WeightsError, brief
from geodeforest.nn.to_onnx import to_onnx
from geodeforest.nn.unet import build_unet
from geodeforest.nn.weights import look_first, saved_weights

SPEC_FILE = "model.json"
ONNX_FILE = "model.onnx"
WEIGHTS_FILE = "model.weights.h5"
CARD_FILE = "MODEL_CARD.md"

TOLERANCE = 1e-4
"""How far a score of the ONNX graph may lie from Keras'."""


def export_model(model: keras.Model, spec: ModelSpec, directory: Path, card: str) -> ModelSpec:
    """Write the files of a model directory into an empty ``directory``.

    The result is ``spec`` with the sha256 and size of each file, as written to
    ``model.json``. The same weights and spec give the same bytes.

    Raises:
        OutputUnwritable: ``directory`` is not empty, missing, or full.
        ModelError: the network is not the spec's, its weights are not finite, or the ONNX
            graph differs from Keras by more than ``TOLERANCE``.
    """
    with _plain_float32(), tf.device("/CPU:0"):
        twin = _twin(model, spec, directory)
        proto = _described(to_onnx(twin), spec)
        content = proto.SerializeToString(deterministic=True)
        _compare(twin, content, spec, directory / ONNX_FILE)
        try:
            if any(directory.iterdir()):
                raise OutputUnwritable(directory, "not an empty directory", "name another one")
            twin.save_weights(directory / WEIGHTS_FILE)
            (directory / ONNX_FILE).write_bytes(content)
            (directory / CARD_FILE).write_text(card, "utf-8")
            names = (ONNX_FILE, WEIGHTS_FILE, CARD_FILE)
            written = replace(spec, files={name: _file(directory / name) for name in names})
            (directory / SPEC_FILE).write_text(written.to_json(), "utf-8")
        except OSError as error:
            if isinstance(error, OutputUnwritable):
                raise
            why = f"the model cannot be written ({error.strerror or error})"
            raise OutputUnwritable(directory, why, "check the directory and the disk") from error
    return written


def load_keras(directory: str | Path) -> keras.Model:
    """Rebuild the network that the spec describes and load its weights, nothing else.

    Raises:
        SpecError: ``model.json`` is wrong.
        WeightsError: the weights are not the file that the spec names, or do not fit.
    """
    return load_described(directory)[1]


def load_described(directory: str | Path) -> tuple[ModelSpec, keras.Model]:
    """The spec of a model directory, and its network like ``load_keras``; each is read once.

    Raises:
        SpecError: ``model.json`` is wrong.
        WeightsError: the weights are not the file that the spec names, or do not fit.
    """
    home = Path(directory)
    path = home / WEIGHTS_FILE
    try:
        spec = ModelSpec.from_json((home / SPEC_FILE).read_text("utf-8", "replace"))
        content = path.read_bytes()
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
        raise WeightsError(error.filename or home, why, "name a model directory") from error
    found = ModelFile(hashlib.sha256(content).hexdigest(), len(content))
    if found != spec.files.get(WEIGHTS_FILE):
        why = f"it is not the file that {SPEC_FILE} names"
        raise WeightsError(path, why, "get the model directory again, whole")
    with _plain_float32():
        model = _rebuilt(spec, path, found.bytes)
        _load_weights(model, path, content)
    return spec, model


def _rebuilt(spec: ModelSpec, path: Path, size: int) -> keras.Model:
    """The spec's network, unless the file of weights is too small for it to be true."""
    try:
        if 4 * spec.architecture.least_parameters(len(spec.bands)) > size:
            raise WeightsError(path, "it is too small for the spec's network", "export it again")
        return _build(spec)
    except (ValueError, TypeError, OverflowError, MemoryError, tf.errors.OpError) as error:
        raise SpecError("architecture", f"cannot be built ({brief(error)})") from error


def _build(spec: ModelSpec) -> keras.Model:
    return build_unet(
        bands=len(spec.bands),
        classes=len(spec.classes),
        architecture=spec.architecture,
        scene_inputs=len(spec.scene_inputs),
    )


@contextmanager
def _plain_float32() -> Iterator[None]:
    """Build and run in float32, whatever the training used."""
    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(former)


def _twin(model: keras.Model, spec: ModelSpec, directory: Path) -> keras.Model:
    weights = model.get_weights()
    twin = _build(spec)
    shapes = [tuple(w.shape) for w in twin.weights]
    if [w.shape for w in weights] != shapes:
        why = "the network's weights are not those of the spec's architecture"
        raise ModelError(directory, why, "give the spec that the network was built with")
    if not all(np.isfinite(w).all() for w in weights):
        why = "the network has weights that are not finite"
        raise ModelError(directory, why, "train again with a smaller learning rate")
    twin.set_weights(weights)
    return twin


def _described(proto: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """The graph with what other programs show of it: name, bands, classes, licence."""
    facts = {
        "name": spec.name,
        "version": spec.version,
        "bands": spec.bands,
        "class_names": {str(i): c.name for i, c in enumerate(spec.classes)},
        "multiple": spec.multiple,
        "threshold": spec.threshold,
        "licence": spec.licence,
    }
    proto.doc_string = (
        f"{spec.name} {spec.version}: chips (n, rows, cols, bands) scaled to 0..1 give scores "
        f"(n, rows, cols, classes); sides are multiples of {spec.multiple} px."
    )
    digits = spec.version.split(".")
    proto.model_version = int(digits[0]) if digits[0].isdecimal() and len(digits[0]) < 9 else 0
    for key, value in facts.items():
        proto.metadata_props.add(key=key, value=json.dumps(value))
    return proto


def _compare(model: keras.Model, content: bytes, spec: ModelSpec, path: Path) -> None:
    """Run the graph and the network on the same noise, at sizes the graph has never seen."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    noise = np.random.default_rng(0)
    unit, chip = spec.multiple, spec.chip
    for n, rows, cols in ((2, 2 * unit, 2 * unit), (1, 5 * unit, 3 * unit), (1, chip, chip)):
        feed = {"chips": noise.random((n, rows, cols, len(spec.bands)), np.float32)}
        if spec.scene_inputs:
            levels = len(spec.scene_inputs) * len(spec.bands)
            feed["scene_level"] = noise.random((n, levels), np.float32) / np.float32(4)
        (found,) = session.run(["scores"], feed)
        furthest = float(np.abs(found - _scores(model, feed)).max())
        if not furthest <= TOLERANCE:
            why = f"at {rows} x {cols} px its scores differ from Keras' by {furthest:.2g}"
            raise ModelError(path, why, "report the architecture; nothing was written")


def _scores(model: keras.Model, feed: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    inputs = [feed[tensor.name] for tensor in model.inputs]
    return np.asarray(model(inputs if len(inputs) > 1 else inputs[0], training=False))


def _file(path: Path) -> ModelFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ModelFile(digest, path.stat().st_size)


def _load_weights(model: keras.Model, path: Path, content: bytes) -> None:
    """Give ``model`` its weights from the bytes of a file as Keras writes it.

    Raises:
        WeightsError: the file does not hold the weights of this network.
    """
    look_first(content, path)
    with saved_weights(content, path) as saved:
        for layer in model.layers:
            for number, weight in enumerate(layer.weights):
                data = saved.read(layer.name, number)
                if data.shape != tuple(weight.shape):
                    raise ValueError(f"{weight.path} is {data.shape}")
                weight.assign(data)
