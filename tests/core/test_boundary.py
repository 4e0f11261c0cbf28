"""Boundary pixels and their distances, against a search over all pairs of pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from geodeforest.core.boundary import BoundaryCounter, boundary, dilated


def oracle(truth, found, number, tolerance):
    """Pixel by pixel: boundaries by their four neighbours, then every distance."""

    def edges(classes):
        rows, cols = classes.shape
        return [
            (row, col)
            for row in range(rows)
            for col in range(cols)
            if classes[row, col] == number
            and any(
                classes[r, c] not in (number, 255)
                for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1))
                if 0 <= r < rows and 0 <= c < cols
            )
        ]

    def near(one, others):
        return any((one[0] - o[0]) ** 2 + (one[1] - o[1]) ** 2 <= tolerance**2 for o in others)

    real, seen = edges(truth), edges(found)
    return [
        len(real),
        sum(near(pixel, seen) for pixel in real),
        len(seen),
        sum(near(pixel, real) for pixel in seen),
    ]


@given(
    arrays.arrays(np.uint8, (2, 9, 7), elements=st.sampled_from([0, 1, 2, 255])),
    st.integers(0, 4),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_counts_are_those_of_all_pairs_of_pixels_however_rows_are_fed(maps, tolerance, cuts):
    truth, found = maps
    unknown = (truth == 255) | (found == 255)
    truth[unknown] = found[unknown] = 255
    counter = BoundaryCounter(3, 7, tolerance)
    for rows in np.split(np.arange(9), sorted({cut for cut in cuts if cut < 9})):
        counter.feed(truth[rows], found[rows])
    expected = [oracle(truth, found, number, tolerance) for number in range(3)]
    assert counter.finish().tolist() == expected


def test_a_square_moved_by_two_pixels_is_right_within_two_only():
    truth, found = np.zeros((2, 30, 30), np.uint8)
    truth[5:20, 5:20] = found[7:22, 7:22] = 1
    matched = {}
    for tolerance in (0, 1, 2, 3):
        counter = BoundaryCounter(2, 30, tolerance)
        counter.feed(truth, found)
        matched[tolerance] = counter.finish()[1].tolist()
    assert matched[3] == [56, 56, 56, 56]
    assert matched[0][1] == 2
    assert matched[0][1] < matched[1][1] < matched[2][1]


def test_what_is_not_known_is_no_boundary():
    classes = np.array([[1, 255], [1, 1]], np.uint8)
    assert not boundary(classes, 1).any()


def test_no_more_rows_are_held_than_the_tolerance_asks_for():
    counter = BoundaryCounter(2, 8, 2)
    for _ in range(100):
        counter.feed(np.zeros((5, 8), np.uint8), np.zeros((5, 8), np.uint8))
    assert counter._rows.shape[1] <= 2 * 3 + 5


def test_a_disc_is_a_disc():
    point = np.zeros((9, 9), bool)
    point[4, 4] = True
    rows, cols = np.indices((9, 9)) - 4
    assert (dilated(point, 3) == (rows**2 + cols**2 <= 9)).all()
