"""A few rows of codes as runs, and what meets at the vertices between their pixels.

Knows pixels, runs and vertices; nothing of regions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodeforest.core.arrays import Bools, Codes, Ints

# Inside the tracer a run has a code: nothing is known there (outside the scene, or not
# assessed), a class that is no target (its id after OTHER), or a target (its id after TARGET).
# Classes that nobody asked for are told apart, so that the outlines of the others are the same
# whichever are targets.
UNKNOWN, OTHER, TARGET = 0, 1, 257

# What lies beyond the scene, beside the class ids from 0 to 255.
NOTHING = 256

# Pixels worked on at a time: enough to hide numpy's overhead, few enough to stay in cache.
STRIP_PX = 2**19

# The pixels around a vertex: the higher bit says east, the lower one south.
NW, SW, NE, SE = range(4)


@dataclass(frozen=True, slots=True)
class OutlineVertices:
    """Vertices of outlines: which are nodes, and where the others' two edges lead.

    At a node outlines of three areas meet, or two touch diagonally. From another one edge
    goes ``north``, or else south, and one ``west``, or else east.
    """

    vertex: Ints
    is_node: Bools
    north: Bools
    west: Bools


@dataclass(frozen=True, slots=True)
class Strip:
    """Some rows as one line of runs, each row followed by one pixel of nothing.

    The line begins with such a pixel too. So vertex ``v``, counted over all grid lines of
    the scene's ``width + 1`` vertices, has pixel ``v`` to the north-west and ``v + 1`` to
    the north-east, and the two pixels south of it follow one stride later.

    ``start`` (runs + 1) holds the first pixel of each run and the end of the line, ``code``
    what its pixels are. ``vertex`` (seams) are those vertices inside the strip from which
    an outline may go north or south, ``around`` (4, seams) the runs of the pixels around and
    ``meeting`` their codes.
    """

    start: Ints
    code: Codes
    vertex: Ints
    around: Ints
    meeting: Codes

    @classmethod
    def of(cls, above: Codes, rows: Codes, codes: Codes) -> Strip:
        """The strip of rows (rows, cols) of class ids, and of the last row before them.

        ``codes`` are those of all ids, and of nothing.
        """
        stride = rows.shape[1] + 1
        line = np.full((len(rows) + 1) * stride + 1, NOTHING, np.uint16)
        pixels = line[1:].reshape(-1, stride)[:, :-1]
        pixels[0], pixels[1:] = above, rows
        change = line[1:] != line[:-1]
        vertex = np.flatnonzero(change[:-stride] | change[stride:])
        north, south = change.take(vertex), change.take(vertex + stride)
        northeast = np.cumsum(north)
        southeast = np.cumsum(south) + np.count_nonzero(change[:stride])
        around = np.stack([northeast - north, southeast - south, northeast, southeast])
        start = np.concatenate([[0], np.flatnonzero(change) + 1, [len(line)]])
        code = codes.take(line.take(start[:-1]))
        return cls(start, code, vertex, around, code.take(around))

    def near(self, marked: Bools) -> Bools:
        """The runs that are marked or have a marked run at their side."""
        found = marked.copy()
        found[1:] |= marked[:-1]
        found[:-1] |= marked[1:]
        for here, there in ((NE, SE), (SE, NE)):
            beside = np.flatnonzero(marked.take(self.around[there]))
            found[self.around[here].take(beside)] = True
        return found

    def outline_vertices(self) -> OutlineVertices:
        """The vertices where outlines of any class turn or meet, ascending."""
        northwest, southwest, northeast, southeast = self.meeting
        north, south = northwest != northeast, southwest != southeast
        west, east = northwest != southwest, northeast != southeast
        found = np.flatnonzero((north | south) & (west | east))
        arms = north.astype(np.uint8) + south + west + east
        return OutlineVertices(
            self.vertex.take(found),
            (arms > 2).take(found),
            north=north.take(found),
            west=west.take(found),
        )

    def corners(self) -> tuple[Ints, Ints]:
        """The corners of target outlines as keys, and the runs they belong to.

        A key is ``vertex << 3 | quadrant << 1 | inside``: the outline turns around the
        pixel in that quadrant, which is inside the region or the only one outside.
        """
        codes = self.meeting
        keys, runs = [], []
        for quadrant in range(4):
            own, beyond = codes[quadrant], codes[quadrant ^ 3]
            beside, along = codes[quadrant ^ 2], codes[quadrant ^ 1]
            convex = (own >= TARGET) & (own != beside) & (own != along)
            concave = (beyond >= TARGET) & (beside == beyond) & (along == beyond) & (own != beyond)
            for inside, found, run in ((1, convex, quadrant), (0, concave, quadrant ^ 3)):
                at = np.flatnonzero(found)
                keys.append(self.vertex.take(at) << 3 | quadrant << 1 | inside)
                runs.append(self.around[run].take(at))
        return np.concatenate(keys), np.concatenate(runs)


def roots(count: int, one: Ints, other: Ints) -> Ints:
    """The least node that each of ``count`` nodes is linked to, over any number of links.

    Along all links at once the greater root is hooked to the lesser one, then all paths are
    halved until they are flat; few rounds are needed even for a spiral.
    """
    root = np.arange(count)
    while len(one):
        one, other = root.take(one), root.take(other)
        apart = np.flatnonzero(one != other)
        one, other = one.take(apart), other.take(apart)
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(further := root.take(root), root):
            root = further
    return root
