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


class Watched(ProductScene):
    """Remembers what is read of it."""

    def __init__(self, scene):
        super().__init__(scene, None)
        self.read_windows = []

    def read(self, window):
        self.read_windows.append(window)
        return self._scene.read(window)


def tiled(path, **layout):
    values = np.random.default_rng(0).integers(1, 255, (3, 256, 320), np.uint8)
    return values, make_scene(path, values, **layout)


def square(path, row, col, side):
    west, north = CORNER[0] + 10 * col, CORNER[1] - 10 * row
    box = shapely.box(west, north - 10 * side, west + 10 * side, north)
    geopandas.GeoDataFrame(geometry=[box], crs="EPSG:32721").to_file(path)
    return path


TILES = {"tiled": True, "blockxsize": 64, "blockysize": 64}


def test_blocks_far_from_the_area_of_interest_are_not_read(tmp_path):
    values, path = tiled(tmp_path / "s.tif", **TILES)
    options = ScanOptions(aoi=square(tmp_path / "a.gpkg", 70, 140, 10))
    with open_scene(path) as scene, open_limits(watched := Watched(scene), options, 8) as limits:
        pixels = limits.scene.read(Window(0, 0, 256, 320))
        near = np.zeros((256, 320), bool)
        near[0:128, 128:192] = True  # its own block, and one eight rows above
        assert np.array_equal(pixels.valid, near)
        assert np.array_equal(pixels.values, values * near)
        assert (~pixels.outside).sum() == 100
        assert watched.read_windows == [Window(0, 128, 64, 64), Window(64, 128, 64, 64)]
        assert limits.whole.read(Window(0, 0, 256, 320)).valid.all()


def test_rows_and_columns_of_strips_far_from_the_area_are_not_read(tmp_path):
    _, path = tiled(tmp_path / "s.tif", blockysize=1)
    options = ScanOptions(aoi=square(tmp_path / "a.gpkg", 70, 140, 10))
    with open_scene(path) as scene, open_limits(watched := Watched(scene), options, 8) as limits:
        for row in range(0, 256, 32):
            limits.scene.read(Window(row, 0, 32, 320))
    assert watched.read_windows == [Window(32, 0, 32, 320), Window(64, 0, 32, 320)]


def test_blocks_that_a_mask_hides_are_not_read(tmp_path):
    values, path = tiled(tmp_path / "s.tif", **TILES)
    hidden = np.zeros((256, 320), np.uint8)
    hidden[0:64, 64:192] = hidden[64:128, 0:63] = hidden[128:256] = 1
    mask = make_scene(tmp_path / "m.tif", hidden)
    with (
        open_scene(path) as scene,
        open_limits(watched := Watched(scene), ScanOptions(mask=mask), 8) as limits,
    ):
        pixels = limits.scene.read(Window(0, 0, 256, 320))
        assert np.array_equal(pixels.valid, hidden == 0)
        assert np.array_equal(pixels.values[:, pixels.valid], values[:, pixels.valid])
    assert watched.read_windows == [
        Window(0, 0, 64, 64),
        Window(0, 192, 64, 128),
        Window(64, 0, 64, 320),
    ]
