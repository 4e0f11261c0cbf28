"""A model and a scene that take no time."""

import numpy as np
import pytest

from geodeforest.testing import ThresholdPredictor, make_scene


@pytest.fixture
def fake_model(monkeypatch):
    """In place of the built-in model one that takes what is bright for cleared."""
    import geodeforest.workflows.load_model as loading
    import geodeforest.workflows.scan_scene  # noqa: F401  # binds the real one first

    real = loading.load_model

    def load(model=None, engine="onnx", device="cpu"):
        return ThresholdPredictor() if model is None else real(model, engine, device)

    monkeypatch.setattr(loading, "load_model", load)


@pytest.fixture
def scene(tmp_path):
    values = np.zeros((3, 100, 120), np.uint8)
    values[:, 20:40, 30:70] = 200
    return make_scene(tmp_path / "scene.tif", values)
