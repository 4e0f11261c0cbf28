"""Which reading the numbers bear out: Sentinel-2's offset found in them, not believed."""

import numpy as np
import pytest
from scene_levels import SCENES, every_scene, levels, trained_spec

from geodeforest.core.pixels import BandScale
from geodeforest.core.reflectance import Calibration, Numbers, Product, read_numbers
from geodeforest.core.settle import settle

SPEC = trained_spec()


def sentinel2(offset, kind="sentinel-2-l2a"):
    calibration = Calibration((1e-4,) * 3, (offset,) * 3, "the product's metadata")
    return Product(kind, calibration=calibration)


def tags(gain, offset):
    return Calibration((gain,) * 3, (offset,) * 3, "the scale and offset tags")


def settled(stored, dtype="uint16", asked=None, **said):
    """The scale that is followed for dark and bright levels, and what is said of it."""
    reading = read_numbers(Numbers(dtype, **said), SPEC.scale, asked)
    reading, spoken = settle(reading, levels(*stored), SPEC, dtype)
    return reading.scale, spoken


def moved(scene, by=1000.0, times=1.0):
    return tuple(np.array(level) * times + by for level in scene)


@every_scene
def test_numbers_as_they_should_be_are_left_alone(scene):
    assert settled(scene) == (BandScale(0, 3558), [])
    assert settled(scene, product=sentinel2(0)) == (BandScale(0, 3558), [])
    assert settled(moved(scene, 0, 1e-4), "float32") == (BandScale(0, 0.3558), [])


@every_scene
def test_the_offset_is_found_without_metadata(scene):
    scale, (said,) = settled(moved(scene))
    assert scale == BandScale(1000, 4558)
    assert "Sentinel-2's offset of 1000" in said
    assert "pass --scale 0,3558 if there is none" in said


@every_scene
def test_the_offset_is_found_in_floats(scene):
    scale, (said,) = settled(moved(scene, 0.1, 1e-4), "float32")
    assert scale == BandScale(0.1, 0.4558)
    assert "offset of 0.1" in said


@every_scene
def test_metadata_that_the_numbers_bear_out_are_followed_in_silence(scene):
    assert settled(moved(scene), product=sentinel2(-0.1)) == (BandScale(1000, 4558), [])
    assert settled(moved(scene), tags=tags(1e-4, -0.1)) == (BandScale(1000, 4558), [])


@every_scene
def test_metadata_that_tell_of_no_offset_are_contradicted(scene):
    scale, (said,) = settled(moved(scene), product=sentinel2(0))
    assert scale == BandScale(1000, 4558)
    assert "of which the product's metadata tells nothing" in said


@every_scene
@pytest.mark.parametrize("said_by", ["product", "tags"])
def test_an_offset_that_was_taken_off_already_is_not_taken_off_again(scene, said_by):
    told = sentinel2(-0.1) if said_by == "product" else tags(1e-4, -0.1)
    scale, (said,) = settled(scene, **{said_by: told})
    assert scale == BandScale(0, 3558)
    assert "corrected already" in said
    assert "pass --scale 1000,4558 if the offset is there" in said


@every_scene
def test_tags_that_were_applied_already_are_not_applied_again(scene):
    scale, (said,) = settled(moved(scene, 0, 1e-4), "float32", tags=tags(1e-4, 0))
    assert scale == BandScale(0, 0.3558)
    assert "does not fit the scale and offset tags" in said


@every_scene
def test_what_the_user_asks_for_is_never_changed(scene):
    scale, (said,) = settled(moved(scene), asked=BandScale(0, 3558))
    assert scale == BandScale(0, 3558)
    assert "pass --scale 1000,4558" in said
    assert settled(moved(scene), asked=BandScale(1000, 4558)) == (BandScale(1000, 4558), [])


@every_scene
def test_other_sensors_have_no_such_offset(scene):
    scale, said = settled(moved(scene), product=sentinel2(0, "planet-sr"))
    assert scale == BandScale(0, 3558)
    assert "brighter" in said[0]


@pytest.mark.parametrize(("times", "scale"), [(1e-2, 35.58), (1, 3558), (255 / 3558, 255)], ids=str)
@every_scene
def test_floats_that_can_be_one_thing_only_are_read_as_that(scene, times, scale):
    found, (said,) = settled(moved(scene, 0, times), "float32")
    assert found == BandScale(0, scale)
    assert "does not fit float32 numbers: reflectance 0..1" in said
    assert "pass --scale 0,0.3558" in said


def test_floats_times_10000_may_have_the_offset_too():
    scale, said = settled(moved(SCENES["hills"]), "float32")
    assert scale == BandScale(1000, 4558)
    assert len(said) == 2


@every_scene
def test_8_bit_numbers_in_16_bits_are_read_as_that(scene):
    scale, (said,) = settled(moved(scene, 0, 255 / 3558))
    assert scale == BandScale(0, 255)
    assert "8-bit numbers" in said


@every_scene
def test_what_may_be_several_things_is_not_changed(scene):
    scale, (said,) = settled(moved(scene, 0, 16))
    assert scale == BandScale(0, 3558)
    assert "brighter" in said


def test_bare_ground_brighter_than_1000_is_not_an_offset():
    scale, said = settled(([1900, 1450, 1150], [2900, 2200, 1700]))
    assert scale == BandScale(0, 3558)
    assert said


def test_clouds_are_not_an_offset():
    scale, _ = settled(([3100, 3200, 3400], [7000, 7000, 7000]))
    assert scale == BandScale(0, 3558)


@every_scene
def test_bands_in_another_order_are_noticed_under_the_offset(scene):
    scale, said = settled(tuple(level[::-1] for level in moved(scene)))
    assert scale == BandScale(1000, 4558)
    assert len(said) == 2
    assert "another order" in said[1]


def test_a_model_trained_with_the_offset_keeps_it():
    """Numbers are compared with what the model saw, whatever that was."""
    seen = moved(SCENES["forest"])
    spec = trained_spec({"least": (seen[0] / 3558).tolist(), "most": (seen[0] / 3558).tolist()})
    reading = read_numbers(Numbers("uint16"), spec.scale, None)
    assert settle(reading, levels(*seen), spec, "uint16") == (reading, [])
