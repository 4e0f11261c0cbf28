"""What the scan loop takes beside the network, by part, in processor seconds per megapixel.

    python benchmarks/loop_cost.py [--side 5490]

A scene is scanned without sinks, and with a network that costs nothing; the parts are timed by
each thread's own clock, so that other work on the machine does not count. The built-in network
alone, on one thread and as many chips, is timed by the same clock.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import click
import numpy as np
from scenes import forest

from geodeforest import scanning
from geodeforest.core.options import ScanOptions, ScanPlan
from geodeforest.core.ports import Predictor
from geodeforest.geo.scene import block_cache
from geodeforest.workflows.budget import plan_of
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.numbers import reading_of
from geodeforest.workflows.open_inputs import open_inputs
from geodeforest.workflows.scan_targets import Targets

CHIPS = 20
"""How many chips the network alone is tried with."""


class Free:
    """A predictor that costs nothing, with the scores of noise."""

    def __init__(self, predictor: Predictor) -> None:
        self.spec = predictor.spec
        shape = (1, self.spec.chip, self.spec.chip, len(self.spec.classes))
        self._scores = np.random.default_rng(0).random(shape, np.float32)

    def predict(self, chips: np.ndarray, scene_level: np.ndarray | None = None) -> np.ndarray:
        """The same scores for any chip."""
        return self._scores


class Clock:
    """Adds up what functions take of their thread's time, by name."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def around(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def timed(*args: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return work(*args, **named)
            finally:
                self.seconds[name] += time.thread_time() - started

        return timed


@click.command()
@click.option("--side", default=5490, show_default=True, help="Rows and columns of the scene.")
def main(side: int) -> None:
    """Print processor seconds per megapixel by part, and the network's."""
    predictor, clock = load_model(None), Clock()
    megapixels = side * side / 1e6
    plan, whole = looped(forest(side, side), predictor, clock)
    network = chip_seconds(predictor, plan.grid.chip) * len(plan.grid)
    parts = {**clock.seconds, "all else": whole - sum(clock.seconds.values())}
    for name, seconds in parts.items():
        click.echo(f"{name:24} {seconds / megapixels:.4f} s/Mpx")
    click.echo(f"{'the loop':24} {whole / megapixels:.4f} s/Mpx")
    click.echo(f"{'the built-in network':24} {network / megapixels:.4f} s/Mpx")
    click.echo(f"{'loop by network':24} {whole / network:.3f}")


def looped(path: Any, predictor: Predictor, clock: Clock) -> tuple[ScanPlan, float]:
    """The plan of a scan, and the processor seconds of its loop; the clock knows the parts."""
    options = ScanOptions(threads=1)
    with open_inputs(path, options, predictor.spec) as inputs:
        scene = inputs.scene
        plan = plan_of(scene, predictor, options, Targets())
        with block_cache(plan.cache_bytes):
            how = scanning.radiometry(
                scene, predictor.spec, reading_of(scene, predictor.spec, options)
            )
            scene.read = clock.around("reading", scene.read)
            scanning.to_input = clock.around("scaling", scanning.to_input)
            scanning.decide = clock.around("deciding", scanning.decide)
            add = scanning.RowStitcher.add
            scanning.RowStitcher.add = clock.around("blending", add)
            before = _processor_seconds()
            for _ in scanning.scan_rows(scene, Free(predictor), plan, how):
                pass
            return plan, _processor_seconds() - before


def chip_seconds(predictor: Predictor, side: int) -> float:
    """Processor seconds of the network for one chip."""
    spec = predictor.spec
    chip = np.random.default_rng(0).random((1, side, side, len(spec.bands)), np.float32)
    levels = len(spec.scene_inputs) * len(spec.bands)
    level = np.full((1, levels), 0.1, np.float32) if levels else None
    predictor.predict(chip, level)
    started = time.thread_time()
    for _ in range(CHIPS):
        predictor.predict(chip, level)
    return (time.thread_time() - started) / CHIPS


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
