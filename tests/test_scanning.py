"""The scan loop on fakes: what comes out, what is read, what is computed."""

import threading
import tracemalloc
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest import scanning
from geodeforest.core.options import ScanOptions, Stored, plan_scan
from geodeforest.core.pixels import BandScale, Pixels
from geodeforest.core.program import PROGRAM_BYTES
from geodeforest.core.reflectance import Reading
from geodeforest.core.spec import SceneInput
from geodeforest.core.stitch import HeldRow
from geodeforest.errors import OptionError
from geodeforest.scanning import Carried, Stretch, radiometry, scan_rows
from geodeforest.testing import ArraySource, ConstantPredictor, ThresholdPredictor, small_spec

READING = Reading(BandScale(0, 255), "the test")


def run(source, predictor, threads=2, progress=None, read=None, **chosen):
    """Classes and scores; ``read`` is how many chips are read together, and the rows of tiles."""
    options = ScanOptions(**chosen)
    plan = plan_scan(predictor.spec, options, Stored(source.height, source.width, 3, 1), threads)
    if read is not None:
        plan = replace(plan, together=read[0], tile_rows=read[1])
    how = radiometry(source, predictor.spec, READING)
    rows = list(scan_rows(source, predictor, plan, how, progress))
    assert [r.first for r in rows] == np.cumsum([0, *[len(r.classes) for r in rows]])[:-1].tolist()
    return np.concatenate([r.classes for r in rows]), np.concatenate([r.scores for r in rows])


def random_scene(height, width, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (3, height, width), np.uint8)
    return values, rng.random((height, width)) < 0.9


SIZES = st.sampled_from([1, 2, 3, 31, 63, 64, 65, 100, 129, 150])


@given(SIZES, SIZES, st.sampled_from([0, 8, 16, 40]), st.integers(0, 99))
def test_every_pixel_comes_out_where_it_went_in(height, width, overlap, seed):
    values, valid = random_scene(height, width, seed)
    classes, scores = run(ArraySource(values, valid), ThresholdPredictor(0.5), overlap=overlap)
    expected = np.where(valid, values[0] > 127, 255)
    assert np.array_equal(classes, expected)
    assert np.array_equal(scores, np.where(valid, 250 * expected, 255))


@given(SIZES, SIZES, st.floats(0, 1, width=32), st.sampled_from([0, 16, 40]))
def test_a_constant_score_comes_out_constant_borders_included(height, width, score, overlap):
    values, _ = random_scene(height, width)
    _, scores = run(ArraySource(values), ConstantPredictor(score), overlap=overlap)
    assert (scores == scores[0, 0]).all()
    assert abs(scores[0, 0] / 250 - score) <= 0.5 / 250 + 1e-6


class Noisy(ThresholdPredictor):
    """Scores that differ between chips: each pixel gets its distance to the chip's corner."""

    def predict(self, chips, scene_level=None):
        rows, cols = np.indices(chips.shape[1:3], np.float32)
        score = ((rows * 7 + cols * 3) % 101 / 101)[np.newaxis] * chips[..., 0]
        return np.stack([1 - score, score], axis=-1).astype(np.float32)


def test_the_number_of_threads_changes_nothing():
    values, valid = random_scene(200, 170)
    one = run(ArraySource(values, valid), Noisy(), threads=1)
    for threads in (2, 3, 7):
        many = run(ArraySource(values, valid), Noisy(), threads=threads)
        assert np.array_equal(one[0], many[0])
        assert np.array_equal(one[1], many[1])


class Counting(ArraySource):
    """Counts how often each row is read after the statistics are taken."""

    def __init__(self, values, valid=None):
        super().__init__(values, valid)
        self.reads = np.zeros(values.shape[1], int)

    def read(self, window):
        if window.width == self.width:
            self.reads[window.rows] += 1
        return super().read(window)


READS = st.sampled_from([(1, 1), (1, 16), (2, 7), (3, 64), (2, 100)])


@given(SIZES, SIZES, st.sampled_from([0, 16, 40]), READS, st.integers(0, 99))
def test_how_a_scene_is_read_changes_nothing(height, width, overlap, read, seed):
    values, valid = random_scene(height, width, seed)
    whole = run(ArraySource(values, valid), Noisy(), overlap=overlap)
    parts = run(ArraySource(values, valid), Noisy(), overlap=overlap, read=read)
    assert np.array_equal(whole[0], parts[0])
    assert np.array_equal(whole[1], parts[1])


