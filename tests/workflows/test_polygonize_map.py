"""Class maps of any origin become polygons, in memory and in files."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from rasterio.features import shapes as gdal_shapes
from rfc7946 import faults

import geodeforest as gd
from geodeforest.core.options import VectorOptions
from geodeforest.errors import OptionError, OutputExists, SceneError, SceneUnreadable
from geodeforest.geo.polygons import COLUMNS
from geodeforest.testing import ThresholdPredictor, make_scene
from geodeforest.workflows.polygonize_map import polygonize_to

NORTH_UP = Affine(10, 0, 500_000, 0, -10, 9_300_000)
GRIDS = {
    "UTM": (NORTH_UP, "EPSG:32721"),
    "degrees": (Affine(9e-5, 0, -55.3, 0, -9e-5, -6.1), "EPSG:4326"),
    "south-up": (Affine(10, 0, 500_000, 0, 10, 9_300_000), "EPSG:32721"),
    "rotated": (Affine(8, 6, 500_000, 6, -8, 9_300_000), "EPSG:32721"),
    "oblong": (Affine(20, 0, 500_000, 0, -5, 9_300_000), "EPSG:32721"),
}
EDGE_CASES = {
    "antimeridian in degrees": (Affine(9e-5, 0, 179.999, 0, -9e-5, -16.5), "EPSG:4326"),
    "antimeridian in UTM": (Affine(10, 0, 833_750, 0, -10, 100_000), "EPSG:32660"),
    "north pole": (Affine(90, 0, -1_750, 0, -90, 1_630), "EPSG:3413"),
    "south pole": (Affine(90, 0, -1_750, 0, -90, 1_630), "EPSG:3031"),
    "tiny pixels": (Affine(0.02, 0, 500_000, 0, -0.02, 9_300_000), "EPSG:32721"),
}


class Graded(ThresholdPredictor):
    """The first band is the score."""

    def predict(self, chips, scene_level=None):
        score = chips[..., 0]
        return np.stack([1 - score, score], axis=-1)


def patches(seed, shape=(40, 36), count=3):
    """Blocks of classes with noise and some 255."""
    rng = np.random.default_rng(seed)
    classes = np.kron(rng.integers(0, count, (10, 9)), np.ones((4, 4), int)).astype(np.uint8)
    noise = rng.random(classes.shape) < 0.06
    classes[noise] = rng.choice([*range(count), 255], noise.sum())
    return classes[: shape[0], : shape[1]]


def polygonized(classes, grid="UTM", **options):
    return gd.polygonize(classes, *{**GRIDS, **EDGE_CASES}[grid], **{"min_area": 0, **options})


def burnt(frame, classes, grid="UTM", values=None):
    """The polygons as a raster of ids; what no polygon covers is 255."""
    values = frame["class"].astype(int) if values is None else values
    pairs = list(zip(frame.geometry, values, strict=True))
    place = {"out_shape": classes.shape, "transform": GRIDS[grid][0], "fill": 255}
    return rasterize(pairs, **place, dtype="uint8") if pairs else np.full(classes.shape, 255)


def as_text(polygon):
    return polygon.normalize().wkt


# What scan makes

RUN = "GEODEFOREST_RUN"  # names the scan, options and all


def without_origin(geojson):
    """The bytes of a scan's GeoJSON without the member that names the scan."""
    bare, count = re.subn(rb'"geodeforest":\{[^}]*\},', b"", geojson, count=1)
    assert count == 1
    return bare


@pytest.fixture
def scanned(tmp_path):
    rng = np.random.default_rng(5)
    values = rng.integers(1, 256, (3, 40, 45), np.uint8).repeat(4, 1).repeat(3, 2)
    values[:, 70:90, 30:80] = 0
    scene = make_scene(
        tmp_path / "s.tif", values, nodata=0, tags={"ACQUISITION_DATE": "2024-07-06"}
    )

    def scan(**options):
        paths = {"classes": tmp_path / "classes.tif", "scores": tmp_path / "scores.tif"}
        output = [tmp_path / "scan.geojson", tmp_path / "scan.gpkg"]
        return gd.scan(scene, model=Graded(), output=output, overwrite=True, **{**paths, **options})

    return scan


