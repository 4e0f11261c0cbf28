"""How long a scan will take and how much disk it needs, from a short trial of its parts.

What is measured is the machine, the model and the file at hand; what a run record counts
later is the time between opening the scene and the last output in place.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from geodeforest.core.grid import Window
from geodeforest.core.options import ScanPlan
from geodeforest.core.pixels import BandScale, Pixels, to_input
from geodeforest.core.ports import Predictor, SceneSource
from geodeforest.geo.profile import SceneProfile

_ROWS_SECONDS_PER_MPX = 0.075
"""Stitching, deciding and vectorising, on one core of today, of a scene with many clearings."""

_EMPTY_SECONDS_PER_MPX = 0.009
"""The same where nothing was observed, both maps included."""

_MAP_SECONDS_PER_MPX = 0.008
"""Compressing one map and its overviews, beside the network like the rows."""

_FILES_SECONDS = 0.3
"""Making, flushing and renaming the outputs."""

_ROUNDS, _ENOUGH_SECONDS, _PATIENCE_SECONDS = 6, 1.0, 5.0
"""How often the network is tried at most, and after how long at work, or in all, not again."""


class WatchedScene:
    """A scene that remembers what was read of it, what was observed, and how long it took."""

    def __init__(self, scene: SceneSource) -> None:
        self._scene = scene
        self.windows: list[Window] = []
        self.read_px = self.assessed_px = self.empty = 0
        self.seconds = 0.0

    @property
    def height(self) -> int:
        """Rows of the scene."""
        return self._scene.height

    @property
    def width(self) -> int:
        """Columns of the scene."""
        return self._scene.width

    def read(self, window: Window) -> Pixels:
        """The stored pixels of a window that lies inside the scene."""
        started = time.perf_counter()
        pixels = self._scene.read(window)
        self.seconds += time.perf_counter() - started
        self.windows.append(window)
        self.read_px += pixels.valid.size
        self.assessed_px += int(pixels.assessed.sum())
        self.empty += not pixels.assessed.any()
        return pixels

    @property
    def assessed_share(self) -> float | None:
        """The share of the pixels read that can be assessed; None where none was read."""
        return self.assessed_px / self.read_px if self.read_px else None

    @property
    def busy_share(self) -> float:
        """The share of the windows read in which there is something to assess."""
        return 1 - self.empty / len(self.windows) if self.windows else 1.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What was measured on the machine, the model and the file at hand.

    In seconds: of one ``chip`` while all threads are at work, of ``reading`` the whole scene,
    of the ``sample``. ``busy_share`` of the chips show something. ``slowness`` is how many
    times as long as on an idle machine everything takes.
    """

    chip: float
    reading: float
    sample: float
    busy_share: float
    slowness: float = 1.0

    def seconds(self, plan: ScanPlan, cpus: int, maps: int = 0) -> float:
        """How long a scan by ``plan`` takes on so many processors, if it writes so many maps."""
        megapixels = plan.grid.height * plan.grid.width / 1e6
        network = len(plan.grid) * self.busy_share * self.chip
        busy, empty = megapixels * self.busy_share, megapixels * (1 - self.busy_share)
        each = _ROWS_SECONDS_PER_MPX + maps * _MAP_SECONDS_PER_MPX
        rows = (busy * each + empty * _EMPTY_SECONDS_PER_MPX) * self.slowness
        shared = (network + rows + self.reading) / min(cpus, plan.threads + 1)
        slowest = max(shared, network / plan.threads, rows, self.reading)
        return self.sample + slowest + _FILES_SECONDS * self.slowness


def reading_seconds(watched: WatchedScene, file: SceneProfile) -> float:
    """How long reading every block of a scene's file takes, from those that were read.

    The scene that was watched may lie on another grid than its file.
    """
    rows, cols = file.block
    heights, widths = file.height / watched.height, file.width / watched.width
    touched = {
        (row, col)
        for window in watched.windows
        for row in _blocks(window.row, window.height, heights, rows)
        for col in _blocks(window.col, window.width, widths, cols)
    }
    every = -(-file.height // rows) * -(-file.width // cols)
    return watched.seconds * every / len(touched) if touched else 0.0


def _blocks(start: int, length: int, scale: float, block: int) -> Iterable[int]:
    last = int((start + length) * scale - 1e-9)
    return range(int(start * scale) // block, max(last, 0) // block + 1)


def chip_seconds(plan: ScanPlan, predictor: Predictor) -> tuple[float, float]:
    """Seconds that a thread needs for one chip while all are at work, and the slowness.

    The latter is the time that passed by the time that processors worked for it, at least 1.
    """
    spec, side = predictor.spec, plan.grid.chip
    bands = len(spec.bands)
    pixels = Pixels(np.zeros((bands, side, side), np.uint16), np.ones((side, side), bool))
    pixels = pixels.bands_last()
    level = None
    if spec.scene_inputs:
        level = np.zeros((1, len(spec.scene_inputs) * bands), np.float32)
    fill = np.zeros(bands, np.float32)

    def run(_: int) -> None:
        image = to_input(pixels, BandScale(0, 1), fill)
        predictor.predict(image[np.newaxis], level)

    rounds: list[tuple[float, float]] = []
    with ThreadPoolExecutor(plan.threads) as workers:
        while len(rounds) < _ROUNDS and _is_short(rounds):
            started, worked = time.perf_counter(), time.process_time()
            list(workers.map(run, range(plan.threads)))
            passed = time.perf_counter() - started
            rounds.append((passed, (time.process_time() - worked) / plan.threads))
    # The first makes what the network needs, and any may meet with a stall of the machine.
    seconds, worked = sorted(rounds[1:] or rounds)[len(rounds[1:]) // 2]
    return seconds, max(1.0, seconds / worked) if worked else 1.0


def _is_short(rounds: list[tuple[float, float]]) -> bool:
    # One stall of a busy machine is longer than many small chips; so what counts is the work.
    passed, worked = (sum(column) for column in zip(*rounds, strict=True)) if rounds else (0, 0)
    return worked < _ENOUGH_SECONDS and passed < _PATIENCE_SECONDS
