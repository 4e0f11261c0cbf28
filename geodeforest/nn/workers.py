"""Several machines that train one network: who they are, and what it means to lose one.

The cluster is that of the environment's ``TF_CONFIG``, as for any TensorFlow program.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import tensorflow as tf

from geodeforest.errors import StrategyError, WorkerLost

LOST_S = 300.0
"""Seconds that workers wait for each other before one is taken for lost.

More than a validation's checkpoint takes to reach a slow object store, as all wait for the
first worker then. One whose process ends is missed much sooner.
"""

START_S = 300.0
"""Seconds within which all workers must have started."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of each global batch that a worker trains on: the ``number``-th of ``of``."""

    number: int = 0
    of: int = 1

    @property
    def leads(self) -> bool:
        """Whether this worker writes what is written: the first does."""
        return self.number == 0


WHOLE = Share()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The addresses of all workers, the first one's first, and which of them this is."""

    hosts: tuple[str, ...]
    number: int

    @property
    def share(self) -> Share:
        """This worker's part."""
        return Share(self.number, len(self.hosts))


def cluster() -> Cluster | None:
    """The workers that ``TF_CONFIG`` names; None without several.

    Raises:
        StrategyError: ``TF_CONFIG`` is not of chief and workers, or names no task of theirs.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        found = json.loads(text or "{}")
        jobs = {str(job): tuple(map(str, hosts)) for job, hosts in found.get("cluster", {}).items()}
        job, index = found.get("task", {}).get("type"), found.get("task", {}).get("index")
    except (ValueError, TypeError, AttributeError) as error:
        why = f"TF_CONFIG: it cannot be read ({error}); correct or unset it"
        raise StrategyError(why) from error
    if sum(map(len, jobs.values())) <= 1:
        return None
    if set(jobs) - {"chief", "worker"} or len(jobs.get("chief", ())) > 1:
        raise StrategyError("TF_CONFIG: give a cluster of workers, and one chief at most")
    if index not in range(len(jobs.get(job, ()))):
        raise StrategyError(f"TF_CONFIG: its cluster has no task {job} {index}; correct it")
    first = jobs.get("chief", ())
    number = index + (len(first) if job == "worker" else 0)
    return Cluster((*first, *jobs.get("worker", ())), number)


def share_of(strategy: tf.distribute.Strategy) -> Share:
    """The part of a strategy's batches that this program makes."""
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    found = cluster() if several else None
    return WHOLE if found is None else found.share


def join_workers(found: Cluster) -> tf.distribute.Strategy:
    """Wait for all workers of the cluster and train as one of them.

    Raises:
        WorkerLost: not all have come within ``START_S`` seconds.
        StrategyError: TensorFlow was at work before, or the address is not this machine's.
    """
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=LOST_S)
    try:
        _meet(found, START_S)
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except (OSError, OverflowError, ValueError, RuntimeError, tf.errors.OpError) as error:
        why = (getattr(error, "strerror", None) or str(error)).split("\n")[0][:120]
        where = found.hosts[found.number]
        raise StrategyError(f"worker {where}: {why}; check TF_CONFIG") from error


def _meet(found: Cluster, within_s: float) -> None:
    """See all other workers listen, while listening.

    TensorFlow waits for them without end, and lets no signal through meanwhile. One that
    has seen the others stops listening, but then its TensorFlow begins to.

    Raises:
        WorkerLost: one of them is not there in time.
        OSError: this one's port is taken.
    """
    end = time.monotonic() + within_s
    with socket.create_server(("", _address(found.hosts[found.number])[1]), backlog=128):
        for host in found.hosts:
            while not _listens(*_address(host)):
                if time.monotonic() > end:
                    why = f"{host} has not come within {within_s:g} s"
                    raise WorkerLost(found.number, len(found.hosts), why)
                time.sleep(0.2)


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def lost(error: Exception, share: Share) -> WorkerLost | None:
    """What an error of TensorFlow says of another worker, if it does."""
    said = next((line for line in str(error).splitlines() if "ollective" in line), None)
    if share.of == 1 or said is None:
        return None
    return WorkerLost(share.number, share.of, said.split(". ")[0][:120])


@contextlib.contextmanager
def noticing(share: Share) -> Iterator[None]:
    """Turn what TensorFlow says of a worker that is gone into one line.

    Raises:
        WorkerLost: a worker ended, hangs or cannot be reached.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if gone := lost(error, share):
            raise gone from error
        raise
