"""Planet's files: bands from blue on, a coefficient for each, the usable data mask."""

from pathlib import Path

import numpy as np
import pytest
from products import PLANET, make_planet
from read_scenes import RGB, numbers, product


@pytest.mark.parametrize(
    ("name", "bands", "order"),
    [
        ("AnalyticMS_SR", 4, [3, 2, 1]),
        ("AnalyticMS_SR_harmonized_clip", 4, [3, 2, 1]),
        ("AnalyticMS_SR_8b_harmonized_clip_file_format", 8, [6, 4, 2]),
        ("ortho_analytic_4b_sr", 4, [3, 2, 1]),
        ("BGRN_SR_clip", 4, [3, 2, 1]),
    ],
)
def test_planet_begins_with_blue(tmp_path, name, bands, order):
    path = make_planet(tmp_path, name, bands=bands)
    found = product(path)
    assert numbers(path, wanted=RGB) == order
    assert (found.kind, found.date) == ("planet-sr", "2023-05-11")
    assert found.calibration.gain == (1e-4,) * 3


def test_colours_that_planets_writer_guessed_do_not_count(tmp_path):
    path = make_planet(tmp_path, colours=["red", "green", "blue", "alpha"])
    assert numbers(path, wanted=RGB) == [3, 2, 1]
    assert numbers(path, wanted=("nir",)) == [4]


def test_planets_radiance_has_a_coefficient_for_each_band(tmp_path):
    path = make_planet(tmp_path, "AnalyticMS_clip", coefficients=(1e-5, 2e-5, 3e-5, 4e-5))
    found = product(path)
    assert found.kind == "planet-toa"
    assert found.calibration.gain == (3e-5, 2e-5, 1e-5)


def test_planets_radiance_without_metadata_is_not_calibrated(tmp_path):
    assert product(make_planet(tmp_path, "AnalyticMS")).calibration is None


def test_planets_own_descriptions_go_before_its_name(tmp_path):
    names = ["red", "green", "blue", "nir"]
    path = make_planet(tmp_path, names=names)
    assert numbers(path, wanted=RGB) == [1, 2, 3]
    assert product(path) is None


def test_planets_usable_data_mask_is_found(tmp_path):
    mask = product(make_planet(tmp_path, udm2=np.ones((8, 24, 32), np.uint8))).mask
    assert (mask.name, mask.hidden_values, mask.bands) == ("UDM2", (0,), (1,))
    assert Path(mask.path).name == f"{PLANET}_udm2_clip.tif"
