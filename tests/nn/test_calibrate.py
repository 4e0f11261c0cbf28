"""A temperature in the weights of a network."""

from __future__ import annotations

import numpy as np
import pytest

from geodeforest.core.calibration import cooled
from geodeforest.core.spec import Architecture
from geodeforest.errors import ModelError
from geodeforest.nn.calibrate import divide_logits
from geodeforest.nn.unet import build_unet


@pytest.mark.parametrize("stem", [1, 2])
def test_the_scores_are_those_of_divided_logits(stem):
    model = build_unet(bands=3, classes=3, architecture=Architecture((4, 6), stem=stem))
    chips = np.random.default_rng(0).random((2, 16, 16, 3)).astype(np.float32)
    before = np.asarray(model(chips, training=False))
    divide_logits(model, 1.7)
    assert np.asarray(model(chips, training=False)) == pytest.approx(cooled(before, 1.7), abs=1e-5)


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_that_is_none_is_refused(temperature):
    model = build_unet(bands=1, classes=2, architecture=Architecture((4,)))
    with pytest.raises(ModelError, match="temperature"):
        divide_logits(model, temperature)
