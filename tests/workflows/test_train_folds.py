"""Cross-validation: what is held back, what is refused, what comes out, and goes on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyproj
import pytest
import rasterio

from geodeforest.core.spec import Architecture
from geodeforest.core.tally import Measure
from geodeforest.errors import (
    GeodeforestWarning,
    OptionError,
    OutputExists,
    OutputUnwritable,
    RecordError,
    TrainingError,
)
from geodeforest.nn.example import Record
from geodeforest.nn.index import SetFacts, default_scale
from geodeforest.nn.shards import ShardWriter
from geodeforest.testing import CORNER, UTM_21S, make_scene
from geodeforest.workflows.build_records import build_records
from geodeforest.workflows.leaks import labelled_by_group
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.score_records import score_records
from geodeforest.workflows.train_model import train
from geodeforest.workflows.train_options import TrainOptions

TINY = TrainOptions(
    architecture=Architecture((8, 8), norm=False),
    steps=12,
    batch=2,
    crop=32,
    learning_rate=2e-2,
    validate_every=6,
    strategy="cpu",
    folds=2,
)

SIDE = 64
NAMES = ("a", "b", "c", "d")


def world(folder, name, seed, *, east=0, corner=CORNER, crs=UTM_21S):
    """A scene so many pixels east of a corner, with a bright square, and its labels."""
    noise = np.random.default_rng(seed)
    row, col = noise.integers(0, 30, 2)
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[row : row + 30, col : col + 30] = 1
    values = (30 + 90 * truth + noise.integers(0, 60, (3, SIDE, SIDE))).astype(np.uint8)
    west, north = corner
    where = {"crs": crs, "transform": rasterio.Affine(10, 0, west + east * 10, 0, -10, north)}
    scene = make_scene(folder / f"{name}.tif", values, **where)
    return scene, make_scene(folder / f"{name}_truth.tif", truth, **where)


def records_of(folder, pairs, **options):
    build_records(pairs, folder / "records", chip=SIDE, **options)
    return folder / "records"


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    pairs = [world(folder, name, n, east=100 * n) for n, name in enumerate(NAMES)]
    return records_of(folder, pairs)


@pytest.fixture(scope="module")
def trained(records, tmp_path_factory):
    """A finished cross-validation's report. Nobody may change its directory."""
    return train(records, tmp_path_factory.mktemp("model") / "clearings", TINY)


@pytest.fixture(scope="module")
def facts(trained):
    return json.loads((trained.directory / "folds.json").read_text())


def test_every_group_is_judged_by_the_model_that_has_not_seen_it(trained, facts):
    held = [fold["groups"] for fold in facts["folds"]]
    assert sorted(group for fold in held for group in fold) == list(NAMES)
    for number, groups in enumerate(held):
        training = load_model(trained.directory / f"fold-{number}").spec.training
        assert training["validation_groups"] == groups
        assert training["groups"] == len(NAMES)


def test_counts_of_folds_groups_and_the_whole_agree(trained, facts):
    whole = np.array(facts["evaluation"]["confusion"]["counts"])
    assert whole.sum() == len(NAMES) * SIDE * SIDE
    assert (sum(np.array(fold["confusion"]) for fold in facts["folds"]) == whole).all()
    groups = facts["evaluation"]["groups"].values()
    assert (sum(np.array(group["confusion"]) for group in groups) == whole).all()
    assert (sum(c.counts for c in trained.confusion.values()) == whole).all()


def test_spread_and_intervals_are_there(facts):
    accuracies = [fold["accuracy"] for fold in facts["folds"]]
    assert facts["spread"]["accuracy"]["mean"] == round(float(np.mean(accuracies)), 4)
    assert facts["spread"]["accuracy"]["sd"] == round(float(np.std(accuracies, ddof=1)), 4)
    groups = facts["evaluation"]["groups"].values()
    middle = float(np.median([group["accuracy"] for group in groups]))
    assert facts["evaluation"]["median_group"]["accuracy"] == pytest.approx(middle, abs=6e-5)
    low, high = facts["evaluation"]["intervals_95"]["accuracy"]
    assert low <= facts["evaluation"]["figures"]["accuracy"] <= high


