"""A small U-Net graph written by hand, and model directories made of it, without TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import (
    Architecture,
    ClassDef,
    ConfidenceRule,
    ModelFile,
    ModelSpec,
    SceneInput,
)

BANDS, LEVELS, CLASSES = 3, 3, 2


def graph_of_a_unet() -> onnx.ModelProto:
    """Two levels, one scene input, and a softmax, as networks of three classes end."""
    draw = np.random.default_rng(7)

    def weights(name, *dims):
        kernel = draw.normal(0, 0.3, dims).astype(np.float32)
        bias = draw.normal(0, 0.1, dims[0]).astype(np.float32)
        return [
            numpy_helper.from_array(kernel, f"{name}/k"),
            numpy_helper.from_array(bias, f"{name}/b"),
        ]

    def node(op, inputs, output, **attributes):
        return helper.make_node(op, inputs, [output], name=output, **attributes)

    def conv(name, source):
        return node("Conv", [source, f"{name}/k", f"{name}/b"], name, pads=[1, 1, 1, 1])

    nodes = [
        node("Transpose", ["chips"], "chips_nchw", perm=[0, 3, 1, 2]),
        node("Reshape", ["scene_level", "shape"], "level"),
        node("Sub", ["chips_nchw", "level"], "above"),
        node("Concat", ["chips_nchw", "above"], "both", axis=1),
        conv("first", "both"),
        node("Relu", ["first"], "skip"),
        node("MaxPool", ["skip"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        conv("deep", "pool"),
        node("Relu", ["deep"], "deep_relu"),
        node("Resize", ["deep_relu", "", "scales"], "up", mode="nearest"),
        node("Concat", ["skip", "up"], "join", axis=1),
        conv("last", "join"),
        node("Transpose", ["last"], "last_nhwc", perm=[0, 2, 3, 1]),
        node("Softmax", ["last_nhwc"], "scores", axis=-1),
    ]
    tensors = [
        numpy_helper.from_array(np.array([0, LEVELS, 1, 1]), "shape"),
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
        *weights("first", 4, 6, 3, 3),
        *weights("deep", 5, 4, 3, 3),
        *weights("last", CLASSES, 9, 3, 3),
    ]

    def value(name, *dims):
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)

    graph = helper.make_graph(
        nodes,
        "unet",
        [value("chips", "n", "rows", "cols", BANDS), value("scene_level", "n", LEVELS)],
        [value("scores", "n", "rows", "cols", CLASSES)],
        tensors,
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def spec_of_a_unet() -> ModelSpec:
    return ModelSpec(
        name="tiny",
        version="1",
        bands=("red", "green", "blue"),
        scale={"uint8": BandScale(0, 255)},
        gsd_m=10.0,
        chip=64,
        halo=8,
        classes=(ClassDef(0, "forest", "forest"), ClassDef(1, "deforestation", "deforestation")),
        threshold=0.5,
        confidence=ConfidenceRule(0.6, 0.8),
        architecture=Architecture((4, 5)),
        scene_inputs=(SceneInput("dark", 1),),
    )


@pytest.fixture
def unet() -> onnx.ModelProto:
    return graph_of_a_unet()


@pytest.fixture(scope="session")
def unet_bytes() -> bytes:
    return graph_of_a_unet().SerializeToString()


@pytest.fixture
def spec() -> ModelSpec:
    return spec_of_a_unet()


@pytest.fixture(scope="session")
def spec_text() -> str:
    return spec_of_a_unet().to_json()


@pytest.fixture
def write_model(tmp_path) -> Callable[..., Path]:
    """Write a model directory whose ``model.json`` vouches for its files."""

    def write(content: bytes, spec: ModelSpec, **others: bytes) -> Path:
        (tmp_path / "model").mkdir(exist_ok=True)
        return write_files(tmp_path / "model", {"model.onnx": content, **others}, spec)

    return write


@pytest.fixture(scope="session")
def model_in() -> Callable[[Path, bytes], Path]:
    """Write a model directory into a given folder; for tests that make many."""
    return lambda folder, content: write_files(folder, {"model.onnx": content}, spec_of_a_unet())


def write_files(directory: Path, contents: dict[str, bytes], spec: ModelSpec) -> Path:
    files = {}
    for name, data in contents.items():
        (directory / name).write_bytes(data)
        files[name] = ModelFile(hashlib.sha256(data).hexdigest(), len(data))
    (directory / "model.json").write_text(replace(spec, files=files).to_json(), "utf-8")
    return directory
