"""Several workers train one network: the same curve as one alone, and no waiting for the dead.

Each worker is a process of its own, as TensorFlow joins a cluster before anything else.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_training import TINY, data, rows

from geodeforest.errors import StrategyError
from geodeforest.nn.fit import fit
from geodeforest.nn.strategy import resolve_strategy
from geodeforest.nn.workers import Share, cluster

PROGRAM = """
import json, os, signal, sys
from geodeforest.errors import GeodeforestError
from geodeforest.nn import workers
from geodeforest.nn.strategy import resolve_strategy

tests, home, resume, deadly = sys.argv[1], sys.argv[2], sys.argv[3] == "resume", int(sys.argv[4])
workers.LOST_S = 25.0
workers.START_S = float(sys.argv[5])

def on_step(done, total, loss):
    if done == deadly:
        os.kill(os.getpid(), signal.SIGKILL)

try:
    strategy = resolve_strategy("auto")
    share = workers.share_of(strategy)
    sys.path.insert(0, tests)
    from dataclasses import replace
    from geodeforest.nn.fit import fit
    from tiny_training import FEED, TINY, data
    mine = data(feed=replace(FEED, share=share))
    fitted = fit(mine, replace(TINY, steps=4), strategy, home, resume=resume, on_step=on_step)
    told = {
        "leads": share.leads,
        "replicas": strategy.num_replicas_in_sync,
        "pixels": {group: c.pixels for group, c in fitted.confusion.items()},
        "weights": [w.numpy().tolist() for w in fitted.model.weights],
    }
    print(json.dumps(told))
except GeodeforestError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""
OPTIONS = replace(TINY, steps=4)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def config(ports, number):
    hosts = [f"127.0.0.1:{port}" for port in ports]
    task = {"type": "worker", "index": number}
    return json.dumps({"cluster": {"worker": hosts}, "task": task})


def run(home, *, resume=False, deadly=(0, 0), count=2, start_s=60):
    """Start workers; gives what each ended with: exit code, stdout and stderr's last line."""
    ports = free_ports(2)
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parents[1]), str(home)]
    started = [
        subprocess.Popen(
            [*command, "resume" if resume else "afresh", str(deadly[number]), str(start_s)],
            env={**os.environ, "TF_CONFIG": config(ports, number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    ended = []
    for process in started:
        out, err = process.communicate(timeout=240)
        ended.append((process.returncode, out.strip(), err.strip().splitlines()[-1:]))
    return ended


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two workers told, and their directory."""
    home = tmp_path_factory.mktemp("together") / "training"
    ended = run(home)
    assert [code for code, _, _ in ended] == [0, 0], ended
    return [json.loads(out.splitlines()[-1]) for _, out, _ in ended], home


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """How workers ended, the second of which was killed after the first checkpoint."""
    home = tmp_path_factory.mktemp("broken") / "training"
    return run(home, deadly=(0, 3)), home


def curve(directory):
    return [float(row["loss"]) for row in rows(directory)]


def test_two_workers_train_on_the_curve_of_one(together, tmp_path):
    told, home = together
    alone = fit(data(), OPTIONS, tf.distribute.get_strategy(), tmp_path / "alone")
    assert [each["replicas"] for each in told] == [2, 2]
    assert curve(home) == pytest.approx(curve(tmp_path / "alone"), rel=1e-3)
    for one, other in zip(told[0]["weights"], alone.model.weights, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-3)


def test_both_have_the_same_network_and_count_every_pixel_once(together):
    (one, other), _ = together
    assert one["weights"] == other["weights"]
    assert one["pixels"] == other["pixels"] == {"g0": 3 * 32 * 32, "g1": 2 * 32 * 32}


def test_the_first_worker_writes_and_it_alone(together):
    told, home = together
    assert [each["leads"] for each in told] == [True, False]
    assert len(list((home / "tensorboard").iterdir())) == 1
    assert [row["step"] for row in rows(home)] == ["2", "4"]


def test_a_worker_that_dies_ends_the_other_with_one_line_and_8(broken):
    ((code, _, (line,)), (killed, _, _)), _ = broken
    assert killed == -signal.SIGKILL
    assert code == 8
    assert line.startswith("worker 0 of 2: another worker is lost (")
    assert line.endswith("; start all of them again with --resume")


def test_started_again_they_go_on_to_the_same_curve(broken, together):
    _, home = broken
    assert [row["step"] for row in rows(home)] == ["2"]
    ended = run(home, resume=True)
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert curve(home) == pytest.approx(curve(together[1]), rel=1e-6)


def test_one_that_never_comes_is_not_waited_for_without_end(tmp_path):
    ((code, _, (line,)),) = run(tmp_path / "training", count=1, start_s=3)
    assert (code, "has not come within 3 s" in line) == (8, True), line


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", None),
        ("{}", None),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}', None),
        (config([1, 2, 3], 2), Share(2, 3)),
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, '
            '"task": {"type": "worker", "index": 1}}',
            Share(2, 3),
        ),
    ],
)
def test_the_cluster_is_that_of_the_environment(monkeypatch, text, share):
    monkeypatch.setenv("TF_CONFIG", text)
    found = cluster()
    assert (found and found.share) == share


def test_a_port_that_is_taken_is_one_line(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("TF_CONFIG", config([taken.getsockname()[1], *free_ports(1)], 0))
        with pytest.raises(StrategyError, match=r"Address already in use .*check TF_CONFIG"):
            resolve_strategy("auto")


def test_tensorflow_must_not_have_been_at_work(monkeypatch):
    tf.zeros(1)
    first, second = free_ports(2)
    monkeypatch.setenv("TF_CONFIG", config([first, second], 0))
    with (
        socket.create_server(("127.0.0.1", second)),
        pytest.raises(StrategyError, match="must be configured at program startup"),
    ):
        resolve_strategy("auto")


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[1]",
        '{"cluster": 3}',
        config([1, 2], 2),
        config([1, 2], -1),
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_a_cluster_that_makes_no_sense_is_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(StrategyError, match=r"^TF_CONFIG: ") as error:
        cluster()
    assert "\n" not in str(error.value)
