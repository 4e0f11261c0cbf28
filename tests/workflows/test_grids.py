"""Known squares painted in scenes on every kind of grid come back as polygons in their place.

What is expected comes from pyproj alone: corners by the CRS's own definition, areas as
geodesic polygons on the WGS 84 ellipsoid.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from rfc7946 import faults

import geodeforest as gd
from geodeforest.testing import ThresholdPredictor, make_scene

GEOD = pyproj.Geod(ellps="WGS84")

SHAPE = (120, 100)
SQUARES = ((20, 60, 30, 80), (80, 112, 4, 24))
"""Bright ground: first row, stop row, first column, stop column. None touches the edge."""

NORTH_UP = Affine(1, 0, 0, 0, -1, 0)


@dataclass(frozen=True)
class Grid:
    """A CRS (as rasterio takes it), where the scene's middle is, and how its pixels lie.

    ``turn`` takes steps of one pixel along (col, row) to such steps east and north.
    """

    crs: str
    lon: float
    lat: float
    turn: Affine = NORTH_UP
    shift: float = 0.0  # of x in CRS units: a turn of 360 degrees

    def transform(self, side_m):
        """The geotransform with pixels of ``side_m`` on the ground at the scene's middle."""
        to_crs = pyproj.Transformer.from_crs(4326, self.crs, always_xy=True)
        x, y = to_crs.transform(self.lon, self.lat)
        across, along = self._metres(x, y)
        steps = Affine.scale(side_m / across, side_m / along) @ self.turn
        middle = steps @ (SHAPE[1] / 2, SHAPE[0] / 2)
        return Affine.translation(x + self.shift - middle[0], y - middle[1]) @ steps

    def _metres(self, x, y):
        """Metres on the ground of one unit of the CRS along x and along y."""
        to_lonlat = pyproj.Transformer.from_crs(self.crs, 4326, always_xy=True)
        step = 1e-4 if pyproj.CRS(self.crs).is_geographic else 10.0
        lon, lat = to_lonlat.transform([x, x + step, x], [y, y, y + step])
        _, _, lengths = GEOD.inv([lon[0]] * 2, [lat[0]] * 2, lon[1:], lat[1:])
        return lengths[0] / step, lengths[1] / step


UNEVEN = ("sheared", "wide pixels")
"""Grids whose pixels are no multiple of 10 m, so that edges move to the nearest ones that are."""

TURNED = Affine.rotation(30) @ Affine.scale(1, -1)

GRIDS = {
    "UTM south": Grid("EPSG:32721", -57.2, -6.3),
    "UTM north": Grid("EPSG:32633", 17.5, 62.0),
    "UTM far outside its zone": Grid("EPSG:32721", -49.0, -6.3),
    "degrees": Grid("EPSG:4326", -57.2, -6.3),
    "degrees at 60 north": Grid("EPSG:4326", 20.0, 60.0),
    "degrees of another datum": Grid("EPSG:4674", -57.2, -6.3),
    "degrees from 0 to 360": Grid("EPSG:4326", -57.2, -6.3, shift=360),
    "web mercator": Grid("EPSG:3857", -57.2, -6.3),
    "web mercator at 60 north": Grid("EPSG:3857", 20.0, 60.0),
    "US survey feet": Grid("EPSG:2263", -73.9, 40.7),
    "international feet": Grid("EPSG:2222", -110.2, 33.0),
    "northing first": Grid("EPSG:3035", 10.0, 52.0),
    "axes south and west": Grid("EPSG:2053", 29.0, -26.0),
    "Albers": Grid("EPSG:5070", -96.0, 38.0),
    "another datum": Grid("EPSG:27700", -2.0, 53.0),
    "with heights": Grid("EPSG:32721+5773", -57.2, -6.3),
    "without a code": Grid("+proj=laea +lat_0=-10 +lon_0=-60 +datum=WGS84", -57.2, -6.3),
    "polar stereographic": Grid("EPSG:3413", -45.0, 72.0),
    "antarctic": Grid("EPSG:3031", 100.0, -70.0),
    "south up": Grid("EPSG:32721", -57.2, -6.3, Affine(1, 0, 0, 0, 1, 0)),
    "mirrored": Grid("EPSG:32721", -57.2, -6.3, Affine(-1, 0, 0, 0, -1, 0)),
    "upside down": Grid("EPSG:32721", -57.2, -6.3, Affine(-1, 0, 0, 0, 1, 0)),
    "rows run east": Grid("EPSG:32721", -57.2, -6.3, Affine(0, 1, 0, 1, 0, 0)),
    "rotated": Grid("EPSG:32721", -57.2, -6.3, TURNED),
    "rotated degrees": Grid("EPSG:4326", -57.2, -6.3, TURNED),
    "sheared": Grid("EPSG:32721", -57.2, -6.3, Affine(1, 0.4, 0, 0, -1, 0)),
    "wide pixels": Grid("EPSG:32721", -57.2, -6.3, Affine(1.2, 0, 0, 0, -0.8, 0)),
    "antimeridian in UTM": Grid("EPSG:32701", 180.0, -16.5),
    "antimeridian in Mercator": Grid("EPSG:3832", 180.0, -16.5),
    "antimeridian in a polar CRS": Grid("EPSG:3031", 180.0, -78.0),
    "antimeridian in degrees beyond 180": Grid("EPSG:4326", 179.9999, -16.5),
    "antimeridian in degrees below -180": Grid("EPSG:4326", -179.9999, -16.5),
    "antimeridian in degrees around 180 of 360": Grid("EPSG:4326", -179.9999, -16.5, shift=360),
    "Greenwich in degrees around 360": Grid("EPSG:4326", 0.0, 51.5, shift=360),
}


