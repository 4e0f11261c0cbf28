"""What a scene says of its numbers, and what follows from it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.pixels import BandScale
from geodeforest.core.reflectance import (
    Calibration,
    Numbers,
    Product,
    read_numbers,
    reflectance_range,
    stored_range,
    tag_calibration,
)
from geodeforest.errors import OptionError


@pytest.mark.parametrize(
    ("gain", "offset"),
    [
        ((), ()),
        ((1e-4, 1e-4), (0.0,)),
        ((0.0,), (0.0,)),
        ((-1e-4,), (0.0,)),
        ((math.nan,), (0.0,)),
        ((1e-4,), (math.inf,)),
    ],
)
def test_a_calibration_without_sense_is_refused(gain, offset):
    with pytest.raises(OptionError, match="metadata"):
        Calibration(gain, offset, "metadata")


SCALES = {
    "uint8": BandScale(0, 255),
    "uint16": BandScale(0, 3558),
    "int16": BandScale(0, 3558),
    "float32": BandScale(0, 0.3558),
}


def read(dtype="uint16", scales=SCALES, asked=None, **said):
    return read_numbers(Numbers(dtype, **said), scales, asked)


def calibration(gain=1e-4, offset=0.0, bands=3, source="metadata"):
    return Calibration((gain,) * bands, (offset,) * bands, source)


@pytest.mark.parametrize(
    ("dtype", "said"),
    [("uint8", "uint8"), ("int16", "reflectance x 10,000"), ("float32", "reflectance 0..1")],
)
def test_without_a_word_the_data_type_decides(dtype, said):
    reading = read(dtype)
    assert reading.scale == SCALES[dtype]
    assert reading.guess
    assert said in reading.source


def test_a_data_type_that_the_model_does_not_know_has_no_reading():
    assert read("int32") is None
    assert read("uint16", {"uint8": BandScale(0, 255)}) is None


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint32", "float64"])
def test_a_calibration_decides_whatever_the_data_type(dtype):
    product = Product("landsat-c2-l2", calibration=calibration(2.75e-5, -0.2))
    reading = read(dtype, product=product)
    assert reading.scale == BandScale(7272.72727273, 20210.9090909)
    assert reading.source == "metadata"
    assert not reading.guess


def test_each_band_has_its_own_calibration():
    told = Calibration((1e-4, 2e-4, 1e-4), (0.0, 0.0, -0.05), "metadata")
    reading = read(product=Product("landsat-c2-l1", calibration=told))
    assert reading.scale == BandScale((0, 0, 500), (3558, 1779, 4058))


def test_what_the_user_asks_for_comes_first_then_the_product_then_tags():
    product, tags = Product("sentinel-2-l2a", calibration=calibration(2e-4)), calibration(1e-3)
    asked = BandScale(1, 2)
    assert read(asked=asked, product=product, tags=tags).scale == asked
    assert read(product=product, tags=tags).scale == BandScale(0, 1779)
    assert read(tags=tags).scale == BandScale(0, 355.8)
    assert read(product=Product("sentinel-2-l2a"), tags=tags).scale == BandScale(0, 355.8)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_a_model_knows_reflectance_by_any_of_its_scales(dtype):
    assert reflectance_range({dtype: SCALES[dtype]}) == BandScale(0, 0.3558)


def test_a_model_of_8_bit_numbers_knows_no_reflectance():
    bytes_only = {"uint8": BandScale(0, 255)}
    assert reflectance_range(bytes_only) is None
    assert read("uint8", bytes_only, tags=calibration()).scale == BandScale(0, 255)


@pytest.mark.parametrize(
    ("offset", "other", "taken_off"), [(0.0, 1000, False), (-0.1, 0, True), (-0.05, None, False)]
)
def test_only_sentinel2s_offset_has_two_readings(offset, other, taken_off):
    reading = read(product=Product("sentinel-2-l1c", calibration=calibration(1e-4, offset)))
    assert reading.other == (None if other is None else BandScale(other, other + 3558))
    assert reading.offset is taken_off
    assert read("uint8").other is None
    assert read(product=Product("landsat-c2-l2", calibration=calibration())).other is None


@given(
    st.lists(st.floats(1e-6, 10), min_size=1, max_size=4),
    st.floats(-1, 1),
    st.floats(0.01, 1),
)
def test_stored_numbers_become_the_reflectance_they_stand_for(gains, offset, high):
    told = Calibration(tuple(gains), (offset,) * len(gains), "metadata")
    found = stored_range(BandScale(0, high), told)
    for stored, reflectance in ((found.low, 0), (found.high, high)):
        np.testing.assert_allclose(
            np.multiply(stored, gains) + offset, reflectance, atol=1e-9 * (1 + abs(offset))
        )


@pytest.mark.parametrize(
    ("gain", "offset"),
    [([1, 1], [0, 0]), ([0, 1], [0, 0]), ([math.nan, 1], [0, 0]), ([1, 1], [math.inf, 0])],
)
def test_tags_that_say_nothing_or_nonsense_are_none(gain, offset):
    assert tag_calibration(gain, offset) is None


def test_tags_say_how_numbers_become_reflectance():
    told = tag_calibration([1e-4, 1], [0, -0.1])
    assert (told.gain, told.offset) == ((1e-4, 1), (0, -0.1))


@pytest.mark.parametrize(
    ("kind", "asks"),
    [
        ("sentinel-2-l1c", True),
        ("sentinel-2-l2a", True),
        ("stac", True),
        ("sentinel-2-tci", False),
        ("landsat-c2-l2", False),
        ("planet-sr", False),
    ],
)
def test_only_stored_reflectance_of_sentinel_2_may_have_its_offset(kind, asks):
    known = Calibration((1e-3,), (0.0,), "metadata")
    reading = read_numbers(Numbers("uint16", Product(kind, calibration=known)), SCALES, None)
    assert (reading.other is not None) == asks
