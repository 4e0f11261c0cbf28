"""Simplified and smooth outlines: shared, valid, in place, the same for every band height."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geodeforest.core.rings import area_px
from geodeforest.core.simplify import PixelMetric, least_pixels, simplify_outlines
from geodeforest.core.smooth import smooth_outlines
from geodeforest.core.trace import RegionTracer
from geodeforest.core.vertices import GridVertices

SQUARE = PixelMetric(10, 10)
HALF_DIAGONAL = 10 / 2**0.5
EVERYTHING = (0, 1, 2, 255)


def simplified(tolerance, metric=SQUARE):
    return lambda regions, vertices: simplify_outlines(regions, vertices, metric, tolerance)


EXACT, DEFAULT = simplified(0), simplified(None)
SHAPERS = {
    "exact": EXACT,
    "default": DEFAULT,
    "a third of a pixel": simplified(3),
    "two pixels": simplified(20),
    "seven pixels": simplified(70),
    "smooth": smooth_outlines,
}


def outlined(classes, shape, targets=EVERYTHING, height=None):
    """The regions of a class map with other outlines, from strips of ``height`` rows."""
    vertices = GridVertices(classes.shape[1])
    tracer = RegionTracer(classes.shape[1], targets, vertices)
    found = []
    for top in range(0, len(classes), height or len(classes)):
        found += shape(tracer.feed(classes[top : top + (height or len(classes))]), vertices)
    return found + shape(tracer.finish(), vertices)


def polygons(regions):
    """The regions in a plane in which rows run down."""
    return np.array(
        [shapely.Polygon(r.rings[0][:, ::-1], [h[:, ::-1] for h in r.rings[1:]]) for r in regions]
    )


def blocks(side):
    """Class maps of blocks with some noise, so that arcs are long enough to be simplified."""
    return st.integers(0, 2**32 - 1).map(
        lambda seed: _noisy_blocks(np.random.default_rng(seed), side)
    )


def _noisy_blocks(rng, side):
    shape = rng.integers(1, side, 2)
    grain = int(rng.integers(1, 6))
    classes = np.kron(rng.integers(0, 3, shape // grain + 1), np.ones((grain, grain), int))
    classes = classes[: shape[0], : shape[1]].astype(np.uint8)
    noise = rng.random(classes.shape) < 0.1
    classes[noise] = rng.choice([0, 1, 2, 255], noise.sum())
    return classes


def disc(radius):
    row, col = np.indices((2 * radius + 3, 2 * radius + 3)) - radius - 1
    return (row**2 + col**2 <= radius**2).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPERS.values(), ids=SHAPERS)
@given(classes=blocks(26))
@settings(max_examples=40)
def test_neighbours_share_their_borders_without_gap_or_overlap(shape, classes):
    cover = polygons(outlined(classes, shape))
    assert shapely.is_valid(cover).all()
    assert shapely.coverage_is_valid(cover)
    assert shapely.union_all(cover).area == pytest.approx(classes.size)
    assert shapely.area(cover).sum() == pytest.approx(classes.size)


@pytest.mark.parametrize("shape", SHAPERS.values(), ids=SHAPERS)
@given(classes=blocks(26), height=st.integers(1, 9))
@settings(max_examples=25)
def test_outlines_do_not_depend_on_the_rows_fed_nor_on_what_else_is_a_target(
    shape, classes, height
):
    everything = outlined(classes, shape)
    for targets in ((0, 1, 2), (1,), (1, 255)):
        strips = outlined(classes, shape, targets, height)
        whole = [region for region in everything if region.class_id in targets]
        assert [r.first for r in strips] == [r.first for r in whole]
        assert shapely.equals(polygons(strips), polygons(whole)).all()


@pytest.mark.parametrize("shape", [DEFAULT, smooth_outlines], ids=["default", "smooth"])
@given(classes=blocks(26))
@settings(max_examples=40)
def test_no_pixel_centre_changes_sides(shape, classes):
    row, col = np.indices(classes.shape) + 0.5
    for region, polygon in zip(
        outlined(classes, EXACT), polygons(outlined(classes, shape)), strict=True
    ):
        (exact,) = polygons([region])
        assert np.array_equal(
            shapely.contains_xy(polygon, col, row), shapely.contains_xy(exact, col, row)
        )


@pytest.mark.parametrize("metres", [3, HALF_DIAGONAL, 12, 20, 70])
@given(classes=blocks(26))
@settings(max_examples=25)
def test_no_outline_moves_farther_than_the_tolerance(metres, classes):
    exact = polygons(outlined(classes, EXACT))
    moved = polygons(outlined(classes, simplified(metres)))
    for one, other in zip(exact, moved, strict=True):
        assert one.boundary.hausdorff_distance(other.boundary) * 10 <= metres * (1 + 1e-6)


def test_nodes_and_the_scenes_edge_stay():
    classes = np.kron([[1, 2], [0, 1]], np.ones((7, 9), int)).astype(np.uint8)
    classes[3, 8] = 2
    for region in outlined(classes, simplified(60)):
        points = {tuple(point) for ring in region.rings for point in ring.tolist()}
        assert (7, 9) in points
        corners = {(0, 0), (0, 18), (14, 0), (14, 18)}
        assert points & corners  # each of the four has a corner of the scene


@given(classes=blocks(26))
@settings(max_examples=40)
def test_smoothing_changes_no_area(classes):
    for region in outlined(classes, smooth_outlines):
        assert area_px([region]) == pytest.approx(region.pixels)


@pytest.mark.parametrize("side", [1, 2, 7])
@pytest.mark.parametrize("shape", [DEFAULT, smooth_outlines], ids=["default", "smooth"])
def test_a_rectangle_stays_as_it_is(shape, side):
    classes = np.zeros((12, 12), np.uint8)
    classes[2 : 2 + side, 3:9] = 1
    (region,) = outlined(classes, shape, (1,))
    assert shapely.equals_exact(
        polygons([region])[0].normalize(), shapely.box(3, 2, 9, 2 + side).normalize()
    )


def test_a_disc_keeps_its_area_and_loses_its_stairs():
    classes = disc(40)
    (exact,), (plain,), (smooth,) = (
        outlined(classes, shape, (1,)) for shape in (EXACT, DEFAULT, smooth_outlines)
    )
    assert area_px([plain]) == pytest.approx(exact.pixels, rel=2e-3)
    assert len(plain.rings[0]) < len(exact.rings[0]) / 2
    turns = np.diff(np.unwrap(np.arctan2(*np.diff(smooth.rings[0], axis=0).T)))
    assert abs(turns).max() < np.pi / 3


def test_stairs_of_one_pixel_become_one_line():
    classes = np.tril(np.ones((20, 20), np.uint8))
    (region,) = outlined(classes, DEFAULT, (1,))
    assert len(region.rings[0]) <= 7  # the triangle's corners, and where stairs meet the edge


def test_small_regions_survive_any_tolerance():
    classes = np.zeros((9, 9), np.uint8)
    classes[1, 1] = classes[4, 4:6] = classes[6:8, 1] = 1
    found = outlined(classes, simplified(1000), (1,))
    assert [round(area_px([region]), 9) > 0 for region in found] == [True] * 3


@pytest.mark.parametrize("metric", [PixelMetric(10, 20), PixelMetric(10, 10, 0.5)])
@given(classes=blocks(20))
@settings(max_examples=20)
def test_pixels_need_not_be_square(metric, classes):
    cover = polygons(outlined(classes, simplified(None, metric)))
    assert shapely.coverage_is_valid(cover)
    row, col = np.indices(classes.shape) + 0.5
    for one, other in zip(polygons(outlined(classes, EXACT)), cover, strict=True):
        assert np.array_equal(
            shapely.contains_xy(one, col, row), shapely.contains_xy(other, col, row)
        )


@pytest.mark.parametrize("metric", [SQUARE, PixelMetric(10, 20), PixelMetric(10, 10, 0.5)])
@pytest.mark.parametrize("metres", [None, 0, 3, 12, 40])
@given(classes=blocks(20))
@settings(max_examples=25)
def test_no_outline_encloses_more_than_its_pixels_may_reach(metric, metres, classes):
    for region in outlined(classes, simplified(metres, metric)):
        least = least_pixels(area_px([region]), metric, metres)
        assert least <= region.pixels * (1 + 1e-9)


@pytest.mark.parametrize(
    ("metric", "half_diagonal", "cut"),
    [
        (PixelMetric(10, 10), 7.0711, 3.5355),
        (PixelMetric(3, 4), 2.5, 1.2),
        (PixelMetric(10, 10, 0.6), 8.9443, 2.2361),
    ],
)
def test_lengths_of_a_pixel(metric, half_diagonal, cut):
    assert metric.half_diagonal == pytest.approx(half_diagonal, abs=1e-4)
    assert metric.cut == pytest.approx(cut, abs=1e-4)


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 2))
)
def test_marks_and_nodes_do_not_depend_on_the_rows_fed(classes):
    known = []
    for height in (1, 3, len(classes)):
        vertices = GridVertices(classes.shape[1])
        tracer = RegionTracer(classes.shape[1], (1, 2), vertices)
        keep = vertices.forget_above
        vertices.forget_above = lambda row: None  # all of them, for once
        for top in range(0, len(classes), height):
            tracer.feed(classes[top : top + height])
        tracer.finish()
        vertices.forget_above = keep
        known.append((vertices.nodes.tolist(), vertices.marks.tolist()))
    assert known[0] == known[1] == known[2]
    assert known[0][1] == sorted(set(known[0][1]))
