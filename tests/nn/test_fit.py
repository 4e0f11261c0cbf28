"""The loop: resumes on the same curve, stops early, says so when something breaks."""

import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_training import TINY, Killed, data, kill_at, rows

from geodeforest.errors import GeodeforestWarning, OptionError, OutputUnwritable, TrainingError
from geodeforest.nn import fit as fit_module
from geodeforest.nn.fit import FitOptions, fit
from geodeforest.nn.state import StateFolder


def strategy():
    return tf.distribute.get_strategy()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nothing disturbed, and its directory."""
    directory = tmp_path_factory.mktemp("whole") / "training"
    return fit(data(), TINY, strategy(), directory), directory


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """The same training, killed after its second checkpoint."""
    directory = tmp_path_factory.mktemp("cut") / "training"
    with pytest.raises(Killed):
        fit(data(), TINY, strategy(), directory, on_step=kill_at(5))
    return directory


def assert_same(one, other):
    for a, b in zip(one.model.weights, other.model.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_every_validation_record_counts_once_in_its_group(whole):
    fitted, _ = whole
    assert {name: c.pixels for name, c in fitted.confusion.items()} == {
        "g0": 3 * 32 * 32,
        "g1": 2 * 32 * 32,
    }
    assert fitted.pooled.pixels == 5 * 32 * 32


def test_logs_and_checkpoints_are_left_behind(whole):
    _, directory = whole
    assert [row["step"] for row in rows(directory)] == ["2", "4", "6"]
    assert 0 <= float(rows(directory)[-1]["val_accuracy"]) <= 1
    assert list((directory / "tensorboard").iterdir())
    kept = {path.name for path in (directory / "checkpoints").glob("*.index")}
    assert kept == {"ckpt-4.index", "ckpt-6.index"}


def test_a_killed_training_resumes_on_the_same_curve(whole, cut, tmp_path):
    shutil.copytree(cut, tmp_path / "cut")
    assert [row["step"] for row in rows(cut)] == ["2", "4"]
    resumed = fit(data(), TINY, strategy(), tmp_path / "cut", resume=True)
    assert rows(tmp_path / "cut") == rows(whole[1])
    assert_same(resumed, whole[0])


def test_a_damaged_checkpoint_sends_it_back_to_the_one_before(whole, cut, tmp_path):
    shutil.copytree(cut, tmp_path / "cut")
    (latest,) = (tmp_path / "cut" / "checkpoints").glob("ckpt-4.data*")
    latest.write_bytes(latest.read_bytes()[:-100])
    with pytest.warns(GeodeforestWarning, match="ckpt-4: this checkpoint cannot be read"):
        resumed = fit(data(), TINY, strategy(), tmp_path / "cut", resume=True)
    assert rows(tmp_path / "cut") == rows(whole[1])
    assert_same(resumed, whole[0])


def test_without_a_checkpoint_that_can_be_read_nothing_is_trained(cut, tmp_path):
    shutil.copytree(cut, tmp_path / "cut")
    for file in (tmp_path / "cut" / "checkpoints").glob("ckpt-*.data*"):
        file.write_bytes(b"")
    with (
        pytest.warns(GeodeforestWarning),
        pytest.raises(TrainingError, match="no checkpoint in it can be read; pass --overwrite"),
    ):
        fit(data(), TINY, strategy(), tmp_path / "cut", resume=True, on_step=kill_at(1))


def test_a_row_that_a_kill_cut_short_is_written_again(whole, cut, tmp_path):
    shutil.copytree(cut, tmp_path / "cut")
    with (tmp_path / "cut" / "log.csv").open("a") as file:
        file.write("4,0.5")
    fit(data(), TINY, strategy(), tmp_path / "cut", resume=True)
    assert rows(tmp_path / "cut") == rows(whole[1])


def test_resuming_a_finished_training_changes_nothing(whole):
    first, directory = whole
    again = fit(data(), TINY, strategy(), directory, resume=True, on_step=kill_at(7))
    assert again.steps == first.steps
    assert again.pooled.counts.tolist() == first.pooled.counts.tolist()


@pytest.mark.parametrize(
    ("options", "facts"),
    [(replace(TINY, steps=7), {}), (TINY, {"identity": {"val_groups": ["g1"]}})],
    ids=["options", "data"],
)
def test_resuming_what_was_begun_otherwise_is_refused(whole, options, facts):
    with pytest.raises(TrainingError, match="begun with other options or records"):
        fit(data(**facts), options, strategy(), whole[1], resume=True)


PATIENT = replace(TINY, learning_rate=1e-12, steps=40, patience=2, validate_every=1)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A training that ran out of patience, and its directory."""
    directory = tmp_path_factory.mktemp("stopped") / "training"
    return fit(data(), PATIENT, strategy(), directory), directory