def painted(path, grid, side_m):
    values = np.zeros((3, *SHAPE), np.uint8)
    for top, bottom, left, right in SQUARES:
        values[:, top:bottom, left:right] = 250  # a corner that is cut in quarters still shows
    return make_scene(path, values, crs=grid.crs, transform=grid.transform(side_m))


def scanned(scene, folder):
    """The features of a scan as (GeoJSON text, frame of the GeoPackage, report)."""
    targets = [folder / "p.geojson", folder / "p.gpkg"]
    report = gd.scan(scene, model=ThresholdPredictor(), output=targets, simplify=0, min_area=0)
    return targets[0].read_text(), geopandas.read_file(targets[1], layer="deforestation"), report


def expected(grid, side_m):
    """Of each square, in canonical order: corners in the CRS and in degrees, and hectares."""
    transform = grid.transform(side_m)
    to_lonlat = pyproj.Transformer.from_crs(grid.crs, 4326, always_xy=True)
    for top, bottom, left, right in SQUARES:
        pixels = [(left, top), (right, top), (right, bottom), (left, bottom)]
        corners = np.array([transform @ point for point in pixels])
        # Points along the edges, since what is straight in a CRS bends on the ground.
        pixel = abs(transform.determinant) ** 0.5
        dense = shapely.segmentize(shapely.LinearRing(corners), 2 * pixel)
        lon, lat = to_lonlat.transform(*shapely.get_coordinates(dense).T)
        hectares = abs(GEOD.polygon_area_perimeter(lon, lat)[0]) / 10_000
        lonlat = np.stack(to_lonlat.transform(*corners.T), axis=1)
        yield corners, lonlat, hectares


def degrees_apart(one, other):
    """The largest distance in degrees from points to the nearest of others, around the Earth."""
    across = (one[:, np.newaxis] - other + 180) % 360 - 180
    return np.hypot(across[..., 0], across[..., 1]).min(axis=1).max()


def parts_of(feature):
    geometry = shapely.geometry.shape(feature["geometry"])
    return geometry, list(shapely.get_parts(geometry))


