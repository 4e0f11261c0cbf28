"""Which chords may replace arcs, and which points stay, by a dull count with whole numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geodeforest.core.crossings import crossed_chords
from geodeforest.core.rings import Rings
from geodeforest.core.simplify import PixelMetric, simplify_outlines
from geodeforest.core.slopes import Slopes
from geodeforest.core.trace import RegionTracer
from geodeforest.core.vertices import GridVertices

EVERYTHING = (0, 1, 2, 255)
METRIC = PixelMetric(3, 4)


def maps(side=18):
    """Class maps of blocks of some grain, with noise."""
    return st.integers(0, 2**32 - 1).map(lambda seed: _blocks(np.random.default_rng(seed), side))


def _blocks(rng, side):
    shape = rng.integers(1, side, 2)
    grain = int(rng.integers(1, 7))
    classes = np.kron(rng.integers(0, 3, shape // grain + 1), np.ones((grain, grain), int))
    classes = classes[: shape[0], : shape[1]].astype(np.uint8)
    noise = rng.random(classes.shape) < 0.08
    classes[noise] = rng.choice([0, 1, 2, 255], noise.sum())
    return classes


def traced(classes):
    """The regions of a map, and the vertices around them."""
    vertices = GridVertices(classes.shape[1])
    tracer = RegionTracer(classes.shape[1], EVERYTHING, vertices)
    return tracer.feed(classes) + tracer.finish(), vertices


def slopes_of(regions, vertices, *, cut):
    rings = Rings.of(regions, vertices.nodes, vertices.stride)
    return Slopes.of(rings, cut=cut)


def arcs(slopes):
    """The points of each arc: where it may run, with both ends."""
    ends = np.flatnonzero(slopes.is_end)
    for first, last in pairwise(ends):
        if last > first + 1:
            yield [i for i in range(first, last + 1) if slopes.usable[i]]


def is_crossed(slopes, vertices, first, last):
    """Line by line, whether another mark is in the range of arc and chord."""
    path = [(int(slopes.row[i]), int(slopes.col[i])) for i in range(first, last + 1)]
    reached = {}
    for (row, col), (to_row, to_col) in pairwise(path):
        for r in range(min(row, to_row), max(row, to_row) + 1):
            reached.setdefault(r, []).extend([col, to_col])
    (row, col), (to_row, to_col) = path[0], path[-1]
    for r in range(min(row, to_row), max(row, to_row) + 1) if row != to_row else ():
        reached[r].append(col + Fraction((r - row) * (to_col - col), to_row - row))
    marks, stride = set(vertices.marks.tolist()), vertices.half_stride
    between = {
        r * stride + c
        for r, cols in reached.items()
        for c in range(math.ceil(min(cols)), math.floor(max(cols)) + 1)
    }
    return not marks & between <= {r * stride + c for r, c in path}


def square(slopes, at, first, last):
    """The squared distance of a point from a chord, in units of half a metre."""

    def place(i):
        return METRIC.row * int(slopes.row[i]), METRIC.col * int(slopes.col[i])

    (y, x), (y1, x1), (y2, x2) = place(at), place(first), place(last)
    length = (y2 - y1) ** 2 + (x2 - x1) ** 2
    along = Fraction((y - y1) * (y2 - y1) + (x - x1) * (x2 - x1), length) if length else 0
    along = min(max(along, 0), 1)
    return (y - y1 - along * (y2 - y1)) ** 2 + (x - x1 - along * (x2 - x1)) ** 2


def kept(slopes, vertices, points, left, must=True):
    """The inner points of an arc that stay (Douglas and Peucker), one part after the other."""
    if len(points) < 3:
        return []
    first, last = points[0], points[-1]
    mark = slopes.row * vertices.half_stride + slopes.col
    far = min(points[1:-1], key=lambda i: (-square(slopes, i, first, last), mark[i]))
    height = square(slopes, far, first, last)
    split = (must and height > 0) or height > (2 * left) ** 2
    if not split and not is_crossed(slopes, vertices, first, last):
        return []
    at, loop = points.index(far), mark[first] == mark[last]
    return [
        *kept(slopes, vertices, points[: at + 1], left, loop),
        far,
        *kept(slopes, vertices, points[at:], left, loop),
    ]


@given(classes=maps(), cut=st.booleans(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_chord_is_crossed_where_another_mark_is_between_it_and_the_arc(classes, cut, seed):
    regions, vertices = traced(classes)
    slopes = slopes_of(regions, vertices, cut=cut)
    mark = slopes.row * vertices.half_stride + slopes.col
    rng = np.random.default_rng(seed)
    chords = [sorted(rng.choice(points, 2, replace=False)) for points in arcs(slopes)]
    chords = [(a, b) for a, b in chords if mark[a] != mark[b]]
    first, last = np.array(chords, int).reshape(-1, 2).T
    found = crossed_chords(slopes, vertices, first, last)
    assert found.tolist() == [is_crossed(slopes, vertices, a, b) for a, b in chords]


@given(classes=maps(), tolerance=st.sampled_from([1.5, 4.0, 11.0]))
@settings(max_examples=40, deadline=None)
def test_the_farthest_points_stay_of_several_as_far_the_first(classes, tolerance):
    regions, vertices = traced(classes)
    cut = tolerance >= METRIC.half_diagonal
    slopes = slopes_of(regions, vertices, cut=cut)
    ends = np.flatnonzero(slopes.is_end).tolist()
    left = tolerance - METRIC.cut * cut
    inner = [i for points in arcs(slopes) for i in kept(slopes, vertices, points, left)]
    stay = sorted(ends + inner)
    expected = np.stack([slopes.row[stay], slopes.col[stay]], axis=1) / 2
    found = simplify_outlines(regions, vertices, METRIC, tolerance)
    rings = [ring for region in found for ring in region.rings]
    np.testing.assert_array_equal(np.concatenate(rings), expected)
