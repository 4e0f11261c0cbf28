"""Polygons laid over a scene, against each pixel's centre, and what is none."""

import json

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from overlays import SCENE, Grid, answers, raster, refusal, write
from rasterio.crs import CRS

from geodeforest.core.grid import Window
from geodeforest.errors import SceneError
from geodeforest.geo.overlay import open_overlay, plain

TURNED = Grid(
    Affine.translation(500_000, 9_300_000) @ Affine.rotation(20) @ Affine.scale(10, -10),
    CRS.from_epsg(32721),
    60,
    80,
)
PACIFIC = Grid(Affine(100, 0, 813_000, 0, -100, 8_000_000), CRS.from_epsg(32760), 60, 80)
BEYOND = Grid(Affine(0.001, 0, 179.96, 0, -0.001, -18), CRS.from_epsg(4326), 60, 80)


def centres(grid, crs):
    """Coordinates (x, y), each (rows, cols), of all pixel centres in another CRS."""
    rows, cols = np.indices((grid.height, grid.width)) + 0.5
    place = grid.transform
    x = place.a * cols + place.b * rows + place.c
    y = place.d * cols + place.e * rows + place.f
    return pyproj.Transformer.from_crs(grid.crs, crs, always_xy=True).transform(x, y)


def star(rng, x, y, size):
    """A polygon with some corners around a point, valid whatever its radii."""
    turn = np.sort(rng.random(9)) * 2 * np.pi
    radius = size * rng.uniform(0.2, 1, 9)
    return shapely.Polygon(np.column_stack([x + radius * np.cos(turn), y + radius * np.sin(turn)]))


FORMATS = ["geojson", "gpkg", "fgb", "shp"]


@pytest.mark.parametrize("grid", [SCENE, TURNED], ids=["north-up", "turned"])
@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("crs", ["EPSG:32721", "EPSG:4326", "EPSG:3857"])
def test_polygons_answer_by_the_pixels_centre(tmp_path, grid, ending, crs):
    rng = np.random.default_rng(1)
    x, y = centres(grid, crs)
    size = np.ptp(x) / 5
    shapes = [star(rng, rng.choice(x.ravel()), rng.choice(y.ravel()), size) for _ in range(12)]
    shapes.append(shapely.MultiPolygon([shapes[0].buffer(-size / 50), shapely.box(0, 0, 1, 1)]))
    shapes = [shape for shape in shapes if shape.is_valid]
    path = write(tmp_path / f"p.{ending}", shapes, crs)
    expected = shapely.contains_xy(shapely.union_all(shapes), x, y)
    edge = shapely.union_all(shapes).boundary.distance(shapely.points(x, y)) < np.ptp(x) / 80 / 50
    found = answers(path, grid)
    assert 0.1 < expected.mean() < 0.9
    assert np.array_equal(found[~edge], expected[~edge])
    assert edge.mean() < 0.02


@given(
    st.integers(0, 59),
    st.integers(0, 79),
    st.integers(1, 60),
    st.integers(1, 80),
    st.integers(0, 2**32 - 1),
)
def test_windows_are_burnt_as_the_whole(tmp_path_factory, row, col, height, width, seed):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("burnt")
    # Corners on pixel centres and sides, where rounding would decide.
    corners = rng.integers(0, 160, (5, 4, 2)) * [5.0, -5.0] + [500_000, 9_300_000]
    shapes = [shapely.MultiPoint(some).convex_hull for some in corners]
    shapes = [s for s in shapes if s.geom_type == "Polygon"] + [
        shapely.box(499_000, 9e6, 5e5, 9.3e6)
    ]
    path = write(folder / "p.gpkg", shapes)
    window = Window(row, col, min(height, 60 - row), min(width, 80 - col))
    with open_overlay(path, SCENE, "aoi", plain) as overlay:
        whole = overlay.read(Window(0, 0, 60, 80))
        assert np.array_equal(overlay.read(window), whole[window.rows, window.cols])


