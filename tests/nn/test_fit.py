"""The loop: resumes on the same curve, stops early, says so when the loss breaks."""

import csv

import numpy as np
import pytest
import tensorflow as tf

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import Architecture
from geodeforest.errors import OptionError, TrainingError
from geodeforest.nn.augment import Augmentation
from geodeforest.nn.fit import Data, FitOptions, fit
from geodeforest.nn.pipeline import Feed, training_batches, validation_batches

FEED = Feed(BandScale(0, 255), (0, 1), batch=2, seed=3)
TINY = FitOptions(
    architecture=Architecture((4, 6)),
    augmentation=Augmentation(crop=16, haze=0.02),
    steps=6,
    batch=2,
    learning_rate=1e-2,
    validate_every=2,
)


def parsed(count, side=32):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, side, side, 3), np.uint8)
    return tf.data.Dataset.from_tensor_slices(
        {
            "image": images,
            "labels": (images[..., 0] > 127).astype(np.uint8),
            "valid": np.ones((count, side, side), bool),
            "scene_level": np.zeros((count, 0), np.float32),
            "group": np.array([f"g{i % 2}" for i in range(count)]),
        }
    )


def data(augmentation=TINY.augmentation, validation=True):
    records = parsed(5)
    return Data(
        bands=3,
        classes=2,
        scene_inputs=0,
        training=lambda start: training_batches(records, FEED, augmentation, count=5, start=start),
        validation=validation_batches(records, FEED, ["g0", "g1"], count=5) if validation else None,
        val_groups=["g0", "g1"],
    )


def strategy():
    return tf.distribute.get_strategy()


def rows(directory):
    with (directory / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_training_started_at_a_step_sees_what_it_would_have_seen():
    whole = list(data().training(0).take(6))
    later = list(data().training(4).take(2))
    for expected, found in zip(whole[4:], later, strict=True):
        for a, b in zip(expected, found, strict=True):
            assert np.array_equal(a, b)


def test_every_validation_record_counts_once_in_its_group(tmp_path):
    fitted = fit(data(), TINY, strategy(), tmp_path)
    assert {name: c.pixels for name, c in fitted.confusion.items()} == {
        "g0": 3 * 32 * 32,
        "g1": 2 * 32 * 32,
    }
    assert fitted.pooled.pixels == 5 * 32 * 32


def test_logs_and_checkpoints_are_left_behind(tmp_path):
    fit(data(), TINY, strategy(), tmp_path)
    assert [row["step"] for row in rows(tmp_path)] == ["2", "4", "6"]
    assert 0 <= float(rows(tmp_path)[-1]["val_accuracy"]) <= 1
    assert list((tmp_path / "tensorboard").iterdir())
    assert tf.train.latest_checkpoint(str(tmp_path / "checkpoints")).endswith("-6")


class Killed(Exception):
    pass


def kill_at(step):
    def on_step(done, total, loss):
        if done == step:
            raise Killed

    return on_step


def test_a_killed_training_resumes_on_the_same_curve(tmp_path):
    undisturbed = fit(data(), TINY, strategy(), tmp_path / "whole")
    with pytest.raises(Killed):
        fit(data(), TINY, strategy(), tmp_path / "cut", on_step=kill_at(5))
    resumed = fit(data(), TINY, strategy(), tmp_path / "cut", resume=True)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    for a, b in zip(undisturbed.model.weights, resumed.model.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_resuming_a_finished_training_changes_nothing(tmp_path):
    first = fit(data(), TINY, strategy(), tmp_path)
    again = fit(data(), TINY, strategy(), tmp_path, resume=True, on_step=kill_at(7))
    assert again.steps == first.steps
    assert again.pooled.counts.tolist() == first.pooled.counts.tolist()


def test_resuming_with_other_options_is_refused(tmp_path):
    fit(data(), TINY, strategy(), tmp_path)
    with pytest.raises(TrainingError, match="other options"):
        fit(data(), FitOptions(steps=7), strategy(), tmp_path, resume=True)


def test_patience_stops_early_and_keeps_the_best_weights(tmp_path):
    from dataclasses import replace

    flat = replace(TINY, learning_rate=1e-12, steps=40, patience=2, validate_every=1)
    fitted = fit(data(), flat, strategy(), tmp_path)
    assert fitted.steps < 40
    best = max(float(row["val_mean_iou"]) for row in rows(tmp_path))
    assert fitted.pooled.mean_iou == pytest.approx(best, abs=1e-9)


def test_a_loss_that_is_not_finite_stops_with_one_line(tmp_path):
    broken = data(validation=False)
    nan = broken.training(0).map(lambda i, y, s: (i * np.nan, y, s))
    with pytest.raises(TrainingError, match="loss is nan at step 1"):
        fit(Data(3, 2, 0, lambda start: nan, None), TINY, strategy(), tmp_path)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"learning_rate": 0}, {"loss": "focal"}])
def test_nonsense_is_refused_at_birth(wrong):
    with pytest.raises(OptionError):
        FitOptions(**wrong)