def geojson_hectares(parts):
    return sum(
        GEOD.polygon_area_perimeter(*np.array(part.exterior.coords).T)[0] / 10_000 for part in parts
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The scan of each grid, made once."""
    made = {}

    def of(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("grid")
            scene = painted(folder / "s.tif", GRIDS[name], 10)
            made[name] = scanned(scene, folder)
        return made[name]

    return of


@pytest.mark.parametrize("name", GRIDS)
def test_geojson_has_the_squares_where_they_are(results, name):
    text, _, _ = results(name)
    assert faults(text) == []
    features = json.loads(text)["features"]
    for feature, (_, lonlat, hectares) in zip(features, expected(GRIDS[name], 10), strict=True):
        _, parts = parts_of(feature)
        points = np.concatenate([np.array(part.exterior.coords) for part in parts])
        assert degrees_apart(lonlat, points) < 2e-7  # two centimetres
        # Positive, so counter-clockwise on the ellipsoid.
        assert geojson_hectares(parts) == pytest.approx(hectares, rel=1e-3)
        assert feature["properties"]["area_ha"] == pytest.approx(hectares, rel=1e-3)


@pytest.mark.parametrize("name", GRIDS)
def test_a_geopackage_has_the_squares_in_the_scenes_crs(results, name):
    _, frame, report = results(name)
    assert frame.crs.to_2d() == pyproj.CRS(GRIDS[name].crs).to_2d()
    pixel = abs(GRIDS[name].transform(10).determinant) ** 0.5
    for row, (corners, _, hectares) in zip(
        frame.itertuples(), expected(GRIDS[name], 10), strict=True
    ):
        points = np.array(row.geometry.exterior.coords)
        gaps = np.hypot(*(corners[:, np.newaxis] - points).transpose(2, 0, 1)).min(axis=1)
        assert gaps.max() < 1e-3 * pixel
        assert len(points) == 5
        assert row.geometry.exterior.is_ccw
        assert row.area_ha == pytest.approx(hectares, rel=1e-3)
    assert report.deforested_ha == pytest.approx(
        sum(hectares for *_, hectares in expected(GRIDS[name], 10)), rel=1e-3
    )


@pytest.mark.parametrize("name", GRIDS)
def test_hectares_of_all_pixels_are_those_of_the_ground(results, name):
    _, _, report = results(name)
    transform = GRIDS[name].transform(10)
    to_lonlat = pyproj.Transformer.from_crs(GRIDS[name].crs, 4326, always_xy=True)
    height, width = SHAPE
    outline = [(0, 0), (width, 0), (width, height), (0, height)]
    lon, lat = to_lonlat.transform(*np.array([transform @ point for point in outline]).T)
    whole = abs(GEOD.polygon_area_perimeter(lon, lat)[0]) / 10_000
    assert report.assessed_ha == pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize("side_m", [5, 20])
@pytest.mark.parametrize("name", GRIDS)
def test_resampled_scenes_have_the_squares_where_they_are(tmp_path, name, side_m):
    scene = painted(tmp_path / "s.tif", GRIDS[name], side_m)
    with pytest.warns(gd.errors.SceneResampled):
        text, frame, report = scanned(scene, tmp_path)
    assert faults(text) == []
    features = json.loads(text)["features"]
    truth = list(expected(GRIDS[name], side_m))
    for feature, row, (_, lonlat, hectares) in zip(
        features, frame.itertuples(), truth, strict=True
    ):
        _, parts = parts_of(feature)
        points = np.concatenate([np.array(part.exterior.coords) for part in parts])
        metres = degrees_apart(lonlat, points) * 111_320
        even = name not in UNEVEN
        assert metres < (3 if even else 15)
        assert row.area_ha == pytest.approx(hectares, rel=1e-3 if even else 0.05)
        assert geojson_hectares(parts) == pytest.approx(row.area_ha, rel=1e-3)
    assert report.scene_px == pytest.approx(SHAPE[0] * SHAPE[1] * (side_m / 10) ** 2, rel=0.1)


@pytest.mark.parametrize("name", [name for name in GRIDS if name.startswith("antimeridian")])
def test_the_antimeridian_cuts_a_square_in_two(results, name):
    text, _, _ = results(name)
    parts = [len(parts_of(feature)[1]) for feature in json.loads(text)["features"]]
    assert parts == [2, 1]
    west, _, east, _ = json.loads(text)["bbox"]
    assert west > 0 > east


# --- grids that have no place on Earth --------------------------------------------------------


def test_a_scene_of_another_planet_keeps_its_crs_and_is_no_geojson(tmp_path):
    mars = "+proj=eqc +R=3396190 +units=m"
    transform = Affine(10, 0, 50_000, 0, -10, 20_000)
    values = np.zeros((3, *SHAPE), np.uint8)
    values[:, 20:60, 30:80] = 250
    scene = make_scene(tmp_path / "s.tif", values, crs=mars, transform=transform)
    gd.scan(scene, model=ThresholdPredictor(), output=tmp_path / "p.gpkg")
    frame = geopandas.read_file(tmp_path / "p.gpkg", layer="deforestation")
    assert frame.crs.ellipsoid.semi_major_metre == 3_396_190
    assert frame.area_ha[0] == pytest.approx(20, rel=1e-3)
    no_place = r"s\.tif: the raster has no CRS on Earth, which p\.geojson needs; write a \.gpkg"
    with pytest.raises(gd.errors.NotGeoreferenced, match=no_place):
        gd.scan(scene, model=ThresholdPredictor(), output=tmp_path / "p.geojson")
    assert not (tmp_path / "p.geojson").exists()


def test_a_scene_of_another_planet_is_resampled_by_its_own_metres(tmp_path):
    mars = "+proj=longlat +R=3396190"
    side = 20 / (np.pi / 180 * 3_396_190)
    transform = Affine(side, 0, 1, 0, -side, 1)
    scene = make_scene(tmp_path / "s.tif", np.zeros((3, 60, 60)), crs=mars, transform=transform)
    with pytest.warns(gd.errors.SceneResampled, match="20 m pixels"):
        report = gd.scan(scene, model=ThresholdPredictor(), scale=(0, 1))
    assert report.scene_px == 120 * 120


@pytest.mark.parametrize(
    "crs",
    [
        'LOCAL_CS["site grid",UNIT["metre",1]]',
        'ENGCRS["x",EDATUM["y"],CS[Cartesian,2],'
        'AXIS["east",east],AXIS["north",north],LENGTHUNIT["metre",1]]',
    ],
)
def test_a_local_grid_is_refused(tmp_path, crs):
    scene = make_scene(tmp_path / "s.tif", np.zeros((3, 60, 60), np.uint8), crs=crs)
    with pytest.raises(gd.errors.NotGeoreferenced, match="--assign-crs") as caught:
        gd.scan(scene, model=ThresholdPredictor())
    assert caught.value.exit_code == 3
