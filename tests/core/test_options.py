"""What may be chosen for a scan, and the plan that follows from it."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from geodeforest.core.options import CACHE_BYTES, ScanOptions, Stored, plan_scan
from geodeforest.core.spec import ModelFile
from geodeforest.errors import OptionError
from geodeforest.testing import small_spec

LARGE = Stored(height=900, width=1000, pixel_bytes=6, block_rows=256)


def plan(stored=LARGE, threads=4, **chosen):
    return plan_scan(small_spec(), ScanOptions(**chosen), stored, threads)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_area": -1},
        {"min_area": math.nan},
        {"min_area": math.inf},
        {"threshold": 0},
        {"chip": 0},
        {"chip": -64},
        {"threads": 0},
        {"memory": 0},
        {"memory": None},
        {"max_pixels": None},
        {"min_area": None},
    ],
)
def test_a_choice_out_of_range_is_refused_by_its_name(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        ScanOptions(**wrong)


def test_numbers_of_numpy_are_the_same_choices_and_become_json():
    numpys = {"chip": np.int64(64), "threshold": np.float32(0.5), "min_area": np.float32(2)}
    plain = {"chip": 64, "threshold": 0.5, "min_area": 2.0}
    chosen = asdict(ScanOptions(**numpys, smooth=np.bool_(True)))
    assert json.dumps(chosen) == json.dumps(asdict(ScanOptions(**plain, smooth=True)))


def test_memory_does_not_depend_on_the_height_of_a_scene_larger_than_the_cache():
    tall = Stored(90_000, LARGE.width, LARGE.pixel_bytes, LARGE.block_rows)
    taller = Stored(900_000, LARGE.width, LARGE.pixel_bytes, LARGE.block_rows)
    assert plan(taller).bytes == plan(tall).bytes > plan().bytes


def test_no_more_is_cached_than_there_is():
    small = Stored(100, 200, 6, 100)
    assert small.cached_bytes == 100 * 200 * 6
    assert plan(small).cache_bytes == CACHE_BYTES
    finer = Stored(100, 200, 6, 100, file_size=(400, 800))
    assert finer.cached_bytes == 400 * 800 * 6


def test_threads_are_lowered_until_the_plan_fits():
    four = plan()
    assert four.within(four.bytes) == four
    lower = four.within(four.bytes - 1)
    assert (lower.threads, lower.grid) == (3, four.grid)
    assert four.within(four.bytes - (four.bytes - replace(four, threads=3).bytes) - 1).threads == 2
    assert lower.bytes <= four.bytes - 1


def test_one_thread_is_left_where_nothing_fits():
    assert plan().within(1).threads == 1


def test_there_are_no_more_threads_than_chips():
    assert plan(Stored(64, 64, 3, 64), threads=8).threads == 1


@pytest.mark.parametrize("block_rows", [1, 256, 512, 900])
def test_the_block_cache_holds_a_row_of_blocks_and_more(block_rows):
    stored = Stored(900, 100_000, 6, block_rows)
    assert stored.cache_bytes >= max(CACHE_BYTES, 1.25 * block_rows * 100_000 * 6)


def test_a_small_scene_gets_a_small_chip():
    grid = plan(Stored(9, 13, 3, 9)).grid
    assert (grid.chip, grid.overlap) == (16, 15)


def test_an_overlap_follows_a_smaller_chip():
    assert plan(chip=16).grid.overlap == 8


def test_a_large_model_is_part_of_the_plan():
    stored = Stored(300, 300, 3, 1)
    large = replace(small_spec(), files={"model.onnx": ModelFile("0" * 64, 10**8)})
    with_it, without = (plan_scan(s, ScanOptions(), stored, 1) for s in (large, small_spec()))
    assert with_it.bytes - without.bytes == 3 * 10**8


def test_columns_that_hold_nothing_take_no_memory_for_what_chip_rows_share():
    dense = Stored(90_000, 100_000, 6, 64, tile_cols=64, busy_cols=100_000)
    plans = [plan(replace(dense, busy_cols=cols)) for cols in (100_000, 640, 0)]
    assert plans[0].bytes == plan(replace(dense, busy_cols=None)).bytes
    assert plans[1].busy_cols == 640 + 10 * 2 * plans[1].grid.chip
    assert plans[0].bytes > plans[1].bytes > plans[2].bytes


def test_tiles_are_read_some_columns_at_a_time():
    tiles = plan(Stored(90_000, 100_000, 6, 64, tile_cols=64))
    whole = plan(Stored(90_000, 100_000, 6, 64))
    assert 1 < tiles.together < whole.together == whole.grid.chips_per_row
    assert (tiles.tile_rows, whole.tile_rows) == (64, 1)
    assert tiles.bytes < whole.bytes
