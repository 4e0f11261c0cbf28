"""An ONNX graph while it is written, and a way to write the same function for less.

Knows nodes and weights; nothing of Keras, nor of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import helper

Array = NDArray[Any]


@dataclass
class Draft:
    """The graph as far as it is written; ``names`` maps a Keras tensor's id to its name.

    ``channels`` are those of a tensor, by its name.
    """

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    channels: dict[str, int] = field(default_factory=dict)

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append a node; returns the name of its output, which is also its own."""
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def keep(self, name: str, array: Array) -> str:
        """Remember weights by their name."""
        self.arrays[name] = array
        return name


def sum_joins(graph: Draft) -> None:
    """Write a separable convolution of joined maps as the sum of one for each map.

    Both are the same linear function. A join copies all that it joins, and takes ONNX Runtime
    out of its blocked layout where channels do not fill the blocks: without it a chip of the
    built-in model needs a quarter less memory.
    """
    nodes: list[onnx.NodeProto] = []
    waiting = iter(graph.nodes)
    for node in waiting:
        if node.op_type == "Concat" and node.name.startswith("join"):
            depth, mix = next(waiting), next(waiting)
            if _is_separable(graph, node, depth, mix):
                nodes.extend(_summed(graph, node, depth, mix))
            else:
                nodes.extend((node, depth, mix))
        else:
            nodes.append(node)
    graph.nodes = nodes


def _is_separable(
    graph: Draft, join: onnx.NodeProto, depth: onnx.NodeProto, mix: onnx.NodeProto
) -> bool:
    """Whether a join is followed by a convolution of each channel and one across channels."""
    if (depth.op_type, mix.op_type) != ("Conv", "Conv") or mix.input[0] != depth.output[0]:
        return False
    each = graph.arrays[depth.input[1]].shape[:2] == (graph.channels[join.output[0]], 1)
    return each and graph.arrays[mix.input[1]].shape[2:] == (1, 1)


def _summed(
    graph: Draft, join: onnx.NodeProto, depth: onnx.NodeProto, mix: onnx.NodeProto
) -> Iterator[onnx.NodeProto]:
    ends = accumulate((graph.channels[name] for name in join.input), initial=0)
    name = str(mix.output[0])
    total = ""
    for number, (source, (first, end)) in enumerate(zip(join.input, pairwise(ends), strict=True)):
        part, last = f"{name}/part{number}", number == len(join.input) - 1
        kernel, bias = (graph.arrays[array][first:end] for array in depth.input[1:])
        yield _conv(graph, depth, source, f"{part}_depth", kernel, bias)
        kernel, bias = graph.arrays[mix.input[1]][:, first:end], graph.arrays[mix.input[2]]
        yield _conv(graph, mix, f"{part}_depth", part, kernel, bias if last else 0 * bias)
        if number:
            target = name if last else f"{part}_sum"
            yield helper.make_node("Add", [total, part], [target], name=target)
        total = f"{part}_sum" if number > 0 else part
    for array in (*depth.input[1:], *mix.input[1:]):
        del graph.arrays[array]


def _conv(
    graph: Draft, like: onnx.NodeProto, source: str, name: str, kernel: Array, bias: Array
) -> onnx.NodeProto:
    made = {a.name: helper.get_attribute_value(a) for a in like.attribute}
    if made.get("group", 1) > 1:
        made["group"] = len(kernel)
    weights = [graph.keep(f"{name}/kernel", kernel), graph.keep(f"{name}/bias", bias)]
    return helper.make_node("Conv", [source, *weights], [name], name=name, **made)
