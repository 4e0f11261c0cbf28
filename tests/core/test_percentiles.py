"""Percentiles by counting are those that numpy finds by putting numbers in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from geodeforest.core.percentiles import Sample
from geodeforest.core.pixels import BandScale

WANTED = (0, 0.1, 2, 50, 98, 100)

samples = st.sampled_from(["uint8", "int8", "uint16", "int16", "int32", "float32"]).flatmap(
    lambda dtype: arrays(
        dtype,
        array_shapes(min_dims=2, max_dims=2, max_side=40),
        elements=st.integers(*((-100, 100) if "uint" not in dtype else (0, 200))),
    )
)


@given(samples)
def test_they_are_numpys(sample):
    expected = np.percentile(sample.astype(np.float64), WANTED, axis=1)
    np.testing.assert_allclose(Sample(sample).percentiles(WANTED), expected, rtol=0, atol=1e-9)


@given(samples)
def test_scaled_ones_are_those_of_the_scaled_numbers(sample):
    scale = BandScale(-20, 90)
    expected = np.percentile(scale(sample).astype(np.float64), WANTED, axis=1)
    found = Sample(sample).percentiles(WANTED, scale)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_the_ends_of_a_type_are_counted(dtype):
    ends = np.iinfo(dtype)
    sample = np.array([[ends.max, ends.min, ends.max]], dtype)
    found = Sample(sample).percentiles((0, 100))
    np.testing.assert_array_equal(found, [[ends.min], [ends.max]])


@given(samples)
def test_what_was_asked_before_changes_nothing(sample):
    one, scale = Sample(sample), BandScale(-20, 90)
    first = one.percentiles(WANTED)
    np.testing.assert_array_equal(
        one.percentiles(WANTED, scale), Sample(sample).percentiles(WANTED, scale)
    )
    np.testing.assert_array_equal(one.percentiles(WANTED), first)
