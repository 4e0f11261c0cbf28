"""From scenes and labels to a model that finds what it was shown."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace

import numpy as np
import pytest

import geodeforest as gd
from geodeforest.core.plausible import DARK_LEVELS
from geodeforest.core.spec import Architecture
from geodeforest.errors import (
    GeodeforestWarning,
    MissingExtra,
    OptionError,
    OutputExists,
    OutputUnwritable,
    RecordError,
    TrainingError,
)
from geodeforest.runtime.model_dir import read_spec
from geodeforest.testing import make_scene
from geodeforest.workflows import extras, train_model
from geodeforest.workflows.build_records import build_records
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.train_model import train
from geodeforest.workflows.train_options import TrainChoices, TrainOptions
from geodeforest.workflows.train_setup import leads

TINY = TrainOptions(
    architecture=Architecture((8, 8), norm=False),
    steps=80,
    batch=2,
    crop=32,
    learning_rate=2e-2,
    validate_every=40,
    strategy="cpu",
)
"""Enough to tell bright from dark."""

CLEARED = (slice(16, 48), slice(24, 56))
"""Rows and columns of the bright square in every scene."""


def world(folder, name, *, classes=(0, 1)):
    """A dark scene with a bright square, and labels that say so."""
    truth = np.full((64, 64), classes[0], np.uint8)
    truth[CLEARED] = classes[1]
    noise = np.random.default_rng(len(name)).integers(0, 20, (3, 64, 64))
    bright = np.zeros((64, 64), np.int64)
    bright[CLEARED] = 150
    scene = make_scene(folder / f"{name}.tif", (30 + bright + noise).astype(np.uint8))
    return scene, make_scene(folder / f"{name}_labels.tif", truth)


BUILT_ANYWAY = pytest.mark.filterwarnings("ignore::geodeforest.errors.GeodeforestWarning")


def records_of(folder, *names, **options):
    pairs = [world(folder, name, classes=options.pop("labels", (0, 1))) for name in names]
    build_records(pairs, folder / "records", chip=64, **options)
    return folder / "records"


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Records of three scenes, one of them to validate on."""
    return records_of(tmp_path_factory.mktemp("records"), "one", "other", "third", val_group="one")


@pytest.fixture(scope="module")
def trained(records, tmp_path_factory):
    """A finished training's report. Nobody may change its directory."""
    return train(records, tmp_path_factory.mktemp("model") / "clearings", TINY)


@pytest.fixture
def model(trained, tmp_path):
    """A copy of its directory."""
    return shutil.copytree(trained.directory, tmp_path / "clearings")


class Killed(BaseException):
    """What nobody catches, like the end of the process."""


def kill_at(step):
    def on_step(done, total, loss):
        if done == step:
            raise Killed

    return on_step


def refused(error, records, output, options=TINY, **more) -> str:
    """The error's text, raised before the first step."""
    with pytest.raises(error) as caught:
        train(records, output, options, on_step=kill_at(1), **more)
    return str(caught.value)


