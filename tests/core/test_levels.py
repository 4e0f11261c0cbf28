"""Statistics of a whole scene, from a bounded sample of it."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.grid import Window
from geodeforest.core.levels import SceneSample, sample_valid, sample_windows, scene_levels
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import Ceiling, SceneInput
from geodeforest.testing import ArraySource

UNIT = BandScale(0, 100)
DARK = SceneInput("dark", 2)


def levels(values, inputs=(DARK,), valid=None, scale=UNIT):
    source = ArraySource(np.asarray(values), valid)
    return scene_levels(SceneSample(source.read, source.height, source.width), scale, inputs)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 6), st.integers(1, 20))
def test_squares_lie_inside_and_never_overlap(height, width, windows, window):
    seen = np.zeros((height, width), int)
    for square in sample_windows(height, width, windows, window):
        assert square.within(height, width) == square
        seen[square.rows, square.cols] += 1
    assert seen.max() == 1


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_the_sample_is_bounded(height, width):
    squares = sample_windows(height, width, 16, 32)
    assert len(squares) <= 256
    assert sum(square.height * square.width for square in squares) <= 512 * 512


@pytest.mark.parametrize("side", [1, 31, 32, 33, 511, 512])
def test_a_scene_up_to_the_sample_is_covered_whole(side):
    assert sample_windows(side, side, 16, 32) == [Window(0, 0, side, side)]


def test_the_squares_reach_the_scenes_first_and_last_pixel():
    squares = sample_windows(5000, 700, 16, 32)
    assert (squares[0].row, squares[0].col) == (0, 0)
    last = squares[-1]
    assert (last.row + last.height, last.col + last.width) == (5000, 700)


def test_the_level_is_the_percentile_of_each_band():
    values = np.stack([np.arange(101).reshape(1, 101), np.full((1, 101), 40)]).astype(np.uint8)
    np.testing.assert_allclose(levels(values), [[0.02, 0.4]], rtol=1e-6)


@pytest.mark.parametrize(
    ("dark_red", "dark_blue", "kept"),
    [
        (20, 50, 20),  # far enough below blue
        (45, 50, 30),  # no plant is as red as that: 20 below blue
        (45, 30, 15),  # ... or the least that it may be held to
        (12, 30, 12),
    ],
)
def test_a_ceiling_holds_a_band_below_another(dark_red, dark_blue, kept):
    rule = SceneInput("dark", 0, ceiling=Ceiling(band=0, under=1, gap=0.2, least=0.15))
    values = np.array([[[dark_red, 90]], [[dark_blue, 90]]], np.uint8)
    np.testing.assert_allclose(
        levels(values, inputs=(rule,)), [[kept / 100, dark_blue / 100]], rtol=1e-6
    )


def test_each_input_has_its_own_percentile():
    values = np.arange(101, dtype=np.uint8).reshape(1, 1, 101)
    found = levels(values, inputs=(DARK, SceneInput("bright", 98)))
    np.testing.assert_allclose(found, [[0.02], [0.98]], rtol=1e-6)
    assert found.dtype == np.float32


def test_what_is_not_valid_does_not_count():
    values = np.array([[[0, 0, 50, 50]]], np.uint8)
    found = levels(values, valid=np.array([[False, False, True, True]]))
    np.testing.assert_array_equal(found, [[0.5]])


def test_a_scene_without_a_valid_pixel_has_no_level():
    assert levels(np.zeros((3, 5, 5), np.uint8), valid=np.zeros((5, 5), bool)) is None


def test_only_the_sample_is_read():
    source, read = ArraySource(np.zeros((1, 3000, 3000), np.uint8)), []

    def watched(window):
        read.append(window.height * window.width)
        return source.read(window)

    sample = sample_valid(watched, 3000, 3000, DARK)
    assert sample.shape == (1, 16 * 16 * 32 * 32) == (1, sum(read))


@pytest.mark.parametrize("twins", [1, 2, 300])
@pytest.mark.parametrize("side", [20, 600, 1500])
def test_twins_give_the_same_sample_each_in_one_thread(side, twins):
    values = np.random.default_rng(side).integers(0, 255, (2, side, side), np.uint8)
    source, threads = ArraySource(values, values[0] > 9), [set() for _ in range(1 + twins)]

    def reading(number):
        def read(window):
            threads[number].add(threading.get_ident())
            return source.read(window)

        return read

    first, *others = map(reading, range(1 + twins))
    sample = sample_valid(first, side, side, DARK, others)
    np.testing.assert_array_equal(sample, sample_valid(source.read, side, side, DARK))
    assert all(len(idents) <= 1 for idents in threads)


def test_the_first_square_that_fails_is_told():
    source = ArraySource(np.ones((1, 1500, 1500), np.uint8))

    def failing(window):
        raise ValueError(f"row {window.row}")

    with pytest.raises(ValueError, match="row 0"):
        sample_valid(failing, 1500, 1500, DARK, [source.read, failing])


def test_what_comes_after_a_square_that_fails_is_not_read_on():
    source, failed, read = ArraySource(np.ones((1, 1500, 1500), np.uint8)), threading.Event(), []

    def failing(window):
        failed.set()
        raise ValueError(f"row {window.row}")

    def slow(window):
        assert failed.wait(20)
        time.sleep(0.01)
        read.append(window)
        return source.read(window)

    with pytest.raises(ValueError, match="row 0"):
        sample_valid(failing, 1500, 1500, DARK, [slow])
    assert len(read) < 20  # of 128


def test_what_comes_before_a_square_that_fails_is_read_to_its_end():
    """Else which of several squares is told would be chance."""
    source, failed, read = ArraySource(np.ones((1, 1500, 1500), np.uint8)), threading.Event(), []

    def failing(window):
        failed.set()
        raise ValueError("the last")

    def slow(window):
        assert failed.wait(20)
        read.append(window)
        if len(read) == 128:
            raise ValueError("the first")
        return source.read(window)

    with pytest.raises(ValueError, match="the first"):
        sample_valid(slow, 1500, 1500, DARK, [failing])


def seen_in_a_corner(side=700):
    """A scene in which only 3 x 2 pixels were observed, where no square of the sample lies."""
    values, valid = np.zeros((1, side, side), np.uint8), np.zeros((side, side), bool)
    values[:, 36:39, 36:38], valid[36:39, 36:38] = 60, True
    return values, valid


def test_what_the_squares_miss_is_found_row_by_row():
    values, valid = seen_in_a_corner()
    assert not any(valid[s.rows, s.cols].any() for s in sample_windows(700, 700, 16, 32))
    np.testing.assert_allclose(levels(values, valid=valid), [[0.6]], rtol=1e-6)


def test_rows_are_read_only_until_there_is_enough():
    rule, read = SceneInput("dark", 2, windows=2, window=8), []
    valid = np.zeros((400, 100), bool)
    valid[10:40, 20:80] = valid[200:300, 20:80] = True
    source = ArraySource(np.ones((1, 400, 100), np.uint8), valid)

    def watched(window):
        read.append(window)
        return source.read(window)

    assert sample_valid(watched, 400, 100, rule).shape[1] >= (2 * 8) ** 2
    assert max(window.row + window.height for window in read if window.width == 100) <= 40


def test_inputs_with_the_same_squares_share_one_sample():
    values = np.arange(101, dtype=np.uint8).reshape(1, 1, 101)
    source, read = ArraySource(values), []

    def watched(window):
        read.append(window)
        return source.read(window)

    inputs = (DARK, SceneInput("bright", 98))
    found = scene_levels(SceneSample(watched, 1, 101), UNIT, inputs)
    np.testing.assert_allclose(found, [[0.02], [0.98]], rtol=1e-6)
    assert len(read) == len(set(read))