def test_the_model_of_all_groups_says_what_was_found_out_of_fold(trained, facts):
    spec = load_model(trained.directory).spec
    assert spec == trained.spec
    assert spec.training["validation_groups"] == []
    assert spec.metrics["accuracy"] == facts["evaluation"]["figures"]["accuracy"]
    median = facts["evaluation"]["median_group"]["accuracy"]
    assert spec.metrics["median_group_accuracy"] == median
    assert spec.metrics["calibration"]["temperature"] == facts["calibration"]["temperature"] != 1
    assert set(spec.metrics["confidence_precision"]) == {"low", "medium", "high"}
    assert spec.metrics["command"].startswith("geodeforest train RECORDS -o DIR --steps 12")
    assert "--folds 2" in spec.metrics["command"]
    assert "temperature" in (trained.directory / "MODEL_CARD.md").read_text()


def test_both_engines_give_the_calibrated_scores(trained, records, tmp_path):
    plain = train(records, tmp_path / "plain", TINY, folds=None).directory
    temperature = json.loads((trained.directory / "folds.json").read_text())["calibration"]
    chips = np.random.default_rng(0).random((1, SIDE, SIDE, 3)).astype(np.float32)
    hot = load_model(plain).predict(chips).astype(np.float64)
    cooled = hot ** (1 / temperature["temperature"])
    cooled /= cooled.sum(axis=-1, keepdims=True)
    for engine in ("onnx", "tensorflow"):
        found = load_model(trained.directory, engine).predict(chips)
        assert found == pytest.approx(cooled, abs=1e-3)
        assert (found.argmax(axis=-1) == hot.argmax(axis=-1)).all()


def test_the_error_out_of_fold_is_told_before_and_after(trained, facts, records):
    found = facts["calibration"]
    assert found["ece_after"] <= found["ece_before"] + 1e-3
    held = facts["folds"][0]["groups"]
    model = load_model(trained.directory / "fold-0")
    again = score_records(model, records, held, Measure(temperature=found["temperature"]))
    first = facts["evaluation"]["groups"][held[0]]
    assert again[held[0]].confusion.tolist() == first["confusion"]


def weights_of(directory):
    """The files of a model but its card."""
    return {path.name: path.read_bytes() for path in directory.glob("model.*")}


class Killed(Exception):
    """What a test raises in the place of a power cut."""


@pytest.fixture(scope="module")
def resumed(records, tmp_path_factory):
    """A cross-validation that was broken off in its second fold: where it is, and the steps
    that were done after.
    """
    output = tmp_path_factory.mktemp("resumed") / "clearings"

    def kill(done, *_):
        if done == 20:
            raise Killed

    with pytest.raises(Killed):
        train(records, output, TINY, on_step=kill)
    with pytest.raises(OutputUnwritable, match="unfinished training; pass --resume"):
        train(records, output, TINY)
    steps = []
    train(records, output, TINY, resume=True, on_step=lambda done, *_: steps.append(done))
    return output, steps


def test_a_finished_fold_is_not_trained_again(resumed):
    assert resumed[1] == list(range(19, 37))


@pytest.mark.parametrize("part", ["fold-0", "fold-1", "."])
def test_the_same_seed_and_data_give_the_same_weights_resumed_or_not(trained, resumed, part):
    assert weights_of(resumed[0] / part) == weights_of(trained.directory / part)


def test_a_resumed_cross_validation_says_the_same(trained, resumed):
    texts = [(where / "folds.json").read_text() for where in (resumed[0], trained.directory)]
    assert texts[0] == texts[1]


def test_other_options_do_not_go_on_with_it(trained, records):
    with pytest.raises(TrainingError, match="other options"):
        train(records, trained.directory, TINY, resume=True, learning_rate=1e-2)
    with pytest.raises(OutputExists):
        train(records, trained.directory, TINY)


