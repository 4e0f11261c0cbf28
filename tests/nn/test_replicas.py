"""A training on two replicas: the same one as on one, to its checkpoints and its validation.

Logical devices must be set before TensorFlow starts, so all of it runs in one process of its own.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, sys.argv[1])
from geodeforest.nn.fit import fit
from tiny_training import TINY, Killed, data, kill_at, rows

home = Path(sys.argv[2])
options = replace(TINY, steps=4)
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def facts(fitted, directory):
    return {
        "log": rows(directory),
        "pixels": {group: c.pixels for group, c in fitted.confusion.items()},
        "right": int(np.trace(fitted.pooled.counts)),
        "weights": [w.numpy().tolist() for w in fitted.model.weights],
    }

one = fit(data(), options, tf.distribute.get_strategy(), home / "one")
both = fit(data(), options, two, home / "two")
try:
    fit(data(), options, two, home / "cut", on_step=kill_at(3))
except Killed:
    pass
resumed = fit(data(), options, two, home / "cut", resume=True)
copies = [[c.numpy().tolist() for c in w.value.values] for w in both.model.weights]
told = {
    "replicas": two.num_replicas_in_sync,
    "one": facts(one, home / "one"),
    "two": facts(both, home / "two"),
    "resumed": facts(resumed, home / "cut"),
    "apart": [w.path for w, (a, b) in zip(both.model.weights, copies) if a != b],
    "running means": sum("moving_mean" in w.path for w in both.model.weights),
}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the program found."""
    arguments = [str(Path(__file__).parents[1]), str(tmp_path_factory.mktemp("replicas"))]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["replicas"] == 2
    return found


def flat(weights):
    def numbers(part):
        return [x for p in part for x in numbers(p)] if isinstance(part, list) else [part]

    return numbers(weights)


def test_two_replicas_take_the_same_steps_as_one(told):
    assert told["running means"] > 0, "normalisation is what tells replicas from one device"
    assert flat(told["two"]["weights"]) == pytest.approx(flat(told["one"]["weights"]), abs=1e-3)
    losses = [[float(row["loss"]) for row in told[who]["log"]] for who in ("one", "two")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_replicas_agree_on_every_weight(told):
    assert told["apart"] == []


def test_validation_on_replicas_counts_every_pixel_once(told):
    assert told["two"]["pixels"] == told["one"]["pixels"] == {"g0": 3 * 32 * 32, "g1": 2 * 32 * 32}
    assert told["two"]["right"] == pytest.approx(told["one"]["right"], rel=0.02)


def test_a_killed_training_on_replicas_resumes_on_the_same_curve(told):
    assert told["resumed"]["log"] == told["two"]["log"]
    assert told["resumed"]["weights"] == told["two"]["weights"]
