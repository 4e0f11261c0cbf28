"""The scan loop where only some pixels count: outside, without a baseline, or unread."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.decide import other_class, outside_id, restrict
from geodeforest.core.options import ScanOptions, Stored, plan_scan
from geodeforest.core.pixels import BandScale, Pixels
from geodeforest.core.reflectance import Reading
from geodeforest.core.spec import ClassDef
from geodeforest.errors import SpecError
from geodeforest.scanning import radiometry, scan_rows
from geodeforest.testing import ArraySource, ThresholdPredictor, small_spec

READING = Reading(BandScale(0, 255), "the test")
OUTSIDE = outside_id(small_spec())
SIZES = st.sampled_from([1, 2, 31, 63, 64, 65, 100, 129, 150])


class Contextual(ThresholdPredictor):
    """Scores that depend on a chip's whole neighbourhood, and on where its corner lies."""

    def predict(self, chips, scene_level=None):
        blurred = chips[..., 0]
        for axis in (1, 2):
            blurred = (blurred + np.roll(blurred, 1, axis) + np.roll(blurred, -1, axis)) / 3
        rows, cols = np.indices(chips.shape[1:3], np.float32)
        score = blurred * (0.7 + 0.3 * ((rows * 7 + cols * 3) % 101 / 101))
        return np.stack([1 - score, score], axis=-1).astype(np.float32)


def run(source, predictor=None, threads=2, on_error="fail", read=(99, 1), **chosen):
    predictor = predictor or Contextual()
    options = ScanOptions(on_error=on_error, **chosen)
    stored = Stored(source.height, source.width, 3, 1)
    plan = plan_scan(predictor.spec, options, stored, threads)
    plan = replace(plan, together=read[0], tile_rows=read[1])
    rows = list(scan_rows(source, predictor, plan, radiometry(source, predictor.spec, READING)))
    failed = [np.zeros(r.classes.shape, bool) if r.failed is None else r.failed for r in rows]
    parts = [r.classes for r in rows], [r.scores for r in rows], failed
    return tuple(map(np.concatenate, parts))


