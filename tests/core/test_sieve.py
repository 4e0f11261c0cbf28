"""Merging of small regions, against the same rule followed pixel by pixel."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geodeforest.core import run_labels as module
from geodeforest.core.sieve import Sieve

maps = arrays(
    np.uint8,
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    elements=st.sampled_from([0, 0, 1, 1, 2, 255]),
)


def drawing(text):
    ids = {"#": 1, "o": 2, "?": 255}
    return np.array([[ids.get(mark, 0) for mark in line] for line in text.split()], np.uint8)


def merged(classes, min_area, height=None, row_m=10.0, col_m=10.0, areas=None):
    """The map without regions under ``min_area`` pixels."""
    height = height or len(classes)
    parts = [classes[top : top + height] for top in range(0, len(classes), height)]
    areas = np.ones(classes.shape[1]) if areas is None else areas
    small = Sieve(classes.shape[1], row_m, col_m)
    for part in parts:
        small.feed(part, areas)
    relabelling = small.relabelling(min_area)
    return np.concatenate([relabelling.feed(part) for part in parts])


def regions(classes):
    """The pixels of each region by flood fill, in the order of their first pixels."""
    number, found = np.full(classes.shape, -1), []
    for start in np.ndindex(classes.shape):
        if number[start] >= 0 or classes[start] == 255:
            continue
        number[start], pixels = len(found), [start]
        for row, col in pixels:
            for near in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
                inside = 0 <= near[0] < classes.shape[0] and 0 <= near[1] < classes.shape[1]
                if inside and number[near] < 0 and classes[near] == classes[start]:
                    number[near] = len(found)
                    pixels.append(near)
        found.append(pixels)
    return number, found


def expected(classes, min_area):
    """One round after the other, as the rule says."""
    number, found = regions(classes)
    own = [classes[pixels[0]] for pixels in found]
    sides = defaultdict(int)
    for (row, col), one in np.ndenumerate(number):
        for near in ((row, col + 1), (row + 1, col)):
            if near[0] < classes.shape[0] and near[1] < classes.shape[1]:
                other = number[near]
                if one >= 0 and other >= 0 and one != other:
                    sides[min(one, other), max(one, other)] += 1
    group, class_of = list(range(len(found))), dict(enumerate(own))

    def join(pairs):
        for one, other in pairs:
            low, high = sorted((group[one], group[other]))
            group[:] = [low if g == high else g for g in group]

    while True:
        size, border = defaultdict(int), defaultdict(int)
        for region, of in enumerate(group):
            size[of] += len(found[region])
        for (one, other), length in sides.items():
            if group[one] != group[other]:
                border[group[one], group[other]] += length
                border[group[other], group[one]] += length
        choice = {}
        for (one, other), length in border.items():
            rank = (-length, -size[other], other)
            if size[one] < min_area and rank < choice.get(one, ((1,), None))[0]:
                choice[one] = (rank, other)
        if not choice:
            break
        join((one, other) for one, (_, other) in choice.items())
        for of in set(group):
            members = [r for r, g in enumerate(group) if g == of]
            class_of[of] = own[min(members, key=lambda r: (-len(found[r]), r))]
        join([pair for pair in sides if class_of[group[pair[0]]] == class_of[group[pair[1]]]])
    ends = [class_of[of] for of in group]
    return np.where(number < 0, 255, np.array([*ends, 255], np.uint8)[number])


@given(classes=maps, min_area=st.integers(0, 12), height=st.integers(1, 9))
@settings(max_examples=300)
def test_small_regions_are_merged_as_the_rule_says(classes, min_area, height):
    assert np.array_equal(merged(classes, min_area, height), expected(classes, min_area))


@given(classes=maps, min_area=st.integers(0, 12))
def test_only_regions_without_a_neighbour_stay_small(classes, min_area):
    after = merged(classes, min_area)
    number, found = regions(after)
    for pixels in found:
        if len(pixels) < min_area:
            around = {
                number[row + down, col + right]
                for row, col in pixels
                for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1))
                if 0 <= row + down < len(after) and 0 <= col + right < after.shape[1]
            }
            assert around <= {-1, number[pixels[0]]}


def test_the_longest_border_decides_not_the_largest_neighbour():
    classes = drawing("oooo.... o##o.... oooo.... ........")
    assert merged(classes, 3)[1].tolist() == [2, 2, 2, 2, 0, 0, 0, 0]


def test_borders_are_measured_on_the_ground():
    classes = drawing(".... .##. oooo")
    assert merged(classes, 3, row_m=1, col_m=100)[1, 1] == 0
    classes = drawing(".ooo .#o. .ooo")
    assert merged(classes, 2, row_m=100, col_m=1)[1, 1] in (0, 2)
    assert merged(drawing("ooo .#. ooo"), 2, row_m=1, col_m=9)[1, 1] == 2
    assert merged(drawing("ooo .#. ooo"), 2, row_m=9, col_m=1)[1, 1] == 0


def test_areas_are_by_column():
    classes = drawing("..... .#.#. .....")
    after = merged(classes, 2, areas=np.array([1, 1, 1, 5, 1.0]))
    assert after[1].tolist() == [0, 0, 0, 1, 0]


def test_an_island_in_a_clearing_is_filled_and_a_speck_in_the_forest_goes():
    classes = drawing("####### #.....# ##.#### ####### ....... ...#... .......")
    after = merged(classes, 7)
    assert after.tolist() == [[1] * 7] * 4 + [[0] * 7] * 3


def test_what_was_not_assessed_neither_gives_nor_takes():
    classes = drawing("?????? ?#??.? ?????? ......")
    assert np.array_equal(merged(classes, 6) == 255, classes == 255)
    assert merged(classes, 6)[1, 1] == 1


@pytest.mark.parametrize("strip", [1, 40])
@given(classes=maps)
@settings(max_examples=50)
def test_it_does_not_depend_on_how_rows_are_cut(strip, classes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "STRIP_PX", strip)
        cut = merged(classes, 5, 4)
    assert np.array_equal(cut, merged(classes, 5))
