"""A model leaves in other forms with the same scores, and QGIS's plug-ins can read theirs.

The plug-ins themselves are not run here: what they do with a file is written down below.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import seed_networks as seed

import geodeforest as gd
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import Architecture, ClassDef, ConfidenceRule, ModelSpec, SceneInput
from geodeforest.errors import ModelError, OptionError, OutputExists
from geodeforest.nn.export import export_model as write_model
from geodeforest.nn.unet import build_unet
from geodeforest.workflows import extras
from geodeforest.workflows.export_model import Exported

SPEC = ModelSpec(
    name="tiny",
    version="2.1",
    bands=("red", "green", "blue"),
    scale={"uint8": BandScale(0, 255), "uint16": BandScale(0, 3558)},
    gsd_m=10.0,
    chip=64,
    halo=8,
    classes=(ClassDef(0, "forest", "forest"), ClassDef(4, "cut", "deforestation")),
    threshold=0.5,
    confidence=ConfidenceRule(0.6, 0.8),
    architecture=Architecture((4, 6, 8), block="separable", up="bilinear", stem=2),
    scene_inputs=(SceneInput("dark", 2),),
    licence="CC0",
    training={"dark_levels": {"least": [0.1, 0.1, 0.2], "most": [0.3, 0.1, 0.2]}},
)
MIDDLE = np.array([[0.2, 0.1, 0.2]], np.float32)


def make_model(home: Path, spec: ModelSpec = SPEC) -> Path:
    home.mkdir()
    model = build_unet(
        bands=len(spec.bands),
        classes=len(spec.classes),
        architecture=spec.architecture,
        scene_inputs=len(spec.scene_inputs),
    )
    draw = np.random.default_rng(1)
    for weight in model.weights:
        if weight.name in ("kernel", "bias"):
            weight.assign(draw.normal(0, 0.5, weight.shape))
    write_model(model, spec, home, "# Tiny\n")
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def tile() -> np.ndarray:
    """A tile as a raster holds it: 8-bit (rows, cols, bands)."""
    return np.random.default_rng(9).integers(0, 256, (64, 64, 3), np.uint8)


def as_plugins_run_it(path: Path, tile: np.ndarray) -> np.ndarray:
    """One input, fed with a share of 255 in (1, bands, rows, cols); the first output."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (only,) = session.get_inputs()
    assert only.shape == [1, 3, *tile.shape[:2]]
    fed = tile.astype(np.float32)[np.newaxis].transpose(0, 3, 1, 2) / 255
    return session.run(None, {only.name: fed})[0]


def as_geodeforest_scores(home: Path, tile: np.ndarray, level=MIDDLE) -> np.ndarray:
    model = gd.load_model(home)
    chips = model.spec.scale["uint8"](tile.transpose(2, 0, 1)).transpose(1, 2, 0)[np.newaxis]
    return model.predict(chips, level).transpose(0, 3, 1, 2)


def keys_of(path: Path) -> dict[str, str]:
    return ort.InferenceSession(path).get_modelmeta().custom_metadata_map


def test_a_tile_fed_as_the_plugins_do_gets_the_models_scores(home, tile, tmp_path):
    gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx")
    found = as_plugins_run_it(tmp_path / "q.onnx", tile)
    np.testing.assert_allclose(found, as_geodeforest_scores(home, tile), atol=1e-5)
    assert found.shape == (1, 2, 64, 64)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(found) > 0.01


def test_the_built_in_model_can_be_exported_for_qgis(tmp_path):
    gd.export_model(None, "onnx-qgis", tmp_path / "q.onnx", chip=128)
    tile = np.random.default_rng(2).integers(20, 120, (128, 128, 3), np.uint8)
    level = np.array(json.loads(keys_of(tmp_path / "q.onnx")["scene_level"]), np.float32)
    found = as_plugins_run_it(tmp_path / "q.onnx", tile)
    levels = len(gd.load_model().spec.scene_inputs) * 3
    given = level[np.newaxis] if levels else None
    name = gd.load_model().spec.name
    np.testing.assert_allclose(found, as_geodeforest_scores(name, tile, given), atol=1e-4)


def test_deepness_reads_its_settings(home, tmp_path):
    gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx")
    keys = {key: json.loads(text) for key, text in keys_of(tmp_path / "q.onnx").items()}
    assert str(keys["model_type"]).capitalize() == "Segmentor"
    names = sorted(keys["class_names"].items(), key=lambda pair: int(pair[0]))
    assert names == [("0", "forest"), ("1", "cut")]
    assert float(keys["resolution"]) == 1000  # centimetres
    assert int(keys["tile_size"]) == int(keys["tiles_size"]) == 64
    assert int(keys["tiles_overlap"]) == 25  # percent
    assert float(keys["seg_thresh"]) == 0.5
    assert int(keys["seg_small_segment"]) == 0
    assert (keys["standardization_mean"], keys["standardization_std"]) == ([0] * 3, [1] * 3)


