"""Which device ONNX Runtime is asked for, and what becomes of it; the GPU is a fake."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from geodeforest.core.predicting import self_test_sides
from geodeforest.errors import MissingExtra, ModelError, OptionError
from geodeforest.runtime import onnx_predictor
from geodeforest.runtime import session as sessions
from geodeforest.runtime.onnx_predictor import OnnxPredictor
from geodeforest.runtime.session import (
    CPU,
    CUDA,
    open_session,
    run_options,
    session_options,
    wanted_providers,
)


class FakeSession:
    """Takes what ONNX Runtime would, and works on ``works_on``."""

    works_on: tuple[str, ...] = (CUDA, CPU)

    def __init__(self, content, options, providers):
        self.asked, self.options, self.falls_back = providers, options, True

    def get_providers(self):
        return list(self.works_on)

    def disable_fallback(self):
        self.falls_back = False


@pytest.fixture
def cuda(monkeypatch):
    """An ONNX Runtime that was built with CUDA; returns the class of its sessions."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(sessions.ort, "InferenceSession", FakeSession)
    return FakeSession


def test_the_processor_alone_is_asked_for_unless_one_says_gpu(cuda):
    assert wanted_providers("cpu") == [CPU]
    assert open_session(b"", "model.onnx").asked == [CPU]


def test_a_gpu_comes_first_and_does_not_give_way_in_silence(cuda):
    found = open_session(b"", "model.onnx", "gpu")
    (name, settings), last = found.asked
    assert (name, last) == (CUDA, CPU)
    assert not found.falls_back
    assert found.options.use_deterministic_compute
    assert settings == {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}


def test_a_gpu_that_does_not_start_is_an_error_not_a_slow_scan(cuda, monkeypatch):
    monkeypatch.setattr(cuda, "works_on", (CPU,))
    with pytest.raises(OptionError, match=r"cannot use a GPU here; .* or choose cpu"):
        open_session(b"", "model.onnx", "gpu")


def test_without_its_package_a_gpu_is_refused_with_the_line_to_run(write_model, unet, spec):
    home = write_model(unet.SerializeToString(), spec)
    with pytest.raises(MissingExtra, match=r'pip install "geodeforest\[onnx-gpu\]"') as refused:
        OnnxPredictor(home, "gpu")
    assert refused.value.exit_code == 2


def test_what_the_runtime_refuses_is_the_models_fault():
    with pytest.raises(ModelError, match="ONNX Runtime refuses it"):
        open_session(b"no graph", "model.onnx")


def test_a_run_has_one_thread_on_every_device():
    for device in ("cpu", "gpu"):
        options = session_options(device)
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_only_the_first_runs_of_a_shape_give_their_memory_back(
    write_model, unet, spec, monkeypatch
):
    predictor = OnnxPredictor(write_model(unet.SerializeToString(), spec))
    given = []

    def noted(*, gives_back):
        given.append(gives_back)
        return run_options(gives_back=gives_back)

    monkeypatch.setattr(onnx_predictor, "run_options", noted)
    level = np.zeros((1, 3), np.float32)
    for side in (16, 32, 16, 32):
        predictor.predict(np.zeros((1, side, side, 3), np.float32), level)
    assert given == [True, True, False, False]
    key = "memory.enable_memory_arena_shrinkage"
    assert run_options(gives_back=True).get_run_config_entry(key) == "cpu:0"


def test_a_runtime_without_an_arena_runs_all_the_same(write_model, unet, spec, monkeypatch):
    def without(device):
        options = session_options(device)
        options.enable_cpu_mem_arena = False
        return options

    home = write_model(unet.SerializeToString(), spec)
    chips, level = np.full((1, 16, 16, 3), 0.3, np.float32), np.zeros((1, 3), np.float32)
    scores = OnnxPredictor(home).predict(chips, level)
    monkeypatch.setattr(sessions, "session_options", without)
    np.testing.assert_array_equal(OnnxPredictor(home).predict(chips, level), scores)


def test_chips_have_a_memory_pattern_that_the_self_test_has_not_taken(spec):
    """ONNX Runtime's key of a pattern is the exclusive or of all sides that go in."""
    assert session_options("cpu").enable_mem_pattern
    rows, cols = self_test_sides(spec)
    assert rows ^ cols != spec.chip ^ spec.chip


def test_a_predictor_tells_its_device(write_model, unet, spec):
    assert OnnxPredictor(write_model(unet.SerializeToString(), spec)).device == "cpu"
