"""Stored pixels and their way to the network's input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.pixels import BandScale, Pixels, pad_reflect, to_input
from geodeforest.errors import OptionError

SCALE = BandScale(0, 200)


def pixels(values, valid=None):
    values = np.asarray(values, np.uint8)
    return Pixels(values, np.ones(values.shape[1:], bool) if valid is None else np.array(valid))


def test_low_becomes_zero_and_high_one():
    scaled = BandScale(1000, 3000)(np.array([1000, 2000, 3000], np.uint16))
    np.testing.assert_array_equal(scaled, np.array([0, 0.5, 1], np.float32))
    assert scaled.dtype == np.float32


@given(st.lists(st.integers(0, 65535), min_size=1))
def test_what_lies_beyond_the_scale_is_clipped(stored):
    scaled = BandScale(100, 900)(np.array(stored, np.uint16))
    assert scaled.min() >= 0
    assert scaled.max() <= 1


def test_unsigned_numbers_below_low_do_not_wrap_around():
    assert BandScale(100, 200)(np.array([0], np.uint8)) == 0


@pytest.mark.parametrize(
    ("low", "high"),
    [(1, 1), (2, 1), (float("nan"), 1), (0, 1e-46), (0, 1e39), (-1e39, 0), (-3e38, 3e38)],
)
def test_a_scale_that_does_not_rise_is_refused(low, high):
    with pytest.raises(OptionError, match="LOW must be less"):
        BandScale(low, high)


@given(
    st.sampled_from(["uint8", "uint16", "int16", "float32"]),
    st.floats(-100, 2000, width=32),
    st.floats(1, 1e5, width=32),
)
def test_one_scale_for_all_bands_is_arithmetic_in_float32(dtype, low, span):
    stored = np.random.default_rng(0).integers(0, 128, (2, 3, 4)).astype(dtype)
    high = low + span
    above = stored.astype(np.float32) - np.float32(low)
    expected = (above / np.float32(high - low)).clip(0, 1)
    assert BandScale(low, high)(stored).tobytes() == expected.tobytes()


@pytest.mark.parametrize("ends", [(0, 255), (0, 255.5), (0, 254.9), (-0.5, 255), (0, 1000)])
def test_all_bytes_are_scaled_by_the_same_arithmetic(ends):
    stored = np.arange(256, dtype=np.uint8).reshape(1, -1)
    low, span = np.float32(ends[0]), np.float32(ends[1] - ends[0])
    expected = ((stored.astype(np.float32) - low) / span).clip(0, 1)
    assert BandScale(*ends)(stored).tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", [(3, 5), (3, 2, 4)])
def test_each_band_is_scaled_by_its_own_numbers(shape):
    stored = np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)
    lows, highs = (0, 100.5, 0.1), (3558, 2000, 1e4)
    scaled = BandScale(lows, highs)(stored)
    alone = [BandScale(*ends)(band) for *ends, band in zip(lows, highs, stored, strict=True)]
    np.testing.assert_array_equal(scaled, np.stack(alone))


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_not_real_is_filled_however_the_pixels_lie_in_memory(bands, order):
    valid = np.ones((4, 6), bool)
    valid[1, 2] = False
    values = np.full((bands, 4, 6), 100, np.uint8, order)
    image = to_input(Pixels(values, valid), SCALE, np.float32([0.25] * bands))
    np.testing.assert_array_equal(image[valid], 0.5)
    np.testing.assert_array_equal(image[~valid], 0.25)


def test_bands_of_one_scale_are_one_number():
    assert BandScale((0, 0.0), [9, 9]) == BandScale(0, 9)
    assert BandScale([1, 2], 9).bands == 2
    assert BandScale(1, 9).bands is None


def test_a_scale_is_told_as_people_write_it():
    assert str(BandScale(0, 3558)) == "0..3558"
    assert str(BandScale((0, 0.5), 1)) == "0..1 / 0.5..1"


@pytest.mark.parametrize(("low", "high"), [((0, 1), (2, 3, 4)), ((0, 5), (9, 5)), ([], 3)])
def test_bands_that_do_not_match_are_refused(low, high):
    with pytest.raises(OptionError, match="LOW"):
        BandScale(low, high)


@pytest.mark.parametrize("shape", [(3, 4), (1, 4, 3), (1, 1, 3, 4)])
def test_values_and_valid_must_fit(shape):
    with pytest.raises(OptionError, match="must be"):
        Pixels(np.zeros(shape), np.ones((3, 4), bool))


def test_a_crop_is_a_view():
    whole = pixels(np.arange(24).reshape(2, 3, 4))
    part = whole.crop(slice(1, 3), slice(0, 2))
    np.testing.assert_array_equal(part.values[1], [[16, 17], [20, 21]])
    assert part.valid.shape == (2, 2)
    assert np.shares_memory(part.values, whole.values)


def test_bands_come_last_in_the_input():
    image = to_input(pixels([[[0, 100]], [[200, 50]]]), SCALE, np.zeros(2, np.float32))
    np.testing.assert_array_equal(image, np.array([[[0, 1], [0.5, 0.25]]], np.float32))
    assert image.flags.c_contiguous
    assert image.dtype == np.float32


@given(
    st.sampled_from(["uint8", "uint16", "int32", "float32", "float64"]),
    st.sampled_from([BandScale(0, 255), BandScale(3, 99), BandScale((0, 7.5, 1), (255, 200, 9))]),
    st.integers(0, 2**32 - 1),
)
def test_the_input_is_the_same_however_pixels_lie_in_memory(dtype, scale, seed):
    rng = np.random.default_rng(seed)
    values, valid = rng.integers(0, 256, (3, 9, 7)).astype(dtype), rng.random((9, 7)) < 0.8
    fill = np.array([0.1, 0.2, 0.3], np.float32)
    expected = np.stack(list(scale(values)), axis=-1)
    expected[~valid] = fill
    for whole in (Pixels(values, valid), Pixels(values, valid).bands_last()):
        image = to_input(whole.crop(slice(2, 8), slice(1, 6)), scale, fill)
        assert image.tobytes() == expected[2:8, 1:6].tobytes()


def test_bands_last_in_memory_stay_so_when_pixels_are_copied_and_joined():
    whole = pixels(np.arange(60).reshape(3, 4, 5)).bands_last()
    copied = whole.crop(slice(1, 3), slice(1, 4)).copy()
    joined = Pixels.joined([whole, whole.copy()], axis=0)
    for part in (whole, copied, joined):
        assert part.values.transpose(1, 2, 0).flags.c_contiguous
    np.testing.assert_array_equal(joined.values[:, :4], np.arange(60).reshape(3, 4, 5))


def test_what_was_not_observed_takes_the_fill():
    seen = pixels([[[0, 100]], [[200, 50]]], valid=[[False, True]])
    image = to_input(seen, SCALE, np.array([0.7, 0.3], np.float32))
    np.testing.assert_array_equal(image[0, 0], np.array([0.7, 0.3], np.float32))
    np.testing.assert_array_equal(image[0, 1], [0.5, 0.25])


def test_what_is_not_finite_never_reaches_the_network():
    stored = np.array([[[np.nan, np.inf, 0.5]]], np.float32)
    seen = Pixels(stored, np.isfinite(stored[0]))
    image = to_input(seen, BandScale(0, 1), np.zeros(1, np.float32))
    np.testing.assert_array_equal(image[0, :, 0], [0, 0, 0.5])


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 30), st.integers(0, 30))
def test_padding_keeps_the_image_in_its_corner(rows, cols, more_rows, more_cols):
    image = np.random.default_rng(0).random((rows, cols, 2), np.float32)
    padded = pad_reflect(image, rows + more_rows, cols + more_cols)
    assert padded.shape == (rows + more_rows, cols + more_cols, 2)
    np.testing.assert_array_equal(padded[:rows, :cols], image)
    assert set(np.unique(padded)) == set(np.unique(image))


def test_what_is_large_enough_is_not_copied():
    image = np.zeros((4, 6, 3), np.float32)
    assert pad_reflect(image, 4, 6) is image


def test_padding_reflects_without_repeating_the_edge():
    line = np.array([1, 2, 3], np.float32).reshape(1, 3, 1)
    np.testing.assert_array_equal(pad_reflect(line, 1, 5)[0, :, 0], [1, 2, 3, 2, 1])


def test_a_side_of_one_pixel_is_repeated():
    dot = np.full((1, 1, 1), 0.4, np.float32)
    assert (pad_reflect(dot, 8, 8) == np.float32(0.4)).all()


@pytest.mark.parametrize("stored", [1e300, np.finfo(np.float64).max])
def test_what_is_too_large_for_float32_is_high(stored):
    assert BandScale(0, 1)(np.array([stored])) == 1


def test_a_signalling_nan_is_scaled_without_a_warning():
    stored = np.array([0x7FA00000, 0], np.uint32).view(np.float32)  # found by fuzzing a GeoTIFF
    assert np.isnan(BandScale(0, 1)(stored.reshape(1, 2))).tolist() == [[True, False]]
