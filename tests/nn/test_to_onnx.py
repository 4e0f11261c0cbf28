"""The graph of a network gives its scores, and has no more operators than it needs."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import onnx
import pytest
from tiny_networks import CARD, SHAPES, spec_of, trained

from geodeforest.core.spec import ARCHITECTURES, ClassDef, ModelSpec
from geodeforest.errors import ModelError
from geodeforest.nn.export import export_model
from geodeforest.nn.keras_predictor import KerasPredictor
from geodeforest.nn.to_onnx import to_onnx
from geodeforest.nn.unet import build_unet
from geodeforest.runtime.onnx_graph import OPERATORS, check_graph
from geodeforest.runtime.onnx_predictor import OnnxPredictor


def noise(spec: ModelSpec) -> tuple[np.ndarray, np.ndarray | None]:
    """Two chips of a size that no export was checked at, and their scene levels."""
    draw, unit = np.random.default_rng(5), spec.multiple
    chips = draw.random((2, 3 * unit, unit, 3), np.float32)
    levels = 3 * len(spec.scene_inputs)
    return chips, draw.random((2, levels), np.float32) if levels else None


@pytest.mark.parametrize("number", range(len(SHAPES)), ids=list(SHAPES))
def test_the_exported_graph_gives_the_scores_of_the_trained_network(number, tmp_path):
    spec = spec_of([*SHAPES.values()][number], scene_inputs=number % 3)
    model = trained(spec)
    export_model(model, spec, tmp_path, CARD)
    chips, level = noise(spec)
    expected = np.asarray(model(chips if level is None else [chips, level], training=False))
    scores = OnnxPredictor(tmp_path).predict(chips, level)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert np.ptp(expected) > 0.01


@pytest.mark.parametrize("scene_inputs", [0, 1])
def test_the_keras_engine_gives_the_same_scores_as_the_other_one(scene_inputs, tmp_path):
    spec = spec_of(SHAPES["separable"], scene_inputs)
    export_model(trained(spec), spec, tmp_path, CARD)
    scores = KerasPredictor(tmp_path).predict(*noise(spec))
    np.testing.assert_allclose(scores, OnnxPredictor(tmp_path).predict(*noise(spec)), atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_graph_is_folded_named_and_accepted(shape):
    spec = spec_of(shape, scene_inputs=1)
    proto = to_onnx(trained(spec))
    onnx.checker.check_model(proto, full_check=True)
    facts = check_graph(proto.SerializeToString())
    assert set(facts.operators) <= OPERATORS
    assert facts.operators["Transpose"] == 2
    assert facts.inputs == {"chips": ("n", "rows", "cols", 3), "scene_level": ("n", 3)}
    assert facts.outputs == {"scores": ("n", "rows", "cols", 2)}


@pytest.mark.parametrize("stem", [1, 2])
def test_three_classes_keep_their_softmax(stem, tmp_path):
    shape = replace(SHAPES["separable"], stem=stem)
    third = ClassDef(2, "other", "other")
    spec = replace(spec_of(shape), classes=(*spec_of(shape).classes, third))
    model = trained(spec)
    export_model(model, spec, tmp_path, CARD)
    chips, _ = noise(spec)
    expected = np.asarray(model(chips, training=False))
    np.testing.assert_allclose(OnnxPredictor(tmp_path).predict(chips), expected, atol=1e-5)
    assert {"Softmax"} == {"Softmax", "Sigmoid"} & check_graph(
        tmp_path / "model.onnx"
    ).operators.keys()


def test_two_classes_end_in_one_logistic_function_of_one_channel():
    facts = check_graph(to_onnx(trained(spec_of(SHAPES["separable"]))).SerializeToString())
    assert {"Sigmoid"} == {"Softmax", "Sigmoid"} & facts.operators.keys()
    assert facts.operators["Resize"] == 3  # two levels up, and the stem's stride at the end


def test_separable_convolutions_of_joined_maps_are_sums():
    facts = check_graph(to_onnx(trained(spec_of(SHAPES["separable"]))).SerializeToString())
    assert facts.operators["Add"] == 2
    assert facts.operators["Concat"] == 1  # of the two classes


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - {"seed-unet"}))
def test_the_named_architectures_are_accepted_at_full_size(name):
    model = build_unet(bands=3, classes=3, architecture=name, scene_inputs=1)
    facts = check_graph(to_onnx(model).SerializeToString())
    assert facts.parameters == pytest.approx(model.count_params(), rel=0.03)  # norms are folded


def test_a_layer_that_the_export_does_not_know_is_refused():
    inputs = keras.Input((None, None, 3), name="chips")
    model = keras.Model(inputs, keras.layers.GaussianNoise(0.1, name="noise")(inputs))
    with pytest.raises(ModelError, match="noise: a GaussianNoise layer cannot be exported"):
        to_onnx(model)
