"""Statistics of a whole scene, from a bounded sample of it.

Haze adds to every pixel alike, so the scene's dark level tells haze from ground
(dark-object subtraction: Chavez 1988, Remote Sensing of Environment 24). It is taken
once per scene; statistics of a chip or a batch would tear seams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.grid import Window
from geodeforest.core.percentiles import Sample
from geodeforest.core.pixels import BandScale, Pixels
from geodeforest.core.spec import SceneInput

Read: TypeAlias = Callable[[Window], Pixels]
"""Reads a window of a scene; in one thread at a time."""


def sample_windows(height: int, width: int, windows: int, window: int) -> list[Window]:
    """At most ``windows`` x ``windows`` squares of ``window`` pixels, spread evenly.

    They never overlap and lie inside the scene. A side of up to ``windows * window`` pixels
    is covered by one window, since one large read costs less than many small ones.
    """
    return [
        Window(row, col, rows, cols)
        for row, rows in _spread(height, windows, window)
        for col, cols in _spread(width, windows, window)
    ]


def _spread(length: int, windows: int, window: int) -> list[tuple[int, int]]:
    count = min(windows, -(-length // window))
    if count * window >= length:
        return [(0, length)]
    room = length - count * window
    gaps = max(count - 1, 1)
    return [(room * i // gaps + i * window, window) for i in range(count)]


class SceneSample:
    """The stored numbers of a scene's valid pixels; each of its sampling grids is read once.

    ``twins`` read the same scene, each in a thread of its own.
    """

    def __init__(self, read: Read, height: int, width: int, twins: Sequence[Read] = ()) -> None:
        self._scene, self._twins = (read, height, width), twins
        self._found: dict[tuple[int, int], Sample] = {}

    def __call__(self, rule: SceneInput) -> Sample:
        """The sample of a rule's squares."""
        squares = rule.windows, rule.window
        if squares not in self._found:
            self._found[squares] = Sample(sample_valid(*self._scene, rule, self._twins))
        return self._found[squares]


def scene_levels(
    sample: SceneSample, scale: BandScale, inputs: Sequence[SceneInput]
) -> NDArray[np.float32] | None:
    """The scene's level per input and band, scaled to 0..1: shape (inputs, bands).

    None where the sample holds no valid pixel.
    """
    levels = []
    for wanted in inputs:
        found = sample(wanted)
        if found.stored.shape[1] == 0:
            return None
        levels.append(_level(found, scale, wanted))
    return np.asarray(levels, np.float32)


def _level(sample: Sample, scale: BandScale, wanted: SceneInput) -> NDArray[np.float64]:
    level: NDArray[np.float64] = sample.percentiles((wanted.percentile,), scale)[0]
    if (ceiling := wanted.ceiling) is not None:
        highest = max(level[ceiling.under] - ceiling.gap, ceiling.least)
        level[ceiling.band] = min(level[ceiling.band], highest)
    return level


def sample_valid(
    read: Read, height: int, width: int, rule: SceneInput, twins: Sequence[Read] = ()
) -> NDArray[np.generic]:
    """The stored values of the sample's valid pixels, shape (bands, pixels).

    Where the squares hit no valid pixel (little was observed, say a corner), rows are read
    from the first one on until as many pixels are found, or there are no more.
    """
    squares = sample_windows(height, width, rule.windows, rule.window)
    sample = np.concatenate(_side_by_side((read, *twins), squares), axis=1)
    if sample.shape[1]:
        return sample
    found, wanted = [sample], (rule.windows * rule.window) ** 2
    for row in range(0, height, rule.window):
        found.append(_valid(read(Window(row, 0, min(rule.window, height - row), width))))
        wanted -= found[-1].shape[1]
        if wanted <= 0:
            break
    return np.concatenate(found, axis=1)


def _side_by_side(reads: Sequence[Read], squares: Sequence[Window]) -> list[NDArray[np.generic]]:
    """The valid pixels of each square; neighbours are read by one, since they share blocks.

    Of several squares that fail the first one is told, so what comes after one is not read.
    """
    failed: list[int] = []
    each = -(-len(squares) // len(reads))

    def share(number: int) -> list[NDArray[np.generic]]:
        found: list[NDArray[np.generic]] = []
        for square in squares[number * each : (number + 1) * each]:
            if min(failed, default=number) < number:
                break
            try:
                found.append(_valid(reads[number](square)))
            except BaseException:
                failed.append(number)
                raise
        return found

    if len(reads) == 1:
        return share(0)
    with ThreadPoolExecutor(len(reads)) as threads:
        return [part for some in threads.map(share, range(len(reads))) for part in some]


def _valid(pixels: Pixels) -> NDArray[np.generic]:
    if pixels.valid.all():  # choosing all one by one takes longer than reading them
        return pixels.values.reshape(len(pixels.values), -1)
    return pixels.values[:, pixels.valid]
