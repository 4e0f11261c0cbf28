"""Regions against a flood fill, their outlines against GDAL's polygons."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections import deque

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geodeforest.core import trace
from geodeforest.core.trace import RegionTracer

UNKNOWN = 255


def drawing(text):
    """A class map from a picture: # is class 1, o class 2, ? not assessed, others 0."""
    ids = {"#": 1, "o": 2, "?": UNKNOWN}
    lines = text.split()
    return np.array([[ids.get(mark, 0) for mark in line] for line in lines], np.uint8)


ADVERSARIES = {
    "one pixel": drawing("#"),
    "one row": drawing("##.#?#"),
    "one column": drawing("# # . # ? #"),
    "nothing": drawing("... ..."),
    "everything": drawing("### ###"),
    "checkerboard": np.indices((7, 8)).sum(axis=0).astype(np.uint8) % 2,
    "checkerboard of two targets": np.indices((6, 6)).sum(axis=0).astype(np.uint8) % 2 + 1,
    "spiral": drawing(
        """
        #########
        #.......#
        #.#####.#
        #.#...#.#
        #.#.#.#.#
        #.#.###.#
        #.#.....#
        #.#######
        """
    ),
    "nested rings": drawing("####### #.....# #.###.# #.#.#.# #.###.# #.....# #######"),
    "island in a hole": drawing("##### #...# #.o.# #...# #####"),
    "bridges of one pixel": drawing("###.### ###.### ####### ###.### ###.###"),
    "U that joins late": drawing("#...# #...# #...# #####"),
    "nested U": drawing("#.#.#.# #.#.#.# #.###.# #.....# #######"),
    "comb": drawing("#.#.#.#.# #.#.#.#.# #########"),
    "comb upside down": drawing("######### #.#.#.#.# #.#.#.#.#"),
    "diagonal of one region, joined before": drawing("### ##. #.# ###"),
    "diagonal of one region, joined later": drawing("##.. ##.. ..## #.## #..# ####"),
    "diagonal of two regions": drawing("##.. ##.. ..## ..##"),
    "diagonals of two regions that join later": drawing("#.#. .#.# #.#. ####"),
    "hole that touches the outline": drawing(".#### ##.## #..## #####"),
    "holes that touch": drawing("##### #.### ##.## #####"),
    "holes in a ring that touch": drawing("###### #.##.# ##..## ##..## #.##.# ######"),
    "ring of diagonals": drawing("..#.. .#.#. #...# .#.#. ..#.."),
    "stairs": np.tril(np.ones((6, 6), np.uint8)) - np.tril(np.ones((6, 6), np.uint8), -2),
    "gap in the observation": drawing("####### #?#.#.# ###.### .#???#. ###.###"),
}

label_maps = arrays(
    np.uint8,
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    elements=st.sampled_from([0, 1, 2, UNKNOWN]),
)
two_class_maps = arrays(
    np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 1)
)
target_sets = st.sampled_from([(1,), (1, 2), (0, 1, 2), (1, UNKNOWN), (0, 1, 2, UNKNOWN)])


def traced(classes, targets=(1,), scores=None, heights=None):
    """All regions of a map whose rows are fed in pieces of the given heights."""
    tracer = RegionTracer(classes.shape[1], targets)
    regions, top = [], 0
    for height in heights or [len(classes)]:
        part = slice(top, top + height)
        regions += tracer.feed(classes[part], None if scores is None else scores[part])
        top += height
    return regions + tracer.finish()


def even(height, total):
    return [height] * (total // height) + [total % height] * (total % height > 0)


def plain(region):
    """A region as a value that can be compared."""
    facts = dataclasses.asdict(region)
    return {**facts, "rings": [ring.tolist() for ring in region.rings]}


def flood(classes, targets):
    """Pixels of each region, as lists of (row, col), in canonical order."""
    left = {(int(r), int(c)) for r, c in zip(*np.nonzero(np.isin(classes, targets)), strict=True)}
    found = []
    while left:
        front = deque([left.pop()])
        pixels = []
        while front:
            row, col = front.popleft()
            pixels.append((row, col))
            for beside in neighbours(row, col):
                if beside in left and classes[beside] == classes[row, col]:
                    left.remove(beside)
                    front.append(beside)
        found.append(sorted(pixels))
    return sorted(found, key=lambda pixels: (pixels[-1][0], *pixels[0]))


def neighbours(row, col):
    return [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)]


