"""Scores come from a checked graph, are the same bits on any thread, and are never NaN."""

from __future__ import annotations

import queue
import random
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from geodeforest.core.spec import Architecture, ClassDef, SceneInput
from geodeforest.core.threads import Stopped
from geodeforest.errors import (
    GeodeforestError,
    LevelUntold,
    ModelError,
    OptionError,
    WeightsError,
)
from geodeforest.runtime import onnx_predictor
from geodeforest.runtime.model_dir import read_verified, verify_files
from geodeforest.runtime.onnx_predictor import OnnxPredictor


@pytest.fixture
def predictor(write_model, unet_bytes, spec):
    return OnnxPredictor(write_model(unet_bytes, spec))


def noise(*shape):
    return np.random.default_rng(3).random(shape, np.float32)


def numpy_unet(tensors, chip, level):
    """The same graph in plain numpy: the dull oracle."""

    def conv(x, name):
        kernel, bias = tensors[f"{name}/k"], tensors[f"{name}/b"]
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (0, 1))
        return np.einsum("rcikl,oikl->rco", windows, kernel) + bias

    skip = np.maximum(conv(np.concatenate([chip, chip - level], 2), "first"), 0)
    rows, cols, channels = skip.shape
    pooled = skip.reshape(rows // 2, 2, cols // 2, 2, channels).max((1, 3))
    up = np.maximum(conv(pooled, "deep"), 0).repeat(2, 0).repeat(2, 1)
    logits = conv(np.concatenate([skip, up], 2), "last")
    powers = np.exp(logits - logits.max(2, keepdims=True))
    return powers / powers.sum(2, keepdims=True)


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (6, 34)])
def test_scores_are_those_of_the_same_network_in_numpy(predictor, unet, size):
    tensors = {t.name: numpy_helper.to_array(t) for t in unet.graph.initializer}
    chips, levels = noise(2, *size, 3), noise(2, 3) / 4
    scores = predictor.predict(chips, levels)
    expected = [numpy_unet(tensors, c, v) for c, v in zip(chips, levels, strict=True)]
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert scores.dtype == np.float32


def test_a_chip_has_the_same_bits_alone_in_a_batch_and_on_any_thread(predictor):
    chips, levels = noise(12, 64, 64, 3), noise(12, 3)
    whole = predictor.predict(chips, levels)

    def one(at):
        return predictor.predict(chips[at : at + 1], levels[at : at + 1])[0]

    for threads in (1, 2, 5):
        with ThreadPoolExecutor(threads) as pool:
            np.testing.assert_array_equal(np.stack(list(pool.map(one, range(12)))), whole)


def test_views_and_double_precision_are_taken_too(predictor):
    chips, level = noise(1, 32, 64, 3), noise(1, 3)
    turned = chips.transpose(0, 2, 1, 3).copy().transpose(0, 2, 1, 3)
    expected = predictor.predict(chips, level)
    np.testing.assert_array_equal(predictor.predict(turned, level), expected)
    np.testing.assert_array_equal(predictor.predict(chips.astype(np.float64), level), expected)


def test_no_chips_give_no_scores(predictor):
    assert predictor.predict(noise(0, 8, 8, 3), noise(0, 3)).shape == (0, 8, 8, 2)


@pytest.mark.parametrize(
    ("chips", "level", "says"),
    [
        (noise(1, 8, 9, 3), noise(1, 3), "multiples of 2 px"),
        (noise(1, 0, 8, 3), noise(1, 3), "multiples of 2 px"),
        (noise(1, 8, 8, 4), noise(1, 3), r"not \(n, rows, cols, 3\)"),
        (noise(8, 8, 3), noise(1, 3), r"not \(n, rows, cols, 3\)"),
        (np.zeros((1, 8, 8, 3), np.uint8), noise(1, 3), "scale stored numbers to 0..1"),
        (np.full((1, 8, 8, 3), np.nan, np.float32), noise(1, 3), "chips hold values"),
        (noise(1, 8, 8, 3), None, "the scene's dark"),
        (noise(1, 8, 8, 3), noise(2, 3), "scene_level has shape"),
        (noise(1, 8, 8, 3), np.full((1, 3), np.inf, np.float32), "must be finite"),
    ],
)
def test_chips_that_do_not_fit_are_refused(predictor, chips, level, says):
    with pytest.raises(OptionError, match=says):
        predictor.predict(chips, level)