@pytest.mark.parametrize(
    "options",
    [{}, {"simplify": 0.0}, {"smooth": True}, {"min_area": 0.5, "merge_small": True}],
    ids=str,
)
def test_the_maps_of_a_scan_give_byte_for_byte_its_geojson(scanned, tmp_path, options):
    options = {"min_area": 0.1, **options}
    report = scanned(**options)
    found = polygonize_to(
        tmp_path / "classes.tif",
        [tmp_path / "again.geojson", tmp_path / "again.gpkg"],
        VectorOptions(**options),
        scores=tmp_path / "scores.tif",
    )
    again = (tmp_path / "again.geojson").read_bytes()
    assert found.polygon_count == report.polygon_count > 3
    assert again == without_origin((tmp_path / "scan.geojson").read_bytes())
    assert b"2024-07-06" in again
    assert b"s.tif" in again
    assert b"small 1" in again
    assert b'"confidence":"high"' in again
    assert styles(tmp_path / "again.gpkg") == styles(tmp_path / "scan.gpkg")


def test_confidence_is_told_only_of_the_class_that_the_scores_are_of(scanned, tmp_path):
    scanned(min_area=0)
    maps = {"class_map": tmp_path / "classes.tif", "scores": tmp_path / "scores.tif"}
    path = tmp_path / "all.gpkg"
    found = polygonize_to(
        paths=[path], options=VectorOptions(0), only=["all"], keep=True, **maps
    )._frame
    forest = found["class"] == "forest"
    assert found["confidence"].isna().equals(forest)
    assert not found["score_mean"].isna().any()
    assert "confidence" not in styles(path)["deforestation"]


def test_merging_leaves_the_rasters_of_a_scan_as_they_are(scanned, tmp_path):
    def rasters():
        for name in ("classes.tif", "scores.tif"):
            with rasterio.open(tmp_path / name) as raster:
                tags = {key: word for key, word in raster.tags().items() if key != RUN}
                yield raster.read().tobytes(), tags, raster.profile

    scanned(min_area=0.5)
    before = list(rasters())
    scanned(min_area=0.5, merge_small=True)
    assert list(rasters()) == before


def test_the_outline_area_change_is_reported(scanned):
    assert scanned(simplify=0.0, min_area=0).outline_area_change == 0
    report = scanned(simplify=25.0, min_area=0)
    pixels = report.polygons["pixels"].sum()
    area = shapely.area(report.polygons.geometry.values).sum() / 100
    assert report.outline_area_change == pytest.approx(area / pixels - 1, abs=1e-9)
    assert report.to_dict()["outline_area_change"] == round(report.outline_area_change, 6) != 0


# Geometry


@pytest.mark.parametrize("grid", GRIDS)
def test_polygons_lie_on_their_pixels_in_any_grid(grid):
    classes = patches(1)
    frame = polygonized(classes, grid, only="all")
    assert list(frame.columns) == [*COLUMNS, "geometry"]
    assert frame.crs == GRIDS[grid][1]
    assert frame.is_valid.all()
    assert np.array_equal(burnt(frame, classes, grid), classes)
    hectares = frame.geometry.to_crs("EPSG:6933").area.sum() / 1e4
    assert frame["area_ha"].sum() == pytest.approx(hectares, rel=1e-3)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_unsimplified_polygons_are_those_of_gdal(seed):
    classes = patches(seed)
    frame = polygonized(classes, only="all", simplify=0)
    theirs = [
        (as_text(shapely.geometry.shape(shape)), str(int(value)))
        for shape, value in gdal_shapes(classes, mask=classes != 255, transform=NORTH_UP)
    ]
    ours = zip(map(as_text, without_nodes(frame.geometry)), frame["class"], strict=True)
    assert sorted(ours) == sorted(theirs)


