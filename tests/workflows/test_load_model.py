"""A model by name or directory, by either engine; refused before anything is loaded."""

from __future__ import annotations

import sys

import pytest

import geodeforest as gd
from geodeforest.errors import MissingExtra, ModelError, OptionError
from geodeforest.workflows.load_model import load_model, model_spec


def test_the_public_name_is_this_function():
    assert gd.load_model is load_model


def test_an_unknown_engine_is_an_option_error(tmp_path):
    with pytest.raises(OptionError, match="engine 'torch' is unknown; choose onnx or tensorflow"):
        load_model(tmp_path, engine="torch")


def test_an_unknown_device_is_an_option_error(tmp_path):
    with pytest.raises(OptionError, match="device 'tpu' is unknown; choose cpu or gpu"):
        load_model(tmp_path, device="tpu")


def test_a_gpu_that_tensorflow_does_not_find_is_an_option_error(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [])
    with pytest.raises(OptionError, match=r"finds no GPU; run: pip install .geodeforest\[gpu\]"):
        load_model(engine="tensorflow", device="gpu")


@pytest.mark.parametrize("engine", ["onnx", "tensorflow"])
def test_a_directory_without_a_spec_is_refused_by_both_engines(tmp_path, engine):
    with pytest.raises(ModelError, match=r"model\.json: it cannot be read"):
        load_model(tmp_path, engine)


def test_the_tensorflow_engine_without_tensorflow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr("geodeforest.workflows.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"--engine tensorflow .*geodeforest\[train\]"):
        load_model(tmp_path, "tensorflow")


def test_a_spec_is_read_without_the_network(tmp_path):
    with pytest.raises(ModelError, match="there is no such model"):
        model_spec(tmp_path / "nowhere")
