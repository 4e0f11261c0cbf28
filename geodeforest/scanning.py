"""The scan loop: a scene's rows in, rows of classes and stored scores out.

Works on ports only, so it runs with fakes: no GDAL, no network runtime. Memory does not
depend on the scene's height.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.decide import decide, restrict, stitched_planes
from geodeforest.core.grid import ChipRow, Window
from geodeforest.core.levels import SceneSample, scene_levels
from geodeforest.core.options import ScanPlan
from geodeforest.core.pixels import BandScale, Pixels, pad_reflect, to_input
from geodeforest.core.plausible import Levels
from geodeforest.core.ports import Predictor, Progress, SceneSource
from geodeforest.core.reflectance import Reading
from geodeforest.core.settle import settle
from geodeforest.core.spec import ModelSpec, SceneInput
from geodeforest.core.spread import spread
from geodeforest.core.stitch import Held, RowStitcher


@dataclass(frozen=True, slots=True)
class Radiometry:
    """How a scene's stored numbers become the network's input.

    ``reading`` is what the numbers bore out, ``doubts`` what is to be said of it. ``fill``
    (bands,) stands in for pixels that are not real. ``level`` (inputs, bands) holds the scene
    inputs, None where the model wants none. ``levels`` are of the stored numbers.
    """

    reading: Reading
    fill: NDArray[np.float32]
    level: NDArray[np.float32] | None
    levels: Levels
    doubts: tuple[str, ...] = ()

    @property
    def scale(self) -> BandScale:
        """What takes stored numbers to 0..1."""
        return self.reading.scale


@dataclass(frozen=True, slots=True)
class Carried:
    """What the scan goes on from when a chip row is done: all that the rows after it need.

    ``failed`` (rows, width) tells what could not be read in the last rows that were settled.
    """

    held: Held
    failed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stretch:
    """The chip rows to do: from ``first`` up to ``stop``, None for all that follow.

    ``after`` is what the chip row before the first one had left.
    """

    first: int = 0
    stop: int | None = None
    after: Carried | None = None


@dataclass(frozen=True, slots=True)
class SettledRows:
    """Final rows: class ids and stored scores, both (rows, cols) uint8, 255 = not assessed.

    What is outside has ``outside_id`` among the classes. ``failed`` tells what was not assessed
    because it, or what lies next to it, cannot be read; None is nothing. ``carried`` comes with the
    last rows of each chip row, and is made of views: good until the next rows are taken.
    """

    first: int
    classes: NDArray[np.uint8]
    scores: NDArray[np.uint8]
    failed: NDArray[np.bool_] | None = None
    carried: Carried | None = None


@dataclass(frozen=True, slots=True)
class _Strip:
    """A chip row with its stored rows.

    They begin at its top and may go on below its chips. ``unread`` tells which of the settled
    rows' pixels lie too near to what cannot be read; None is none. ``failed`` is what could not be
    read in the last of them.
    """

    row: ChipRow
    pixels: Pixels
    unread: NDArray[np.bool_] | None
    failed: NDArray[np.bool_]


WHOLE = Stretch()
"""A scan from the first chip row to the last."""


MEDIAN = SceneInput("median", 50)
"""The sample whose median stands in for what was not observed."""

# Pixels decided at a time: enough to hide numpy's overhead.
_DECIDED_PX = 2**20


def radiometry(scene: SceneSource, spec: ModelSpec, reading: Reading) -> Radiometry | None:
    """Statistics of the whole scene from a bounded sample; None where no pixel is valid.

    Another reading takes the place of ``reading`` where the sample speaks against it.
    """
    sample = SceneSample(scene.read, scene.height, scene.width)
    rule = spec.scene_inputs[0] if spec.scene_inputs else MEDIAN
    stored = sample(rule)
    if stored.shape[1] == 0:
        return None
    levels = Levels.of(stored)
    reading, doubts = settle(reading, levels, spec, stored.dtype.name)
    fill = np.percentile(reading.scale(stored), MEDIAN.percentile, axis=1).astype(np.float32)
    level = scene_levels(sample, reading.scale, spec.scene_inputs) if spec.scene_inputs else None
    return Radiometry(reading, fill, level, levels, tuple(doubts))


def scan_rows(
    scene: SceneSource,
    predictor: Predictor,
    plan: ScanPlan,
    how: Radiometry | None,
    progress: Progress | None = None,
    stretch: Stretch = WHOLE,
) -> Generator[SettledRows]:
    """Yield the scene's final rows from the first to the last, or those of a stretch of chip rows.

    One chip is one call of the predictor, ``plan.threads`` of them at a time; results are
    blended in the order of the grid, so they do not depend on the number of threads.
    Without ``how`` nothing is predicted: no pixel is valid.
    """
    spec, grid = predictor.spec, plan.grid
    stitcher = RowStitcher(plan.planes, grid.chip, grid.width, grid.overlap)
    if stretch.after is not None:
        stitcher.go_on(stretch.after.held)
    done = stretch.first * grid.chips_per_row
    with ThreadPoolExecutor(plan.threads) as workers, ThreadPoolExecutor(1) as reader:
        try:
            strips = _strips(scene, plan, reader, stretch)
            for strip, window, scores in _predicted(strips, predictor, how, workers, plan):
                if scores is not None:
                    stitcher.add(window, scores)
                done += 1
                if progress is not None:
                    progress(done, len(grid))
                if window == strip.row.chips[-1]:
                    planes = stitcher.settle(strip.row)
                    carried = Carried(stitcher.held(strip.row), strip.failed)
                    yield from _decided(planes, strip, spec, plan.step, carried)
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
            reader.shutdown(wait=False, cancel_futures=True)


def _decided(
    planes: NDArray[np.float32], strip: _Strip, spec: ModelSpec, step: int, carried: Carried
) -> Iterator[SettledRows]:
    """The settled rows, a few at a time, since deciding needs several times their memory."""
    _, height, width = planes.shape
    some = max(1, _DECIDED_PX // width)
    for first in range(0, height, some):
        rows = slice(first, min(first + some, height))
        pixels = strip.pixels.crop(rows, slice(None))
        assessed, failed = pixels.assessed, None
        if strip.unread is not None:
            failed = strip.unread[rows]
            assessed = assessed & ~failed
            if pixels.outside is not None:
                failed = failed & ~pixels.outside
        classes, stored = decide(planes[:, rows], assessed, spec, step)
        restrict(classes, stored, pixels, spec)
        left = carried if rows.stop == height else None
        yield SettledRows(strip.row.settled.start + first, classes, stored, failed, left)


def _strips(
    scene: SceneSource, plan: ScanPlan, reader: ThreadPoolExecutor, stretch: Stretch
) -> Iterator[_Strip]:
    """Each chip row with its stored rows; the next one is read while this one is used.

    Every row of the scene is read once: what two chip rows share is kept.
    """
    rows = list(plan.grid.rows())[stretch.first : stretch.stop]
    above = np.zeros((0, plan.grid.width), bool) if stretch.after is None else stretch.after.failed
    following: Future[Pixels] = reader.submit(_advance, scene, plan, rows[0], None)
    for row, upcoming in zip(rows, [*rows[1:], None], strict=True):
        pixels = following.result()
        if upcoming is not None:
            kept = pixels.crop(slice(upcoming.top - row.top, None), slice(None))
            following = reader.submit(_advance, scene, plan, upcoming, kept)
        settled = row.settled.stop - row.settled.start
        unread = _unread(above, pixels.failed, settled, plan.reach)
        above = _last_rows(above, pixels.failed, settled, plan.reach)
        yield _Strip(row, pixels, unread, above)


def _advance(scene: SceneSource, plan: ScanPlan, row: ChipRow, kept: Pixels | None) -> Pixels:
    grid = plan.grid
    have = 0 if kept is None else kept.valid.shape[0]
    wanted = Window(row.top, 0, grid.chip + plan.rows_below, grid.width)
    wanted = wanted.within(grid.height, grid.width)
    if kept is not None and have == wanted.height:
        return kept
    fresh = scene.read(Window(row.top + have, 0, wanted.height - have, grid.width))
    return fresh if kept is None else kept.over(fresh)


def _unread(
    above: NDArray[np.bool_], failed: NDArray[np.bool_] | None, settled: int, reach: int
) -> NDArray[np.bool_] | None:
    """Which of the settled rows' pixels are within ``reach`` of one that failed.

    ``above`` is what failed in the rows before, as far as it reaches.
    """
    if failed is None:
        if not above.any():
            return None
        failed = np.zeros((settled, above.shape[1]), bool)
    around = np.concatenate([above, failed[: settled + reach]])
    return spread(around, reach)[len(above) : len(above) + settled]


def _last_rows(
    above: NDArray[np.bool_], failed: NDArray[np.bool_] | None, settled: int, reach: int
) -> NDArray[np.bool_]:
    """What failed in the last ``reach`` rows up to the settled ones."""
    if reach == 0:
        return above
    if failed is None:
        failed = np.zeros((settled, above.shape[1]), bool)
    return np.concatenate([above, failed[:settled]])[-reach:]


def _predicted(
    strips: Iterable[_Strip],
    predictor: Predictor,
    how: Radiometry | None,
    workers: ThreadPoolExecutor,
    plan: ScanPlan,
) -> Iterator[tuple[_Strip, Window, NDArray[np.float32] | None]]:
    """All chips in order with their scores (planes, chip, chip), each with its row's pixels.

    None for a chip in which nothing will be assessed: nothing is computed. Workers are
    some chips ahead, into the next row too, so that they go on while a row is written.
    """
    waiting: deque[tuple[_Strip, Window, Future[NDArray[np.float32]] | None]] = deque()
    for strip in strips:
        for window in strip.row.chips:
            pixels = strip.pixels.crop(slice(plan.grid.chip), window.cols)
            future = None
            if how is not None and pixels.assessed.any():
                future = workers.submit(_scores, pixels, predictor, how, plan)
            waiting.append((strip, window, future))
            if len(waiting) > plan.chips_ahead:
                yield _taken(*waiting.popleft())
    while waiting:
        yield _taken(*waiting.popleft())


def _taken(
    strip: _Strip, window: Window, future: Future[NDArray[np.float32]] | None
) -> tuple[_Strip, Window, NDArray[np.float32] | None]:
    return strip, window, None if future is None else future.result()


def _scores(
    pixels: Pixels, predictor: Predictor, how: Radiometry, plan: ScanPlan
) -> NDArray[np.float32]:
    chip = plan.grid.chip
    image = pad_reflect(to_input(pixels, how.scale, how.fill), chip, chip)
    level = None if how.level is None else how.level.reshape(1, -1)
    scores = predictor.predict(image[np.newaxis], level)[0]
    planes: NDArray[np.float32] = scores[..., list(stitched_planes(predictor.spec))]
    return planes.transpose(2, 0, 1)