def world(height, width, seed):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (3, height // 5 + 1, width // 5 + 1), np.uint8)
    values = coarse.repeat(5, 1).repeat(5, 2)[:, :height, :width]
    return rng, values, rng.random((height, width)) < 0.9


@given(SIZES, SIZES, st.sampled_from([0, 8, 16, 40]), st.integers(0, 99))
def test_an_area_of_interest_cuts_the_result_and_changes_nothing_in_it(
    height, width, overlap, seed
):
    rng, values, valid = world(height, width, seed)
    outside = np.ones((height, width), bool)
    outside[rng.integers(0, height) :, rng.integers(0, width) :] = False
    classes, scores, _ = run(ArraySource(values, valid), overlap=overlap)
    limited = ArraySource(values, valid, outside=outside)
    cut, cut_scores, _ = run(limited, overlap=overlap, read=(2, 30))
    assert np.array_equal(cut, np.where(outside, OUTSIDE, classes))
    assert np.array_equal(cut_scores, np.where(outside, 255, scores))


@given(SIZES, SIZES, st.integers(0, 99))
def test_without_forest_before_there_is_no_deforestation(height, width, seed):
    rng, values, valid = world(height, width, seed)
    before = rng.choice(np.array([0, 1, 255], np.uint8), (height, width))
    classes, scores, _ = run(ArraySource(values, valid))
    found, found_scores, _ = run(ArraySource(values, valid, before=before))
    never, unknown = before == 0, (before == 255) | ~valid
    expected = np.where(never & (classes == 1), 2, classes)
    assert np.array_equal(found, np.where(unknown, 255, expected))
    assert np.array_equal(found_scores, np.where(unknown, 255, np.where(never, 0, scores)))


def test_chips_wholly_outside_are_not_computed():
    class Counted(ThresholdPredictor):
        calls = 0

        def predict(self, chips, scene_level=None):
            Counted.calls += 1
            return super().predict(chips)

    _, values, _ = world(64, 256, 0)
    outside = np.ones((64, 256), bool)
    outside[10:20, 70:80] = False
    run(ArraySource(values, outside=outside), Counted(), overlap=0)
    assert Counted.calls == 1


def dilated(failed, reach):
    """What lies within ``reach`` rows and columns of a failed pixel."""
    found = np.zeros_like(failed)
    for row, col in np.argwhere(failed):
        found[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1] = True
    return found


class Broken(ArraySource):
    """A source of which some blocks of 16 x 16 px cannot be read."""

    def __init__(self, values, blocks):
        height, width = values.shape[1:]
        failed = blocks.repeat(16, 0).repeat(16, 1)[:height, :width]
        super().__init__(values, ~failed, failed=failed)
        self.failed = failed

    def read(self, window):
        pixels = super().read(window)
        return pixels if pixels.failed.any() else replace(pixels, failed=None)


READS = st.sampled_from([(99, 1), (1, 1), (2, 30)])


@given(SIZES, SIZES, st.sampled_from([0, 3, 8, 16, 40]), READS, st.integers(0, 2**32 - 1))
def test_nothing_within_the_halo_of_what_failed_is_assessed(height, width, overlap, read, seed):
    rng, values, _ = world(height, width, seed)
    source = Broken(values, rng.random((-(-height // 16), -(-width // 16))) < 0.08)
    classes, scores, failed = run(source, overlap=overlap, on_error="skip", read=read)
    assert np.array_equal(failed, dilated(source.failed, small_spec().halo))
    assert np.array_equal(classes == 255, failed)
    assert np.array_equal(scores == 255, failed)


@pytest.mark.parametrize("overlap", [0, 3, 8, 16, 40])
@pytest.mark.parametrize("block", range(10))
def test_a_failure_reaches_across_the_borders_of_chip_rows(block, overlap):
    _, values, _ = world(150, 150, 0)
    blocks = np.zeros((10, 10), bool)
    blocks[block, 4] = True
    source = Broken(values, blocks)
    classes, _, _ = run(source, overlap=overlap, on_error="skip")
    assert np.array_equal(classes == 255, dilated(source.failed, small_spec().halo))


@pytest.mark.parametrize("threads", [1, 3, 7])
def test_what_failed_is_the_same_whatever_the_threads(threads):
    rng, values, _ = world(300, 150, 3)
    source = Broken(values, rng.random((19, 10)) < 0.05)
    one = run(source, overlap=0, on_error="skip", threads=1)
    many = run(source, overlap=0, on_error="skip", threads=threads)
    assert all(map(np.array_equal, one, many))


def test_what_failed_outside_is_outside():
    _, values, _ = world(64, 64, 0)
    blocks = np.zeros((4, 4), bool)
    blocks[0, 0] = True
    source = Broken(values, blocks)
    outside = np.zeros((64, 64), bool)
    outside[:20] = True
    limited = ArraySource(values, ~source.failed, failed=source.failed, outside=outside)
    classes, _, failed = run(limited, on_error="skip")
    halo = small_spec().halo
    assert failed.sum() == (16 + halo - 20) * (16 + halo)
    assert ((classes == 255) == failed).all()
    assert (classes[:20] == OUTSIDE).all()


def test_a_scene_of_which_nothing_can_be_read_is_not_assessed():
    values = np.zeros((3, 70, 70), np.uint8)
    classes, _, failed = run(Broken(values, np.ones((5, 5), bool)), on_error="skip")
    assert (classes == 255).all()
    assert failed.all()


def test_the_models_own_other_class_takes_what_was_no_forest():
    spec = replace(
        small_spec(),
        classes=(
            ClassDef(2, "forest", "forest"),
            ClassDef(7, "clearing", "deforestation"),
            ClassDef(9, "water", "other"),
        ),
    )
    assert other_class(spec).name == "water"
    classes, stored = np.array([[7, 2, 255]], np.uint8), np.array([[200, 10, 255]], np.uint8)
    before = np.zeros((1, 3), np.uint8)
    restrict(
        classes, stored, Pixels(np.zeros((1, 1, 3)), np.ones((1, 3), bool), before=before), spec
    )
    assert classes.tolist() == [[9, 2, 255]]
    assert stored.tolist() == [[0, 0, 255]]


def test_ids_beside_the_models_are_free():
    spec = replace(
        small_spec(),
        classes=(ClassDef(2, "forest", "forest"), ClassDef(254, "cut", "deforestation")),
    )
    assert other_class(spec) == ClassDef(0, "other", "other")
    assert outside_id(spec) == 253


def test_a_model_with_nearly_all_ids_is_refused():
    classes = tuple(
        ClassDef(i, str(i), "deforestation" if i == 1 else "forest") for i in range(254)
    )
    with pytest.raises(SpecError, match="holds 254"):
        replace(small_spec(), classes=classes)


def test_rows_of_pixels_keep_what_limits_them():
    values, valid = np.zeros((1, 2, 3)), np.ones((2, 3), bool)
    outside = np.array([[True, False, True]] * 2)
    parts = Pixels(values, valid, outside=outside), Pixels(values, valid, failed=~outside)
    whole = Pixels.joined(parts, axis=0)
    assert whole.valid.shape == (4, 3)
    assert whole.outside[:2].tolist() == outside.tolist()
    assert not whole.outside[2:].any()
    assert not whole.failed[:2].any()
    assert whole.failed[2:].tolist() == (~outside).tolist()
    assert whole.before is None
    assert whole.crop(slice(1, 3), slice(1)).outside.tolist() == [[True], [False]]