def test_geodeep_reads_its_settings(home, tmp_path):
    gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx")
    keys = keys_of(tmp_path / "q.onnx")
    assert json.loads(keys["model_type"]) == "Segmentor"
    assert json.loads(keys["class_names"]) == {"0": "forest", "1": "cut"}
    assert (float(keys["resolution"]), float(keys["tiles_overlap"])) == (1000, 25)


def test_old_runtimes_can_read_the_graph(home, tmp_path):
    gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx")
    model = onnx.load(tmp_path / "q.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    assert "tiny 2.1" in model.doc_string
    assert "level (dark) is not measured" in model.doc_string


@pytest.mark.parametrize("scale", [BandScale(10, 200), BandScale((0, 10, 20), (255, 200, 100))])
def test_another_scale_lies_inside_the_graph_and_clips(scale, tile, tmp_path):
    spec = replace(SPEC, scale={"uint8": scale})
    home = make_model(tmp_path / "model", spec)
    gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx")
    found = as_plugins_run_it(tmp_path / "q.onnx", tile)
    np.testing.assert_allclose(found, as_geodeforest_scores(home, tile), atol=1e-5)


def test_a_model_without_scene_inputs_needs_no_level(tile, tmp_path):
    spec = replace(SPEC, scene_inputs=(), gsd_m=None)
    home = make_model(tmp_path / "model", spec)
    done = gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx")
    assert done.notes == ("the model's pixel size is unknown; GeoDeep will take it for 10 cm",)
    assert not {"scene_level", "resolution"} & keys_of(tmp_path / "q.onnx").keys()
    found = as_plugins_run_it(tmp_path / "q.onnx", tile)
    np.testing.assert_allclose(found, as_geodeforest_scores(home, tile, None), atol=1e-5)
    with pytest.raises(OptionError, match="takes no scene_level"):
        gd.export_model(home, "onnx-qgis", tmp_path / "p.onnx", scene_level=[0.1] * 3)


def test_a_level_of_ones_own_stands_in_the_graph(home, tile, tmp_path):
    level = [0.4, 0.0, 0.1]
    gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx", scene_level=level)
    found = as_plugins_run_it(tmp_path / "q.onnx", tile)
    own = as_geodeforest_scores(home, tile, np.array([level], np.float32))
    np.testing.assert_allclose(found, own, atol=1e-5)
    assert np.abs(own - as_geodeforest_scores(home, tile)).max() > 1e-3
    assert json.loads(keys_of(tmp_path / "q.onnx")["scene_level"]) == level


def test_the_median_of_the_training_scenes_goes_before_the_middle_of_their_range(tmp_path):
    levels = {"least": [0.1] * 3, "most": [0.3] * 3, "median": [0.12, 0.13, 0.14]}
    home = make_model(tmp_path / "model", replace(SPEC, training={"dark_levels": levels}))
    gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx")
    assert json.loads(keys_of(tmp_path / "q.onnx")["scene_level"]) == levels["median"]


@pytest.mark.parametrize(
    "changed",
    [{"training": {}}, {"scene_inputs": (SceneInput("bright", 98),)}],
    ids=["no levels told", "another percentile"],
)
def test_a_level_that_is_not_told_has_to_be_given(changed, tmp_path):
    home = make_model(tmp_path / "model", replace(SPEC, **changed))
    with pytest.raises(OptionError, match="pass --scene-level, 3 numbers"):
        gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx")
    assert not (tmp_path / "q.onnx").exists()
    gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx", scene_level=[0.1] * 3)


@pytest.mark.parametrize("level", [[0.1], [0.1, 0.1, 2], [0.1, 0.1, float("nan")], []])
def test_a_level_that_is_none_is_refused(home, level, tmp_path):
    with pytest.raises(OptionError, match="3 numbers in"):
        gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx", scene_level=level)


def test_its_user_is_told_what_the_plugins_do_otherwise(home, tmp_path):
    (note,) = gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx").notes
    assert "level (dark); 0.2, 0.1, 0.2 stands for it" in note
    other = make_model(tmp_path / "model", replace(SPEC, threshold=0.4))
    notes = gd.export_model(other, "onnx-qgis", tmp_path / "p.onnx").notes
    assert "the threshold 0.4 means other things there" in notes[1]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"bands": ("r", "g", "b", "nir"), "scene_inputs": ()}, "it takes 4"),
        ({"scale": {"uint16": BandScale(0, 3558)}}, "no scale for 8-bit numbers"),
    ],
)
def test_a_model_that_the_plugins_cannot_feed_is_refused(changed, why, tmp_path):
    home = make_model(tmp_path / "model", replace(SPEC, **changed))
    with pytest.raises(ModelError, match=why):
        gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_same_model_gives_the_same_bytes(home, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        gd.export_model(home, "onnx-qgis", tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_damaged_model_is_not_exported(home, tmp_path):
    damaged = make_model(tmp_path / "model")
    content = (damaged / "model.onnx").read_bytes()
    (damaged / "model.onnx").write_bytes(content[:-1] + b"?")
    for form in ("onnx", "onnx-qgis"):
        with pytest.raises(ModelError, match="its sha256 starts"):
            gd.export_model(damaged, form, tmp_path / "q.onnx")
    assert not (tmp_path / "q.onnx").exists()


@pytest.mark.parametrize(
    ("form", "name"), [("onnx", "model.onnx"), ("weights", "model.weights.h5")]
)
def test_the_models_own_files_are_copied(home, form, name, tmp_path):
    done = gd.export_model(home, form, tmp_path / "copy")
    assert done == Exported(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (home / name).read_bytes()


def test_what_is_there_is_replaced_only_when_asked(home, tmp_path):
    (tmp_path / "q.onnx").write_text("mine")
    with pytest.raises(OutputExists):
        gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx")
    assert (tmp_path / "q.onnx").read_text() == "mine"
    gd.export_model(home, "onnx-qgis", tmp_path / "q.onnx", overwrite=True)
    assert keys_of(tmp_path / "q.onnx")


def test_a_model_does_not_overwrite_itself(home):
    with pytest.raises(OptionError, match="the output is the input"):
        gd.export_model(home, "weights", home / "model.onnx", overwrite=True)


@pytest.mark.parametrize("scene_inputs", [0, 1])
def test_a_saved_model_serves_the_models_scores(scene_inputs, tile, tmp_path):
    import tensorflow as tf

    home = make_model(
        tmp_path / "model", replace(SPEC, scene_inputs=SPEC.scene_inputs[:scene_inputs])
    )
    gd.export_model(home, "savedmodel", tmp_path / "saved", chip=32)
    saved = tf.saved_model.load(str(tmp_path / "saved"))  # holds what the function needs
    chips = (tile[:32, :32].astype(np.float32) / 255)[np.newaxis]
    level = MIDDLE if scene_inputs else None
    fed = [chips] if level is None else [chips, level]
    expected = gd.load_model(home).predict(chips, level)
    np.testing.assert_allclose(saved.serve(*fed).numpy(), expected, atol=1e-5)


def test_a_saved_model_never_replaces_a_directory(home, tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "mine").write_text("mine")
    with pytest.raises(OutputExists):
        gd.export_model(home, "savedmodel", tmp_path / "saved")
    with pytest.raises(OptionError, match="remove the former SavedModel yourself"):
        gd.export_model(home, "savedmodel", tmp_path / "saved", overwrite=True)


@pytest.mark.parametrize(
    ("form", "choice", "why"),
    [
        ("keras", {}, "form 'keras' is unknown"),
        ("onnx", {"chip": 64}, "--chip is for onnx-qgis and savedmodel"),
        ("onnx-qgis", {"chip": 30}, "a multiple of 8 px"),
        ("savedmodel", {"chip": 0}, "a multiple of 8 px"),
        ("weights", {"scene_level": [0.1]}, "--scene-level is for onnx-qgis"),
    ],
)
def test_options_that_do_not_fit_are_refused(home, form, choice, why, tmp_path):
    with pytest.raises(OptionError, match=why):
        gd.export_model(home, form, tmp_path / "out", **choice)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_only_the_models_own_files_leave(home, tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    for form in ("onnx-qgis", "savedmodel"):
        with pytest.raises(gd.errors.MissingExtra, match=r"geodeforest\[train\]"):
            gd.export_model(home, form, tmp_path / "out")
    gd.export_model(home, "onnx", tmp_path / "out")


def test_an_imported_network_of_three_classes_goes_on_to_qgis(tmp_path):
    make = seed.Plain()
    seed.published(make, np.zeros((1, 16, 16, 3), np.float32), (4, 6, 8))
    seed.write_h5(tmp_path / "x.h5", make.layers)
    gd.import_model(tmp_path / "x.h5", tmp_path / "model", gsd=0.5)
    gd.export_model(tmp_path / "model", "onnx-qgis", tmp_path / "q.onnx", chip=64)
    tile = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    found = as_plugins_run_it(tmp_path / "q.onnx", tile)
    expected = as_geodeforest_scores(tmp_path / "model", tile, None)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert float(keys_of(tmp_path / "q.onnx")["resolution"]) == 50
