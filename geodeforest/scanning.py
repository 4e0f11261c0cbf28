"""The scan loop: a scene's rows in, rows of classes and stored scores out.

Works on ports only, so it runs with fakes: no GDAL, no network runtime. Memory does not
depend on the scene's height.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.chip_groups import ChipGroup, read_groups
from geodeforest.core.decide import decide, outside_id, restrict, stitched_planes
from geodeforest.core.grid import ChipRow, portions
from geodeforest.core.levels import SceneSample, scene_levels
from geodeforest.core.options import ScanPlan
from geodeforest.core.pixels import BandScale, Pixels, pad_reflect, to_input, uniform
from geodeforest.core.plausible import Levels
from geodeforest.core.ports import Predictor, Progress, SceneSource
from geodeforest.core.reflectance import Reading
from geodeforest.core.settle import settle
from geodeforest.core.spec import NOT_ASSESSED, ModelSpec, SceneInput
from geodeforest.core.spread import spread
from geodeforest.core.stitch import HeldRow, RowStitcher
from geodeforest.core.threads import stop_runs


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

    held: HeldRow
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
    last rows of each chip row.
    """

    first: int
    classes: NDArray[np.uint8]
    scores: NDArray[np.uint8]
    failed: NDArray[np.bool_] | None = None
    carried: Carried | None = None


WHOLE = Stretch()
"""A scan from the first chip row to the last."""


MEDIAN = SceneInput("median", 50)
"""The sample whose median stands in for what was not observed."""

# Pixels handed on at a time: enough to hide numpy's overhead.
_HANDED_PX = 2**20


def radiometry(
    scene: SceneSource, spec: ModelSpec, reading: Reading, twins: Sequence[SceneSource] = ()
) -> Radiometry | None:
    """Statistics of the whole scene from a bounded sample; None where no pixel is valid.

    Another reading takes the place of ``reading`` where the sample speaks against it. ``twins``
    are the same scene, to be read by more threads.
    """
    others = [twin.read for twin in twins]
    samples = SceneSample(scene.read, scene.height, scene.width, others)
    sample = samples(spec.scene_inputs[0] if spec.scene_inputs else MEDIAN)
    if sample.stored.shape[1] == 0:
        return None
    levels = Levels.of(sample)
    reading, doubts = settle(reading, levels, spec, sample.stored.dtype.name)
    (fill,) = sample.percentiles((MEDIAN.percentile,), reading.scale).astype(np.float32)
    level = scene_levels(samples, reading.scale, spec.scene_inputs) if spec.scene_inputs else None
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
    grid = plan.grid
    stitcher, above = RowStitcher(grid, plan.planes), np.zeros((0, grid.width), bool)
    if stretch.after is not None:
        stitcher.go_on(grid.row(stretch.first - 1), stretch.after.held)
        above = stretch.after.failed
    done = stretch.first * grid.chips_per_row
    with plan.crew(plan.threads) as workers, plan.crew(1) as reader:
        try:
            groups = _ahead(read_groups(scene, plan, stretch.first, stretch.stop), reader)
            for chip, scores in _predicted(groups, predictor, how, workers, plan):
                rows = chip.rows
                rows.put(chip, stitcher.add(rows.row, chip.number, scores))
                done += 1
                if progress is not None:
                    progress(done, len(grid))
                if chip.number + 1 == grid.chips_per_row:
                    unread, above = _near_unread(above, rows.failed, rows.row, plan.reach)
                    yield from rows.settled(unread, Carried(stitcher.held(), above))
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
            reader.shutdown(wait=False, cancel_futures=True)
            stop_runs(predictor, workers)


