"""What a model is, and its way through ``model.json``."""

import dataclasses
import json

import pytest

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import (
    Architecture,
    Ceiling,
    ClassDef,
    ConfidenceRule,
    ModelFile,
    ModelSpec,
    SceneInput,
)
from geodeforest.errors import OptionError, SpecError
from geodeforest.testing import small_spec

FOREST = ClassDef(0, "forest", "forest")
CLEARED = ClassDef(1, "deforestation", "deforestation")
CEILING = Ceiling(band=0, under=1, gap=0.1, least=0.05)


def changed(**changes):
    return dataclasses.replace(small_spec(), **changes)


def as_json(**changes):
    return json.dumps({**json.loads(small_spec().to_json()), **changes})


def full_spec():
    return changed(
        scene_inputs=(SceneInput("dark", 2, windows=4, window=16, ceiling=CEILING),),
        training={"scenes": 3, "source": "made up"},
        metrics={"iou": 0.5},
        files={"model.onnx": ModelFile("ab" * 32, 12)},
    )


@pytest.mark.parametrize("spec", [small_spec(), full_spec()], ids=["small", "full"])
def test_a_spec_survives_its_json(spec):
    assert ModelSpec.from_json(spec.to_json()) == spec


def test_an_unknown_gsd_survives_too():
    assert ModelSpec.from_json(changed(gsd_m=None).to_json()).gsd_m is None


def test_the_json_says_which_multiple_chips_must_have():
    assert json.loads(small_spec().to_json())["multiple"] == 4


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"schema": 2}'])
def test_a_text_that_is_no_spec_is_refused(text):
    with pytest.raises(SpecError, match="schema"):
        ModelSpec.from_json(text)


@pytest.mark.parametrize("name", ["name", "bands", "scale", "classes", "confidence", "files"])
def test_a_missing_field_is_named(name):
    facts = json.loads(small_spec().to_json())
    del facts[name]
    with pytest.raises(SpecError, match=f"`{name}` is missing"):
        ModelSpec.from_json(json.dumps(facts))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chip", "many"),
        ("scale", {"uint8": {"low": 0}}),
        ("scale", [1]),
        ("classes", 3),
        ("classes", [{"id": 1}]),
        ("architecture", {"filters": [4], "depth": 3}),
        ("confidence", {"medium": 0.5}),
        ("files", {"model.onnx": "hash"}),
        ("bands", 3),
        ("architecture", {"filters": 4}),
    ],
)
def test_a_wrong_field_is_named(name, value):
    with pytest.raises(SpecError, match=f"`{name}`") as caught:
        ModelSpec.from_json(as_json(**{name: value}))
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bands", ()),
        ("chip", 66),
        ("chip", 0),
        ("halo", 32),
        ("halo", -1),
        ("threshold", 0.0),
        ("threshold", 1.1),
        ("classes", (CLEARED,)),
        ("classes", (FOREST, FOREST, CLEARED)),
        ("classes", (FOREST, ClassDef(2, "other", "other"))),
        ("classes", (FOREST, ClassDef(1, "forest", "deforestation"))),
        ("classes", (CLEARED, ClassDef(2, "burnt", "deforestation"))),
    ],
)
def test_nonsense_is_refused_at_birth(field, value):
    with pytest.raises(SpecError, match=f"`{field}`"):
        changed(**{field: value})


@pytest.mark.parametrize(("number", "role"), [(255, "other"), (-1, "other"), (0, "water")])
def test_a_class_needs_an_id_and_a_role(number, role):
    with pytest.raises(SpecError, match="classes"):
        ClassDef(number, "x", role)


@pytest.mark.parametrize(
    ("filters", "stem", "multiple"), [((8,), 1, 1), ((8, 8, 8), 1, 4), ((8, 8, 8), 2, 8)]
)
def test_chips_halve_once_per_level_and_stem(filters, stem, multiple):
    assert Architecture(filters=filters, stem=stem).multiple == multiple


@pytest.mark.parametrize(
    "wrong",
    [
        {"filters": ()},
        {"filters": (0,)},
        {"block": "dense"},
        {"up": "bicubic"},
        {"stem": 3},
        {"dropout": 1.0},
    ],
)
def test_a_network_that_cannot_be_built_is_refused(wrong):
    with pytest.raises(OptionError):
        Architecture(**wrong)


@pytest.mark.parametrize(
    ("score", "confidence"),
    [(0.0, "low"), (0.59, "low"), (0.6, "medium"), (0.79, "medium"), (0.8, "high"), (1, "high")],
)
def test_confidence_changes_at_its_limits(score, confidence):
    assert ConfidenceRule(medium=0.6, high=0.8)(score) == confidence


@pytest.mark.parametrize(("medium", "high"), [(0.8, 0.6), (-0.1, 0.5), (0.5, 1.1)])
def test_confidence_limits_must_rise(medium, high):
    with pytest.raises(SpecError, match="confidence"):
        ConfidenceRule(medium, high)


@pytest.mark.parametrize("wrong", [{"percentile": 101}, {"windows": 0}, {"window": 0}])
def test_a_scene_input_without_a_sample_is_refused(wrong):
    with pytest.raises(SpecError, match="scene_inputs"):
        SceneInput(**{"name": "dark", "percentile": 2, **wrong})


@pytest.mark.parametrize("wrong", [{"under": 0}, {"band": -1}, {"gap": 1.1}, {"least": -0.1}])
def test_a_ceiling_that_means_nothing_is_refused(wrong):
    with pytest.raises(SpecError, match="scene_inputs"):
        dataclasses.replace(CEILING, **wrong)


def test_a_ceiling_of_a_band_that_the_model_lacks_is_refused():
    beyond = dataclasses.replace(CEILING, under=len(small_spec().bands))
    with pytest.raises(SpecError, match="beyond"):
        changed(scene_inputs=(SceneInput("dark", 2, ceiling=beyond),))


def test_overlap_is_twice_the_halo():
    assert changed(halo=9).overlap == 18


def test_deforestation_is_an_index_and_not_an_id():
    spec = changed(classes=(ClassDef(7, "cut", "deforestation"), ClassDef(3, "wood", "forest")))
    assert spec.deforestation == 0


def test_scales_are_read_back_as_scales():
    assert ModelSpec.from_json(small_spec().to_json()).scale["uint16"] == BandScale(0, 10_000)


def test_a_scale_by_band_comes_back_and_must_fit_the_bands():
    scale = {"uint16": BandScale((0, 1, 2), 9)}
    spec = dataclasses.replace(small_spec(), scale=scale)
    assert ModelSpec.from_json(spec.to_json()).scale == scale
    with pytest.raises(SpecError, match="one for each band"):
        dataclasses.replace(spec, scale={"uint16": BandScale((0, 1), 9)})
