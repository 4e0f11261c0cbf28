"""A graph is read without any runtime, and refused unless it is a U-Net of bounded size."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from geodeforest.errors import ModelError
from geodeforest.runtime import onnx_graph
from geodeforest.runtime.onnx_graph import OPERATORS, GraphFacts, check_graph


def check(model: onnx.ModelProto) -> GraphFacts:
    return check_graph(model.SerializeToString())


def node_of(model, operator):
    return next(node for node in model.graph.node if node.op_type == operator)


def tensor_of(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def put(model, name, array):
    tensor_of(model, name).CopyFrom(numpy_helper.from_array(array, name))


def rewire(model, *, after, **node):
    """Insert a node behind the tensor ``after``, in front of all that read it."""
    operator, inputs = node.pop("operator"), node.pop("inputs", [after])
    made = helper.make_node(operator, inputs, [f"{after}_2"], **node)
    at = next(i for i, n in enumerate(model.graph.node) if after in n.output) + 1
    for reader in model.graph.node[at:]:
        reader.input[:] = [f"{after}_2" if name == after else name for name in reader.input]
    model.graph.node.insert(at, made)


def test_the_facts_are_those_that_onnx_itself_reads(unet):
    facts = check(unet)
    floats = [t for t in unet.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    assert (facts.ir_version, facts.opset) == (8, 17)
    assert facts.parameters == sum(math.prod(t.dims) for t in floats)
    assert sum(facts.operators.values()) == len(unet.graph.node)
    assert set(facts.operators) == OPERATORS - {"Add", "ConvTranspose", "Neg", "Sigmoid"}
    assert facts.inputs == {"chips": ("n", "rows", "cols", 3), "scene_level": ("n", 3)}
    assert facts.outputs == {"scores": ("n", "rows", "cols", 2)}


def test_values_per_px_is_what_the_widest_step_holds_at_once(unet):
    # Joining holds the skip (4), the level carried up (5) and what they become (9).
    assert check(unet).values_per_px == 18


def test_two_classes_may_come_from_the_difference_of_their_logits(unet):
    put(unet, "last/k", np.zeros((1, 9, 3, 3), np.float32))
    put(unet, "last/b", np.zeros(1, np.float32))
    end = [
        helper.make_node("Neg", ["last"], ["minus"]),
        helper.make_node("Concat", ["minus", "last"], ["margins"], axis=1),
        helper.make_node("Transpose", ["margins"], ["last_nhwc"], perm=[0, 2, 3, 1]),
        helper.make_node("Sigmoid", ["last_nhwc"], ["scores"]),
    ]
    del unet.graph.node[-2:]
    unet.graph.node.extend(end)
    assert check(unet).outputs == {"scores": ("n", "rows", "cols", 2)}


def test_maps_of_one_size_may_be_added_and_no_others(unet):
    rewire(unet, after="skip", operator="Add", inputs=["skip", "skip"])
    assert check(unet).operators["Add"] == 1
    rewire(unet, after="deep", operator="Add", inputs=["deep", "skip"])
    with pytest.raises(ModelError, match="Add does not add maps of one size"):
        check(unet)


def test_a_file_is_checked_as_its_bytes_are(unet, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(unet.SerializeToString())
    assert check_graph(path) == check(unet)


def test_a_transposed_convolution_may_double_the_side(unet):
    put(unet, "scales", np.array([1, 1, 1, 1], np.float32))
    kernel = np.zeros((5, 5, 2, 2), np.float32)
    unet.graph.initializer.append(numpy_helper.from_array(kernel, "t/k"))
    unet.graph.initializer.append(numpy_helper.from_array(np.zeros(5, np.float32), "t/b"))
    inputs = ["deep_relu", "t/k", "t/b"]
    rewire(unet, after="deep_relu", operator="ConvTranspose", inputs=inputs, strides=[2, 2])
    assert check(unet).operators["ConvTranspose"] == 1


def foreign_operator(model):
    rewire(model, after="skip", operator="Identity")


def foreign_domain(model):
    rewire(model, after="skip", operator="Relu", domain="com.microsoft")


def foreign_opset(model):
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def no_opset(model):
    del model.opset_import[:]


def later_opset(model):
    model.opset_import[0].version = 18


def later_format(model):
    model.ir_version = 10


def control_flow(model):
    branch = helper.make_graph([helper.make_node("Relu", ["skip"], ["x"])], "then", [], [])
    rewire(model, after="skip", operator="If", then_branch=branch, else_branch=branch)


def own_function(model):
    relu = helper.make_node("Relu", ["x"], ["y"])
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "Mine", ["x"], ["y"], [relu], opset))


def training(model):
    model.training_info.add()


def external_data(model):
    tensor = tensor_of(model, "deep/k")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../elsewhere")


def sparse(model):
    model.graph.sparse_initializer.add()


def tensor_attribute(model):
    value = numpy_helper.from_array(np.ones(3, np.float32))
    rewire(model, after="skip", operator="Constant", inputs=[], value=value)


def short_weights(model):
    tensor = tensor_of(model, "deep/k")
    tensor.raw_data = tensor.raw_data[:-4]


def negative_size(model):
    tensor_of(model, "deep/k").dims[0] = -5


def absurd_size(model):
    tensor_of(model, "deep/k").dims[0] = 2**62


def many_axes(model):
    put(model, "scales", np.ones((1,) * 6, np.float32))


def double_precision(model):
    put(model, "deep/b", np.zeros(5))


def unfitting_weights(model):
    put(model, "deep/k", np.zeros((5, 3, 3, 3), np.float32))


def huge_scales(model):
    put(model, "scales", np.array([1, 1, 1e4, 1e4], np.float32))


def scales_not_a_number(model):
    put(model, "scales", np.array([1, 1, np.nan, np.nan], np.float32))


def growth_beyond_the_chip(model):
    rewire(model, after="up", operator="Resize", inputs=["up", "", "scales"], mode="nearest")


def padding_that_grows(model):
    node_of(model, "Conv").attribute[0].ints[:] = [10**6] * 4


def negative_padding(model):
    node_of(model, "Conv").attribute[0].ints[:] = [-8, -8, 8, 8]


def huge_stride(model):
    node_of(model, "MaxPool").attribute[1].ints[:] = [2**40, 2**40]


def unknown_attribute(model):
    node_of(model, "Conv").attribute.append(helper.make_attribute("dilations", [9, 9]))


def doubled_channels(model):
    for step in range(30):
        name = "skip" + "_2" * step
        rewire(model, after=name, operator="Concat", inputs=[name, name], axis=1)


def another_axis(model):
    node_of(model, "Concat").attribute[0].i = 2


def rows_for_channels(model):
    node_of(model, "Transpose").attribute[0].ints[:] = [0, 1, 3, 2]


def another_shape(model):
    put(model, "shape", np.array([-1, 3, 1, 1]))


def fixed_sizes(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 512


def integer_input(model):
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8


def another_input(model):
    model.graph.input.append(
        helper.make_tensor_value_info("extra", onnx.TensorProto.FLOAT, ["n", 3])
    )


def a_small_output(model):
    del model.graph.output[:]
    dims = ["n", "rows", "cols", 4]
    model.graph.output.append(helper.make_tensor_value_info("pool", onnx.TensorProto.FLOAT, dims))


def unknown_tensor(model):
    node_of(model, "Relu").input[0] = "nowhere"


def two_makers(model):
    node_of(model, "MaxPool").output[0] = "skip"


def weights_as_input(model):
    model.graph.initializer.append(
        numpy_helper.from_array(np.zeros((1, 3), np.float32), "scene_level")
    )


def weights_twice(model):
    model.graph.initializer.append(tensor_of(model, "deep/b"))


def too_many_nodes(model):
    for step in range(2001):
        model.graph.node.append(helper.make_node("Relu", ["skip"], [f"r{step}"]))


def no_nodes(model):
    del model.graph.node[:]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (foreign_operator, "the operator 'Identity'"),
        (foreign_domain, "the operator 'Relu'"),
        (foreign_opset, "not ONNX's own"),
        (no_opset, "opset"),
        (later_opset, r"opset is \[18\]"),
        (later_format, "IR version is 10"),
        (control_flow, "a subgraph"),
        (own_function, "functions of its own"),
        (training, "training information"),
        (external_data, "external data"),
        (sparse, "sparse weights"),
        (tensor_attribute, "a tensor"),
        (short_weights, "'deep/k' of sizes"),
        (negative_size, "'deep/k' has sizes"),
        (absurd_size, "'deep/k' of sizes"),
        (many_axes, "'scales' has sizes"),
        (double_precision, "'deep/b' is of type 11"),
        (unfitting_weights, "'deep' does not fit its weights"),
        (huge_scales, "Resize has scales"),
        (scales_not_a_number, "Resize has scales"),
        (growth_beyond_the_chip, "too large a tensor"),
        (padding_that_grows, "pads"),
        (negative_padding, "pads"),
        (huge_stride, "strides"),
        (unknown_attribute, "dilations"),
        (doubled_channels, "too large a tensor"),
        (another_axis, "does not join channels"),
        (rows_for_channels, "more than move the channels"),
        (another_shape, "more than make one pixel"),
        (fixed_sizes, "'chips' has sizes"),
        (integer_input, "'chips' is not float32"),
        (another_input, "'extra'"),
        (a_small_output, "'pool' is not a map of the chip"),
        (unknown_tensor, "'nowhere', which is not made yet"),
        (two_makers, "MaxPool has outputs"),
        (weights_as_input, "are weights as well"),
        (weights_twice, "'deep/b' twice"),
        (too_many_nodes, "nodes"),
        (no_nodes, "0 nodes"),
    ],
)
def test_all_but_a_bounded_unet_is_refused(unet, damage, says):
    damage(unet)
    with pytest.raises(ModelError, match=says) as refusal:
        check(unet)
    assert refusal.value.exit_code == 6
    assert str(refusal.value).startswith("model.onnx: the graph is refused: ")


def test_more_parameters_than_the_limit_are_refused(unet, monkeypatch):
    monkeypatch.setattr(onnx_graph, "PARAMETERS_LIMIT", check(unet).parameters - 1)
    with pytest.raises(ModelError, match="parameters, more than"):
        check(unet)
