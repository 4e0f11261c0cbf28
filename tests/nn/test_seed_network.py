"""The seed's networks are told by their weights' shapes, and come out as they went in."""

from __future__ import annotations

import numpy as np
import pytest
import seed_networks as seed

from geodeforest.core.spec import ARCHITECTURES, Architecture
from geodeforest.errors import WeightsError
from geodeforest.nn.keras2 import saved_convs
from geodeforest.nn.seed_network import kernels, recognise
from geodeforest.nn.unet import build_unet


@pytest.fixture(scope="module")
def chips():
    return np.random.default_rng(3).random((2, 32, 48, 3), np.float32)


def load(path, concat=None):
    with saved_convs(path) as convs:
        network = recognise(convs)
        return network, network.load(convs, concat)


def scores(model, chips):
    return np.asarray(model(chips, training=False))


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("filters", [(4,), (4, 6), (4, 6, 8, 10), (6, 6, 6)])
def test_the_published_network_of_any_size_gives_the_same_scores(filters, bands, tmp_path):
    chips = np.random.default_rng(3).random((2, 32, 48, bands), np.float32)
    make = seed.Plain()
    expected = seed.published(make, chips, filters).numpy()
    network, model = load(seed.write_h5(tmp_path / "x.h5", make.layers))
    assert network.architecture == Architecture(filters, norm=False)
    assert (network.bands, network.classes) == (bands, 3)
    np.testing.assert_allclose(scores(model, chips), expected, atol=1e-5)
    assert np.ptp(expected) > 0.1


@pytest.mark.parametrize("when_needed", [False, True])
@pytest.mark.parametrize("filters", [(4, 6), (4, 6, 8), (2, 3, 4, 5, 9)])
def test_the_later_network_gives_the_same_scores_in_any_order_of_creation(
    filters, when_needed, chips, tmp_path
):
    make = seed.Plain()
    expected = seed.later(make, chips, filters, when_needed=when_needed).numpy()
    network, model = load(seed.write_h5(tmp_path / "x.h5", make.layers))
    assert network.architecture == Architecture(filters, norm=False, dense=True)
    np.testing.assert_allclose(scores(model, chips), expected, atol=1e-5)


@pytest.mark.parametrize("up_first", [False, True])
@pytest.mark.parametrize("network", [seed.published, seed.later])
def test_the_order_of_joining_can_be_told(network, up_first, chips, tmp_path):
    make = seed.Plain()
    expected = network(make, chips, (4, 6, 8), up_first=up_first).numpy()
    path = seed.write_h5(tmp_path / "x.h5", make.layers)
    right, wrong = ("up-first", "skip-first")[:: 1 if up_first else -1]
    np.testing.assert_allclose(scores(load(path, right)[1], chips), expected, atol=1e-5)
    assert np.abs(scores(load(path, wrong)[1], chips) - expected).max() > 0.01


@pytest.mark.parametrize("make", [seed.Keras2, seed.Fused])
@pytest.mark.parametrize(
    ("network", "how"),
    [(seed.published, {}), (seed.later, {}), (seed.later, {"when_needed": True})],
)
def test_a_file_that_keras_2_wrote_gives_its_scores(network, how, make, chips, tmp_path):
    keras = pytest.importorskip("tf_keras", reason="the package tf_keras writes Keras 2 files")
    source = seed.keras_model(keras, network, (4, 6, 8, 12), make, **how)
    source.save_weights(tmp_path / "x.h5")
    _, model = load(tmp_path / "x.h5")
    np.testing.assert_allclose(scores(model, chips), source(chips).numpy(), atol=1e-5)


def test_a_file_of_the_whole_model_is_read_for_its_weights_alone(chips, tmp_path):
    keras = pytest.importorskip("tf_keras", reason="the package tf_keras writes Keras 2 files")
    source = seed.keras_model(keras, seed.published, (4, 6))
    source.compile("rmsprop", "mse")
    source.fit(chips, source(chips), verbose=0)
    seed.save_whole(source, tmp_path / "x.h5")
    _, model = load(tmp_path / "x.h5")
    np.testing.assert_allclose(scores(model, chips), source(chips).numpy(), atol=1e-5)


