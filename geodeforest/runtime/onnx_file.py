"""An ONNX file as plain values: nodes, weights, inputs, outputs. Judges no operator.

Only what an exported U-Net needs is understood; any other field of the format (subgraphs,
functions, external data, sparse weights, packed numbers) is refused by the reader.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from geodeforest.runtime.protobuf import BYTES, VARINT, Malformed, Message, Reader, Schema

NODES_LIMIT = 2_000
Dims = tuple[int | str, ...]

_T = TypeVar("_T")
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_ITEM_BYTES = {_FLOAT: 4, _INT64: 8}

_MODEL = Schema(
    "model",
    {
        1: ("ir_version", VARINT),
        2: ("producer_name", BYTES),
        3: ("producer_version", BYTES),
        4: ("domain", BYTES),
        5: ("model_version", VARINT),
        6: ("doc_string", BYTES),
        7: ("graph", BYTES),
        8: ("opset_import", BYTES),
        14: ("metadata_props", BYTES),
    },
    refused={20: "training information", 25: "functions of its own"},
)
_OPSET = Schema("opset", {1: ("domain", BYTES), 2: ("version", VARINT)})
_GRAPH = Schema(
    "graph",
    {
        1: ("node", BYTES),
        2: ("name", BYTES),
        5: ("initializer", BYTES),
        11: ("input", BYTES),
        12: ("output", BYTES),
    },
    refused={15: "sparse weights"},
)
_NODE = Schema(
    "node",
    {
        1: ("input", BYTES),
        2: ("output", BYTES),
        3: ("name", BYTES),
        4: ("op_type", BYTES),
        5: ("attribute", BYTES),
        7: ("domain", BYTES),
    },
)
_ATTRIBUTE = Schema(
    "attribute",
    {
        1: ("name", BYTES),
        3: ("i", VARINT),
        4: ("s", BYTES),
        8: ("ints", VARINT),
        20: ("type", VARINT),
    },
    refused={5: "a tensor", 6: "a subgraph", 11: "subgraphs"},
)
_TENSOR = Schema(
    "tensor",
    {
        1: ("dims", VARINT),
        2: ("data_type", VARINT),
        8: ("name", BYTES),
        9: ("raw_data", BYTES),
    },
    refused={13: "external data", 14: "external data"},
)
_VALUE = Schema("input or output", {1: ("name", BYTES), 2: ("type", BYTES)})
_TYPE = Schema("type", {1: ("tensor_type", BYTES)})
_TENSOR_TYPE = Schema("tensor type", {1: ("elem_type", VARINT), 2: ("shape", BYTES)})
_SHAPE = Schema("shape", {1: ("dim", BYTES)})
_DIM = Schema("dimension", {1: ("dim_value", VARINT), 2: ("dim_param", BYTES)})


@dataclass(frozen=True, slots=True)
class Node:
    """One operation. Attributes are tuples of whole numbers, or words."""

    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, tuple[int, ...] | str]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A weight (float32) or constant (int64): its sizes, and its bytes in the file."""

    dims: tuple[int, ...]
    is_float: bool
    data: memoryview = field(repr=False)


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A file as read. Sizes of inputs and outputs that are free are words."""

    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    inputs: Mapping[str, Dims]
    outputs: Mapping[str, Dims]


def read_onnx(content: bytes) -> OnnxFile:
    """Read the bytes of an ONNX file; time and memory are bounded by its size.

    Raises:
        Malformed: not an ONNX file, cut short, or with a part that is not understood.
    """
    reader = Reader()
    model = reader.read(memoryview(content), _MODEL)
    graph = reader.read(model.part("graph"), _GRAPH)
    nodes = graph.parts.get("node", [])
    if not 0 < len(nodes) <= NODES_LIMIT:
        raise Malformed(f"it has {len(nodes)} nodes, not 1..{NODES_LIMIT}")
    opsets = [reader.read(part, _OPSET) for part in model.parts.get("opset_import", [])]
    return OnnxFile(
        model.number("ir_version"),
        tuple((o.text("domain"), o.number("version")) for o in opsets),
        tuple(_node(reader, part) for part in nodes),
        _unique(_tensor(reader, part) for part in graph.parts.get("initializer", [])),
        _unique(_value(reader, part) for part in graph.parts.get("input", [])),
        _unique(_value(reader, part) for part in graph.parts.get("output", [])),
    )


def _unique(named: Iterable[tuple[str, _T]]) -> dict[str, _T]:
    values: dict[str, _T] = {}
    for name, value in named:
        if name in values:
            raise Malformed(f"it defines {name!r} twice")
        values[name] = value
    return values


def _node(reader: Reader, view: memoryview) -> Node:
    node = reader.read(view, _NODE)
    attributes = _unique(_attribute(reader, part) for part in node.parts.get("attribute", []))
    return Node(
        node.text("op_type"),
        node.text("domain"),
        node.texts("input"),
        node.texts("output"),
        attributes,
    )


def _attribute(reader: Reader, view: memoryview) -> tuple[str, tuple[int, ...] | str]:
    attribute = reader.read(view, _ATTRIBUTE)
    kind, name = attribute.number("type"), attribute.text("name")
    ints = tuple(attribute.numbers.get("ints", []))
    values: dict[int, tuple[int, ...] | str] = {
        2: (attribute.number("i"),),
        3: attribute.text("s"),
        7: ints,
    }
    if kind not in values:
        raise Malformed(f"its attribute {name!r} is of type {kind}")
    return name, values[kind]


def _tensor(reader: Reader, view: memoryview) -> tuple[str, Tensor]:
    tensor = reader.read(view, _TENSOR)
    name, dims = tensor.text("name"), tuple(tensor.numbers.get("dims", []))
    kind, data = tensor.number("data_type"), tensor.part("raw_data")
    if kind not in _ITEM_BYTES:
        raise Malformed(f"its tensor {name!r} is of type {kind}, not float32 or int64")
    if len(dims) > 4 or any(size < 1 for size in dims):
        raise Malformed(f"its tensor {name!r} has sizes {dims[:5]}")
    if math.prod(dims) * _ITEM_BYTES[kind] != len(data):
        raise Malformed(f"its tensor {name!r} of sizes {dims} has {len(data)} bytes")
    return name, Tensor(dims, kind == _FLOAT, data)


def _value(reader: Reader, view: memoryview) -> tuple[str, Dims]:
    value = reader.read(view, _VALUE)
    tensor = reader.read(reader.read(value.part("type"), _TYPE).part("tensor_type"), _TENSOR_TYPE)
    name = value.text("name")
    if tensor.number("elem_type") != _FLOAT:
        raise Malformed(f"its {name!r} is not float32")
    shape = reader.read(tensor.part("shape"), _SHAPE)
    return name, tuple(_dim(reader.read(part, _DIM)) for part in shape.parts.get("dim", []))


def _dim(dim: Message) -> int | str:
    return dim.number("dim_value") if dim.numbers else dim.text("dim_param")
