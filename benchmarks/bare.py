"""ONNX Runtime alone: the least time that a model's chips can take on this machine.

    python benchmarks/bare.py [--model NAME|DIR] [--chips 100] [--side 512] [--threads 2]

Chips lie in memory, and what comes out is thrown away. Two set-ups are tried, and the quicker one
counts: one run after the other on all threads, and a run on one thread each, side by side.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import click
import numpy as np
import onnxruntime as ort

from geodeforest.runtime.model_dir import ONNX_FILE, model_directory, read_spec

Runner = Callable[[int], float]
"""Runs so many chips; returns seconds."""


@click.command()
@click.option("--model", default=None, help="Built-in model or model directory.")
@click.option("--chips", default=100, show_default=True)
@click.option("--side", default=None, type=int, help="Rows and columns. [default: the model's]")
@click.option("--threads", default=os.cpu_count(), show_default=True)
def main(model: str | None, chips: int, side: int | None, threads: int) -> None:
    """Print, as JSON, seconds per chip and the set-up that gave them."""
    runners = {
        "one run on all threads": together(model, side, threads),
        "one run a thread": side_by_side(model, side, threads),
    }
    few = 4 * threads
    trial = {name: min(run(few) for _ in range(2)) for name, run in runners.items()}
    best = min(trial, key=trial.__getitem__)
    seconds = runners[best](chips) / chips
    click.echo(json.dumps({"seconds_per_chip": seconds, "set_up": best, "chips": chips}))


def together(model: str | None, side: int | None, threads: int) -> Runner:
    """Runs one after the other, each on all threads."""
    session, feed = _session(model, side, threads)

    def run(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            session.run(None, feed)
        return time.perf_counter() - started

    return run


def side_by_side(model: str | None, side: int | None, threads: int) -> Runner:
    """As many runs at a time as there are threads, each on one."""
    session, feed = _session(model, side, 1)
    workers = ThreadPoolExecutor(threads)

    def run(count: int) -> float:
        started = time.perf_counter()
        for _ in workers.map(lambda _: session.run(None, feed), range(count)):
            pass
        return time.perf_counter() - started

    return run


def _session(
    model: str | None, side: int | None, threads: int
) -> tuple[ort.InferenceSession, dict[str, np.ndarray]]:
    home = model_directory(model)
    spec = read_spec(home)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(
        str(home / ONNX_FILE), options, providers=["CPUExecutionProvider"]
    )
    side, bands = side or spec.chip, len(spec.bands)
    feed = {"chips": np.random.default_rng(0).random((1, side, side, bands), np.float32)}
    if spec.scene_inputs:
        feed["scene_level"] = np.full((1, len(spec.scene_inputs) * bands), 0.1, np.float32)
    session.run(None, feed)
    return session, feed


if __name__ == "__main__":
    main()
