"""Which ONNX graphs may be loaded: U-Nets as this project exports them, of bounded size.

An allow-list of operators, then the graph is walked once with sizes in place of numbers,
so that no tensor can outgrow the chip it comes from. Nothing is run.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from geodeforest.errors import ModelError, brief
from geodeforest.runtime.onnx_file import Dims, Node, OnnxFile, Tensor, read_onnx
from geodeforest.runtime.protobuf import Malformed

FILE_LIMIT_BYTES = 2**30
PARAMETERS_LIMIT = 200_000_000
VALUES_PER_PX_LIMIT = 4096
OPSETS = range(13, 18)
IR_VERSIONS = range(4, 9)


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """What the check found. Sizes of inputs and outputs that are free are words.

    Per pixel of its chip, a run holds ``values_per_px`` float32 numbers at once and
    multiplies ``products_per_px`` times.
    """

    ir_version: int
    opset: int
    operators: Mapping[str, int]
    inputs: Mapping[str, Dims]
    outputs: Mapping[str, Dims]
    parameters: int
    values_per_px: float
    products_per_px: float


@dataclass(frozen=True, slots=True)
class _Size:
    """A tensor's channels, and its side as a share of the chip's; 0 stands for one pixel.

    ``last`` is True where channels are the last axis and not the second.
    """

    channels: int
    side: Fraction
    last: bool = False

    @property
    def values_per_px(self) -> Fraction:
        return self.channels * self.side**2


def check_graph(source: Path | bytes, name: object = "model.onnx") -> GraphFacts:
    """Read an ONNX file, or its bytes, and refuse all but a U-Net of bounded size.

    ``name`` stands for the file in errors where ``source`` is bytes.

    Raises:
        ModelError: unreadable, cut short, an operator or part outside the allow-list, or
            sizes out of bounds.
    """
    path = name if isinstance(source, bytes) else source
    try:
        content = source if isinstance(source, bytes) else _content(source)
        if len(content) > FILE_LIMIT_BYTES:
            raise Malformed(f"it has more than {FILE_LIMIT_BYTES:,} bytes")
        return _facts(read_onnx(content))
    except Malformed as error:
        why = f"the graph is refused: {brief(error)}"
        raise ModelError(path, why, "export the model again with geodeforest") from error
    except OSError as error:
        why = f"the file cannot be read ({error.strerror})"
        raise ModelError(path, why, "check the model directory") from error


def _content(path: Path) -> bytes:
    if not path.is_file() and path.exists():
        raise Malformed("it is not a regular file")
    if path.stat().st_size > FILE_LIMIT_BYTES:
        raise Malformed(f"it has more than {FILE_LIMIT_BYTES:,} bytes")
    return path.read_bytes()


def _facts(file: OnnxFile) -> GraphFacts:
    if file.ir_version not in IR_VERSIONS:
        raise Malformed(f"its IR version is {file.ir_version}, not 4..8")
    if any(domain not in ("", "ai.onnx") for domain, _ in file.opsets):
        raise Malformed("it imports operators that are not ONNX's own")
    if len(file.opsets) != 1 or file.opsets[0][1] not in OPSETS:
        raise Malformed(f"its opset is {[v for _, v in file.opsets]}, not one in 13..17")
    parameters = sum(math.prod(t.dims) for t in file.tensors.values() if t.is_float)
    if parameters > PARAMETERS_LIMIT:
        raise Malformed(f"it has {parameters:,} parameters, more than {PARAMETERS_LIMIT:,}")
    sizes = _sizes(file)
    return GraphFacts(
        file.ir_version,
        file.opsets[0][1],
        Counter(node.operator for node in file.nodes),
        file.inputs,
        file.outputs,
        parameters,
        float(_peak(file, sizes)),
        float(sum(_products(node, sizes, file.tensors) for node in file.nodes)),
    )


def _sizes(file: OnnxFile) -> dict[str, _Size]:
    """Walk the graph with sizes in place of numbers, from its inputs to its outputs."""
    sizes = {name: _input_size(name, dims) for name, dims in file.inputs.items()}
    both = sizes.keys() & file.tensors.keys()
    if both:
        raise Malformed(f"its inputs {sorted(both)} are weights as well")
    for node in file.nodes:
        if len(node.outputs) != 1 or node.outputs[0] in sizes.keys() | file.tensors.keys():
            raise Malformed(f"its {node.operator} has outputs {node.outputs}")
        size = sizes[node.outputs[0]] = _apply(node, sizes, file.tensors)
        if size.side > 1 or size.values_per_px > VALUES_PER_PX_LIMIT:
            raise Malformed(f"its {node.operator} {node.outputs[0]!r} makes too large a tensor")
    for name, dims in file.outputs.items():
        made = sizes.get(name)
        if made is None or made.side != 1 or not made.last or len(dims) != 4:
            raise Malformed(f"its output {name!r} is not a map of the chip")
        if dims[-1] != made.channels:
            raise Malformed(f"its output {name!r} has {made.channels} classes, not {dims[-1]!r}")
    return sizes


def _peak(file: OnnxFile, sizes: Mapping[str, _Size]) -> Fraction:
    """The most numbers per chip pixel that are held at once, each until it was last read."""
    last_use = {name: node for node in file.nodes for name in node.inputs if name in sizes}
    held = sum((sizes[name].values_per_px for name in file.inputs), Fraction(0))
    peak = held
    for node in file.nodes:
        done = {name for name in node.inputs if last_use.get(name) is node}
        freed = sum((sizes[name].values_per_px for name in done), Fraction(0))
        held += sizes[node.outputs[0]].values_per_px
        # ONNX Runtime runs a Relu in place, or with the convolution before it.
        peak = max(peak, held - freed if node.operator == "Relu" else held)
        held -= freed
    if peak > VALUES_PER_PX_LIMIT:
        raise Malformed(f"it holds {float(peak):g} numbers per pixel, too many")
    return peak


def _products(node: Node, sizes: Mapping[str, _Size], tensors: Mapping[str, Tensor]) -> Fraction:
    """Multiplications of a convolution per chip pixel: its kernel once for each smaller side."""
    if node.operator not in ("Conv", "ConvTranspose"):
        return Fraction(0)
    side = min(sizes[node.inputs[0]].side, sizes[node.outputs[0]].side)
    return math.prod(tensors[node.inputs[1]].dims) * side**2


def _input_size(name: str, dims: Dims) -> _Size:
    free, channels = dims[:-1], dims[-1] if dims else ""
    if isinstance(channels, str) or channels < 1 or any(not isinstance(d, str) for d in free):
        raise Malformed(f"its input {name!r} has sizes {dims}")
    if name == "chips" and len(dims) == 4:
        return _Size(channels, Fraction(1), last=True)
    if name == "scene_level" and len(dims) == 2:
        return _Size(channels, Fraction(0), last=True)
    raise Malformed(f"its input {name!r} with {len(dims)} sizes is unknown")


def _apply(node: Node, sizes: Mapping[str, _Size], tensors: Mapping[str, Tensor]) -> _Size:
    rule = _RULES.get(node.operator)
    if rule is None or node.domain not in ("", "ai.onnx"):
        raise Malformed(f"it uses the operator {node.operator!r}, which no U-Net needs")
    extra = set(node.attributes) - rule.attributes
    if extra:
        raise Malformed(f"its {node.operator} has the attributes {sorted(extra)}")
    names = [name for name in node.inputs if name]
    count = len(names) - rule.constants
    if rule.inputs not in (count, 0) or count < 1:
        raise Malformed(f"its {node.operator} has {len(names)} inputs")
    try:
        inputs = [sizes[name] for name in names[:count]]
        constants = [tensors[name] for name in names[count:]]
    except KeyError as error:
        raise Malformed(f"its {node.operator} reads {error}, which is not made yet") from error
    if rule.channels_second and any(size.last for size in inputs):
        raise Malformed(f"its {node.operator} has the channels in the last place")
    return rule.size(node, inputs, constants)


def _ints(node: Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    value = node.attributes.get(name, default)
    if isinstance(value, str) or len(value) != len(default):
        raise Malformed(f"its {node.operator} has {name} {value}")
    return value


def _stride(node: Node) -> int:
    rows, cols = _ints(node, "strides", (1, 1))
    if rows != cols or not 1 <= rows <= 4:
        raise Malformed(f"its {node.operator} has strides {rows}, {cols}")
    return rows


def _same(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    return inputs[0]


def _concat(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    if _ints(node, "axis", (0,)) != (1,):
        raise Malformed("its Concat does not join channels")
    return _Size(sum(i.channels for i in inputs), max(i.side for i in inputs))


def _sub(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    return _Size(max(i.channels for i in inputs), max(i.side for i in inputs))


def _add(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    if inputs[0] != inputs[1]:
        raise Malformed("its Add does not add maps of one size")
    return inputs[0]


def _conv(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    kernel, bias = (tensor.dims for tensor in constants)
    (group,) = _ints(node, "group", (1,))
    fits = len(kernel) == 4 and bias == kernel[:1] and kernel[1] * group == inputs[0].channels
    if not fits or group < 1 or kernel[0] % group:
        raise Malformed(f"its Conv {node.outputs[0]!r} does not fit its weights {kernel}")
    pads = _ints(node, "pads", (0, 0, 0, 0))
    grown = [pads[i] + pads[i + 2] - (kernel[2 + i] - 1) for i in range(2)]
    if min(pads) < 0 or max(grown) > 0:
        raise Malformed(f"its Conv {node.outputs[0]!r} has pads {pads}")
    return _Size(kernel[0], inputs[0].side / _stride(node))


def _conv_transpose(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    kernel, bias = (tensor.dims for tensor in constants)
    if len(kernel) != 4 or bias != kernel[1:2] or kernel[0] != inputs[0].channels:
        raise Malformed(f"its ConvTranspose {node.outputs[0]!r} does not fit its weights")
    pads, stride = _ints(node, "pads", (0, 0, 0, 0)), _stride(node)
    extra = _ints(node, "output_padding", (0, 0))
    grown = [kernel[2 + i] - stride - pads[i] - pads[i + 2] + extra[i] for i in range(2)]
    if min(pads) < 0 or min(extra) < 0 or max(extra) >= stride + 1 or max(grown) > 0:
        raise Malformed(f"its ConvTranspose {node.outputs[0]!r} has pads {pads}")
    return _Size(kernel[1], inputs[0].side * stride)


def _max_pool(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    if min(_ints(node, "kernel_shape", (0, 0))) < 1:
        raise Malformed("its MaxPool has no kernel")
    return replace(inputs[0], side=inputs[0].side / _stride(node))


def _reshape(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    """Only of a vector (n, channels) to a map of one pixel (n, channels, 1, 1)."""
    channels = inputs[0].channels
    (shape,) = constants
    wanted = struct.pack("<4q", 0, channels, 1, 1)
    if inputs[0] != _Size(channels, Fraction(0), last=True) or shape.data != wanted:
        raise Malformed("its Reshape does more than make one pixel of a vector")
    return _Size(channels, Fraction(0))


def _resize(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    (scales,) = constants
    if scales.dims != (4,) or not scales.is_float or node.inputs[1] or len(node.inputs) != 3:
        raise Malformed("its Resize has no constant scales")
    first, second, rows, cols = struct.unpack("<4f", scales.data)
    if (first, second) != (1, 1) or rows != cols or rows not in (1, 2, 3, 4):
        raise Malformed(f"its Resize has scales {(first, second, rows, cols)}")
    return replace(inputs[0], side=inputs[0].side * int(rows))


def _transpose(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    wanted = (0, 3, 1, 2) if inputs[0].last else (0, 2, 3, 1)
    if _ints(node, "perm", (0, 0, 0, 0)) != wanted or not inputs[0].side:
        raise Malformed("its Transpose does more than move the channels")
    return replace(inputs[0], last=not inputs[0].last)


def _softmax(node: Node, inputs: list[_Size], constants: list[Tensor]) -> _Size:
    if _ints(node, "axis", (0,)) not in ((-1,), (3,)) or not inputs[0].last:
        raise Malformed("its Softmax is not over the classes")
    return inputs[0]


@dataclass(frozen=True, slots=True)
class _Rule:
    """How an operator changes sizes, the attributes it may have, and what it reads.

    ``inputs`` tensors (0: one or more) come first, then ``constants`` weights.
    """

    size: Callable[[Node, list[_Size], list[Tensor]], _Size]
    attributes: frozenset[str] = frozenset()
    inputs: int = 1
    constants: int = 0
    channels_second: bool = True


_RULES: Mapping[str, _Rule] = {
    "Add": _Rule(_add, inputs=2),
    "Concat": _Rule(_concat, frozenset({"axis"}), inputs=0),
    "Conv": _Rule(_conv, frozenset({"strides", "pads", "group"}), constants=2),
    "ConvTranspose": _Rule(
        _conv_transpose, frozenset({"strides", "pads", "output_padding"}), constants=2
    ),
    "MaxPool": _Rule(_max_pool, frozenset({"kernel_shape", "strides"})),
    "Neg": _Rule(_same),
    "Relu": _Rule(_same),
    "Reshape": _Rule(_reshape, constants=1, channels_second=False),
    "Resize": _Rule(
        _resize,
        frozenset({"mode", "coordinate_transformation_mode", "nearest_mode"}),
        constants=1,
    ),
    "Sigmoid": _Rule(_same, channels_second=False),
    "Softmax": _Rule(_softmax, frozenset({"axis"}), channels_second=False),
    "Sub": _Rule(_sub, inputs=2),
    "Transpose": _Rule(_transpose, frozenset({"perm"}), channels_second=False),
}

OPERATORS = frozenset(_RULES)
"""The operators a graph may hold."""