def without_nodes(polygons):
    """Without the points inside straight edges."""
    return shapely.simplify(polygons.values, 0)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_by_default_polygons_burn_back_to_the_class_map_and_share_borders(seed):
    classes = patches(seed)
    frame = polygonized(classes, only="all")
    assert np.array_equal(burnt(frame, classes), classes)
    assert frame.is_valid.all()
    assert shapely.coverage_is_valid(frame.geometry.values)


@pytest.mark.parametrize(
    "options", [{"simplify": 40}, {"simplify": 1e9}, {"smooth": True}], ids=str
)
def test_no_tolerance_opens_a_gap_or_loses_a_polygon(options):
    classes = patches(3)
    frame = polygonized(classes, only="all", **options)
    assert len(frame) == len(polygonized(classes, only="all", simplify=0))
    assert frame.is_valid.all()
    assert shapely.coverage_is_valid(frame.geometry.values)
    covered = (classes != 255).sum() * 100
    assert shapely.area(frame.geometry.values).sum() == pytest.approx(covered, rel=0.2)


def test_smoothing_keeps_every_area():
    frame = polygonized(patches(4), only="all", smooth=True)
    assert np.allclose(shapely.area(frame.geometry.values), frame["pixels"] * 100)
    exact = polygonized(patches(4), only="all", simplify=0)
    assert not shapely.equals(frame.geometry.values, exact.geometry.values).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
@pytest.mark.parametrize("options", [{}, {"simplify": 1e9}, {"smooth": True}], ids=str)
def test_maps_of_a_pixel_a_row_or_a_column(shape, options):
    classes = np.random.default_rng(1).integers(0, 3, shape).astype(np.uint8)
    frame = polygonized(classes, only="all", **options)
    assert np.array_equal(burnt(frame, classes), classes)


def test_a_map_of_255_alone_has_no_polygons():
    frame = polygonized(np.full((20, 30), 255, np.uint8), only="all", merge_small=True)
    assert len(frame) == 0
    assert list(frame.columns) == [*COLUMNS, "geometry"]
    assert frame.crs == "EPSG:32721"


def test_255_classes_at_once():
    classes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert polygonized(classes, only="all")["class"].astype(int).tolist() == list(range(255))


@pytest.mark.parametrize("grid", [*GRIDS, *EDGE_CASES])
@pytest.mark.parametrize("options", [{}, {"simplify": 0.0}, {"smooth": True}], ids=str)
def test_geojson_keeps_to_rfc_7946(tmp_path, grid, options):
    place, crs = {**GRIDS, **EDGE_CASES}[grid]
    path = tmp_path / "p.geojson"
    raster = gd.Raster(patches(6)[np.newaxis], place, crs, nodata=255)
    polygonize_to(raster, [path], VectorOptions(0, **options), only=["all"])
    text = path.read_text("utf-8")
    assert faults(text) == []
    west, _, east, _ = json.loads(text)["bbox"]
    assert (west > east) == grid.startswith("antimeridian")
    if grid != "tiny pixels":
        geometry = geopandas.read_file(path).geometry
        assert shapely.coverage_is_valid(shapely.get_parts(geometry.values))


