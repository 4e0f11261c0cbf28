"""Statistics of a whole scene, from a bounded sample of it.

Haze adds to every pixel alike, so the scene's dark level tells haze from ground
(dark-object subtraction: Chavez 1988, Remote Sensing of Environment 24). It is taken
once per scene; statistics of a chip or a batch would tear seams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.grid import Window
from geodeforest.core.pixels import BandScale, Pixels
from geodeforest.core.spec import SceneInput


def sample_windows(height: int, width: int, windows: int, window: int) -> list[Window]:
    """At most ``windows`` x ``windows`` squares of ``window`` pixels, spread evenly.

    They never overlap and lie inside the scene; a scene of up to
    ``windows * window`` pixels a side is covered whole.
    """
    return [
        Window(row, col, rows, cols)
        for row, rows in _spread(height, windows, window)
        for col, cols in _spread(width, windows, window)
    ]


def _spread(length: int, windows: int, window: int) -> list[tuple[int, int]]:
    count = min(windows, -(-length // window))
    if count * window >= length:
        return [(at, min(window, length - at)) for at in range(0, length, window)]
    room = length - count * window
    gaps = max(count - 1, 1)
    return [(room * i // gaps + i * window, window) for i in range(count)]


def scene_levels(
    read: Callable[[Window], Pixels],
    height: int,
    width: int,
    scale: BandScale,
    inputs: Sequence[SceneInput],
) -> NDArray[np.float32] | None:
    """The scene's level per input and band, scaled to 0..1: shape (inputs, bands).

    None where the sample holds no valid pixel.
    """
    levels = []
    for wanted in inputs:
        sample = sample_valid(read, height, width, wanted)
        if sample.shape[1] == 0:
            return None
        levels.append(np.percentile(scale(sample), wanted.percentile, axis=1))
    return np.asarray(levels, np.float32)


def sample_valid(
    read: Callable[[Window], Pixels], height: int, width: int, rule: SceneInput
) -> NDArray[np.generic]:
    """The stored values of the sample's valid pixels, shape (bands, pixels)."""
    parts = []
    for window in sample_windows(height, width, rule.windows, rule.window):
        pixels = read(window)
        parts.append(pixels.values[:, pixels.valid])
    return np.concatenate(parts, axis=1)
