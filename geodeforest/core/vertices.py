"""The vertices of all outlines on the grid lines that may still matter, in ascending order.

A vertex is numbered ``row * stride + col`` over the corners of the pixels, ``stride`` being
the scene's width and one. Memory follows their number between the first open row and now.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class GridVertices:
    """Where outlines of any class turn or meet, as far as rows have come.

    Nodes are those where outlines end: where three areas meet, where two pixels of one
    touch diagonally, and all that lie on the scene's edge. With ``only_nodes`` the others
    are not kept.
    """

    def __init__(self, width: int, *, only_nodes: bool = False) -> None:
        self.stride, self._only_nodes = width + 1, only_nodes
        self._all, self._nodes = _Rising(), _Rising()

    @property
    def all(self) -> Ints:
        """All vertices that are remembered."""
        return self._all.numbers

    @property
    def nodes(self) -> Ints:
        """The nodes among them."""
        return self._nodes.numbers

    def add(self, vertex: Ints, is_node: Bools) -> None:
        """Take the vertices of the next grid lines."""
        col = vertex % self.stride
        on_edge = (col == 0) | (col == self.stride - 1) | (vertex < self.stride)
        if not self._only_nodes:
            self._all.append(vertex)
        self._nodes.append(vertex[is_node | on_edge])

    def forget_above(self, row: int) -> None:
        """Forget the grid lines above a row of pixels."""
        self._all.drop_under(row * self.stride)
        self._nodes.drop_under(row * self.stride)


class _Rising:
    """Ever greater numbers: appended at the end, dropped at the beginning."""

    def __init__(self) -> None:
        self._room = np.empty(1024, np.int64)
        self._start = self._stop = 0

    @property
    def numbers(self) -> Ints:
        """Those that are held."""
        return self._room[self._start : self._stop]

    def append(self, more: Ints) -> None:
        """Add numbers that are greater than all before."""
        held = self.numbers
        if self._stop + len(more) > len(self._room):
            # Half as much again as needed, so that few numbers are moved more than twice.
            room = self._room
            if len(held) + len(more) > len(room) // 2:
                room = np.empty((len(held) + len(more)) * 3 // 2, np.int64)
            room[: len(held)] = held
            self._room, self._start, self._stop = room, 0, len(held)
        self._room[self._stop : self._stop + len(more)] = more
        self._stop += len(more)

    def drop_under(self, least: int) -> None:
        """Forget all numbers below the given one."""
        self._start += int(np.searchsorted(self.numbers, least))