@pytest.mark.parametrize("grid", [PACIFIC, BEYOND], ids=["utm", "degrees"])
@pytest.mark.parametrize("ending", FORMATS)
def test_polygons_on_both_sides_of_the_antimeridian(tmp_path, grid, ending):
    halves = [shapely.box(179.97, -18.2, 180, -17.8), shapely.box(-180, -18.2, -179.99, -17.8)]
    path = write(tmp_path / f"p.{ending}", halves, "EPSG:4326")
    lon, lat = centres(grid, "EPSG:4326")
    lon = np.where(lon < 0, lon + 360, lon)
    expected = (lon > 179.97) & (lon < 180.01) & (lat > -18.2) & (lat < -17.8)
    assert 0.1 < expected.mean() < 0.9
    assert (answers(path, grid) != expected).mean() < 0.005


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "geojson"])
def test_polygons_around_a_scene_and_none_in_it_answer_no(tmp_path, ending):
    west, north = SCENE.transform.c, SCENE.transform.f
    around = [shapely.box(west + x, north - 300, west + x + 50, north) for x in (-200, 1200)]
    path = tmp_path / f"around.{ending}"
    frame = geopandas.GeoDataFrame(geometry=around, crs=SCENE.crs)
    (frame.to_crs(4326) if ending == "geojson" else frame).to_file(path)
    assert not answers(path).any()


def test_long_edges_bend_with_the_projection(tmp_path):
    """A parallel of latitude is no straight line in UTM; over 4 degrees it is 700 m off."""
    grid = Grid(Affine(10, 0, 500_000, 0, -10, 6_655_000), CRS.from_epsg(32633), 400, 400)
    _, lat = centres(grid, "EPSG:4326")
    middle = float(np.median(lat))
    path = write(tmp_path / "p.geojson", [shapely.box(13, middle, 17, 62)], "EPSG:4326")
    assert (answers(path, grid) != (lat > middle)).mean() < 1e-3


def test_polygons_far_beyond_the_projection_do_no_harm(tmp_path):
    world = shapely.box(-180, -90, 180, 90).difference(shapely.box(-57, -10, -56.997, 0))
    path = write(tmp_path / "p.geojson", [world], "EPSG:4326")
    lon, _ = centres(SCENE, "EPSG:4326")
    assert np.array_equal(answers(path), ~((lon > -57) & (lon < -56.997)))


def geojson(path, *geometries, **members):
    features = [{"type": "Feature", "properties": {}, "geometry": g} for g in geometries]
    text = json.dumps({"type": "FeatureCollection", **members, "features": features})
    path.write_text(text)
    return path


def ring(*points):
    return {"type": "Polygon", "coordinates": [[list(p) for p in points]]}


WEST, SOUTH = -57.0, -6.334
GOOD = ring((WEST, SOUTH), (WEST + 0.01, SOUTH), (WEST + 0.01, SOUTH + 0.01), (WEST, SOUTH))
BOW_TIE = ring(
    (WEST, SOUTH),
    (WEST + 0.01, SOUTH + 0.01),
    (WEST + 0.01, SOUTH),
    (WEST, SOUTH + 0.01),
    (WEST, SOUTH),
)
TWO_POINTS = ring((WEST, SOUTH), (WEST + 0.01, SOUTH))
OPEN = ring((WEST, SOUTH), (WEST + 0.01, SOUTH), (WEST + 0.01, SOUTH + 0.01), (WEST, SOUTH + 0.01))
POINT = {"type": "Point", "coordinates": [WEST, SOUTH]}
MIXED = {"type": "GeometryCollection", "geometries": [POINT, GOOD]}
METRES = ring(
    (500_000, 9_299_500), (500_500, 9_299_500), (500_500, 9_300_000), (500_000, 9_299_500)
)
SWAPPED = ring((SOUTH, WEST), (SOUTH, WEST + 0.01), (SOUTH + 0.01, WEST + 0.01), (SOUTH, WEST))


@pytest.mark.parametrize(
    ("geometries", "why"),
    [
        ([GOOD, BOW_TIE], "feature 1 is no valid polygon (Self-intersection"),
        ([BOW_TIE, GOOD, BOW_TIE], "and 1 more"),
        ([TWO_POINTS], "cannot be read as polygons"),
        ([OPEN], "cannot be read as polygons"),
        ([POINT], "holds Point geometries"),
        ([MIXED], "holds GeometryCollection geometries"),
        ([], "holds no polygon"),
        ([None], "holds no polygon"),
        ([METRES], "are they metres?"),
        ([SWAPPED], "does not overlap the scene; are its coordinates swapped?"),
    ],
    ids=[
        "bow-tie",
        "two-bow-ties",
        "two-points",
        "open",
        "point",
        "mixed",
        "empty",
        "null",
        "metres",
        "swapped",
    ],
)
def test_bad_polygons_are_one_line(tmp_path, geometries, why):
    """Refused, not repaired: of a bow-tie nobody knows which area was meant, and an area of
    interest that was guessed wrongly would make a wrong map of what was not assessed.
    """
    assert why in refusal(geojson(tmp_path / "p.geojson", *geometries))


