"""Shapes of the network, and the seed's two to the last parameter."""

import numpy as np
import pytest

from geodeforest.core.spec import Architecture
from geodeforest.errors import OptionError
from geodeforest.nn.unet import build_unet


@pytest.mark.parametrize(
    ("name", "parameters"), [("seed-unet", 124_424_995), ("seed-dense", 15_369_395)]
)
def test_the_seeds_networks_have_their_published_sizes(name, parameters):
    assert build_unet(bands=3, classes=3, architecture=name).count_params() == parameters


@pytest.mark.parametrize("block", ["conv", "separable"])
@pytest.mark.parametrize("up", ["bilinear", "nearest", "transpose"])
@pytest.mark.parametrize("stem", [1, 2])
def test_scores_have_the_chips_size_and_sum_to_one(block, up, stem):
    shape = Architecture((4, 6, 8), block=block, up=up, stem=stem)
    model = build_unet(bands=4, classes=3, architecture=shape)
    chips = np.random.default_rng(0).random((2, 3 * shape.multiple, 2 * shape.multiple, 4))
    scores = model(chips.astype(np.float32), training=False).numpy()
    assert scores.shape == (2, 3 * shape.multiple, 2 * shape.multiple, 3)
    assert scores.sum(axis=-1) == pytest.approx(1, abs=1e-5)


def test_a_single_level_is_a_network_too():
    model = build_unet(bands=1, classes=2, architecture=Architecture((4,)))
    assert model(np.zeros((1, 5, 3, 1), np.float32)).shape == (1, 5, 3, 2)


def test_the_scene_level_is_seen():
    model = build_unet(
        bands=2, classes=2, architecture=Architecture((4, 6), stem=2), scene_inputs=2
    )
    chips = np.full((1, 8, 8, 2), 0.5, np.float32)
    low = model([chips, np.zeros((1, 4), np.float32)], training=False).numpy()
    high = model([chips, np.full((1, 4), 0.4, np.float32)], training=False).numpy()
    assert not np.allclose(low, high)


def test_an_unknown_name_is_refused():
    with pytest.raises(OptionError, match="seed-unet"):
        build_unet(bands=3, classes=2, architecture="resnet")
