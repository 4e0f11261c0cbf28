"""Objects and their matches, against a flood fill and all pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from geodeforest.core.objects import ObjectMatcher
from geodeforest.core.spec import ConfidenceRule

RULE = ConfidenceRule(medium=0.6, high=0.8)


def flooded(mask):
    """The 4-connected objects of a mask as sets of pixels."""
    left, objects = set(zip(*np.nonzero(mask), strict=True)), []
    while left:
        queue, inside = [left.pop()], set()
        while queue:
            row, col = queue.pop()
            inside.add((row, col))
            for near in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
                if near in left:
                    left.remove(near)
                    queue.append(near)
        objects.append(inside)
    return objects


def oracle(truth, found, scores, min_px):
    real = [o for o in flooded(truth) if len(o) >= min_px]
    seen = [o for o in flooded(found) if len(o) >= min_px]
    matched = sum(len(r & s) / len(r | s) > 0.5 for r in real for s in seen)
    confidence = [[0, 0, 0] for _ in range(3)]
    for some in seen:
        mean = sum(int(scores[pixel]) for pixel in some) / len(some) / 250
        row = confidence[int(mean >= 0.6) + int(mean >= 0.8)]
        row[0] += 1
        row[1] += len(some)
        row[2] += sum(bool(truth[pixel]) for pixel in some)
    return [len(real), len(seen), matched], confidence


masks = arrays.arrays(bool, (12, 9))


@given(
    masks,
    masks,
    arrays.arrays(np.uint8, (12, 9), elements=st.sampled_from([130, 160, 210, 249])),
    st.lists(st.integers(1, 11), max_size=4),
    st.sampled_from([1, 3]),
)
def test_counts_are_those_of_all_pairs_of_objects(truth, found, scores, cuts, min_px):
    matcher = ObjectMatcher(9)
    for rows in np.split(np.arange(12), sorted(set(cuts))):
        matcher.feed(truth[rows], found[rows], scores[rows])
    counts = matcher.finish(RULE, min_px)
    matches, confidence = oracle(truth, found, scores, min_px)
    assert counts.matches.tolist() == matches
    assert counts.confidence.tolist() == confidence


def one_row(truth, found):
    masks = [np.array([[c == "#" for c in text]]) for text in (truth, found)]
    matcher = ObjectMatcher(len(truth))
    matcher.feed(*masks, np.full(masks[0].shape, 250, np.uint8))
    return matcher.finish(RULE).matches.tolist()


def test_half_of_the_union_is_not_enough():
    assert one_row("####..", "##....") == [1, 1, 0]
    assert one_row("####..", "###...") == [1, 1, 1]


def test_an_object_broken_in_two_is_matched_by_none():
    assert one_row("#####", "##.##") == [1, 2, 0]


def test_nothing_on_either_side_is_counted_as_nothing():
    assert one_row("....", "....") == [0, 0, 0]


def test_an_object_that_forks_and_joins_again_is_one():
    mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)
    matcher = ObjectMatcher(3)
    for row in mask:
        matcher.feed(row[np.newaxis], row[np.newaxis], np.full((1, 3), 250, np.uint8))
    assert matcher.finish(RULE).matches.tolist() == [1, 1, 1]