def test_the_validator_sees_what_is_wrong(tmp_path):
    path = tmp_path / "p.geojson"
    raster = gd.Raster(patches(6)[np.newaxis], *GRIDS["UTM"], nodata=255)
    polygonize_to(raster, [path], VectorOptions(0), only=["all"])
    good = json.loads(path.read_text("utf-8"))
    ring = good["features"][0]["geometry"]["coordinates"][0]

    def told(change):
        bad = json.loads(json.dumps(good))
        change(bad, bad["features"][0], bad["features"][0]["geometry"]["coordinates"][0])
        return " ".join(faults(json.dumps(bad)))

    assert told(lambda c, f, r: None) == ""
    assert "turns the wrong way" in told(lambda c, f, r: r.reverse())
    assert "not closed" in told(lambda c, f, r: r.pop())
    assert "crs is not allowed" in told(lambda c, f, r: c.update(crs={}))
    assert "bbox" in told(lambda c, f, r: c.update(bbox=[0, 0, 1, 1]))
    assert "bbox is missing" in told(lambda c, f, r: c.pop("bbox"))
    assert "not on Earth" in told(lambda c, f, r: [p.__setitem__(0, p[0] + 360) for p in r])
    assert "antimeridian" in told(lambda c, f, r: r[1].__setitem__(0, -ring[1][0] * 3.5))
    assert "decimals" in told(lambda c, f, r: r[1].__setitem__(0, ring[1][0] + 1e-9))
    assert "not valid" in told(lambda c, f, r: r.__setitem__(slice(1, 3), r[2:0:-1]))


# Which classes


def named_map(path, names=("forest", "clearing", "water")):
    tags = {f"CLASS_{number}": name for number, name in enumerate(names)}
    return make_scene(path, patches(7), nodata=255, tags=tags)


@pytest.mark.parametrize(
    ("only", "classes"),
    [
        ((), {"clearing"}),
        (["water"], {"water"}),
        (["2"], {"water"}),
        (["forest", "2"], {"forest", "water"}),
        (["all"], {"forest", "clearing", "water"}),
        (["7"], set()),
    ],
    ids=str,
)
def test_classes_are_chosen_by_name_or_number(tmp_path, only, classes):
    report = polygonize_to(
        named_map(tmp_path / "m.tif"), (), VectorOptions(0), only=only, keep=True
    )
    assert set(report._frame["class"]) == classes


@pytest.mark.parametrize(
    ("only", "classes"),
    [
        (None, {"1"}),
        (2, {"2"}),
        (np.uint8(2), {"2"}),
        ("0", {"0"}),
        ([0, 2], {"0", "2"}),
        (np.array([0, 2]), {"0", "2"}),
        ({0, "1"}, {"0", "1"}),
        ("all", {"0", "1", "2"}),
    ],
    ids=str,
)
def test_in_python_a_class_or_several_may_be_named(only, classes):
    assert set(polygonized(patches(7), only=only)["class"]) == classes


@pytest.mark.parametrize("only", ["meadow", "255", "-1", 256, "1.5", "", True])
def test_an_unknown_class_is_refused_with_the_known_ones(only):
    with pytest.raises(
        OptionError, match=r"unknown; the map names none by name; an id is 0 to 254"
    ):
        polygonized(patches(7), only=only)


def styles(path):
    with closing(sqlite3.connect(path)) as file:
        return dict(file.execute("SELECT f_table_name, styleQML FROM layer_styles"))


@pytest.mark.parametrize(
    ("names", "only", "shown"),
    [
        (("forest", "clearing", "water"), ["0", "2"], {"forest": "forest", "water": "water"}),
        (("forest", "clearing"), ["1", "2"], {"clearing": "clearing", "2": "class 2"}),
        (
            ("forest", "clearing"),
            ["all"],
            {"forest": "forest", "clearing": "clearing", "": "any other class"},
        ),
    ],
    ids=str,
)
def test_the_style_hides_no_class(tmp_path, names, only, shown):
    classes = named_map(tmp_path / "m.tif", names)
    polygonize_to(classes, [tmp_path / "p.gpkg"], VectorOptions(0), only=only)
    root = ElementTree.fromstring(styles(tmp_path / "p.gpkg")["deforestation"])
    found = {c.get("value"): c.get("label") for c in root.iter("category")}
    assert found == shown


# Small ones


def test_min_area_is_judged_on_the_whole_polygon():
    classes = np.zeros((1_500, 20), np.uint8)
    classes[300:1_200, 5] = 1  # 9 ha in three portions of rows, none of which has 5
    classes[100, 5:10] = 1
    assert polygonized(classes, min_area=5)["pixels"].tolist() == [900]