def unobserved(classes, row, col):
    inside = 0 <= row < classes.shape[0] and 0 <= col < classes.shape[1]
    return not inside or classes[row, col] == UNKNOWN


def polygon(region):
    outer, *holes = (ring[:, ::-1] for ring in region.rings)
    return shapely.Polygon(outer, holes)


def gdal_polygons(classes, targets):
    shapes = rasterio.features.shapes(classes, mask=np.isin(classes, targets), connectivity=4)
    return {(int(value), shapely.geometry.shape(shape).normalize().wkb) for shape, value in shapes}


def check_facts(classes, targets, scores):
    regions = traced(classes, targets, scores)
    expected = flood(classes, targets)
    assert [r.first for r in regions] == [pixels[0] for pixels in expected]
    for region, pixels in zip(regions, expected, strict=True):
        stored = [int(scores[pixel]) for pixel in pixels]
        assert region.class_id == classes[pixels[0]]
        assert (region.pixels, region.score_sum) == (len(pixels), sum(stored))
        assert region.score_min == min(stored)
        if region.class_id != UNKNOWN:
            around = [beside for pixel in pixels for beside in neighbours(*pixel)]
            assert region.touches_unobserved == any(unobserved(classes, *at) for at in around)


def check_outlines(classes, targets):
    regions = traced(classes, targets)
    polygons = [polygon(region) for region in regions]
    assert all(shapely.is_valid(polygons))
    assert all(p.area == region.pixels for p, region in zip(polygons, regions, strict=True))
    ours = {(r.class_id, p.normalize().wkb) for p, r in zip(polygons, regions, strict=True)}
    assert ours == gdal_polygons(classes, targets)
    for region in regions:
        check_rings(region)


def check_rings(region):
    """Closed, corners only, each from its least corner, outer and holes turning apart."""
    starts = [tuple(ring[0]) for ring in region.rings]
    assert starts[0] == region.first
    assert starts[1:] == sorted(starts[1:])
    for number, ring in enumerate(region.rings):
        assert ring.dtype == np.int64
        steps = np.diff(ring, axis=0)
        assert (ring[0] == ring[-1]).all()
        assert ((steps == 0).sum(axis=1) == 1).all()
        turned = (steps == 0) == np.roll(steps == 0, 1, axis=0)
        assert not turned.any()
        assert tuple(ring[0]) == min(map(tuple, ring))
        assert shapely.LinearRing(ring).is_simple
        assert shapely.LinearRing(ring).is_ccw == (number == 0)


@pytest.mark.parametrize("name", ADVERSARIES)
@pytest.mark.parametrize("targets", [(1,), (0, 1, 2, UNKNOWN)])
def test_adversaries_are_outlined_as_by_gdal(name, targets):
    check_outlines(ADVERSARIES[name], targets)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_the_heights_fed_change_nothing(name):
    classes = ADVERSARIES[name]
    scores = np.arange(classes.size, dtype=np.uint8).reshape(classes.shape)
    whole = [plain(r) for r in traced(classes, (0, 1, 2), scores)]
    for height in range(1, len(classes)):
        pieces = traced(classes, (0, 1, 2), scores, even(height, len(classes)))
        assert [plain(r) for r in pieces] == whole


@settings(max_examples=150, deadline=None)
@given(label_maps, target_sets)
def test_maps_of_several_classes_are_outlined_as_by_gdal(classes, targets):
    check_outlines(classes, targets)


@settings(max_examples=150, deadline=None)
@given(two_class_maps)
def test_maps_of_two_classes_are_outlined_as_by_gdal(classes):
    check_outlines(classes, (1,))


@settings(max_examples=150, deadline=None)
@given(label_maps, target_sets, st.integers(0, 2**32 - 1))
def test_pixels_scores_and_contacts_are_those_of_a_flood_fill(classes, targets, seed):
    scores = np.random.default_rng(seed).integers(0, 256, classes.shape).astype(np.uint8)
    check_facts(classes, targets, scores)


