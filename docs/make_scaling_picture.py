"""Draws time and memory of a scan against the scene's pixels, as measured.

    python docs/make_scaling_picture.py

Needs matplotlib and the benchmarks beside this folder. Scenes are squares of forest with clearings,
by the built-in model on all processors, with polygons and both maps. What was measured is kept in
the benchmarks' folder, and measured once; ``--again`` measures anew. The machine should do nothing
else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import matplotlib as mpl
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "benchmarks"))

from scan_speed import scanned  # noqa: E402
from scenes import folder, forest  # noqa: E402

SIDES = (1000, 2000, 4000, 8000, 10_980, 20_000)


@click.command()
@click.option("--side", "sides", default=SIDES, multiple=True, show_default=True)
@click.option("--again", is_flag=True, help="Measure what is known, too.")
def main(sides: tuple[int, ...], again: bool) -> None:
    """Measure what is not known yet, and draw all of it."""
    kept = folder() / "scaling.json"
    known = {} if again or not kept.exists() else json.loads(kept.read_text())
    for side in sides:
        if str(side) not in known:
            click.echo(f"measuring {side} x {side} px ...", err=True)
            run = scanned(forest(side, side), None).run
            known[str(side)] = [run.seconds, run.peak_mb]
            kept.write_text(json.dumps(known))
        seconds, peak_mb = known[str(side)]
        click.echo(f"{side**2 / 1e6:7.1f} Mpx {seconds:8.1f} s {peak_mb:6.0f} MB")
    draw({side: known[str(side)] for side in sides})


def draw(measured: dict[int, list[float]]) -> None:
    """Seconds and megabytes, each against megapixels, from nothing on."""
    mpl.use("Agg")
    megapixels = [side**2 / 1e6 for side in measured]
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axes, values, title in zip(
        panels, zip(*measured.values(), strict=True), ("seconds", "peak memory, MB"), strict=True
    ):
        axes.plot(megapixels, values, "o-", color="C2")
        axes.set_xlabel("megapixels")
        axes.set_title(title)
        axes.set_xlim(0)
        axes.set_ylim(0, 1.15 * max(values))
    figure.savefig(HERE / "pictures" / "scaling.png", dpi=110, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