class Tiled(ArraySource):
    """Counts how often each pixel is read, and each tile of so many rows."""

    def __init__(self, values, tile_rows):
        super().__init__(values)
        self.pixels = np.zeros(values.shape[1:], int)
        self.tiles = np.zeros((-(-values.shape[1] // tile_rows), values.shape[2]), int)
        self._tile_rows = tile_rows

    def read(self, window):
        self.pixels[window.rows, window.cols] += 1
        last = (window.row + window.height - 1) // self._tile_rows
        self.tiles[window.row // self._tile_rows : last + 1, window.cols] += 1
        return super().read(window)


@given(SIZES, SIZES, st.sampled_from([0, 16, 40]), READS)
def test_every_pixel_and_every_tile_is_read_once(height, width, overlap, read):
    values, _ = random_scene(height, width)
    source = Tiled(values, read[1])
    how = radiometry(source, small_spec(), READING)
    source.pixels[...] = source.tiles[...] = 0
    plan = plan_scan(small_spec(), ScanOptions(overlap=overlap), Stored(height, width, 3, 1), 2)
    plan = replace(plan, together=read[0], tile_rows=read[1])
    for _ in scan_rows(source, ThresholdPredictor(), plan, how):
        pass
    assert (source.pixels == 1).all()
    assert (source.tiles == 1).all()


def test_every_row_is_read_once():
    values, _ = random_scene(300, 1200)
    scene = Counting(values)
    run(scene, ThresholdPredictor())
    assert (scene.reads == 1).all()


class Watched(ThresholdPredictor):
    """Counts its calls."""

    calls = 0
    lock = threading.Lock()

    def predict(self, chips, scene_level=None):
        with self.lock:
            type(self).calls += 1
        return super().predict(chips)


def test_chips_without_a_valid_pixel_are_not_computed():
    values, _ = random_scene(64, 64 * 4)
    valid = np.zeros((64, 256), bool)
    valid[:, :60] = True
    Watched.calls = 0
    classes, _ = run(ArraySource(values, valid), Watched(), overlap=0)
    assert Watched.calls == 1
    assert (classes[:, 60:] == 255).all()


class Exact(ThresholdPredictor):
    """Fails when it is shown anything but real pixels and the fill."""

    def predict(self, chips, scene_level=None):
        assert np.isfinite(chips).all()
        assert chips.max() <= 0.5
        return super().predict(chips)


def test_what_was_not_observed_never_reaches_the_network():
    values = np.full((3, 70, 70), 100.0, np.float32)
    values[:, 5, 5] = np.nan
    values[:, 6, 6] = 250
    valid = np.ones((70, 70), bool)
    valid[5, 5] = valid[6, 6] = False
    classes, _ = run(ArraySource(values, valid), Exact())
    assert (classes == 255).sum() == 2


def test_a_scene_without_a_valid_pixel_has_no_radiometry():
    scene = ArraySource(np.zeros((3, 9, 9), np.uint8), np.zeros((9, 9), bool))
    assert radiometry(scene, small_spec(), READING) is None


def test_the_scene_level_is_the_scenes_not_the_chips():
    class Levelled(ThresholdPredictor):
        seen = set()  # noqa: RUF012

        def predict(self, chips, scene_level=None):
            self.seen.add(scene_level.tobytes())
            assert scene_level.shape == (1, 3)
            return super().predict(chips)

    values, _ = random_scene(150, 150)
    spec = replace(small_spec(), scene_inputs=(SceneInput("dark", 2),))
    run(ArraySource(values), Levelled(spec=spec))
    expected = np.percentile(values.reshape(3, -1) / np.float32(255), 2, axis=1)
    assert len(Levelled.seen) == 1
    assert np.frombuffer(Levelled.seen.pop(), np.float32) == pytest.approx(expected, abs=1e-6)


def test_progress_counts_every_chip():
    values, _ = random_scene(150, 150)
    calls = []
    run(ArraySource(values), ThresholdPredictor(), progress=lambda d, t: calls.append((d, t)))
    assert calls == [(n, 9) for n in range(1, 10)]


class Broken(ThresholdPredictor):
    def predict(self, chips, scene_level=None):
        raise RuntimeError("no memory")


def test_an_error_in_a_worker_comes_out():
    values, _ = random_scene(200, 200)
    with pytest.raises(RuntimeError, match="no memory"):
        run(ArraySource(values), Broken())
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name and t.is_alive()]


@pytest.mark.parametrize(("chip", "overlap"), [(30, None), (64, 64), (64, 80)])
def test_chips_that_do_not_suit_the_model_are_refused(chip, overlap):
    values, _ = random_scene(100, 100)
    with pytest.raises(OptionError):
        run(ArraySource(values), ThresholdPredictor(), chip=chip, overlap=overlap)


def test_rows_decided_a_few_at_a_time_are_the_same(monkeypatch):
    values, valid = random_scene(200, 170)
    whole = run(ArraySource(values, valid), Noisy())
    for pixels in (1, 170 * 7):
        monkeypatch.setattr(scanning, "_HANDED_PX", pixels)
        few = run(ArraySource(values, valid), Noisy())
        assert np.array_equal(whole[0], few[0])
        assert np.array_equal(whole[1], few[1])


class Copied(ArraySource):
    """Reads into memory of its own, as from a file."""

    def read(self, window):
        pixels = super().read(window)
        return Pixels(pixels.values.copy(), pixels.valid.copy())


def test_a_scan_holds_no_more_than_its_plan_says():
    spec = small_spec(bands=tuple("abcdefgh"))
    source = Copied(np.ones((8, 400, 6000), np.float32))
    predictor = ThresholdPredictor(spec=spec)
    plan = plan_scan(spec, ScanOptions(), Stored(400, 6000, 32, 1), 2)
    how = radiometry(source, spec, READING)
    peaks = []
    for _ in range(3):  # threads that have to wait for a processor hold less at a time
        tracemalloc.start()
        for _ in scan_rows(source, predictor, plan, how):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    planned = plan.bytes - PROGRAM_BYTES - plan.cache_bytes
    assert 0.7 * planned < max(peaks) < planned


def test_a_scan_that_is_given_up_leaves_no_thread():
    values, _ = random_scene(300, 300)
    plan = plan_scan(small_spec(), ScanOptions(), Stored(300, 300, 3, 1), 2)
    source = ArraySource(values)
    rows = scan_rows(source, ThresholdPredictor(), plan, radiometry(source, small_spec(), READING))
    next(rows)
    rows.close()
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name and t.is_alive()]


class Slow(ThresholdPredictor):
    """Works on a chip until it is told to stop, but for the first two."""

    def __init__(self):
        super().__init__()
        object.__setattr__(self, "calls", iter(range(99)))
        object.__setattr__(self, "at_work", threading.Event())
        object.__setattr__(self, "stopped", threading.Event())

    def predict(self, chips, scene_level=None):
        if next(self.calls) >= 2:
            self.at_work.set()
            assert self.stopped.wait(60), "nobody stopped the run"
            raise RuntimeError("stopped")
        return super().predict(chips)

    def stop(self, threads):
        assert len(threads) == 1
        assert threading.get_ident() not in threads
        self.stopped.set()


def test_a_scan_that_is_given_up_does_not_wait_for_the_network():
    values, _ = random_scene(300, 64)
    # With more threads than one, others could take both of the calls that end.
    plan = plan_scan(small_spec(), ScanOptions(), Stored(300, 64, 3, 1), 1)
    source, predictor = ArraySource(values), Slow()
    rows = scan_rows(source, predictor, plan, radiometry(source, small_spec(), READING))
    next(rows)
    assert predictor.at_work.wait(60)
    rows.close()
    assert predictor.stopped.is_set()
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name and t.is_alive()]


class Ticks(list):
    """A progress that keeps what it is told."""

    def __call__(self, done, total):
        self.append((done, total))


def copied(carried):
    held = HeldRow(*(array.copy() for array in astuple(carried.held)))
    return Carried(held, carried.failed.copy())


@pytest.mark.parametrize(("overlap", "on_error"), [(0, "fail"), (16, "skip"), (40, "skip")])
def test_a_scan_in_stretches_is_the_scan_in_one(overlap, on_error):
    values, valid = random_scene(330, 150)
    failed = np.zeros_like(valid)
    failed[60:63, 20:40] = failed[200, :] = failed[257, 140] = True
    source, predictor = ArraySource(values, valid & ~failed, failed=failed), Noisy()
    options = ScanOptions(overlap=overlap, on_error=on_error)
    plan = plan_scan(predictor.spec, options, Stored(330, 150, 3, 1), 2)
    how = radiometry(source, predictor.spec, READING)

    def facts(rows):
        hurt = np.zeros(rows.classes.shape, bool) if rows.failed is None else rows.failed
        return [
            (rows.first + i, *map(bytes, line))
            for i, line in enumerate(zip(rows.classes, rows.scores, hurt, strict=True))
        ]

    whole, after, ends = [], [], []
    for rows in scan_rows(source, predictor, plan, how):
        whole += facts(rows)
        if rows.carried is not None:
            after.append(copied(rows.carried))
            ends.append(len(whole))
    assert len(after) == plan.grid.chip_rows > 4
    for first, stop in ((0, 2), (1, 2), (2, None), (len(after) - 1, None)):
        stretch = Stretch(first, stop, after[first - 1] if first else None)
        ticks = Ticks()
        parts = list(scan_rows(source, predictor, plan, how, ticks, stretch))
        begin = ends[first - 1] if first else 0
        assert [f for part in parts for f in facts(part)] == whole[begin : ends[(stop or 0) - 1]]
        assert ticks[0] == (first * plan.grid.chips_per_row + 1, len(plan.grid))


def test_rows_say_what_is_carried_on_once_in_a_chip_row(monkeypatch):
    monkeypatch.setattr(scanning, "_HANDED_PX", 170 * 7)
    values, _ = random_scene(200, 170)
    plan = plan_scan(small_spec(), ScanOptions(), Stored(200, 170, 3, 1), 2)
    how = radiometry(ArraySource(values), small_spec(), READING)
    ends = [
        rows.first + len(rows.classes)
        for rows in scan_rows(ArraySource(values), ThresholdPredictor(), plan, how)
        if rows.carried is not None
    ]
    assert ends == [row.settled.stop for row in plan.grid.rows()]
