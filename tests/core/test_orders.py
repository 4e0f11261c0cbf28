"""Orders by several keys, by a sort of tuples."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.orders import order_by

numbers = st.one_of(st.integers(0, 3), st.integers(0, 2**62), st.sampled_from([2**16, 2**32 - 1]))


@given(st.lists(st.tuples(numbers, numbers)))
def test_the_last_key_comes_first_and_equals_stay_in_order(pairs):
    low, high = np.array(pairs, np.int64).reshape(-1, 2).T
    expected = sorted(range(len(pairs)), key=lambda i: pairs[i][::-1])
    assert order_by(low, high).tolist() == expected
