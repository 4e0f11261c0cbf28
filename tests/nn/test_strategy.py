"""The devices asked for, or one clear line within seconds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import tensorflow as tf

from geodeforest.errors import OptionError, StrategyError
from geodeforest.nn import strategy
from geodeforest.nn.strategy import resolve_strategy

SETTINGS_FRAME = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.fixture(autouse=True)
def no_hints(monkeypatch):
    """A machine that says nothing of a TPU."""
    monkeypatch.delenv("TPU_NAME", raising=False)
    monkeypatch.delenv("COLAB_TPU_ADDR", raising=False)
    monkeypatch.setattr(strategy.glob, "glob", lambda pattern: [])
    monkeypatch.setattr(strategy.os.path, "exists", lambda path: False)


@contextmanager
def server(answer: bytes | None) -> Iterator[int]:
    """A port that accepts, answers with ``answer`` (None: never) and yields its number."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept = []

        def serve():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            kept.append(connection)
            if answer is not None:
                connection.recv(100)
                connection.sendall(answer)
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        for connection in kept:
            connection.close()


def pretend_gpus(monkeypatch, count: int) -> None:
    devices = [SimpleNamespace(name=f"/device:GPU:{i}") for i in range(count)]
    listed = lambda kind=None: devices if kind == "GPU" else []  # noqa: E731
    monkeypatch.setattr(tf.config, "list_logical_devices", listed)
    monkeypatch.setattr(tf.distribute, "OneDeviceStrategy", lambda name: ("one", name))
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda names: ("mirrored", names))


def test_cpu_is_one_device():
    chosen = resolve_strategy("cpu")
    with chosen.scope():
        assert tf.Variable(1.0).device.endswith("CPU:0")
    assert chosen.num_replicas_in_sync == 1


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [(1, ("one", "/device:GPU:0")), (2, ("mirrored", ["/device:GPU:0", "/device:GPU:1"]))],
)
@pytest.mark.parametrize("kind", ["gpu", "auto"])
def test_gpus_are_used_one_alone_or_all_together(monkeypatch, kind, gpus, expected):
    pretend_gpus(monkeypatch, gpus)
    assert resolve_strategy(kind) == expected


def test_without_a_gpu_auto_means_the_cpu_and_gpu_is_refused(monkeypatch):
    pretend_gpus(monkeypatch, 0)
    assert resolve_strategy("auto") == ("one", "/CPU:0")
    with pytest.raises(StrategyError, match="TensorFlow finds no GPU; pass --strategy cpu"):
        resolve_strategy("gpu")


def test_a_device_file_of_something_else_than_a_tpu_does_not_stop_auto(monkeypatch):
    monkeypatch.setattr(strategy.glob, "glob", lambda pattern: ["/dev/accel0"])
    assert resolve_strategy("auto").num_replicas_in_sync == 1


@pytest.mark.parametrize("variable", ["TPU_NAME", "COLAB_TPU_ADDR"])
def test_a_tpu_named_by_the_environment_is_not_passed_over(monkeypatch, variable):
    with server(b"SSH-2.0-OpenSSH\r\n") as port:
        monkeypatch.setenv(variable, f"127.0.0.1:{port}")
        with pytest.raises(StrategyError, match=f"127.0.0.1:{port}: it does not speak gRPC"):
            resolve_strategy("auto", timeout_s=2)


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_a_tpu_address_for_another_kind_is_a_contradiction(kind):
    with pytest.raises(OptionError, match="contradicts"):
        resolve_strategy(kind, "local")


def test_a_local_tpu_that_is_not_there_is_one_line_and_harms_nothing():
    with pytest.raises(StrategyError, match=r"^tpu local: TPUs not found in the cluster; check"):
        resolve_strategy("tpu", "local")
    assert float(tf.reduce_sum(tf.ones(3))) == 3


def test_tpu_without_a_name_means_the_local_one():
    with pytest.raises(StrategyError, match="tpu local"):
        resolve_strategy("tpu")


def refusal(address: str, timeout_s: float = 1) -> str:
    """The error's text, once it has come within a few seconds."""
    begin = time.monotonic()
    with pytest.raises(StrategyError) as error:
        resolve_strategy("tpu", address, timeout_s=timeout_s)
    assert time.monotonic() - begin < timeout_s + 3
    assert error.value.exit_code == 2
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "grpc://127.0.0.1:{}"])
def test_a_closed_port_is_refused_at_once(form):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "Connection refused" in refusal(form.format(port))


def test_a_port_that_accepts_and_never_speaks_is_given_up():
    with server(None) as port:
        assert f"tpu 127.0.0.1:{port}: " in refusal(f"127.0.0.1:{port}")


def test_a_port_that_closes_without_a_word_is_refused():
    with server(b"") as port:
        assert "the connection was closed" in refusal(f"127.0.0.1:{port}")


def test_a_web_server_is_not_taken_for_a_tpu():
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert "it does not speak gRPC" in refusal(f"127.0.0.1:{port}")


def test_a_grpc_server_is_handed_to_tensorflow(monkeypatch):
    asked = []

    def resolver(address):
        asked.append(address)
        raise ValueError("no TPU here")

    monkeypatch.setattr(strategy, "_resolver", resolver)
    with server(SETTINGS_FRAME) as port:
        assert "no TPU here" in refusal(f"127.0.0.1:{port}")
    assert asked == [f"grpc://127.0.0.1:{port}"]


@pytest.mark.parametrize("address", ["host.invalid:8470", "127.0.0.1:99999", "a..b:1", "[::1"])
def test_an_address_that_cannot_be_is_refused(address):
    assert refusal(address).startswith(f"tpu {address}: ")


def test_an_unknown_name_is_refused_where_no_cloud_answers(monkeypatch):
    monkeypatch.setattr(strategy, "_METADATA_SERVER", ("metadata.invalid", 80))
    assert refusal("no-such-tpu").startswith("tpu no-such-tpu: ")


def test_a_name_look_up_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(strategy, "_reach", lambda server, timeout_s: time.sleep(30))
    assert "no answer within 0.2 s" in refusal("no-such-tpu", timeout_s=0.2)