def test_an_island_of_forest_in_a_clearing_is_filled():
    classes = np.zeros((40, 40), np.uint8)
    classes[5:35, 5:35] = 1
    classes[15:18, 15:18] = 0
    classes[1:3, 1:3] = 1
    before = classes.copy()
    frame = polygonized(classes, min_area=0.5, merge_small=True, simplify=0)
    assert frame["pixels"].tolist() == [900]
    assert not frame.geometry.iloc[0].interiors
    assert np.array_equal(classes, before)


def test_a_scan_fills_the_island_in_its_polygon_but_not_in_its_class_map(tmp_path):
    values = np.zeros((3, 60, 70), np.uint8)
    values[:, 10:50, 10:60] = 200
    values[:, 20:24, 30:34] = 0
    scene = make_scene(tmp_path / "s.tif", values)
    plain, merged = (
        gd.scan(scene, model=ThresholdPredictor(), classes=True, merge_small=some)
        for some in (False, True)
    )
    assert [len(r.polygons.geometry.iloc[0].interiors) for r in (plain, merged)] == [1, 0]
    assert merged.polygons["pixels"].tolist() == [2000]
    assert np.array_equal(merged.class_map(), plain.class_map())
    assert (merged.class_map() == 1).sum() == 1984


@pytest.mark.parametrize("options", [{}, {"simplify": 30}, {"smooth": True}], ids=str)
def test_after_merging_no_polygon_is_dropped_though_its_outline_is_smaller(options):
    classes = (np.indices((140, 140)) // 7).sum(axis=0).astype(np.uint8) % 2  # 49 px each
    classes[::14, ::14] = 0
    frame = polygonized(classes, only="all", min_area=0.5, merge_small=True, **options)
    assert frame["pixels"].sum() == classes.size
    assert shapely.area(frame.geometry.values).sum() == pytest.approx(classes.size * 100)


def test_a_small_polygon_with_no_neighbour_but_the_unobserved_stays_after_merging():
    classes = np.full((20, 20), 255, np.uint8)
    classes[8:10, 8:10] = 1
    frame = polygonized(classes, min_area=0.5, merge_small=True)
    assert frame["pixels"].tolist() == [4]
    assert frame["touches_unobserved"].all()
    assert len(polygonized(classes, min_area=0.5)) == 0


def test_merging_everything_leaves_one_polygon():
    classes = patches(8)
    classes[classes == 255] = 0
    assert len(polygonized(classes, only="all", min_area=1e9, merge_small=True)) == 1


# What was not assessed


@pytest.mark.parametrize("options", [{"simplify": 0.0}, {}], ids=str)
def test_the_layer_of_the_not_assessed_is_exactly_the_pixels_of_255(tmp_path, options):
    classes = patches(9)
    path = tmp_path / "p.gpkg"
    raster = gd.Raster(classes[np.newaxis], *GRIDS["UTM"], nodata=255)
    polygonize_to(raster, [path], VectorOptions(5, **options), only=["all"])
    unseen = geopandas.read_file(path, layer="not_assessed")
    assert unseen["pixels"].sum() == (classes == 255).sum() > 0
    cells = burnt(unseen, classes, values=[1] * len(unseen))
    assert np.array_equal(cells == 1, classes == 255)


def test_what_is_masked_is_not_assessed():
    classes = np.ma.masked_equal(patches(10), 0)
    frame = polygonized(classes, only="all")
    assert set(frame["class"]) == {"1", "2"}
    assert frame["touches_unobserved"].any()


def test_the_nodata_of_a_file_is_not_assessed(tmp_path):
    classes = patches(10)
    found = polygonize_to(
        make_scene(tmp_path / "m.tif", classes, nodata=0),
        [tmp_path / "p.gpkg"],
        VectorOptions(0),
        only=["all"],
    )
    assert found.polygon_count > 0
    unseen = geopandas.read_file(tmp_path / "p.gpkg", layer="not_assessed")
    assert unseen["pixels"].sum() == np.isin(classes, (0, 255)).sum()


# Numbers


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint32, np.int64, bool])
def test_ids_may_be_whole_numbers_of_any_type(dtype):
    classes = patches(11, count=2) % 2
    expected = polygonized(classes, only="all")
    assert expected.equals(polygonized(classes.astype(dtype), only="all"))


