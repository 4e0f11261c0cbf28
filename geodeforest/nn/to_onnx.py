"""A Keras U-Net becomes an ONNX graph, layer by layer. Knows both graphs, and no file.

Written out by hand rather than traced: the few layers that ``build_unet`` uses map one to
one, so the graph holds a dozen kinds of operator, no computed shapes, and the same bytes
every time. Inside, tensors are (n, channels, rows, cols), as ONNX convolutions want them;
the graph's own inputs and output are (n, rows, cols, channels).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import onnx
from keras import layers
from onnx import helper, numpy_helper

from geodeforest.errors import ModelError
from geodeforest.nn.normalise import BatchNormalization
from geodeforest.nn.onnx_draft import Array, Draft, sum_joins

OPSET = 17
IR_VERSION = 8


def to_onnx(model: keras.Model) -> onnx.ModelProto:
    """Write a network of ``build_unet`` as ONNX, batch normalisation folded into convolutions.

    Inputs ``chips`` (n, rows, cols, bands) and, where the network has it, ``scene_level``
    (n, levels); output ``scores`` (n, rows, cols, classes). The first three sizes are free.

    Raises:
        ModelError: the network holds a layer that ``build_unet`` does not use.
    """
    graph = Draft()
    for layer in model.layers:
        inputs = [] if isinstance(layer, layers.InputLayer) else _listed(layer.input)
        write = _WRITERS.get(type(layer))
        if write is None:
            kind = type(layer).__name__
            raise ModelError(layer.name, f"a {kind} layer cannot be exported", "use build_unet")
        name = write(graph, layer, [graph.names[id(tensor)] for tensor in inputs])
        graph.names[id(layer.output)] = name
        graph.channels[name] = int(layer.output.shape[-1])
    sum_joins(graph)
    tensors = [_tensor(name, array) for name, array in graph.arrays.items()]
    proto = helper.make_graph(
        graph.nodes,
        "unet",
        [_value(t.name, t.shape) for t in model.inputs],
        [_value("scores", model.output.shape)],
        tensors,
    )
    return helper.make_model(
        proto,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="geodeforest",
    )


def _tensor(name: str, array: Array) -> onnx.TensorProto:
    dtype = np.float32 if array.dtype.kind == "f" else np.int64
    return numpy_helper.from_array(np.ascontiguousarray(array, dtype), name)


def _listed(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def _value(name: str, shape: tuple[int | None, ...]) -> onnx.ValueInfoProto:
    free = ("n", "rows", "cols")
    dims = [free[i] if size is None else size for i, size in enumerate(shape)]
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)


def _input(graph: Draft, layer: Any, _: list[str]) -> str:
    name = str(layer.name)
    if len(layer.output.shape) == 2:
        return name
    return graph.add("Transpose", [name], f"{name}_nchw", perm=[0, 3, 1, 2])


def _level_map(graph: Draft, layer: Any, inputs: list[str]) -> str:
    shape = graph.keep(f"{layer.name}_shape", np.array([0, layer.target_shape[-1], 1, 1]))
    return graph.add("Reshape", [*inputs, shape], layer.name)


def _concat(graph: Draft, layer: Any, inputs: list[str]) -> str:
    return graph.add("Concat", inputs, layer.name, axis=1) if len(inputs) > 1 else inputs[0]


def _subtract(graph: Draft, layer: Any, inputs: list[str]) -> str:
    return graph.add("Sub", inputs, layer.name)


def _conv(graph: Draft, layer: Any, inputs: list[str]) -> str:
    return _convolution(graph, layer, inputs, np.transpose(layer.kernel, (3, 2, 0, 1)))


def _depthwise(graph: Draft, layer: Any, inputs: list[str]) -> str:
    kernel = np.transpose(layer.kernel, (2, 3, 0, 1))
    groups = kernel.shape[0]
    kernel = kernel.reshape(-1, 1, *kernel.shape[2:])
    return _convolution(graph, layer, inputs, kernel, group=groups)


def _convolution(
    graph: Draft, layer: Any, inputs: list[str], kernel: Array, **attributes: Any
) -> str:
    weights = [graph.keep(f"{layer.name}/kernel", kernel)]
    bias = np.zeros(kernel.shape[0]) if layer.bias is None else np.asarray(layer.bias)
    weights.append(graph.keep(f"{layer.name}/bias", bias))
    pads = _same_pads(layer.kernel_size, layer.strides)
    return graph.add(
        "Conv", [*inputs, *weights], layer.name, strides=layer.strides, pads=pads, **attributes
    )


def _transposed(graph: Draft, layer: Any, inputs: list[str]) -> str:
    kernel = np.transpose(layer.kernel, (3, 2, 0, 1))  # (in, out, rows, cols)
    weights = [graph.keep(f"{layer.name}/kernel", kernel)]
    weights.append(graph.keep(f"{layer.name}/bias", np.asarray(layer.bias)))
    grown = [max(s - k, 0) for k, s in zip(layer.kernel_size, layer.strides, strict=True)]
    return graph.add(
        "ConvTranspose",
        [*inputs, *weights],
        layer.name,
        strides=layer.strides,
        pads=_same_pads(layer.kernel_size, layer.strides),
        output_padding=grown,
    )


def _same_pads(kernel: tuple[int, int], strides: tuple[int, int]) -> list[int]:
    """TensorFlow's "same" padding of sides that are multiples of the stride, ONNX order."""
    totals = [max(k - s, 0) for k, s in zip(kernel, strides, strict=True)]
    return [t // 2 for t in totals] + [t - t // 2 for t in totals]


def _fold(graph: Draft, layer: Any, inputs: list[str]) -> str:
    """Batch normalisation at rest is linear, so the convolution before it takes it over."""
    (conv,) = inputs
    gain = np.asarray(layer.gamma, np.float64) / np.sqrt(
        np.asarray(layer.moving_variance, np.float64) + layer.epsilon
    )
    kernel, bias = graph.arrays[f"{conv}/kernel"], graph.arrays[f"{conv}/bias"]
    node = next(node for node in reversed(graph.nodes) if node.name == conv)
    channels = (1, -1, 1, 1) if node.op_type == "ConvTranspose" else (-1, 1, 1, 1)
    graph.arrays[f"{conv}/kernel"] = kernel * gain.reshape(channels)
    mean = np.asarray(layer.moving_mean, np.float64)
    graph.arrays[f"{conv}/bias"] = np.asarray(layer.beta, np.float64) + (bias - mean) * gain
    return conv


def _relu(graph: Draft, layer: Any, inputs: list[str]) -> str:
    return graph.add("Relu", inputs, layer.name)


def _max_pool(graph: Draft, layer: Any, inputs: list[str]) -> str:
    return graph.add(
        "MaxPool", inputs, layer.name, kernel_shape=layer.pool_size, strides=layer.strides
    )


def _resize(graph: Draft, layer: Any, inputs: list[str]) -> str:
    scales = graph.keep(f"{layer.name}_scales", np.array([1, 1, *layer.size], np.float32))
    if layer.interpolation == "nearest":
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        how = {"coordinate_transformation_mode": "half_pixel"}
    mode = "nearest" if layer.interpolation == "nearest" else "linear"
    return graph.add("Resize", [*inputs, "", scales], layer.name, mode=mode, **how)


def _softmax(graph: Draft, layer: Any, inputs: list[str]) -> str:
    if layer.output.shape[-1] == 2:
        return _logistic(graph, *inputs)
    # Over the last axis: ONNX Runtime is slower over any other one.
    last = graph.add("Transpose", inputs, "logits_nhwc", perm=[0, 2, 3, 1])
    return graph.add("Softmax", [last], "scores", axis=-1)


def _logistic(graph: Draft, logits: str) -> str:
    """The softmax of two classes, as the logistic function of the difference of their logits.

    softmax(a, b) = (s(a - b), s(b - a)) with s(x) = 1 / (1 + exp(-x)). The last convolution
    gives the difference at once, and enlarging it is linear, too. ONNX Runtime takes a
    fifth less time for the whole chip, and a quarter less memory.
    """
    grown = graph.nodes.pop() if graph.nodes[-1].op_type == "Resize" else None
    conv = grown.input[0] if grown else logits
    for name in (f"{conv}/kernel", f"{conv}/bias"):
        first, second = graph.arrays[name]
        graph.arrays[name] = (second - first)[np.newaxis]
    minus = graph.add("Neg", [conv], "minus")
    margins = graph.add("Concat", [minus, conv], "margins", axis=1)
    if grown:
        grown.input[0], margins = margins, grown.output[0]
        graph.nodes.append(grown)
    last = graph.add("Transpose", [margins], "margins_nhwc", perm=[0, 2, 3, 1])
    return graph.add("Sigmoid", [last], "scores")


def _same(graph: Draft, layer: Any, inputs: list[str]) -> str:
    return inputs[0]


_WRITERS: dict[type, Callable[[Draft, Any, list[str]], str]] = {
    layers.InputLayer: _input,
    layers.Reshape: _level_map,
    layers.Concatenate: _concat,
    layers.Subtract: _subtract,
    layers.Conv2D: _conv,
    layers.DepthwiseConv2D: _depthwise,
    layers.Conv2DTranspose: _transposed,
    BatchNormalization: _fold,
    layers.ReLU: _relu,
    layers.MaxPooling2D: _max_pool,
    layers.UpSampling2D: _resize,
    layers.SpatialDropout2D: _same,
    layers.Softmax: _softmax,
}
