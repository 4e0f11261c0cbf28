"""Which blocks of a sparse GeoTIFF were never written.

Asked of GDAL's index of blocks, a microsecond each; reading such a block takes a thousand
times as long. Nothing of what the pixels in it stand for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from geodeforest.core.grid import Window

_TALL = 1024
_MOST_BLOCKS = 2**18  # asked one by one: less than half a second


class Gaps:
    """The blocks of a dataset that hold nothing. One thread at a time may ask."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._rows, self._cols = dataset.block_shapes[0]
        # GDAL reads a whole image in one strip row by row, and then knows no block but the first.
        self._known = dataset.driver == "GTiff" and self._rows > 1

    def hold(self, window: Window, index: int) -> bool:
        """Whether no block of a band has anything of a window that lies inside."""
        if not self._known:
            return False
        down = range(window.row // self._rows, _last(window.rows, self._rows) + 1)
        across = range(window.col // self._cols, _last(window.cols, self._cols) + 1)
        return not any(self._written(index, row, col) for row in down for col in across)

    def busy_cols(self, indexes: Sequence[int]) -> int:
        """The most columns, in whole blocks, that any ``_TALL`` rows hold something of."""
        rows, cols = -(-self._dataset.height // self._rows), -(-self._dataset.width // self._cols)
        if not self._known or rows * cols > _MOST_BLOCKS:
            return int(cols * self._cols)
        written = np.zeros((rows + 1, cols), np.int32)
        for row in range(rows):
            for col in range(cols):
                written[row + 1, col] = any(self._written(index, row, col) for index in indexes)
        tall = min(rows, _TALL // self._rows + 2)
        before = written.cumsum(axis=0)
        most = (before[tall:] > before[:-tall]).sum(axis=1).max()
        return int(most) * int(self._cols)

    def _written(self, index: int, row: int, col: int) -> bool:
        name = f"BLOCK_OFFSET_{col}_{row}"
        return self._dataset.get_tag_item(name, "TIFF", bidx=index) is not None


def _last(pixels: slice, side: int) -> int:
    """The block with the last of the pixels."""
    return int((pixels.stop - 1) // side)
