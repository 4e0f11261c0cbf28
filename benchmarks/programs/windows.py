"""What the sliding-window programs share: their command line, windows, and how they write.

Runs in the environments of other programs too, so it knows numpy and rasterio alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio

Scores = Callable[[np.ndarray], np.ndarray]
"""Chips (n, 3, rows, cols) in 0..1 to scores (n, classes, rows, cols)."""

TRIED = 4


def arguments(text: str) -> argparse.Namespace:
    """The command line of all of them."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("scene", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--chip", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=128)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--level", default="", help="the scene's statistics, with commas")
    parser.add_argument("--how", default="", help="one of the program's own set-ups")
    parser.add_argument("--try", dest="trial", action="store_true", help="only time some chips")
    return parser.parse_args()


def read_whole(path: Path) -> tuple[np.ndarray, dict]:
    """The scene (3, rows, cols) as floats in 0..1, all in memory, and its profile."""
    with rasterio.open(path) as scene:
        return scene.read().astype(np.float32) / 255, scene.profile


def starts(length: int, chip: int, overlap: int) -> list[int]:
    """Where windows begin; the last one is moved inside."""
    step = chip - overlap
    places = list(range(0, max(length - chip, 0) + 1, step))
    if places[-1] + chip < length:
        places.append(length - chip)
    return places


def tried(score: Scores, image: np.ndarray, chip: int, batch: int) -> float:
    """Seconds per chip of some chips, once it is warm."""
    chips = np.stack([image[:, :chip, :chip]] * batch)
    score(chips)
    started = time.perf_counter()
    for _ in range(TRIED // batch):
        score(chips)
    return (time.perf_counter() - started) / (TRIED // batch * batch)


def write(classes: np.ndarray, scores: np.ndarray | None, profile: dict) -> None:
    """A class map, and scores as far as there are any, in the current directory."""
    profile = {**profile, "count": 1, "dtype": "uint8", "photometric": None}
    profile = {name: value for name, value in profile.items() if value is not None}
    layers = {"classes.tif": classes}
    if scores is not None:
        layers["scores.tif"] = np.round(scores * 250).astype(np.uint8)
    for name, layer in layers.items():
        with rasterio.open(name, "w", **profile) as dataset:
            dataset.write(layer, 1)


def tell(**facts: object) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(f"{json.dumps(facts)}\n")