@pytest.mark.parametrize(
    ("value", "dtype", "says"),
    [
        (-1, np.int16, "holds -1, which is no class id"),
        (256, np.uint16, "holds 256"),
        (2**40, np.int64, "holds 1099511627776"),
        (0.5, np.float32, "no class map .*float32"),
    ],
    ids=str,
)
def test_what_is_no_class_id_is_refused(value, dtype, says):
    classes = patches(11).astype(dtype)
    classes[3, 3] = value
    with pytest.raises(SceneUnreadable, match=says):
        polygonized(classes, only="all")


@pytest.mark.parametrize("stored", ["floats", "steps"])
def test_scores_fill_their_columns(stored):
    classes = np.zeros((10, 10), np.uint8)
    classes[2:4, 2:4] = 1
    scores = np.full((10, 10), 0.5, np.float32)
    scores[2, 2] = 0.9
    if stored == "steps":
        scores = np.round(scores * 250).astype(np.uint8)
    frame = polygonized(classes, scores=scores)
    assert frame[["score_mean", "score_min"]].values.tolist() == [[0.6, 0.5]]
    assert frame["confidence"].isna().all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s + 1, "no score"),
        (lambda s: -s, "no score"),
        (lambda s: np.where(np.arange(36) == 3, np.nan, s), "lacks scores"),
        (lambda s: s[:, :-1], "grid of array"),
        (lambda s: (s * 255).astype(np.uint8) | 251, "no score|lacks scores"),
    ],
)
def test_scores_that_do_not_belong_are_refused(change, says):
    classes = patches(12, count=2) % 2
    scores = change(np.full(classes.shape, 0.5, np.float32))
    with pytest.raises(SceneUnreadable, match=says):
        polygonized(classes, scores=scores)


def test_scores_of_another_grid_are_refused(tmp_path):
    classes = make_scene(tmp_path / "m.tif", patches(12))
    moved = Affine(10, 0, 500_010, 0, -10, 9_300_000)
    scores = make_scene(tmp_path / "s.tif", np.full((40, 36), 100, np.uint8), transform=moved)
    with pytest.raises(SceneUnreadable, match=r"s\.tif.*grid of m\.tif"):
        polygonize_to(classes, (), VectorOptions(0), scores=scores)


def test_scores_of_several_bands_are_refused(tmp_path):
    classes = make_scene(tmp_path / "m.tif", patches(12))
    scores = make_scene(tmp_path / "s.tif", np.full((2, 40, 36), 100, np.uint8))
    with pytest.raises(SceneUnreadable, match=r"s\.tif.*no score map"):
        polygonize_to(classes, (), VectorOptions(0), scores=scores)


@pytest.mark.parametrize(
    "wrong",
    [
        {"class_map": np.zeros((3, 4, 4), np.uint8)},
        {"class_map": np.zeros((0, 4), np.uint8)},
        {"crs": "EPSG:nowhere"},
        {"crs": None},
        {"transform": Affine.identity()},
        {"min_area": -1},
        {"simplify": -1},
        {"simplify": float("nan")},
        {"simplify": 5, "smooth": True},
    ],
    ids=str,
)
def test_bad_arguments_are_errors_of_ours(wrong):
    arguments = {
        "class_map": np.ones((4, 4), np.uint8),
        "transform": NORTH_UP,
        "crs": "EPSG:32721",
        **wrong,
    }
    with pytest.raises((OptionError, SceneError)):
        gd.polygonize(**arguments)