def test_patience_stops_early_and_keeps_the_best_weights(stopped):
    fitted, directory = stopped
    assert fitted.steps < 40
    best = max(float(row["val_mean_iou"]) for row in rows(directory))
    assert fitted.pooled.mean_iou == pytest.approx(best, abs=1e-9)


def test_resuming_what_ran_out_of_patience_trains_no_further(stopped):
    fitted, directory = stopped
    resume = {"resume": True, "on_step": kill_at(fitted.steps + 1)}
    again = fit(data(), PATIENT, strategy(), directory, **resume)
    assert again.steps == fitted.steps
    assert_same(again, fitted)


def test_patience_with_nothing_to_validate_on_is_refused(tmp_path):
    with pytest.raises(OptionError, match="patience needs groups"):
        fit(data(validation=False), replace(TINY, patience=1), strategy(), tmp_path)


def test_a_loss_that_is_not_finite_stops_with_one_line(tmp_path):
    broken = data(validation=False)
    nan = broken.training(0).map(lambda i, y, s: (i * np.nan, y, s))
    with pytest.raises(TrainingError, match="loss is nan at step 1"):
        fit(replace(broken, training=lambda start: nan), TINY, strategy(), tmp_path)


def test_a_step_without_memory_says_what_to_lower(monkeypatch, tmp_path):
    def fail(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(fit_module.Learner, "train_step", fail)
    with pytest.raises(TrainingError, match="too little memory for a step; lower the batch"):
        fit(data(validation=False), TINY, strategy(), tmp_path)


def test_a_full_disk_is_one_line(monkeypatch, tmp_path):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "ckpt-2; No space left on device\nat 0")

    monkeypatch.setattr(tf.train.Checkpoint, "write", full)
    with pytest.raises(OutputUnwritable, match="No space left on device") as caught:
        fit(data(validation=False), TINY, strategy(), tmp_path / "training")
    assert "\n" not in str(caught.value)


def test_only_what_a_training_left_is_cleared(cut, tmp_path):
    shutil.copytree(cut, tmp_path / "training")
    (tmp_path / "training" / "thesis.txt").write_text("years")
    with pytest.raises(OutputUnwritable, match=r"holds thesis\.txt"):
        StateFolder(tmp_path / "training").clear()
    assert (tmp_path / "training" / "log.csv").exists()
    (tmp_path / "training" / "thesis.txt").unlink()
    StateFolder(tmp_path / "training").clear()
    assert not (tmp_path / "training").exists()


def test_what_a_training_began_with_is_written_down(whole):
    begun = json.loads((whole[1] / "options.json").read_text())
    assert begun["options"]["steps"] == 6
    assert begun["options"]["architecture"]["filters"] == [4]


class FakeTpu:
    """What has the type of a TPU strategy."""


@pytest.mark.parametrize(("tpu", "policy"), [(True, "mixed_bfloat16"), (False, "float32")])
def test_half_precision_is_for_tpus_alone_and_does_not_stay(monkeypatch, tpu, policy):
    monkeypatch.setattr(tf.distribute, "TPUStrategy", FakeTpu)
    with fit_module._precision(FakeTpu() if tpu else strategy()):
        assert keras.config.dtype_policy().name == policy
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"patience": 0},
        {"learning_rate": 0},
        {"learning_rate": float("inf")},
        {"loss": "focal"},
        {"seed": -1},
        {"seed": 2**32},
    ],
)
def test_nonsense_is_refused_at_birth(wrong):
    with pytest.raises(OptionError):
        FitOptions(**wrong)
