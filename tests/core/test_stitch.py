"""Overlapping chips become rows: the streamed result against the whole array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.grid import ChipGrid, ChipRow, Window
from geodeforest.core.stitch import RowStitcher, taper

SIDES = st.integers(1, 70)


@st.composite
def grids(draw):
    chip = draw(st.integers(1, 24))
    return ChipGrid(draw(SIDES), draw(SIDES), chip, draw(st.integers(0, chip - 1)))


def stream(grid, scores, planes=2, skip=(), again=False):
    """The scene of (planes, height, width), settled chip by chip; ``again`` in each row anew."""
    stitcher = RowStitcher(grid, planes)
    whole, number = np.zeros((planes, grid.height, grid.width), np.float32), 0
    for row in grid.rows():
        for at, window in enumerate(row.chips):
            given = None if number in skip else scores[number].copy()
            final = stitcher.add(row, at, given)
            if final is not None:
                cols = slice(window.col, window.col + final.shape[2])
                whole[:, row.settled, cols] = final
            number += 1
        if again:
            held, stitcher = stitcher.held(), RowStitcher(grid, planes)
            stitcher.go_on(row, held)
    return whole


def whole(grid, scores, planes=2):
    """The dull way: sums and weights of the whole padded scene, divided at the end."""
    height, width = max(grid.height, grid.chip), max(grid.width, grid.chip)
    total, weight = np.zeros((planes, height, width)), np.zeros((height, width))
    for window, score in zip(grid, scores, strict=True):
        total[:, window.rows, window.cols] += score * taper(grid.chip, grid.overlap)
        weight[window.rows, window.cols] += taper(grid.chip, grid.overlap)
    return (total / weight)[:, : grid.height, : grid.width]


def random_scores(grid, seed, planes=2):
    rng = np.random.default_rng(seed)
    return rng.random((len(grid), planes, grid.chip, grid.chip), np.float32)


@given(grids(), st.integers(0, 2**32 - 1))
def test_streaming_equals_stitching_the_whole_array(grid, seed):
    scores = random_scores(grid, seed)
    np.testing.assert_allclose(stream(grid, scores), whole(grid, scores), rtol=2e-4, atol=1e-6)


@given(grids(), st.floats(0, 1, width=32))
def test_a_constant_comes_out_exactly_constant(grid, score):
    scores = np.full((len(grid), 1, grid.chip, grid.chip), score, np.float32)
    assert (stream(grid, scores, planes=1) == np.float32(score)).all()


@pytest.mark.parametrize("length", [1, 15, 16, 17])
def test_a_constant_is_exact_around_one_chip(length):
    grid = ChipGrid(length, length, chip=16, overlap=6)
    scores = np.full((len(grid), 1, 16, 16), 0.3, np.float32)
    assert (stream(grid, scores, planes=1) == np.float32(0.3)).all()


@given(grids(), st.integers(0, 2**32 - 1))
def test_the_mean_never_leaves_the_scores_it_is_made_of(grid, seed):
    scores = random_scores(grid, seed)
    out = stream(grid, scores)
    assert out.min() >= scores.min()
    assert out.max() <= scores.max()


@given(grids(), st.integers(0, 2**32 - 1))
def test_padding_never_reaches_the_rows(grid, seed):
    scores = random_scores(grid, seed)
    spoilt = scores.copy()
    for window, score in zip(grid, spoilt, strict=True):
        score[:, grid.height - window.row :] = np.nan
        score[:, :, grid.width - window.col :] = np.nan
    np.testing.assert_array_equal(stream(grid, spoilt), stream(grid, scores))


def test_chips_that_only_touch_keep_their_scores():
    grid = ChipGrid(8, 8, chip=4)
    scores = random_scores(grid, seed=1)
    out = stream(grid, scores)
    for window, score in zip(grid, scores, strict=True):
        np.testing.assert_array_equal(out[:, window.rows, window.cols], score)


def test_a_pixel_that_one_chip_covers_keeps_its_score():
    grid = ChipGrid(6, 10, chip=6, overlap=2)
    scores = random_scores(grid, seed=2)
    np.testing.assert_array_equal(stream(grid, scores)[:, :, :4], scores[0][:, :, :4])


def test_a_chip_counts_less_towards_its_border():
    grid = ChipGrid(4, 6, chip=4, overlap=2)
    scores = np.stack([np.zeros((1, 4, 4)), np.ones((1, 4, 4))]).astype(np.float32)
    across = stream(grid, scores, planes=1)[0, 0]
    np.testing.assert_allclose(across, [0, 0, 1 / 4097, 4096 / 4097, 1, 1], rtol=1e-6)


def test_weights_of_a_wide_overlap_are_never_zero():
    """Their product is a float32, which holds no 1e-46."""
    assert taper(4096, 2048).min() > 0


def blended(grid, scores, planes=2, skip=()):
    """The running mean over the whole padded scene: the same sums in the same order."""
    height, width = max(grid.height, grid.chip), max(grid.width, grid.chip)
    mean, seen = (
        np.zeros((planes, height, width), np.float32),
        np.zeros((height, width), np.float32),
    )
    weight = taper(grid.chip, grid.overlap)
    for number, (window, score) in enumerate(zip(grid, scores, strict=True)):
        if number not in skip:
            part, weights = mean[:, window.rows, window.cols], seen[window.rows, window.cols]
            weights += weight
            part += (score - part) * (weight / weights)
    return mean[:, : grid.height, : grid.width]


@given(grids(), st.integers(0, 2**32 - 1), st.booleans())
def test_every_bit_is_that_of_a_running_mean_over_the_whole_scene(grid, seed, again):
    scores = random_scores(grid, seed)
    out = stream(grid, scores, again=again)
    np.testing.assert_array_equal(out, blended(grid, scores))


@given(grids(), st.integers(0, 2**32 - 1), st.booleans())
def test_what_no_skipped_chip_covers_is_as_if_none_was_skipped(grid, seed, again):
    scores = random_scores(grid, seed)
    rng = np.random.default_rng(seed)
    skip = set(np.flatnonzero(rng.random(len(grid)) < 0.3).tolist())
    out = stream(grid, scores, skip=skip, again=again)
    asked = np.ones((grid.height, grid.width), bool)
    for number in skip:
        window = list(grid)[number]
        asked[window.rows, window.cols] = False
    expected = blended(grid, scores, skip=skip)
    np.testing.assert_array_equal(out[:, asked], expected[:, asked])


def test_nothing_is_held_where_no_chip_was_added():
    grid = ChipGrid(40, 10**9, chip=16, overlap=4)
    row = ChipRow(0, (Window(0, 0, 16, 16), Window(0, 12, 16, 16)), slice(0, 12))
    stitcher = RowStitcher(grid, 1)
    assert stitcher.add(row, 0, None) is None
    assert stitcher.add(row, 1, None) is None
    assert stitcher.held().mean.size == 0


@given(st.integers(1, 64), st.data())
def test_weights_are_symmetric_and_never_zero(chip, data):
    weights = taper(chip, data.draw(st.integers(0, chip - 1)))
    assert weights.shape == (chip, chip)
    assert weights.min() > 0
    assert weights.max() <= 1
    np.testing.assert_array_equal(weights, weights.T)
    np.testing.assert_array_equal(weights, weights[::-1])


def test_without_overlap_all_weights_are_one():
    assert (taper(5, 0) == 1).all()


def test_the_smallest_weight_of_the_largest_chip_is_a_normal_number():
    assert taper(8192, 8191).min() > np.finfo(np.float32).tiny