# Files


def test_an_existing_output_is_kept_unless_it_may_be_overwritten(tmp_path):
    classes, path = named_map(tmp_path / "m.tif"), tmp_path / "p.geojson"
    path.write_text("old")
    with pytest.raises(OutputExists):
        polygonize_to(classes, [path], VectorOptions(0))
    assert path.read_text() == "old"
    polygonize_to(classes, [path], VectorOptions(0), overwrite=True)
    assert faults(path.read_text("utf-8")) == []


@pytest.mark.parametrize("which", ["class map", "scores"])
def test_no_input_is_overwritten(tmp_path, which):
    classes = named_map(tmp_path / "m.tif").rename(tmp_path / "m.gpkg")
    scores = make_scene(tmp_path / "s.tif", np.full((40, 36), 100, np.uint8))
    scores = scores.rename(tmp_path / "s.gpkg")
    with pytest.raises(OptionError):
        polygonize_to(
            classes,
            [classes if which == "class map" else scores],
            VectorOptions(0),
            scores=scores,
            overwrite=True,
        )


def test_a_failure_leaves_nothing_behind(tmp_path):
    classes = patches(13).astype(np.int16)
    classes[-1, -1] = -7
    folder = tmp_path / "out"
    folder.mkdir()
    paths = [folder / f"p{end}" for end in (".geojson", ".gpkg", ".fgb", ".parquet")]
    with pytest.raises(SceneUnreadable):
        polygonize_to(make_scene(tmp_path / "m.tif", classes), paths, VectorOptions(0))
    assert not list(folder.iterdir())


@pytest.mark.parametrize("extension", [".geojson", ".gpkg", ".fgb", ".parquet"])
def test_all_formats_hold_the_same_polygons(tmp_path, extension):
    classes, path = named_map(tmp_path / "m.tif"), tmp_path / f"p{extension}"
    report = polygonize_to(classes, [path], VectorOptions(0), only=["all"], keep=True)
    frame = report._frame.set_index("id").sort_index()
    if extension == ".parquet":
        found = geopandas.read_parquet(path)
    else:
        found = geopandas.read_file(path, layer=0)
    found = found.set_index("id").sort_index().to_crs(frame.crs)
    assert found.index.equals(frame.index)
    apart = shapely.hausdorff_distance(found.geometry.values, frame.geometry.values)
    assert apart.max() < (0.02 if extension == ".geojson" else 1e-9)


def test_outputs_do_not_depend_on_how_the_map_is_stored(tmp_path):
    classes = np.kron(patches(14), np.ones((16, 3), int)).astype(np.uint8)  # over 512 rows

    def made(name, **profile):
        path = tmp_path / f"{name}.geojson"
        place = tmp_path / name
        place.mkdir()
        polygonize_to(
            make_scene(place / "m.tif", classes, nodata=255, **profile),
            [path],
            VectorOptions(0),
            only=["all"],
        )
        return path.read_bytes()

    tiled = {"tiled": True, "blockxsize": 64, "blockysize": 48}
    assert made("rows", blockysize=7) == made("tiles", **tiled) == made("whole", blockysize=640)


def test_progress_is_told_in_rows(tmp_path):
    told = []
    classes = np.ones((1_100, 3), np.uint8)
    polygonize_to(
        make_scene(tmp_path / "m.tif", classes),
        (),
        VectorOptions(0),
        progress=lambda *some: told.append(some),
    )
    assert told[-1] == (1_100, 1_100)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_dataset_that_is_open_is_a_class_map_too(tmp_path):
    with rasterio.open(named_map(tmp_path / "m.tif")) as dataset:
        report = polygonize_to(dataset, (), VectorOptions(0), only=["water"], keep=True)
    assert set(report._frame["class"]) == {"water"}
    assert Path(report.class_map).name == "m.tif"