class _RowMaps:
    """Classes and stored scores of a chip row's settled rows, filled chip by chip.

    Where nothing is assessed there is nothing to fill; ``failed`` is what cannot be read, of
    all the rows that were read; None is nothing.
    """

    def __init__(self, row: ChipRow, width: int, spec: ModelSpec, step: int) -> None:
        self.row = row
        self.failed: NDArray[np.bool_] | None = None
        self._shape = row.settled.stop - row.settled.start, width
        self._spec, self._step = spec, step
        self._maps: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None

    def note_failed(self, group: ChipGroup) -> None:
        """Remember what cannot be read of a group of the row's chips."""
        failed = group.pixels.failed
        if failed is not None:
            if self.failed is None:
                self.failed = np.zeros((len(failed), self._shape[1]), bool)
            first = group.chips[0].col
            self.failed[:, first : first + failed.shape[1]] |= failed

    def put(self, chip: _Chip, planes: NDArray[np.float32] | None) -> None:
        """Decide the pixels from a chip's left side to where the next one begins."""
        first, end = chip.cols
        pixels = chip.pixels.crop(slice(self._shape[0]), slice(end - first))
        if planes is None and pixels.outside is None:
            return
        classes, scores = (whole[:, first:end] for whole in self._writable())
        if planes is not None:
            decided = decide(planes, pixels.assessed, self._spec, self._step)
            classes[...], scores[...] = decided
        restrict(classes, scores, pixels, self._spec)

    def settled(self, unread: NDArray[np.bool_] | None, carried: Carried) -> Iterator[SettledRows]:
        """The rows, some at a time; ``unread`` is too near to what cannot be read."""
        if unread is not None:
            classes, scores = self._writable()
            unread = unread & (classes != outside_id(self._spec))
            classes[unread] = scores[unread] = NOT_ASSESSED
        nothing = uniform(np.uint8(NOT_ASSESSED), self._shape)
        classes, scores = self._maps or (nothing, nothing)
        height, width = self._shape
        for rows in portions(height, width, _HANDED_PX):
            failed = None if unread is None else unread[rows]
            left = carried if rows.stop == height else None
            at = self.row.settled.start + rows.start
            yield SettledRows(at, classes[rows], scores[rows], failed, left)

    def _writable(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if self._maps is None:
            both = np.full((2, *self._shape), NOT_ASSESSED, np.uint8)
            self._maps = both[0], both[1]
        return self._maps


@dataclass(frozen=True, slots=True)
class _Chip:
    """A chip of a row by its number, its pixels, and its columns up to where the next begins."""

    rows: _RowMaps
    number: int
    pixels: Pixels
    cols: tuple[int, int]


def _ahead(groups: Iterator[ChipGroup], reader: Executor) -> Iterator[ChipGroup]:
    """The same; the next group is read while one is used."""
    following: Future[ChipGroup | None] = reader.submit(next, groups, None)
    while (group := following.result()) is not None:
        following = reader.submit(next, groups, None)
        yield group


def _predicted(
    groups: Iterable[ChipGroup],
    predictor: Predictor,
    how: Radiometry | None,
    workers: Executor,
    plan: ScanPlan,
) -> Iterator[tuple[_Chip, NDArray[np.float32] | None]]:
    """All chips in order with their scores (planes, chip, chip).

    None for a chip in which nothing will be assessed: nothing is computed. Workers are
    some chips ahead, into the next row too, so that they go on while a row is written.
    """
    waiting: deque[tuple[_Chip, Future[NDArray[np.float32]] | None]] = deque()
    for group in groups:
        if group.first == 0:
            rows = _RowMaps(group.row, plan.grid.width, predictor.spec, plan.step)
        rows.note_failed(group)
        ends = [*(window.col for window in group.row.chips[1:]), plan.grid.width]
        for number, window in enumerate(group.chips, group.first):
            pixels = group.under(window)
            future = None
            if how is not None and not pixels.is_idle:
                future = workers.submit(_scores, pixels, predictor, how, plan)
            waiting.append((_Chip(rows, number, pixels, (window.col, ends[number])), future))
            if len(waiting) > plan.chips_ahead:
                yield _taken(*waiting.popleft())
    while waiting:
        yield _taken(*waiting.popleft())


def _taken(
    chip: _Chip, future: Future[NDArray[np.float32]] | None
) -> tuple[_Chip, NDArray[np.float32] | None]:
    return chip, None if future is None else future.result()


def _scores(
    pixels: Pixels, predictor: Predictor, how: Radiometry, plan: ScanPlan
) -> NDArray[np.float32]:
    side = plan.grid.chip
    image = pad_reflect(to_input(pixels, how.scale, how.fill), side, side)
    level = None if how.level is None else how.level.reshape(1, -1)
    scores = predictor.predict(image[np.newaxis], level)[0]
    return np.stack([scores[..., plane] for plane in stitched_planes(predictor.spec)])


def _near_unread(
    above: NDArray[np.bool_], failed: NDArray[np.bool_] | None, row: ChipRow, reach: int
) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_]]:
    """Which of a row's settled pixels are within ``reach`` of one that failed; None is none.

    ``above`` is what failed in the rows before, as far as it reaches; the same for the rows
    after is returned, too.
    """
    settled = row.settled.stop - row.settled.start
    if failed is None and not above.any():
        return None, np.zeros((reach, above.shape[1]), bool)
    if failed is None:
        failed = np.zeros((settled, above.shape[1]), bool)
    around = np.concatenate([above, failed[: settled + reach]])
    end = len(above) + settled
    return spread(around, reach)[len(above) : end], around[max(0, end - reach) : end]
