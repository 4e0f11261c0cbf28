"""Windows, and the grid of chips that covers a scene."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.grid import ChipGrid, Window, portions
from geodeforest.errors import OptionError


@st.composite
def grids(draw, longest=90):
    chip = draw(st.integers(1, 40))
    return ChipGrid(
        height=draw(st.integers(1, longest)),
        width=draw(st.integers(1, longest)),
        chip=chip,
        overlap=draw(st.integers(0, chip - 1)),
    )


@given(grids())
def test_chips_cover_every_pixel(grid):
    covered = np.zeros((grid.height, grid.width), bool)
    for chip in grid:
        covered[chip.rows, chip.cols] = True
    assert covered.all()


@given(grids())
def test_chips_stay_inside_a_scene_that_is_large_enough(grid):
    for chip in grid:
        assert chip.row >= 0
        assert chip.col >= 0
        assert chip.row + chip.height <= max(grid.height, grid.chip)
        assert chip.col + chip.width <= max(grid.width, grid.chip)


@given(grids())
def test_all_chips_have_the_size_asked_for(grid):
    assert {(chip.height, chip.width) for chip in grid} == {(grid.chip, grid.chip)}


@given(grids())
def test_no_chip_comes_twice(grid):
    chips = list(grid)
    assert len(set(chips)) == len(chips) == len(grid)


@given(grids())
def test_neighbours_share_at_least_the_overlap(grid):
    tops = [row.top for row in grid.rows()]
    lefts = [chip.col for chip in next(grid.rows()).chips]
    for starts in (tops, lefts):
        steps = np.diff(starts)
        assert (steps > 0).all()
        assert (steps <= grid.chip - grid.overlap).all()


@given(grids())
def test_settled_rows_tile_the_height_in_order(grid):
    settled = [row.settled for row in grid.rows()]
    assert settled[0].start == 0
    assert settled[-1].stop == grid.height
    for above, below in itertools.pairwise(settled):
        assert above.stop == below.start


@given(grids())
def test_settled_rows_are_touched_by_no_later_chip_row(grid):
    rows = list(grid.rows())
    for row, below in itertools.pairwise(rows):
        assert row.settled.stop <= below.top


@given(grids())
def test_settled_rows_lie_in_their_own_chip_row(grid):
    for row in grid.rows():
        assert row.top == row.settled.start
        assert row.settled.stop <= row.top + grid.chip


@pytest.mark.parametrize(
    ("length", "starts"),
    [(1, [0]), (511, [0]), (512, [0]), (513, [0, 1]), (960, [0, 448]), (961, [0, 448, 449])],
)
def test_the_last_chip_is_pulled_back_to_the_edge(length, starts):
    grid = ChipGrid(length, 512, chip=512, overlap=64)
    assert [row.top for row in grid.rows()] == starts


def test_chips_go_row_by_row():
    corners = [(chip.row, chip.col) for chip in ChipGrid(4, 6, chip=2)]
    assert corners == [(0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4)]


@pytest.mark.parametrize(
    "sizes",
    [(0, 5, 4, 0), (5, 0, 4, 0), (5, 5, 0, 0), (5, 5, 4, 4), (5, 5, 4, -1)],
)
def test_a_grid_that_makes_no_sense_is_refused(sizes):
    with pytest.raises(OptionError):
        ChipGrid(*sizes)


def test_a_window_is_rows_first():
    window = Window(row=2, col=5, height=3, width=4)
    array = np.arange(100).reshape(10, 10)[window.rows, window.cols]
    assert array.shape == (3, 4)
    assert array[0, 0] == 25


def test_within_cuts_what_reaches_beyond_the_scene():
    assert Window(8, -2, 5, 5).within(10, 10) == Window(8, 0, 2, 3)


def test_within_keeps_what_lies_inside():
    assert Window(1, 2, 3, 4).within(10, 10) == Window(1, 2, 3, 4)


@pytest.mark.parametrize("window", [Window(10, 0, 1, 1), Window(0, 10, 2, 2), Window(-3, 0, 3, 3)])
def test_within_refuses_what_lies_outside(window):
    with pytest.raises(OptionError, match="at least one pixel"):
        window.within(10, 10)


@pytest.mark.parametrize(("height", "width"), [(0, 1), (1, 0), (-1, 1)])
def test_an_empty_window_is_refused(height, width):
    with pytest.raises(OptionError, match="at least one pixel"):
        Window(0, 0, height, width)


@given(st.integers(0, 400), st.integers(1, 400), st.integers(1, 5000))
def test_portions_are_even_and_leave_no_row_out(height, width, size_px):
    found = list(portions(height, width, size_px))
    assert [row for part in found for row in range(height)[part]] == list(range(height))
    heights = {part.stop - part.start for part in found}
    assert not heights or max(heights) - min(heights) <= 1
    assert all(rows == 1 or (rows - 1) * width <= 1.5 * size_px for rows in heights)
