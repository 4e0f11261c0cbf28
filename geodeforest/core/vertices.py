"""The vertices of all outlines on the grid lines that may still matter, in ascending order.

A vertex is numbered ``row * stride + col`` over the corners of the pixels, ``stride`` being
the scene's width and one. Memory follows their number between the first open row and now.
"""

from __future__ import annotations

import numpy as np

from geodeforest.core.arrays import Ints
from geodeforest.core.strips import OutlineVertices


class GridVertices:
    """Where outlines of any class turn or meet, as far as rows have come.

    ``nodes`` are the vertices where outlines end: where three areas meet, where two pixels
    of one touch diagonally, and all that lie on the scene's edge. ``marks`` are all
    vertices, and the points half a pixel from those that are no nodes along their edges;
    they are numbered over a grid of half pixels, ``row * half_stride + col``. With
    ``only_nodes`` there are none.
    """

    def __init__(self, width: int, *, only_nodes: bool = False) -> None:
        self.stride, self.half_stride = width + 1, 2 * (width + 1)
        self._only_nodes = only_nodes
        self._nodes, self._marks = _Rising(), _Rising()
        self._waiting = np.empty(0, np.int64)  # marks south of the last grid line

    @property
    def nodes(self) -> Ints:
        """The nodes that are remembered."""
        return self._nodes.numbers

    @property
    def marks(self) -> Ints:
        """The marks that are remembered, as far south as the last grid line."""
        return self._marks.numbers

    def add(self, found: OutlineVertices, begin: int, *, last: bool) -> None:
        """Take the vertices of the next grid lines, numbered from ``begin`` on.

        All on the scene's ``last`` grid line are nodes.
        """
        vertex = found.vertex + begin
        row, col = np.divmod(vertex, self.stride)
        is_node = found.is_node | (col == 0) | (col == self.stride - 1) | (row == 0) | last
        self._nodes.append(vertex.compress(is_node))
        if self._only_nodes or not len(vertex):
            return
        mark = 2 * (row * self.half_stride + col)
        north = mark.compress(found.north & ~is_node) - self.half_stride
        south = mark.compress(~found.north & ~is_node) + self.half_stride
        across = (mark + np.where(found.west, -1, 1)).compress(~is_node)
        marks = np.concatenate([self._waiting, mark, north, south, across])
        marks.sort(kind="stable")  # a merge of five that rise already; faster than np.unique
        marks = marks.compress(np.append(True, marks[1:] != marks[:-1]))
        # The next strip may have marks among those south of its first line.
        final = np.searchsorted(marks, (2 * row[-1] + 1) * self.half_stride)
        self._waiting = marks[final:]
        self._marks.append(marks[:final])

    def forget_above(self, row: int) -> None:
        """Forget the grid lines above a row of pixels."""
        self._nodes.drop_under(row * self.stride)
        self._marks.drop_under(2 * row * self.half_stride)


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
