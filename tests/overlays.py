"""Grids to lay rasters and polygons over, and what these answer."""

from dataclasses import dataclass

import geopandas
import pytest
from affine import Affine
from rasterio.crs import CRS

from geodeforest.core.grid import Window
from geodeforest.errors import SceneError
from geodeforest.geo.overlay import open_overlay, plain
from geodeforest.testing import make_scene


@dataclass(frozen=True)
class Grid:
    transform: Affine
    crs: CRS
    height: int
    width: int


SCENE = Grid(Affine(10, 0, 500_000, 0, -10, 9_300_000), CRS.from_epsg(32721), 60, 80)


def answers(path, grid=SCENE, kind=plain, what="mask"):
    with open_overlay(path, grid, what, kind) as overlay:
        return overlay.read(Window(0, 0, grid.height, grid.width))


def refusal(path, grid=SCENE, what="aoi"):
    with pytest.raises(SceneError) as caught, open_overlay(path, grid, what, plain):
        pass
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def raster(path, values, west, north, pixel, crs="EPSG:32721", **profile):
    return make_scene(
        path, values, crs=crs, transform=Affine(pixel, 0, west, 0, -pixel, north), **profile
    )


def write(path, shapes, crs="EPSG:32721", **options):
    geopandas.GeoDataFrame(geometry=list(shapes), crs=crs).to_file(path, **options)
    return path
