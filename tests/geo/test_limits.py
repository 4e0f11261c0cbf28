"""Masks that a product brings along, beside those that a user names."""

from contextlib import contextmanager
from dataclasses import replace

import geopandas
import numpy as np
import pytest
import shapely

from geodeforest.core.grid import Window
from geodeforest.core.options import ScanOptions
from geodeforest.core.reflectance import Product, ProductMask
from geodeforest.errors import SceneUnreadable
from geodeforest.geo.limits import open_limits
from geodeforest.geo.scene import open_scene
from geodeforest.testing import CORNER, make_scene

WHOLE = Window(0, 0, 60, 80)


class ProductScene:
    """A scene that is said to be a product."""

    def __init__(self, scene, product):
        self._scene = scene
        self.profile = replace(scene.profile, product=product)

    def __getattr__(self, name):
        return getattr(self._scene, name)


@contextmanager
def limited(folder, product, **options):
    path = make_scene(folder / "s.tif", np.full((3, 60, 80), 9, np.uint8))
    with (
        open_scene(path) as scene,
        open_limits(ProductScene(scene, product), ScanOptions(**options), 8) as limits,
    ):
        yield limits


def classes(folder, name="scl.tif"):
    """Scene classes 0 to 11 on pixels of 20 m, and an image of them on those of 10 m."""
    numbers = (np.arange(30 * 40, dtype=np.uint8) % 12).reshape(30, 40)
    path = make_scene(folder / name, numbers, gsd_m=20, nodata=0)
    return str(path), numbers.repeat(2, 0).repeat(2, 1)


def test_a_products_mask_is_applied_whatever_its_pixels_and_said(tmp_path):
    path, numbers = classes(tmp_path)
    product = Product("sentinel-2-l2a", mask=ProductMask(path, (0, 3, 8), (), "SCL"))
    with limited(tmp_path, product) as limits:
        valid = limits.scene.read(WHOLE).valid
        assert limits.notes == ("what SCL calls cloud or shadow is not assessed",)
    assert np.array_equal(valid, ~np.isin(numbers, [0, 3, 8]))


def test_bits_hide_too(tmp_path):
    path, numbers = classes(tmp_path)
    product = Product("landsat-c2-l2", mask=ProductMask(path, (), (0, 3), "QA_PIXEL"))
    with limited(tmp_path, product) as limits:
        assert np.array_equal(limits.scene.read(WHOLE).valid, numbers & 0b1001 == 0)


def test_a_mask_of_the_users_adds_to_the_products(tmp_path):
    path, numbers = classes(tmp_path)
    more = np.zeros((60, 80), np.uint8)
    more[:10] = 1
    mask = make_scene(tmp_path / "m.tif", more)
    product = Product("sentinel-2-l2a", mask=ProductMask(path, (9,), (), "SCL"))
    with limited(tmp_path, product, mask=mask) as limits:
        assert np.array_equal(limits.scene.read(WHOLE).valid, (numbers != 9) & (more == 0))


def test_a_product_without_a_mask_says_that_clouds_are_not_masked(tmp_path):
    with limited(tmp_path, Product("sentinel-2-tci")) as limits:
        assert "clouds are not masked" in limits.notes[0]
    mask = make_scene(tmp_path / "m.tif", np.zeros((60, 80), np.uint8))
    with limited(tmp_path, Product("sentinel-2-tci"), mask=mask) as limits:
        assert limits.notes == ()


def test_a_mask_that_is_named_but_not_there_is_said_to_be_missing(tmp_path):
    product = Product("stac", mask=ProductMask(str(tmp_path / "scl.tif"), (9,), (), "SCL"))
    with limited(tmp_path, product) as limits:
        assert limits.notes == ("clouds are not masked: SCL is named, but it is not there",)
        assert limits.scene.read(WHOLE).valid.all()


def test_a_usable_data_mask_is_known_by_name(tmp_path):
    clear = np.random.default_rng(0).integers(0, 2, (8, 60, 80), np.uint8)
    mask = make_scene(tmp_path / "20200518_1_udm2.tif", clear)
    with limited(tmp_path, None, mask=mask) as limits:
        assert limits.notes == ("20200518_1_udm2.tif is read as UDM2",)
        assert np.array_equal(limits.scene.read(WHOLE).valid, clear[0] == 1)


def test_a_scene_without_limits_is_left_as_it_is(tmp_path):
    path = make_scene(tmp_path / "s.tif", np.full((3, 60, 80), 9, np.uint8))
    with open_scene(path) as scene, open_limits(scene, ScanOptions(), 8) as limits:
        assert limits.scene is scene
        assert limits.notes == ()


def test_a_products_mask_that_is_damaged_is_no_reason_to_see_clouds(tmp_path):
    path, _ = classes(tmp_path)
    with open(path, "r+b") as file:
        file.truncate(500)
    product = Product("sentinel-2-l2a", mask=ProductMask(path, (9,), (), "SCL"))
    with (
        pytest.raises(SceneUnreadable, match=r"scl\.tif"),
        limited(tmp_path, product) as limits,
    ):
        limits.scene.read(WHOLE)


def test_limits_count_in_the_plan(tmp_path):
    mask = make_scene(tmp_path / "m.tif", np.ones((60, 80), np.uint8))
    path = make_scene(tmp_path / "s.tif", np.full((3, 60, 80), 9, np.uint8))
    with (
        open_scene(path) as scene,
        open_limits(scene, ScanOptions(aoi=mask, baseline=mask), 8) as limits,
    ):
        assert limits.scene.stored.pixel_bytes == scene.stored.pixel_bytes + 2


def test_what_is_far_from_the_area_of_interest_is_not_read(tmp_path):
    values = np.random.default_rng(0).integers(1, 255, (3, 60, 80), np.uint8)
    path = make_scene(tmp_path / "s.tif", values)
    west, north = CORNER[0] + 300, CORNER[1] - 200
    area = geopandas.GeoDataFrame(geometry=[shapely.box(west, north - 100, west + 50, north)])
    area.set_crs("EPSG:32721").to_file(tmp_path / "a.gpkg")
    read = []

    class Watched(ProductScene):
        def read(self, window):
            read.append(window)
            return self._scene.read(window)

    options = ScanOptions(aoi=tmp_path / "a.gpkg")
    with open_scene(path) as scene, open_limits(Watched(scene, None), options, 8) as limits:
        for row in range(0, 60, 10):
            pixels = limits.scene.read(Window(row, 0, 10, 80))
            near = np.zeros((60, 80), bool)
            near[12:38, 22:43] = True
            assert np.array_equal(pixels.valid, near[row : row + 10])
            expected = values[:, row : row + 10] * near[row : row + 10]
            assert np.array_equal(pixels.values, expected)
            assert (~pixels.outside).any() == (20 <= row < 30)
        assert read == [
            Window(12, 22, 8, 21),
            Window(20, 22, 10, 21),
            Window(30, 22, 8, 21),
        ]
        assert limits.whole.read(WHOLE).valid.all()
