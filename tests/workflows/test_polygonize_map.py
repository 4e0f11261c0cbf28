"""Class maps of any origin become polygons, in memory and in files."""

import re
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from class_maps import NORTH_UP, named_map, patches, polygonized, styles
from rfc7946 import faults

import geodeforest as gd
from geodeforest.core.options import VectorOptions
from geodeforest.errors import OptionError, OutputExists, SceneError, SceneUnreadable
from geodeforest.testing import ThresholdPredictor, make_scene
from geodeforest.workflows.polygonize_map import polygonize_to


class Graded(ThresholdPredictor):
    """The first band is the score."""

    def predict(self, chips, scene_level=None):
        score = chips[..., 0]
        return np.stack([1 - score, score], axis=-1)


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
