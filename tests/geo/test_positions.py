"""Positions become the text that Python's own JSON would give."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.geo.positions import ring_texts

units = st.integers(-1_800_000_000, 1_800_000_000) | st.integers(-200, 200)


def plain(points):
    return json.dumps(points.tolist(), separators=(",", ":"))


@given(st.lists(st.tuples(units, units), min_size=1, max_size=20))
def test_text_has_the_same_numbers_as_they_were(found):
    points = np.array(found) / 1e7
    (text,) = ring_texts(points, np.array([len(points)]))
    np.testing.assert_array_equal(np.array(json.loads(text)), points)


@given(st.lists(st.tuples(units, units), min_size=1, max_size=20))
def test_text_is_as_short_as_pythons(found):
    points = np.array(found) / 1e7
    points[abs(points) < 1e-4] = 0  # which Python writes with an exponent
    (text,) = ring_texts(points, np.array([len(points)]))
    assert text == plain(points)


def test_each_ring_has_a_text_of_its_own():
    points = np.array([[0, 1.5], [-179.9999999, 90], [100.1, -0.0000001], [10, 9.01]])
    texts = ring_texts(points, np.array([1, 3, 4]))
    assert texts == [
        "[[0.0,1.5]]",
        "[[-179.9999999,90.0],[100.1,-0.0000001]]",
        "[[10.0,9.01]]",
    ]


def test_more_decimals_or_digits_are_left_to_others():
    for odd in (1e-8, 12.34567891, 1000.0, np.nan, np.inf):
        assert ring_texts(np.array([[0.0, odd]]), np.array([1])) is None