def test_the_middle_of_the_training_scenes_stands_in_for_a_level_that_is_not_told(
    write_model, unet_bytes, spec
):
    told = {"dark_levels": {"least": [0.1, 0.0, 0.2], "most": [0.3, 0.2, 0.2]}}
    spec = replace(spec, training=told, scene_inputs=(SceneInput("dark", 2),))
    predictor = OnnxPredictor(write_model(unet_bytes, spec))
    chips, middle = noise(2, 8, 8, 3), np.float32([[0.2, 0.1, 0.2]] * 2)
    with pytest.warns(LevelUntold, match="the scene's dark; 0.2, 0.1, 0.2, .*pass scene_level"):
        found = predictor.predict(chips)
    assert np.array_equal(found, predictor.predict(chips, middle))
    assert not np.array_equal(found, predictor.predict(chips, 2 * middle))


def test_a_model_without_scene_inputs_refuses_a_scene_level(write_model, unet, spec):
    plain = without_level(unet)
    predictor = OnnxPredictor(write_model(plain, replace(spec, scene_inputs=())))
    assert predictor.predict(noise(1, 8, 8, 3)).shape == (1, 8, 8, 2)
    with pytest.raises(OptionError, match="takes no scene_level"):
        predictor.predict(noise(1, 8, 8, 3), noise(1, 3))


def without_level(unet):
    del unet.graph.input[1]
    both = next(n for n in unet.graph.node if n.output[0] == "both")
    both.input[1] = "chips_nchw"
    for name in ("above", "level"):
        unet.graph.node.remove(next(n for n in unet.graph.node if n.output[0] == name))
    return unet.SerializeToString()


def change_weights(unet, name, array):
    tensor = next(t for t in unet.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(array, name))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_at_loading(write_model, unet, spec, value):
    change_weights(unet, "last/b", np.array([value, 0], np.float32))
    with pytest.raises(ModelError, match="scores that are not finite"):
        OnnxPredictor(write_model(unet.SerializeToString(), spec))


def test_scores_that_overflow_later_are_an_error_not_a_class(write_model, unet, spec):
    change_weights(unet, "last/k", np.full((2, 9, 3, 3), 1e38, np.float32))
    with pytest.raises(ModelError, match="not finite"):
        OnnxPredictor(write_model(unet.SerializeToString(), spec)).predict(
            1e3 * noise(1, 8, 8, 3), noise(1, 3)
        )


def test_a_network_that_does_not_end_in_a_softmax_is_refused(write_model, unet, spec):
    unet.graph.node[-1].CopyFrom(helper.make_node("Relu", ["last"], ["last_relu"]))
    unet.graph.node[-2].CopyFrom(
        helper.make_node("Transpose", ["last_relu"], ["scores"], perm=[0, 2, 3, 1])
    )
    last = unet.graph.node.pop()
    unet.graph.node.insert(len(unet.graph.node) - 1, last)
    with pytest.raises(ModelError, match="do not sum to 1"):
        OnnxPredictor(write_model(unet.SerializeToString(), spec))


@pytest.mark.parametrize(
    "other",
    [
        {"bands": ("red", "green", "blue", "nir")},
        {"scene_inputs": ()},
        {
            "classes": tuple(
                ClassDef(i, f"c{i}", r) for i, r in enumerate(["forest", "deforestation", "other"])
            )
        },
    ],
)
def test_a_graph_of_another_spec_is_refused(write_model, unet_bytes, spec, other):
    with pytest.raises(ModelError, match="not what the spec says"):
        OnnxPredictor(write_model(unet_bytes, replace(spec, **other)))


def test_a_graph_that_only_runs_at_larger_multiples_is_refused(write_model, unet, spec):
    # Two poolings and one Resize by 2: the sides to join differ.
    pool = next(n for n in unet.graph.node if n.op_type == "MaxPool")
    pool.attribute[1].ints[:] = [4, 4]
    with pytest.raises(ModelError, match="the network does not run"):
        OnnxPredictor(write_model(unet.SerializeToString(), spec))


def test_the_hash_comes_before_the_graph(write_model, spec):
    home = write_model(b"\x08no graph at all", spec)
    with pytest.raises(ModelError, match="the graph is refused"):
        OnnxPredictor(home)
    (home / "model.onnx").write_bytes(b"\x08another graph. ")
    with pytest.raises(WeightsError, match="sha256"):
        OnnxPredictor(home)