def test_transposed_convolutions_are_known_by_their_kernels(chips, tmp_path):
    keras = pytest.importorskip("tf_keras", reason="the package tf_keras writes Keras 2 files")

    class Transposed(seed.Keras2):
        def grow(self, x):
            return x

        def conv(self, x, width, side):
            if side != 2:
                return super().conv(x, width, side)
            return self.layers.Conv2DTranspose(width, 2, 2, padding="same")(x)

    source = seed.keras_model(keras, seed.published, (4, 6, 8), Transposed)
    source.save_weights(tmp_path / "x.h5")
    network, model = load(tmp_path / "x.h5")
    assert network.architecture.up == "transpose"
    np.testing.assert_allclose(scores(model, chips), source(chips).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "shape",
    [
        Architecture((4, 6, 8), norm=False),
        Architecture((4, 6, 8), norm=False, up="transpose", up_kernel=3),
        Architecture((4, 6, 8, 9), norm=False, dense=True),
        Architecture((5,), norm=False),
    ],
)
def test_the_kernels_are_those_of_the_network_that_is_built(shape):
    model = build_unet(bands=3, classes=2, architecture=shape)
    built = {la.name: tuple(la.kernel.shape) for la in model.layers if hasattr(la, "kernel")}
    assert kernels(shape, 3, 2) == built


@pytest.mark.parametrize(
    ("name", "filters", "parameters"),
    [("seed-unet", seed.PUBLISHED, 124_424_995), ("seed-dense", seed.LATER, 15_369_395)],
)
def test_the_named_shapes_are_the_seeds(name, filters, parameters):
    shape = ARCHITECTURES[name]
    found = kernels(shape, 3, 3)
    assert shape.filters == filters
    assert len(found) == 33  # both: so the number of layers does not tell them apart
    assert sum(np.prod(k) + k[3] for k in found.values()) == parameters


def changed(layers, number, kernel=None, bias=None):
    new = list(layers)
    old_kernel, old_bias = layers[number]
    new[number] = (old_kernel if kernel is None else kernel, old_bias if bias is None else bias)
    return new


def test_other_networks_are_refused_in_one_line(chips, tmp_path):
    make = seed.Plain()
    seed.published(make, chips, (4, 6, 8))
    zeros = np.zeros
    others = {
        "a layer less": make.layers[:-1],
        "one layer": make.layers[:1],
        "no layer": [],
        "another side": changed(make.layers, 2, zeros((5, 5, 4, 6), np.float32)),
        "another width": changed(make.layers, 3, zeros((3, 3, 6, 7), np.float32)),
        "another order": make.layers[::-1],
    }
    for what, layers in others.items():
        path = seed.write_h5(tmp_path / "x.h5", layers)
        with pytest.raises(WeightsError, match="not those of the seed's networks") as error:
            load(path)
        assert "\n" not in str(error.value), what


def test_a_sigmoid_of_one_number_is_refused(chips, tmp_path):
    make = seed.Plain()
    seed.published(make, chips, (4, 6), classes=1)
    with pytest.raises(WeightsError, match="one number per pixel"):
        load(seed.write_h5(tmp_path / "x.h5", make.layers))


def test_a_bias_that_does_not_fit_is_refused(chips, tmp_path):
    make = seed.Plain()
    seed.published(make, chips, (4, 6))
    layers = changed(make.layers, 1, bias=np.zeros(5, np.float32))
    with pytest.raises(WeightsError, match="'conv2d_1' has a bias that does not fit"):
        load(seed.write_h5(tmp_path / "x.h5", layers))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(bad, chips, tmp_path):
    make = seed.Plain()
    seed.published(make, chips, (4, 6))
    layers = changed(make.layers, 3, bias=np.full(6, bad, np.float32))
    with pytest.raises(WeightsError, match="'conv2d_3' has weights that are not finite"):
        load(seed.write_h5(tmp_path / "x.h5", layers))


def test_a_dense_network_whose_levels_look_alike_is_refused(chips, tmp_path):
    make = seed.Plain()
    seed.later(make, chips, (4, 4, 6))
    with pytest.raises(WeightsError, match="not those of the seed's networks"):
        load(seed.write_h5(tmp_path / "x.h5", make.layers))