def files_of(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def test_the_public_name_is_this_function():
    assert gd.train is train


def test_a_scan_with_the_trained_model_finds_the_clearing(trained, tmp_path):
    scene, _ = world(tmp_path, "unseen")
    report = gd.scan(scene, model=trained.directory, classes=True, min_area=0, simplify=0)
    found = report.class_map() == 1
    truth = np.zeros_like(found)
    truth[CLEARED] = True
    assert (found == truth).mean() > 0.95
    assert report.polygons.area_ha.max() == pytest.approx(32 * 32 / 100, rel=0.2)


@pytest.mark.parametrize("engine", ["onnx", "tensorflow"])
def test_the_model_directory_is_whole_for_both_engines(trained, engine):
    loaded = load_model(trained.directory, engine)
    assert loaded.spec == trained.spec
    assert sorted(files_of(trained.directory)) == [
        "MODEL_CARD.md", "model.json", "model.onnx", "model.weights.h5",
    ]  # fmt: skip


def test_the_spec_says_what_the_model_was_trained_on(trained):
    spec = trained.spec
    assert (spec.name, spec.chip, spec.halo) == ("clearings", 64, 16)
    assert [c.name for c in spec.classes] == ["forest", "deforestation"]
    assert spec.training["validation_groups"] == ["one"]
    assert (spec.training["records"], spec.training["steps"]) == (3, 80)


def test_a_model_of_ten_scenes_tells_how_dark_they_were(tmp_path, trained):
    assert DARK_LEVELS not in read_spec(trained.directory).training
    records = records_of(tmp_path, *"abcdefghij")
    report = train(records, tmp_path / "model", replace(TINY, steps=1, validate_every=1))
    spec = read_spec(report.directory)
    least, most = (np.array(spec.training[DARK_LEVELS][name]) for name in ("least", "most"))
    assert (least <= most).all()
    np.testing.assert_allclose(least, 30 / 255, atol=2 / 255)


def test_metrics_are_those_of_the_pixels_held_back(trained):
    metrics = trained.spec.metrics
    assert metrics["groups"] == {"one": metrics["accuracy"]}
    assert metrics["accuracy"] == round(trained.confusion["one"].accuracy, 4) > 0.95
    assert set(metrics["iou"]) == set(metrics["f1"]) == {"0", "1"}
    assert trained.confusion["one"].pixels == 64 * 64
    assert json.loads(json.dumps(trained.to_dict()))["metrics"] == dict(metrics)


def test_an_interrupted_training_resumes_to_the_same_model(trained, records, tmp_path):
    output = tmp_path / "clearings"
    with pytest.raises(Killed):
        train(records, output, TINY, on_step=kill_at(45))
    assert "model.json" not in files_of(output)
    assert "unfinished training; pass --resume" in refused(OutputUnwritable, records, output)
    assert "begun with other options" in refused(
        TrainingError, records, output, replace(TINY, seed=1), resume=True
    )
    steps = []
    train(records, output, TINY, resume=True, on_step=lambda done, *_: steps.append(done))
    assert steps == list(range(41, 81))
    assert files_of(output) == files_of(trained.directory)


def test_an_existing_model_is_refused(model, records):
    before = files_of(model)
    assert "pass --overwrite" in refused(OutputExists, records, model)
    assert files_of(model) == before


def test_a_training_that_fails_leaves_the_former_model(model, records, trained):
    with pytest.raises(Killed):
        train(records, model, TINY, overwrite=True, on_step=kill_at(1))
    assert load_model(model).spec == trained.spec


def test_a_model_that_does_not_load_never_replaces_one_that_does(
    model, records, trained, monkeypatch
):
    def broken(*_):
        raise RecordError("model.onnx", "is broken", "try again")

    monkeypatch.setattr(train_model, "load_model", broken)
    with pytest.raises(RecordError, match="is broken"):
        train(records, model, TINY, overwrite=True, steps=1)
    assert load_model(model).spec == trained.spec
    assert not list(model.glob(".*"))


def test_overwrite_replaces_a_model_with_the_new_one(model, records, trained):
    report = train(records, model, TINY, overwrite=True, steps=1, name="second")
    assert load_model(model).spec == report.spec
    assert (report.spec.name, report.steps) == ("second", 1)
    assert load_model(model).spec.files != trained.spec.files


def test_options_that_cannot_be_met_touch_no_former_training(model, records):
    begun = files_of(model / "training")
    nobody = replace(TINY, val_group=(), patience=2)
    assert "patience needs groups" in refused(OptionError, records, model, nobody, overwrite=True)
    assert files_of(model / "training") == begun


def test_a_directory_with_other_things_in_its_logs_is_left_alone(model, records):
    (model / "training" / "thesis.txt").write_text("years")
    message = refused(OutputUnwritable, records, model, overwrite=True)
    assert "holds thesis.txt" in message
    assert (model / "training" / "log.csv").exists()


@pytest.mark.parametrize(
    ("chosen", "what"),
    [
        ({"val_group": "nope"}, "no group 'nope' to validate on; groups: one, other, third"),
        ({"crop": 33}, "multiples of 2 px, not 33"),
        ({"batch": 0}, "at least 1"),
        ({"name": "a\nb"}, "choose another"),
        ({"tpu": "local"}, "contradicts"),
        ({"loss": "focal"}, "'focal' is unknown"),
    ],
)
def test_options_that_do_not_fit_leave_nothing_behind(records, tmp_path, chosen, what):
    assert what in refused(OptionError, records, tmp_path / "m", replace(TINY, **chosen))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0}, {"halo": -1}, {"crop": 0}, {"architecture": "vgg"}, {"filters": ()}]
)
def test_nonsense_is_refused_at_birth(wrong):
    with pytest.raises(OptionError):
        TrainOptions(**wrong)


def test_every_option_is_a_keyword():
    assert set(TrainChoices.__annotations__) == {f.name for f in fields(TrainOptions)}


def test_resume_and_overwrite_contradict(records, tmp_path):
    message = refused(OptionError, records, tmp_path / "m", resume=True, overwrite=True)
    assert "leave one out" in message


