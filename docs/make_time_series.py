"""Draws what the built-in model finds in five summers of one forest in Romania.

    python docs/make_time_series.py

Needs matplotlib, h5py and a package index, from which the images come, and prints the share
of non-forest of each date. Knows only the public names of geodeforest.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import date
from pathlib import Path

import click
import h5py
import matplotlib as mpl
import numpy as np
from make_pictures import HERE, SAMPLE, draw_scene
from matplotlib import pyplot as plt
from PIL import Image

import geodeforest as gd

sys.path.insert(0, str(SAMPLE))
import build

DATES = (
    date(2016, 6, 16),
    date(2017, 7, 6),
    date(2018, 7, 1),
    date(2019, 7, 6),
    date(2020, 7, 10),
)


def main() -> None:
    """Scan each date and draw the scenes above their scores."""
    mpl.use("Agg")
    figure, axes = plt.subplots(2, len(DATES), figsize=(3 * len(DATES), 6.4), dpi=90)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build.unpack_packages(folder)
        with h5py.File(folder / build.CUBE) as cube:
            for column, day in enumerate(DATES):
                scene = folder / f"{day}.tif"
                build.write_romania(cube, day, scene)
                report = gd.scan(scene, scores=True, classes=True, min_area=0)
                draw_scene(axes[0, column], scene)
                axes[0, column].set_title(str(day))
                scores = np.ma.masked_invalid(report.scores())
                axes[1, column].imshow(scores, vmin=0, vmax=1, cmap="RdYlGn_r")
                axes[1, column].set_axis_off()
                share = report.classes[1].px / report.assessed_px
                axes[1, column].set_title(f"{share:.1%} non-forest", fontsize=10)
                click.echo(f"{day}: {share:.2%} of {report.assessed_px} px are non-forest")
    figure.tight_layout()
    path = HERE / "pictures" / "romania-years.png"
    figure.savefig(path, metadata={"Software": None})
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
