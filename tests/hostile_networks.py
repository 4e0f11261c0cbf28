"""Networks in ONNX: the smallest there is, and what may be wrong with one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper


def graph(bands: int = 1, classes: int = 2, **weights: np.ndarray) -> onnx.ModelProto:
    """One convolution: the smallest network there is."""
    kernel = np.linspace(-1, 1, classes * bands, dtype=np.float32).reshape(classes, bands, 1, 1)
    tensors = {"kernel": kernel, "bias": np.zeros(classes, np.float32), **weights}
    nodes = [
        helper.make_node("Transpose", ["chips"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "kernel", "bias"], ["y"]),
        helper.make_node("Transpose", ["y"], ["z"], perm=[0, 2, 3, 1]),
        helper.make_node("Softmax", ["z"], ["scores"], axis=-1),
    ]

    def value(name: str, channels: int) -> onnx.ValueInfoProto:
        dims = ["n", "rows", "cols", channels]
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)

    made = helper.make_graph(
        nodes,
        "tiny",
        [value("chips", bands)],
        [value("scores", classes)],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    return helper.make_model(made, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def two_bands() -> onnx.ModelProto:
    return graph(bands=2)


def three_classes() -> onnx.ModelProto:
    return graph(classes=3)


def nan_weights() -> onnx.ModelProto:
    return graph(bias=np.array([np.nan, 0], np.float32))


def infinite_weights() -> onnx.ModelProto:
    return graph(kernel=np.full((2, 1, 1, 1), np.inf, np.float32))


def other_shapes() -> onnx.ModelProto:
    return graph(kernel=np.ones((2, 5, 1, 1), np.float32))


def not_an_image_model() -> onnx.ModelProto:
    """A classifier of whole images: one vector for each."""
    model = graph()
    node = helper.make_node("GlobalAveragePool", ["x"], ["pooled"])
    model.graph.node.insert(1, node)
    model.graph.node[2].input[0] = "pooled"
    return model


def no_softmax() -> onnx.ModelProto:
    model = graph()
    model.graph.node.pop()
    model.graph.node[-1].output[0] = "scores"
    return model


def foreign_domain() -> onnx.ModelProto:
    model = graph()
    model.graph.node[1].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def control_flow() -> onnx.ModelProto:
    model = graph()
    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["b"])], "b", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["c"], then_branch=branch))
    return model


def external_data(location: str) -> Callable[[], onnx.ModelProto]:
    def make() -> onnx.ModelProto:
        model = graph()
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        return model

    return make


def twice_the_same_name() -> onnx.ModelProto:
    model = graph()
    model.graph.initializer.append(model.graph.initializer[0])
    return model


def sizes(*dims: int) -> Callable[[], onnx.ModelProto]:
    """A weight that claims these sizes and has the bytes of another."""

    def make() -> onnx.ModelProto:
        model = graph()
        model.graph.initializer[0].dims[:] = dims
        return model

    return make


def long_names() -> onnx.ModelProto:
    model = graph()
    model.graph.initializer[0].name = "\x1b[31m" * 500_000
    return model


def much_work() -> onnx.ModelProto:
    """Two thousand channels at full size: a chip of a gigabyte, and a trillion products."""
    model = graph(kernel=np.ones((2, 2000, 1, 1), np.float32))
    wide = numpy_helper.from_array(np.ones((2000, 2000, 1, 1), np.float32), "wide")
    first = numpy_helper.from_array(np.ones((2000, 1, 1, 1), np.float32), "first")
    bias = numpy_helper.from_array(np.zeros(2000, np.float32), "zeros")
    model.graph.initializer.extend([wide, first, bias])
    model.graph.node[1].input[0] = "w1"
    for name, source, kernel in (("w1", "w0", "wide"), ("w0", "x", "first")):
        model.graph.node.insert(1, helper.make_node("Conv", [source, kernel, "zeros"], [name]))
    return model