def test_a_coordinate_that_is_no_number_is_refused(tmp_path):
    path = geojson(tmp_path / "p.geojson", GOOD)
    path.write_text(path.read_text().replace(str(WEST + 0.01), "NaN", 1))
    refusal(path)
    with np.errstate(invalid="ignore"):
        shape = shapely.Polygon([(5e5, 9.3e6), (np.nan, 9.3e6), (500_100, 9_299_000)])
    assert "Invalid Coordinate" in refusal(
        write(tmp_path / "p.gpkg", [shapely.box(0, 0, 9e5, 9.9e6), shape])
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "FeatureCollection", "features": [',
        "{" * 100_000,
        "[" * 100_000,
        "{}",
        "{",
        "",
        "x",
    ],
    ids=["cut", "brackets", "arrays", "object", "brace", "empty", "text"],
)
def test_what_is_no_geojson_is_one_line(tmp_path, text):
    path = tmp_path / "p.geojson"
    path.write_text(text)
    refusal(path)


def test_names_that_are_not_utf_8_are_one_line(tmp_path):
    path = tmp_path / "p.geojson"
    west, north = -57, -6.33
    geopandas.GeoDataFrame(
        {"name": [1]}, geometry=[shapely.box(west, north - 1, west + 1, north)], crs=4326
    ).to_file(path)
    path.write_bytes(path.read_bytes().replace(b'"name": 1', b'"n\xffme": 1'))
    assert "cannot be read as polygons" in refusal(path)


def test_what_ogr_says_names_no_folder_and_no_option_of_its_own(tmp_path):
    path = tmp_path / "p.geojson"
    path.write_text('{"type":')
    said = refusal(path).removeprefix(str(path))
    assert "Failed to read GeoJSON" in said
    assert str(tmp_path) not in said
    assert "driver" not in said


def test_a_huge_geojson_is_refused_before_it_is_read(tmp_path):
    path = geojson(tmp_path / "p.geojson", GOOD)
    with path.open("ab") as file:
        file.truncate(2**30)
    assert "larger than 256 MB" in refusal(path)


def test_no_crs_no_place(tmp_path):
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        path = write(tmp_path / "p.gpkg", [shapely.box(0, 0, 1, 1)], crs=None)
    assert "has no CRS" in refusal(path)


def test_several_layers_are_refused_by_name(tmp_path):
    for layer in ("one", "two"):
        write(tmp_path / "p.gpkg", [shapely.box(5e5, 9.29e6, 6e5, 9.3e6)], layer=layer)
    assert "(one, two)" in refusal(tmp_path / "p.gpkg")


def test_features_without_a_geometry_are_counted(tmp_path):
    path = geojson(tmp_path / "p.geojson", None, GOOD, None)
    with open_overlay(path, SCENE, "aoi", plain) as overlay:
        assert overlay.notes == ("p.geojson: 2 features without a geometry left out",)
        assert overlay.read(Window(0, 0, 60, 80)).any()


def test_an_old_crs_member_is_honoured_and_noted(tmp_path):
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32721"}}
    path = geojson(tmp_path / "p.geojson", METRES, crs=crs)
    with open_overlay(path, SCENE, "aoi", plain) as overlay:
        assert "old crs member (WGS 84 / UTM zone 21S)" in overlay.notes[0]
        assert overlay.read(Window(0, 0, 60, 80)).any()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The bytes of a good file of each format."""
    folder = tmp_path_factory.mktemp("sound")
    shapes = [shapely.box(500_100, 9_299_500, 500_400, 9_299_800)]
    files = [write(folder / f"p.{ending}", shapes) for ending in ("geojson", "gpkg", "fgb")]
    values = np.random.default_rng(0).integers(0, 2, (60, 80), np.uint8)
    files.append(raster(folder / "m.tif", values, 500_000, 9_300_000, 10, compress="deflate"))
    return [file.read_bytes() for file in files]


@given(st.integers(0, 3), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1))
def test_spoilt_files_are_read_or_refused_in_one_line(sound, tmp_path_factory, which, spoilt):
    content = bytearray(sound[which])
    for place, byte in spoilt:
        content[int(place * (len(content) - 1))] = byte
    path = tmp_path_factory.mktemp("spoilt") / "file"
    path.write_bytes(content)
    said = None
    try:
        assert set(np.unique(answers(path))) <= {0, 1, 255}
    except SceneError as error:
        said = error
    assert said is None or (said.exit_code == 3 and "\n" not in str(said))
