"""The seed's weights become a model directory that scans like their source."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import seed_networks as seed

import geodeforest as gd
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import CLASSES
from geodeforest.errors import ModelError, OptionError, OutputExists

FILTERS = (4, 6, 8, 10)
SIDE = 64


def stored(seed_number=4):
    """An 8-bit scene (rows, cols, bands)."""
    return np.random.default_rng(seed_number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A weights file, and the scores of its network for ``stored()``."""
    make = seed.Plain()
    chips = stored()[np.newaxis].astype(np.float32) / 255
    expected = seed.published(make, chips, FILTERS).numpy()
    path = seed.write_h5(tmp_path_factory.mktemp("source") / "seed.h5", make.layers)
    return path, expected[0]


@pytest.fixture(scope="module")
def home(source, tmp_path_factory):
    home = tmp_path_factory.mktemp("models") / "old-forest"
    gd.import_model(source[0], home)
    return home


@pytest.mark.parametrize("engine", ["onnx", "tensorflow"])
def test_both_engines_give_the_scores_of_the_source(engine, source, home):
    model = gd.load_model(home, engine)
    scale = model.spec.scale["uint8"]
    scores = model.predict(scale(stored())[np.newaxis])[0]
    np.testing.assert_allclose(scores, source[1], atol=1e-4)
    assert np.ptp(source[1]) > 0.1


@pytest.mark.parametrize("network", [seed.published, seed.later])
def test_a_directory_of_a_keras_2_file_gives_the_scores_of_its_network(network, tmp_path):
    keras = pytest.importorskip("tf_keras", reason="the package tf_keras writes Keras 2 files")
    trained = seed.keras_model(keras, network, FILTERS, side=SIDE)
    trained.save_weights(tmp_path / "x.h5")
    gd.import_model(tmp_path / "x.h5", tmp_path / "model")
    chips = stored()[np.newaxis].astype(np.float32) / 255
    for engine in ("onnx", "tensorflow"):
        scores = gd.load_model(tmp_path / "model", engine).predict(chips)
        np.testing.assert_allclose(scores, trained(chips).numpy(), atol=1e-4)


def test_a_scan_with_it_finds_what_the_source_finds(source, home, make_scene):
    scene = make_scene(stored().transpose(2, 0, 1), gsd_m=3)
    report = gd.scan(scene, model=home, scores=True, min_area=0)
    found = report.scores()
    np.testing.assert_allclose(found, source[1][..., 1], atol=1 / 250)


def test_the_spec_says_what_the_seed_took_for_granted(source, home):
    spec = gd.load_model(home).spec
    assert (spec.name, spec.bands) == ("old-forest", ("red", "green", "blue"))
    assert spec.scale == {"uint8": BandScale(0, 255)}
    assert (spec.gsd_m, spec.chip, spec.threshold) == (None, 512, 0.5)
    assert spec.classes == CLASSES
    digest = hashlib.sha256(source[0].read_bytes()).hexdigest()
    assert spec.training == {"imported": "seed.h5", "sha256": digest, "concat": "up-first"}
    assert "`seed.h5`" in (home / "MODEL_CARD.md").read_text("utf-8")


def test_what_the_weights_cannot_say_can_be_told(source, tmp_path):
    spec = gd.import_model(
        source[0],
        tmp_path / "model",
        bands=("nir", "red", "green"),
        classes={"spruce": "forest", "cut": "deforestation", "lake": "other"},
        scale=(100, 3000),
        dtype="uint16",
        gsd=10,
        threshold=0.4,
        name="told",
        licence="CC0",
    )
    assert spec == gd.load_model(tmp_path / "model").spec
    assert (spec.name, spec.bands, spec.gsd_m) == ("told", ("nir", "red", "green"), 10)
    assert spec.scale == {"uint16": BandScale(100, 3000)}
    assert [(c.id, c.name, c.role) for c in spec.classes] == [
        (0, "spruce", "forest"),
        (1, "cut", "deforestation"),
        (2, "lake", "other"),
    ]
    assert (spec.threshold, spec.licence) == (0.4, "CC0")


def test_the_same_file_gives_the_same_bytes(source, home, tmp_path):
    gd.import_model(source[0], tmp_path / "old-forest")
    for path in home.iterdir():
        assert path.read_bytes() == (tmp_path / "old-forest" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({"concat": "both"}, "concat 'both'"),
        ({"bands": ("red", "green")}, "takes 3 bands"),
        ({"classes": {"a": "forest", "b": "deforestation"}}, "tells 3 classes"),
        ({"classes": {"a": "forest", "b": "cut", "c": "other"}}, "role 'cut'"),
        ({"classes": {"a": "forest", "b": "other", "c": "other"}}, "exactly one class"),
        ({"scale": (5, 5)}, "LOW must be less"),
        ({"dtype": "complex"}, "dtype 'complex'"),
        ({"gsd": 0}, "gsd 0"),
        ({"threshold": 0}, "threshold 0"),
        ({"name": "a\nb"}, "printable"),
    ],
)
def test_options_that_do_not_fit_are_refused_and_nothing_is_written(source, tmp_path, choice, why):
    with pytest.raises(OptionError, match=why):
        gd.import_model(source[0], tmp_path / "model", **choice)
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_other_bands_and_classes_has_to_be_named(tmp_path):
    make = seed.Plain()
    seed.published(make, np.zeros((1, 8, 8, 4), np.float32), (4, 6), classes=2)
    path = seed.write_h5(tmp_path / "x.h5", make.layers)
    bands, classes = ("r", "g", "b", "nir"), {"forest": "forest", "cut": "deforestation"}
    with pytest.raises(OptionError, match="4 bands; name them with --bands"):
        gd.import_model(path, tmp_path / "model", classes=classes)
    with pytest.raises(OptionError, match="2 classes; name them and their roles with --classes"):
        gd.import_model(path, tmp_path / "model", bands=bands)
    assert gd.import_model(path, tmp_path / "model", bands=bands, classes=classes).bands == bands


def test_a_model_in_the_way_is_replaced_only_when_asked(source, home, tmp_path):
    there = tmp_path / "model"
    gd.import_model(source[0], there, name="first")
    with pytest.raises(OutputExists):
        gd.import_model(source[0], there, name="second")
    assert gd.load_model(there).spec.name == "first"
    gd.import_model(source[0], there, name="second", overwrite=True)
    assert gd.load_model(there).spec.name == "second"


@pytest.mark.parametrize(
    ("content", "kind"), [(b"\x80\x05.", "a pickle"), (b"PK\x03\x04", "a zip"), (b"", "a file")]
)
def test_another_file_is_named_for_what_it_is(content, kind, tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"x\.h5: not Keras weights \(found: {kind}"):
        gd.import_model(path, tmp_path / "model")
    assert list(tmp_path.iterdir()) == [path]