def test_a_missing_parent_directory_is_told_before_records_are_read(tmp_path):
    message = refused(OutputUnwritable, "no-records", tmp_path / "no" / "m")
    assert "parent directory is missing" in message


def test_a_file_is_no_model_directory(records, tmp_path):
    (tmp_path / "m").write_text("")
    assert "is not a directory" in refused(OutputUnwritable, records, tmp_path / "m")


def test_something_must_be_left_to_train_on(records, tmp_path):
    every = replace(TINY, val_group=("one", "other", "third"))
    assert "all groups are held" in refused(RecordError, records, tmp_path / "m", every)


@BUILT_ANYWAY
def test_a_single_class_is_refused(tmp_path):
    folder = records_of(tmp_path, "one", class_map={0: 1, 1: 1})
    message = refused(RecordError, folder, tmp_path / "m")
    assert "the classes are deforestation; a model needs" in message


@BUILT_ANYWAY
def test_classes_of_which_only_one_has_pixels_are_refused(tmp_path):
    folder = records_of(tmp_path, "one", class_map={0: 1, 1: 1, 7: 0})
    assert "only one has a pixel; label the others" in refused(RecordError, folder, tmp_path / "m")


@BUILT_ANYWAY
def test_a_class_without_a_pixel_is_warned_of(tmp_path):
    folder = records_of(tmp_path, "one", class_map={0: 0, 1: 1, 7: 2})
    with (
        pytest.warns(GeodeforestWarning, match="no pixel is other, so the model will not learn"),
        pytest.raises(Killed),
    ):
        train(folder, tmp_path / "m", TINY, on_step=kill_at(1))


def test_groups_that_the_index_makes_up_are_refused(tmp_path):
    folder = records_of(tmp_path, "one", "other")
    index = folder / "index.json"
    index.write_text(index.read_text().replace('"one"', '"elsewhere"'))
    held = replace(TINY, val_group="other")
    message = refused(RecordError, folder, tmp_path / "m", held)
    assert message.startswith(f"{index}: its groups are not those of the records; ")


def test_a_scene_on_both_sides_of_the_validation_is_warned_of(tmp_path):
    chips = ("one_r00000_c00000", "one_r00000_c00064")
    pairs = [world(tmp_path, name) for name in chips]
    build_records(pairs, tmp_path / "records", chip=64, groups=("a", "b"))
    with (
        pytest.warns(GeodeforestWarning, match="scene one is in groups on both sides"),
        pytest.raises(Killed),
    ):
        train(tmp_path / "records", tmp_path / "m", TINY, val_group="a", on_step=kill_at(1))


def test_records_that_a_remote_tpu_cannot_read_are_refused(records, tmp_path, monkeypatch):
    from geodeforest.nn import strategy

    monkeypatch.setattr(strategy, "reads_elsewhere", lambda chosen: True)
    message = refused(RecordError, records, tmp_path / "m")
    assert message.startswith(f"{records}/records-00000-of-00004.tfrecord.gz: lies on this machine")
    assert message.endswith("; put the records on gs://")


WORKERS = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": %d}}'


@pytest.mark.parametrize(
    ("number", "kind", "writes"), [(0, "auto", True), (1, "auto", False), (1, "cpu", True)]
)
def test_the_first_of_several_workers_writes(monkeypatch, number, kind, writes):
    monkeypatch.setenv("TF_CONFIG", WORKERS % number)
    assert leads(TrainOptions(strategy=kind)) is writes


def test_folds_are_for_one_worker(records, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", WORKERS % 0)
    wanted = replace(TINY, strategy="auto", folds=2)
    assert "one worker; unset TF_CONFIG" in refused(OptionError, records, tmp_path / "m", wanted)


def test_checkpoints_may_lie_in_an_object_store(trained, records, tmp_path):
    store = f"ram://{tmp_path.name}/run"
    with pytest.raises(Killed):
        train(records, tmp_path / "m", TINY, checkpoints=store, on_step=kill_at(50))
    assert not (tmp_path / "m").exists()
    begun = refused(OutputUnwritable, records, tmp_path / "m", replace(TINY, checkpoints=store))
    assert begun.startswith(f"{store}: holds an unfinished training; pass --resume")
    named = replace(TINY, name="clearings", checkpoints=store)
    train(records, tmp_path / "m", named, resume=True)
    assert not (tmp_path / "m" / "training").exists()
    assert files_of(tmp_path / "m") == files_of(trained.directory)


def test_without_tensorflow_the_command_to_install_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"training needs .*geodeforest\[train\]"):
        train("records", tmp_path / "m")
