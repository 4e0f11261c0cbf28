"""Which devices a training runs on. Asks with time-outs; never waits on a silent address.

TensorFlow's own resolver hangs for minutes where no TPU answers, so every network look-up
is tried here first: a TPU worker speaks gRPC, which is HTTP/2, which greets at once.
"""

from __future__ import annotations

import glob
import logging
import os
import re
import socket
import threading
from collections.abc import Callable
from typing import Literal, TypeVar

import tensorflow as tf

from geodeforest.errors import OptionError, StrategyError
from geodeforest.nn.workers import cluster, join_workers

Kind = Literal["auto", "cpu", "gpu", "tpu"]
_T = TypeVar("_T")

_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_HTTP2_SETTINGS = 4
_METADATA_SERVER = ("metadata.google.internal", 80)
_START_S = 120
"""A TPU that speaks may take so long to start; whatever else speaks gRPC never does."""
_LOG = logging.getLogger(__name__)


def resolve_strategy(
    kind: Kind, tpu: str | None = None, *, timeout_s: float = 5
) -> tf.distribute.Strategy:
    """The strategy for ``kind`` of device; ``auto`` takes a TPU, else GPUs, else the CPU.

    Where ``TF_CONFIG`` names several workers, ``auto`` joins them first, with all GPUs of
    each, else its CPU.

    ``tpu`` is a name, an address (``grpc://host:port`` or ``host:port``) or ``local``; None
    takes it from ``TPU_NAME`` or ``COLAB_TPU_ADDR``. ``auto`` tries a TPU only where one of
    these is set or the machine has a TPU's device file.

    Raises:
        StrategyError: the accelerator asked for is not there, or nothing answers within
            about ``timeout_s`` seconds; or ``TF_CONFIG`` makes no sense.
        WorkerLost: not all workers came.
        OptionError: ``tpu`` is given with another kind.
    """
    if tpu is not None and kind in ("cpu", "gpu"):
        raise OptionError(f"tpu {tpu!r} contradicts the strategy {kind!r}; leave one out")
    if kind == "tpu":
        return _tpu(_tpu_address(tpu) or "local", timeout_s)
    if kind == "gpu":
        return _gpus()
    return _cpu() if kind == "cpu" else _auto(_tpu_address(tpu), timeout_s)


def reads_elsewhere(strategy: tf.distribute.Strategy) -> bool:
    """Whether another machine makes the batches: a remote TPU, which sees no local file."""
    if not isinstance(strategy, tf.distribute.TPUStrategy):
        return False
    return bool(strategy.cluster_resolver.master())


def _auto(address: str | None, timeout_s: float) -> tf.distribute.Strategy:
    if address is None and (found := cluster()) is not None:
        return join_workers(found)
    if address:
        return _tpu(address, timeout_s)
    if glob.glob("/dev/accel*") or os.path.exists("/dev/vfio/vfio"):
        try:
            return _tpu("local", timeout_s)
        except StrategyError as error:
            # Such files also belong to other accelerators and to virtual machines.
            _LOG.info("%s", error)
    return _gpus() if tf.config.list_logical_devices("GPU") else _cpu()


def _cpu() -> tf.distribute.Strategy:
    return tf.distribute.OneDeviceStrategy("/CPU:0")


def _gpus() -> tf.distribute.Strategy:
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if not gpus:
        raise StrategyError("gpu: TensorFlow finds no GPU; pass --strategy cpu")
    if len(gpus) == 1:
        return tf.distribute.OneDeviceStrategy(gpus[0])
    return tf.distribute.MirroredStrategy(gpus)


def _tpu_address(tpu: str | None) -> str | None:
    if tpu is not None:
        return tpu
    colab = os.environ.get("COLAB_TPU_ADDR")
    return os.environ.get("TPU_NAME") or (f"grpc://{colab}" if colab else None)


def _tpu(address: str, timeout_s: float) -> tf.distribute.Strategy:
    """Connect to a TPU once it is known that something speaks at its address.

    Raises:
        StrategyError: nothing does, or it is no TPU.
    """
    found = re.fullmatch(r"(?:grpc://)?([^/:\s]+):(\d{1,5})", address)
    if found:
        host, port = found[1], int(found[2])
        _within(timeout_s, address, lambda: _greet(host, port, timeout_s))
        address = f"grpc://{host}:{port}"
    elif address != "local":
        _within(timeout_s, address, lambda: _reach(_METADATA_SERVER, timeout_s))
    try:
        resolver = _within(4 * timeout_s, address, lambda: _resolver(address))
        _within(_START_S, address, lambda: _start(resolver, address))
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, ImportError, tf.errors.OpError) as error:
        raise _no_tpu(address, _brief(error)) from error


def _resolver(address: str) -> tf.distribute.cluster_resolver.TPUClusterResolver:
    return tf.distribute.cluster_resolver.TPUClusterResolver(address)


def _start(resolver: tf.distribute.cluster_resolver.TPUClusterResolver, address: str) -> bool:
    if address != "local":
        tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return True


def _within(timeout_s: float, address: str, ask: Callable[[], _T]) -> _T:
    """The answer of ``ask``, which a name look-up may hold for longer than any time-out.

    Raises:
        StrategyError: no answer in time, or the network refuses.
    """
    answers: list[_T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:  # whatever it is, the waiting thread tells it
            errors.append(error)

    # A daemon: left behind, it keeps no program from ending.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        raise _no_tpu(address, _brief(errors[0])) from errors[0]
    if not answers:
        raise _no_tpu(address, f"no answer within {timeout_s:g} s")
    return answers[0]


def _reach(server: tuple[str, int], timeout_s: float) -> bool:
    with socket.create_connection(server, timeout_s):
        return True


def _greet(host: str, port: int, timeout_s: float) -> bool:
    """Open HTTP/2 as gRPC does and wait for the settings that every server sends first.

    RFC 9113, section 3.4.

    Raises:
        OSError: nobody listens, nobody answers in time, or it is not HTTP/2.
    """
    with socket.create_connection((host, port), timeout_s) as connection:
        connection.sendall(_HTTP2_PREFACE)
        header = b""
        while len(header) < 9:
            part = connection.recv(9 - len(header))
            if not part:
                raise ConnectionError("the connection was closed")
            header += part
    if header[3] != _HTTP2_SETTINGS:
        raise ConnectionError("it does not speak gRPC")
    return True


def _no_tpu(address: str, why: str) -> StrategyError:
    return StrategyError(f"tpu {address}: {why}; check the name or address, or pass --strategy cpu")


def _brief(error: Exception) -> str:
    line = str(error).strip().split("\n")[0].split(". ")[0][:120]
    return line or type(error).__name__
