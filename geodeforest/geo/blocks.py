"""What becomes of a scene's blocks that cannot be read.

Knows blocks and errors; nothing of files or of what lies around a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from geodeforest.core.grid import Window
from geodeforest.core.options import OnError, Stored
from geodeforest.core.pixels import Pixels
from geodeforest.errors import SceneUnreadable
from geodeforest.geo.bands import Band
from geodeforest.geo.opening import cause
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.scene import Scene


class BlockwiseScene:
    """A scene that, where reading fails, finds out which blocks fail.

    With ``fail`` the first of them is named in the error. With ``skip`` their pixels are
    ``failed`` and not valid, and all others are read. A block is that of the scene's
    profile; where the bands' files differ, the largest.
    """

    def __init__(self, scene: Scene, on_error: OnError) -> None:
        self._scene, self._on_error = scene, on_error

    @property
    def height(self) -> int:
        """Rows of the scene."""
        return self._scene.height

    @property
    def width(self) -> int:
        """Columns of the scene."""
        return self._scene.width

    @property
    def profile(self) -> SceneProfile:
        """What is known of the scene beside its pixels."""
        return self._scene.profile

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands it reads, in reading order."""
        return self._scene.bands

    @property
    def tags(self) -> Mapping[str, str]:
        """What its file says in words."""
        return self._scene.tags

    @property
    def stored(self) -> Stored:
        """Its sizes, and what reading it takes: a byte a pixel more if blocks may fail."""
        inner = self._scene.stored
        skips = self._on_error == "skip"
        return replace(inner, pixel_bytes=inner.pixel_bytes + skips)

    def read(self, window: Window) -> Pixels:
        """The pixels of a window inside the scene.

        Raises:
            SceneUnreadable: a block cannot be read, and is not to be skipped.
        """
        try:
            return self._scene.read(window)
        except SceneUnreadable:
            return self._by_blocks(window)

    def _by_blocks(self, window: Window) -> Pixels:
        shape = (window.height, window.width)
        values = np.zeros((len(self.bands), *shape), self.profile.dtype)
        valid, failed = np.zeros(shape, bool), np.zeros(shape, bool)
        for part in cut(window, self.profile.block):
            rows, cols = part.inside(window)
            try:
                pixels = self._scene.read(part)
            except SceneUnreadable as error:
                if self._on_error == "fail":
                    raise self._named(part, error) from error
                failed[rows, cols] = True
            else:
                values[:, rows, cols], valid[rows, cols] = pixels.values, pixels.valid
        return Pixels(values, valid, failed=failed)

    def _named(self, part: Window, error: SceneUnreadable) -> SceneUnreadable:
        """An error that names the block of which a part cannot be read."""
        profile, (height, width) = self.profile, self.profile.block
        row, col = part.row // height, part.col // width
        block = Window(row * height, col * width, height, width).within(self.height, self.width)
        why = (
            f"block {row},{col} (rows {block.row}..{block.row + block.height - 1}, columns "
            f"{block.col}..{block.col + block.width - 1}) cannot be read ({cause(error)})"
        )
        remedy = "download or copy the file again, or pass --on-error skip"
        return SceneUnreadable(profile.path, why, remedy)


def cut(window: Window, block: tuple[int, int]) -> Iterator[Window]:
    """The window cut along the sides of blocks, row by row."""
    rows = _cuts(window.row, window.height, block[0])
    for row, height in rows:
        for col, width in _cuts(window.col, window.width, block[1]):
            yield Window(row, col, height, width)


def _cuts(first: int, length: int, block: int) -> list[tuple[int, int]]:
    """Starts and lengths of a range's parts."""
    end = first + length
    starts = [first, *range((first // block + 1) * block, end, block)]
    return [(a, b - a) for a, b in zip(starts, [*starts[1:], end], strict=True)]
