"""A training's state: whole or absent, on a disk and in an object store alike.

TensorFlow's ``ram://`` stands in for a store: no directories, no links, nothing but objects.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_training import TINY, Killed, data, kill_at, rows

from geodeforest.errors import OutputUnwritable
from geodeforest.nn.fit import fit
from geodeforest.nn.state import StateFolder


def strategy():
    return tf.distribute.get_strategy()


@pytest.fixture(params=["disk", "store"])
def folder(request, tmp_path):
    place = tmp_path / "state" if request.param == "disk" else f"ram://{tmp_path.name}/state"
    return StateFolder(place)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nothing disturbed, and its directory."""
    directory = tmp_path_factory.mktemp("whole") / "training"
    return fit(data(), TINY, strategy(), directory), directory


def assert_same(one, other):
    for a, b in zip(one.model.weights, other.model.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_text_comes_back_and_is_replaced(folder):
    assert folder.read("log.csv") is None
    folder.write("log.csv", "one\r\n")
    folder.write("log.csv", "two: é\r\n")
    assert folder.read("log.csv") == "two: é\r\n"


def test_a_file_is_made_here_and_fetched_again(folder):
    with folder.fetched("best.weights.h5") as nothing:
        assert nothing is None
    folder.keep("best.weights.h5", lambda path: path.write_bytes(b"weights"))
    with folder.fetched("best.weights.h5") as copy:
        assert copy.read_bytes() == b"weights"


def test_a_text_that_cannot_be_finished_leaves_the_former_one(folder, monkeypatch):
    folder.write("log.csv", "one")

    def gone(*_, **__):
        raise tf.errors.UnavailableError(None, None, "the store does not answer\nat all")

    monkeypatch.setattr(tf.io.gfile, "rename", gone)
    with pytest.raises(OutputUnwritable, match=r"cannot be written \(the store does not answer\)"):
        folder.write("log.csv", "two")
    assert folder.read("log.csv") == "one"


def test_what_another_left_is_not_cleared(folder):
    folder.write("log.csv", "one")
    folder.write("thesis.txt", "years")
    with pytest.raises(OutputUnwritable, match=r"holds thesis\.txt"):
        folder.clear()
    assert folder.read("log.csv") == "one"


def test_what_a_training_left_is_cleared(folder):
    folder.write("log.csv", "one")
    tf.train.Checkpoint(v=tf.Variable(0)).write(folder.checkpoint(2))
    assert folder.checkpoints() == [folder.checkpoint(2)]
    folder.clear()
    assert not folder.exists()
    assert folder.checkpoints() == []


def test_checkpoints_are_in_the_order_of_their_steps(folder):
    for step in (100, 20, 3):
        tf.train.Checkpoint(v=tf.Variable(0)).write(folder.checkpoint(step))
    assert [path.rpartition("-")[2] for path in folder.checkpoints()] == ["3", "20", "100"]


def test_two_checkpoints_are_kept(folder):
    for step in (2, 4, 10, 12):
        tf.train.Checkpoint(v=tf.Variable(step)).write(folder.checkpoint(step))
    folder.prune()
    assert [path.rpartition("-")[2] for path in folder.checkpoints()] == ["10", "12"]
    assert len(tf.io.gfile.listdir(folder.path("checkpoints"))) == 4


def test_a_store_that_nobody_knows_is_one_line():
    with pytest.raises(OutputUnwritable, match="nowhere") as error:
        fit(data(), TINY, strategy(), "nowhere://bucket/run")
    assert "\n" not in str(error.value)


def test_a_training_in_a_store_is_resumed_on_the_same_curve(whole, tmp_path):
    store = f"ram://{tmp_path.name}/training"
    with pytest.raises(Killed):
        fit(data(), TINY, strategy(), store, on_step=kill_at(5))
    resumed = fit(data(), TINY, strategy(), store, resume=True)
    assert StateFolder(store).read("log.csv") == (whole[1] / "log.csv").read_bytes().decode()
    assert_same(resumed, whole[0])
    assert tf.io.gfile.listdir(f"{store}/tensorboard")


def test_the_best_weights_are_kept_in_a_store_too(tmp_path):
    store = f"ram://{tmp_path.name}/training"
    patient = replace(TINY, learning_rate=1e-12, steps=9, patience=2, validate_every=1)
    fitted = fit(data(), patient, strategy(), store)
    assert fitted.steps < 9
    again = fit(data(), patient, strategy(), store, resume=True)
    assert_same(again, fitted)


def half_a_checkpoint(directory):
    (directory / "checkpoints" / "ckpt-6.index").write_bytes(b"half")


def half_a_text(directory):
    (directory / "log.csv.scratch").write_text("step,lo")


@pytest.mark.filterwarnings("ignore:.*going back to the one before")
@pytest.mark.parametrize("harm", [half_a_checkpoint, half_a_text])
def test_what_a_kill_leaves_half_written_costs_no_progress(whole, tmp_path, harm):
    with pytest.raises(Killed):
        fit(data(), TINY, strategy(), tmp_path / "training", on_step=kill_at(5))
    harm(tmp_path / "training")
    steps = []
    resumed = fit(
        data(),
        TINY,
        strategy(),
        tmp_path / "training",
        resume=True,
        on_step=lambda done, *_: steps.append(done),
    )
    assert steps == [5, 6], "it goes on from the second checkpoint"
    assert rows(tmp_path / "training") == rows(whole[1])
    assert_same(resumed, whole[0])


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import tensorflow as tf
from geodeforest.nn.fit import fit
from tiny_training import TINY, data
fit(data(), TINY, tf.distribute.get_strategy(), sys.argv[2])
"""


@pytest.mark.filterwarnings("ignore:.*going back to the one before")
def test_kill_9_in_mid_training_and_the_curve_is_the_same_to_the_bit(whole, tmp_path):
    home = tmp_path / "training"
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parents[1]), str(home)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(home.glob("checkpoints/ckpt-2.index")):
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    resumed = fit(data(), TINY, strategy(), home, resume=True)
    assert rows(home) == rows(whole[1])
    assert_same(resumed, whole[0])