def test_folds_of_a_larger_training_are_not_left_beside(records, tmp_path):
    (tmp_path / "clearings" / "fold-4").mkdir(parents=True)
    with pytest.raises(OutputUnwritable, match="fold-4"):
        train(records, tmp_path / "clearings", TINY, overwrite=True)


@pytest.mark.parametrize("wrong", [{"folds": 1}, {"val_group": "a"}, {"patience": 2}])
def test_what_contradicts_folds_is_refused(wrong):
    with pytest.raises(OptionError):
        replace(TINY, **wrong)


def test_more_folds_than_groups_are_refused(records, tmp_path):
    with pytest.raises(OptionError, match="5 folds of 4 groups"):
        train(records, tmp_path / "model", TINY, folds=5)
    assert not (tmp_path / "model").exists()


def refused(records, tmp_path):
    with pytest.raises(RecordError) as caught:
        train(records, tmp_path / "model", TINY)
    assert not (tmp_path / "model").exists()
    assert caught.value.exit_code == 7
    return str(caught.value)


def test_a_planted_leak_of_ground_is_refused_and_both_records_are_named(tmp_path):
    pairs = [world(tmp_path, "west", 0), world(tmp_path, "east", 1, east=SIDE - 4)]
    message = refused(records_of(tmp_path, pairs, shards=1), tmp_path)
    assert "record 0 (scene west.tif, group west)" in message
    assert "record 1 (scene east.tif, group east) show the same ground" in message


def test_ground_is_compared_across_crs(tmp_path):
    zone_22 = "EPSG:32722"
    to_next = pyproj.Transformer.from_crs(UTM_21S, zone_22, always_xy=True)
    corner = to_next.transform(CORNER[0] + 300, CORNER[1] - 300)
    pairs = [world(tmp_path, "one", 0), world(tmp_path, "two", 1, corner=corner, crs=zone_22)]
    assert "show the same ground" in refused(records_of(tmp_path, pairs), tmp_path)


def test_neighbours_that_only_touch_are_no_leak(tmp_path):
    pairs = [world(tmp_path, "west", 0), world(tmp_path, "east", 1, east=SIDE)]
    found = labelled_by_group(records_of(tmp_path, pairs))
    assert found == {"west": SIDE**2, "east": SIDE**2}


def test_chips_of_one_scene_in_two_groups_are_refused(tmp_path):
    pairs = [
        world(tmp_path, "big_r00000_c00000", 0),
        world(tmp_path, "big_r00000_c00064", 1, east=SIDE),
    ]
    message = refused(records_of(tmp_path, pairs, groups=("one", "two")), tmp_path)
    assert "are of one scene" in message


def test_the_same_pixels_under_another_name_are_refused(tmp_path):
    scene, labels = world(tmp_path, "one", 0)
    moved = world(tmp_path, "two", 0, east=500)
    message = refused(records_of(tmp_path, [(scene, labels), moved]), tmp_path)
    assert "have the same pixels" in message


def test_records_without_a_place_are_told_and_compared_by_their_pixels(records, tmp_path):
    from geodeforest.nn.records import open_records

    form = open_records(records).format
    noise = np.random.default_rng(5)
    with ShardWriter(tmp_path / "set", form, shards=1) as writer:
        for name in ("one", "two"):
            image = noise.integers(0, 255, form.shape).astype(np.uint8)
            writer.add(
                Record(
                    image=image,
                    labels=(image[..., 0] > 99).astype(np.uint8),
                    valid=np.ones((SIDE, SIDE), bool),
                    scene=name,
                    group=name,
                    crs="",
                    transform=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
                    scene_level=np.zeros(0, np.float32),
                )
            )
        writer.commit(SetFacts(default_scale("uint8")))
    with pytest.warns(GeodeforestWarning, match="2 of 2 records have no place on Earth"):
        assert set(labelled_by_group(tmp_path / "set")) == {"one", "two"}
