"""Marks spread over a square around each marked pixel."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.spread import spread


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_it_marks_what_lies_in_a_square_around_a_mark(height, width, reach, seed):
    marked = np.random.default_rng(seed).random((height, width)) < 0.1
    expected = np.zeros_like(marked)
    for row, col in np.argwhere(marked):
        expected[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1] = 1
    assert np.array_equal(spread(marked, reach), expected)