def test_a_changed_file_beside_the_graph_is_refused_too(write_model, unet_bytes, spec):
    home = write_model(unet_bytes, spec, **{"model.weights.h5": b"weights"})
    (home / "model.weights.h5").write_bytes(b"Weights")
    with pytest.raises(WeightsError, match=r"model\.weights\.h5"):
        OnnxPredictor(home)


def test_a_spec_with_a_larger_multiple_needs_larger_chips(write_model, unet_bytes, spec):
    predictor = OnnxPredictor(
        write_model(unet_bytes, replace(spec, architecture=Architecture((4, 4, 5))))
    )
    with pytest.raises(OptionError, match="multiples of 4 px"):
        predictor.predict(noise(1, 6, 6, 3), noise(1, 3))


def test_loading_and_running_say_nothing(write_model, unet, spec, capfd):
    home = write_model(unet.SerializeToString(), spec)
    OnnxPredictor(home).predict(noise(1, 8, 8, 3), noise(1, 3))
    change_weights(unet, "last/b", np.array([np.nan, 0], np.float32))
    with pytest.raises(ModelError):
        OnnxPredictor(write_model(unet.SerializeToString(), spec))
    assert capfd.readouterr() == ("", "")


@settings(max_examples=10, deadline=None)
@given(draw=st.randoms(use_true_random=False))
def test_a_damaged_graph_with_a_right_hash_is_refused_or_runs(
    draw: random.Random, unet_bytes, tmp_path_factory, model_in
):
    for _ in range(20):
        content = bytearray(unet_bytes)
        for _ in range(draw.randint(1, 3)):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        home = model_in(tmp_path_factory.mktemp("model"), bytes(content))
        try:
            scores = OnnxPredictor(home).predict(noise(1, 8, 8, 3), noise(1, 3))
            assert np.isfinite(scores).all()
        except GeodeforestError:
            pass


def test_a_file_that_changes_between_check_and_load_is_refused(
    write_model, unet_bytes, spec, monkeypatch
):
    home = write_model(unet_bytes, spec)

    def then_change(directory, spec):
        verify_files(directory, spec)
        (directory / "model.onnx").write_bytes(unet_bytes[:-1] + b"?")

    monkeypatch.setattr(onnx_predictor, "verify_files", then_change)
    with pytest.raises(WeightsError, match=r"model\.onnx: its sha256"):
        OnnxPredictor(home)


def test_what_is_run_is_what_was_hashed(write_model, unet_bytes, unet, spec, monkeypatch):
    expected = OnnxPredictor(write_model(unet_bytes, spec)).predict(noise(1, 8, 8, 3), noise(1, 3))
    home = write_model(unet_bytes, spec)

    def then_change(directory, spec, name):
        content = read_verified(directory, spec, name)
        change_weights(unet, "last/b", np.array([9, -9], np.float32))
        (directory / name).write_bytes(unet.SerializeToString())
        return content

    monkeypatch.setattr(onnx_predictor, "read_verified", then_change)
    found = OnnxPredictor(home).predict(noise(1, 8, 8, 3), noise(1, 3))
    np.testing.assert_array_equal(found, expected)


def test_a_check_that_would_take_gigabytes_or_minutes_is_not_begun(
    write_model, unet_bytes, spec, monkeypatch
):
    home = write_model(unet_bytes, spec)
    facts = OnnxPredictor(home).facts
    # The convolutions of 3 x 3: two at full size, one at a quarter of the pixels.
    assert facts.products_per_px == 9 * (6 * 4 + 9 * 2 + 4 * 5 / 4)
    for name, per_px in (("VALUES", facts.values_per_px), ("PRODUCTS", facts.products_per_px)):
        with monkeypatch.context() as smaller:
            smaller.setattr(onnx_predictor, f"SMALLEST_RUN_{name}", 4**2 * per_px - 1)
            with pytest.raises(ModelError, match="even a chip of 4 x 6 px is too much work"):
                OnnxPredictor(home)


def test_a_run_of_another_thread_can_be_broken_off(predictor):
    chips, levels = noise(1, 2048, 2048, 3), noise(1, 3)
    ids = queue.Queue()

    def work():
        ids.put(threading.get_ident())
        return predictor.predict(chips, levels)

    with ThreadPoolExecutor(1) as workers:
        run = workers.submit(work)
        thread = ids.get()
        predictor.stop([thread + 1])  # another's
        while not wait([run], timeout=0.02).done:
            predictor.stop([thread])
    assert isinstance(run.exception(), Stopped)  # nothing is wrong with the model
    assert predictor.predict(chips[:, :16, :16], levels).shape == (1, 16, 16, 2)
