"""Landsat products: bands by spacecraft, calibration by level, quality bits."""

import math

import numpy as np
import pytest
from products import LANDSAT_7, LANDSAT_8, make_landsat, plane
from read_scenes import RGB, numbers, product

from geodeforest.errors import SceneUnreadable
from geodeforest.geo.sun import sun_degrees
from geodeforest.testing import make_scene


@pytest.mark.parametrize(("name", "order"), [(LANDSAT_8, [4, 3, 2]), (LANDSAT_7, [3, 2, 1])])
@pytest.mark.parametrize("level", ["L1TP", "L2SP"])
def test_red_is_what_the_spacecraft_calls_it(tmp_path, name, order, level):
    root = make_landsat(tmp_path, name, level)
    assert numbers(root, wanted=RGB) == order
    assert product(root).kind == f"landsat-c2-{level[:2].lower()}"


def test_a_band_that_the_user_numbers_is_the_products_own(tmp_path):
    root = make_landsat(tmp_path, LANDSAT_7)
    for names in ("B4,B3,B2", "SR_B4,sr_b3,Band 2"):
        assert numbers(root, bands=names) == [4, 3, 2]
    assert numbers(root, bands="red,nir") == [3, 4]


@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_surface_reflectance_has_the_numbers_of_its_own_group(tmp_path, form):
    root = make_landsat(tmp_path, form=form)
    metadata_file = next(root.glob("*_MTL.*"))
    for path in (root, metadata_file):
        found = product(path).calibration
        assert found.gain == pytest.approx((2.75e-5,) * 3)
        assert found.offset == pytest.approx((-0.2,) * 3)
        assert found.source == metadata_file.name


@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_level_1_is_divided_by_the_suns_height(tmp_path, form):
    found = product(make_landsat(tmp_path, level="L1TP", form=form, sun=30)).calibration
    assert found.gain == pytest.approx((8e-5, 6e-5, 4e-5))
    assert found.offset == pytest.approx((-0.2,) * 3)


def test_files_side_by_side_find_the_metadata_beside_them(tmp_path):
    root = make_landsat(tmp_path, qa=plane(0))
    listed = ",".join(str(next(root.glob(f"*_SR_B{n}.TIF"))) for n in (2, 3, 4))
    found = product(listed)
    assert numbers(listed, wanted=RGB) == [4, 3, 2]
    assert (found.kind, found.mask.name, found.date) == ("landsat-c2-l2", "QA_PIXEL", "2020-05-18")


def test_fill_cloud_and_shadow_bits_are_hidden(tmp_path):
    mask = product(make_landsat(tmp_path, qa=plane(1))).mask
    assert (mask.hidden_bits, mask.hidden_values) == ((0, 1, 2, 3, 4), ())


def test_surface_reflectance_needs_no_metadata(tmp_path):
    root = make_landsat(tmp_path, form=None)
    listed = ",".join(str(next(root.glob(f"*_SR_B{n}.TIF"))) for n in (4, 3, 2))
    assert product(listed).calibration.gain == pytest.approx((2.75e-5,) * 3)


def test_level_1_without_metadata_takes_the_sun_from_date_and_place(tmp_path):
    root = make_landsat(tmp_path, level="L1TP", form=None)
    listed = ",".join(str(next(root.glob(f"*_B{n}.TIF"))) for n in (4, 3, 2))
    found = product(listed).calibration
    height = math.sin(math.radians(sun_degrees(-6.33, "2020-05-18")))
    assert found.gain == pytest.approx((2e-5 / height,) * 3, rel=1e-3)
    assert "sun 53 degrees high" in found.source


def test_a_stack_that_bears_a_products_name(tmp_path):
    values = np.stack([plane(10 * n) for n in (2, 3, 4)])
    path = make_scene(tmp_path / f"{LANDSAT_8.format(level='L2SP')}.TIF", values)
    assert numbers(path, wanted=RGB) == [2, 3, 4]  # nothing tells which is which
    assert product(path).calibration.gain == pytest.approx((2.75e-5,) * 3)


def test_the_descriptions_of_a_stack_are_its_spacecrafts(tmp_path):
    values = np.stack([plane(10 * n) for n in (4, 3, 2, 1)])
    names = ["SR_B4", "SR_B3", "SR_B2", "SR_B1"]
    path = make_scene(tmp_path / f"{LANDSAT_7.format(level='L2SP')}.tif", values, names=names)
    assert numbers(path, wanted=RGB) == [3, 2, 1]


def test_a_converted_stack_has_no_calibration_of_its_name(tmp_path):
    values = np.stack([plane(10 * n, dtype=np.uint8) for n in (4, 3, 2)])
    path = make_scene(tmp_path / f"{LANDSAT_8.format(level='L2SP')}.tif", values)
    assert product(path).calibration is None


def test_two_landsat_products_in_one_folder_are_refused(tmp_path):
    root = make_landsat(tmp_path)
    (root / f"{LANDSAT_7.format(level='L2SP')}_MTL.txt").write_text("END")
    with pytest.raises(SceneUnreadable, match="holds 2 Landsat products"):
        product(root)


def test_a_landsat_folder_without_bands_is_refused(tmp_path):
    root = make_landsat(tmp_path)
    for path in root.glob("*.TIF"):
        path.unlink()
    with pytest.raises(SceneUnreadable, match=r"has no files LC08.*_SR_B"):
        product(root)