@settings(max_examples=150, deadline=None)
@given(st.one_of(label_maps, two_class_maps), target_sets, st.data())
def test_any_heights_fed_give_the_same_regions(classes, targets, data):
    heights = data.draw(st.lists(st.integers(0, 4), max_size=12))
    heights.append(max(0, len(classes) - sum(heights)))
    scores = (classes * 40) ^ np.arange(classes.shape[1], dtype=np.uint8)
    fed = traced(classes, targets, scores, heights)
    assert [plain(r) for r in fed] == [plain(r) for r in traced(classes, targets, scores)]


def test_strips_cut_inside_a_feed_change_nothing(monkeypatch):
    classes = np.random.default_rng(5).choice(np.array([0, 1, UNKNOWN], np.uint8), (40, 30))
    whole = [plain(r) for r in traced(classes, (0, 1), classes)]
    monkeypatch.setattr(trace, "STRIP_PX", 100)
    assert [plain(r) for r in traced(classes, (0, 1), classes)] == whole


@settings(max_examples=100, deadline=None)
@given(label_maps, target_sets, st.integers(1, 6), st.integers(1, 9))
def test_small_regions_are_counted_and_change_no_other(classes, targets, least, height):
    tracer = RegionTracer(classes.shape[1], targets, least_px=least)
    found = [
        region
        for top in range(0, len(classes), height)
        for region in tracer.feed(classes[top : top + height])
    ]
    found += tracer.finish()
    all_of_them = traced(classes, targets)
    kept = [r for r in all_of_them if r.pixels >= least or r.class_id == UNKNOWN]
    assert [plain(r) for r in found] == [plain(r) for r in kept]
    assert tracer.dropped == len(all_of_them) - len(kept)


def test_a_region_is_handed_out_once_a_row_does_not_continue_it():
    tracer = RegionTracer(3, {1})
    assert tracer.feed(drawing(".#.")) == []
    assert tracer.feed(drawing("##.")) == []
    assert [r.pixels for r in tracer.feed(drawing("..#"))] == [3]
    assert [r.pixels for r in tracer.finish()] == [1]


def test_regions_come_by_last_row_then_first_pixel():
    regions = traced(drawing("#.#.# #...# ..#.. #.#.."))
    assert [r.first for r in regions] == [(0, 2), (0, 0), (0, 4), (2, 2), (3, 0)]


def test_no_rows_hold_no_region():
    assert RegionTracer(4, {1}).finish() == []


def test_without_scores_the_score_fields_are_zero():
    (region,) = traced(drawing("## ##"), heights=[1, 1])
    assert (region.score_sum, region.score_min) == (0, 0)


def test_score_sums_are_exact_beyond_small_integers():
    classes = np.ones((300, 300), np.uint8)
    (region,) = traced(classes, scores=np.full_like(classes, 250), heights=even(7, 300))
    assert region.score_sum == 300 * 300 * 250


def test_every_class_id_may_be_a_target():
    classes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    regions = traced(classes, range(256))
    assert [r.class_id for r in regions] == list(range(256))


@pytest.mark.parametrize(
    ("picture", "touches"),
    [
        ("..... .###. ..... .....", False),
        ("..... .###. ...?. .....", True),
        ("...?. .###. ..... .....", True),
        ("..... ?###. ..... .....", True),
        ("..... .###? ..... .....", True),
        ("?...? .###. ?...? .....", False),
        (".#... .###. ..... .....", True),
        ("..... ####. ..... .....", True),
        ("..... .#### ..... .....", True),
        ("..... .###. ..#.. ..#..", True),
    ],
)
@pytest.mark.parametrize("height", [1, 2, 4])
def test_contact_with_the_unobserved_is_by_sides_not_by_corners(picture, touches, height):
    (region,) = traced(drawing(picture), heights=even(height, 4))
    assert region.touches_unobserved is touches


def test_memory_follows_open_outlines_not_the_height():
    pattern = np.zeros((8, 64), np.uint8)
    pattern[1:4, ::2] = 1
    pattern[:, 0] = 1  # stays open throughout
    tracer = RegionTracer(64, {1})
    tracemalloc.start()
    for _ in range(300):
        tracer.feed(pattern)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    finished = 300 * 31
    assert held < finished * 4 * 8 / 4  # a quarter of the corners of what is finished
