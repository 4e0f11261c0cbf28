"""Pixels of another size: what a dull loop over whole arrays would give, from any window."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.pixels import Pixels
from geodeforest.core.resample import Axis, resample
from geodeforest.errors import OptionError

STEPS = st.one_of(
    st.floats(0.11, 0.99), st.sampled_from([0.25, 1 / 3, 0.5, 1.0, 2.0, 3.0]), st.floats(1.01, 9)
)
AXES = st.builds(Axis, st.integers(1, 30), STEPS)


def dull_weights(axis):
    """The matrix (targets, sources) of an axis, from its definition, one number at a time."""
    matrix = np.zeros((axis.target, axis.source))
    for target in range(axis.target):
        if axis.step > 1:
            for source in range(axis.source):
                first, last = target * axis.step, (target + 1) * axis.step
                matrix[target, source] = max(0, min(source + 1, last) - max(source, first))
        else:
            centre = (target + 0.5) * axis.step - 0.5
            first = math.floor(centre)
            for source, share in ((first, first + 1 - centre), (first + 1, centre - first)):
                matrix[target, min(max(source, 0), axis.source - 1)] += share
        matrix[target] /= matrix[target].sum()
    return matrix


def dull(pixels, rows, cols):
    """Float64 means and lost shares of the whole target."""
    by_row, by_col = dull_weights(rows), dull_weights(cols)
    seen = by_row @ pixels.valid.astype(float) @ by_col.T
    sums = by_row @ np.where(pixels.valid, pixels.values, 0).astype(float) @ by_col.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / seen, 1 - seen


def random_pixels(rows, cols, dtype, seed, share_valid=0.8):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 200, (2, rows.source, cols.source)).astype(dtype)
    valid = rng.random(values.shape[1:]) < share_valid
    if np.dtype(dtype).kind == "f":
        values[:, ~valid] = np.nan
    return Pixels(values, valid)


def part(pixels, rows, cols, window=None):
    """A window (row, stop row, col, stop col) of the target, from no more source than it needs."""
    top, bottom, left, right = window or (0, rows.target, 0, cols.target)
    by_row, by_col = rows.taps(top, bottom), cols.taps(left, right)
    return resample(pixels.crop(by_row.source, by_col.source), by_row, by_col)


@given(AXES, AXES, st.sampled_from(["uint8", "uint16", "int32", "float32", "float64"]), st.data())
def test_the_whole_is_what_the_definition_says(rows, cols, dtype, data):
    pixels = random_pixels(rows, cols, dtype, data.draw(st.integers(0, 99)))
    found = part(pixels, rows, cols)
    mean, lost = dull(pixels, rows, cols)
    assert found.values.dtype == dtype
    sure = abs(lost - 0.5) > 1e-4
    np.testing.assert_array_equal(found.valid[sure], lost[sure] < 0.5)
    rounding = 0.5 if np.dtype(dtype).kind in "iu" else 0
    difference = abs(found.values - mean)[:, found.valid & sure]
    assert difference.max(initial=0) <= rounding + 2e-3


@given(AXES, AXES, st.sampled_from(["uint8", "int16", "float32"]), st.data())
def test_any_window_holds_the_same_bits_as_the_whole(rows, cols, dtype, data):
    pixels = random_pixels(rows, cols, dtype, data.draw(st.integers(0, 99)), 0.9)
    top, left = (data.draw(st.integers(0, axis.target - 1)) for axis in (rows, cols))
    bottom = data.draw(st.integers(top + 1, rows.target))
    right = data.draw(st.integers(left + 1, cols.target))
    whole, window = part(pixels, rows, cols), part(pixels, rows, cols, (top, bottom, left, right))
    np.testing.assert_array_equal(window.valid, whole.valid[top:bottom, left:right])
    inside = whole.values[:, top:bottom, left:right]
    assert window.values.tobytes() == np.ascontiguousarray(inside).tobytes()


@given(AXES, AXES, st.integers(0, 255))
def test_one_colour_stays_one_colour_where_anything_is_valid(rows, cols, colour):
    values = np.full((1, rows.source, cols.source), colour, np.uint8)
    valid = np.random.default_rng(colour).random(values.shape[1:]) < 0.7
    found = part(Pixels(np.where(valid, values, 99), valid), rows, cols)
    assert (found.values[:, found.valid] == colour).all()


@given(AXES, AXES)
def test_a_source_that_is_seen_everywhere_gives_a_target_that_is(rows, cols):
    values = np.zeros((1, rows.source, cols.source), np.uint8)
    assert part(Pixels(values, np.ones(values.shape[1:], bool)), rows, cols).valid.all()


@given(AXES)
def test_the_target_covers_the_source_to_half_a_pixel(axis):
    uncovered = axis.source / axis.step - axis.target
    assert -0.5 <= uncovered < 0.5 + 1e-9 or axis.target == 1


def test_the_same_size_changes_nothing():
    axis = Axis(7, 1.0)
    pixels = random_pixels(axis, axis, "uint16", 1)
    found = part(pixels, axis, axis)
    np.testing.assert_array_equal(found.valid, pixels.valid)
    np.testing.assert_array_equal(found.values[:, found.valid], pixels.values[:, pixels.valid])


def test_four_pixels_become_their_mean_and_halves_go_to_the_even_number():
    values = np.array([[[1, 2, 0, 4], [3, 4, 0, 2]]], np.uint8)
    found = part(Pixels(values, np.ones((2, 4), bool)), Axis(2, 2), Axis(4, 2))
    assert found.values.tolist() == [[[2, 2]]]


@pytest.mark.parametrize(("seen", "valid"), [(1, False), (2, True), (3, True)])
def test_half_of_the_weight_has_to_be_seen(seen, valid):
    mask = np.array([True] * seen + [False] * (4 - seen)).reshape(2, 2)
    values = np.where(mask, 50, 255)[np.newaxis].astype(np.uint8)
    found = part(Pixels(values, mask), Axis(2, 2), Axis(2, 2))
    assert found.valid.tolist() == [[valid]]
    assert not valid or found.values.tolist() == [[[50]]]


def test_sums_too_large_for_a_float_are_not_valid():
    values = np.full((1, 2, 2), np.finfo(np.float64).max)
    values[0, 0] *= -1
    found = part(Pixels(values, np.array([[False] * 2, [True] * 2])), Axis(2, 2), Axis(2, 2))
    assert np.isfinite(found.values[:, found.valid]).all()


@pytest.mark.parametrize("step", [0, -1, math.nan, math.inf])
def test_a_step_must_be_a_length(step):
    with pytest.raises(OptionError):
        Axis(5, step)
