"""What the journal costs a scan, processor time and bytes on disk, and what it saves the next one.

    python benchmarks/journal_cost.py [--side 2048] [--model NAME|DIR]

The scene is a forest with clearings (``scenes.py``); it becomes polygons and both maps. Both times
are of processors, within one run, so other work on the machine matters little. Then the scan is
begun again, broken off after four fifths of its chips, and continued.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from scenes import forest

import geodeforest as gd
from geodeforest.geo import commit, journal
from geodeforest.geo.scratch import CARRIED, JOURNAL

BROKEN_OFF = 0.8


class Clock:
    """Processor time of a thread inside of some functions, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, owner: Any, name: str) -> None:
        """Take the time of a method from now on."""
        method: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any) -> Any:
            started = time.thread_time()
            try:
                return method(*arguments)
            finally:
                spent = time.thread_time() - started
                self.seconds[name] = self.seconds.get(name, 0.0) + spent

        setattr(owner, name, timed)


def cpu() -> float:
    """Processor time of the process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def break_off(done: int, chips: int) -> None:
    """Interrupt a scan whose chips are done by so much."""
    if done >= BROKEN_OFF * chips:
        raise KeyboardInterrupt


@click.command()
@click.option("--side", default=2048, show_default=True, help="Rows and columns of the scene.")
@click.option("--model", default=None, help="Built-in model or model directory.")
def main(side: int, model: str | None) -> None:
    """Print the journal's share of a scan's processor time, and its size."""
    clock, megapixels, sizes = Clock(), side * side / 1e6, {JOURNAL: 0, CARRIED: 0}
    clock.watch(journal.RowJournal, "append")
    clock.watch(journal.RowJournal, "carry")
    clock.watch(commit.CommitList, "write")
    predictor = gd.load_model(model)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)

        def measure(*_: int) -> None:
            for name in sizes:
                for file in out.glob(f".*.gdf-scratch/{name}"):
                    sizes[name] = max(sizes[name], file.stat().st_size)

        def scan(progress: Callable[[int, int], None]) -> float:
            before = cpu()
            gd.scan(
                forest(side, side),
                output=[out / "p.geojson", out / "p.gpkg"],
                classes=out / "c.tif",
                scores=out / "x.tif",
                model=predictor,
                progress=progress,
                overwrite=True,
            )
            return cpu() - before

        whole, spent = scan(measure), dict(clock.seconds)
        with suppress(KeyboardInterrupt):
            scan(break_off)
        rest = scan(lambda *_: None)
    for name, seconds in spent.items():
        click.echo(f"{name:8} {seconds / megapixels:.4f} s/Mpx, {seconds / whole:.2%} of the scan")
    click.echo(f"scan     {whole / megapixels:.3f} s/Mpx of processor time")
    for name, size in sizes.items():
        click.echo(f"{name:8} {size / 2**20:.1f} MB, {size / side / side:.2f} bytes a pixel")
    click.echo(f"after {BROKEN_OFF:.0%} of the chips the rest takes {rest / whole:.0%} of the scan")


if __name__ == "__main__":
    main()
