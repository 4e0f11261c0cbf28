"""A scan of which only some pixels count: masks, areas, baselines."""

import json
from dataclasses import replace

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from limited_scans import assert_adds_up, scan

import geodeforest as gd
from geodeforest.core.options import VectorOptions
from geodeforest.core.spec import ClassDef
from geodeforest.errors import NothingAssessed, SceneError, SceneLimited, SceneResampled
from geodeforest.testing import CORNER, ThresholdPredictor, make_scene, small_spec
from geodeforest.workflows.polygonize_map import polygonize_to


def patches(seed, height=150, width=130):
    """Bright and dark squares of noise, of three bands without a zero."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, 256, (3, height // 8 + 1, width // 8 + 1), np.uint8)
    return rng, coarse.repeat(8, 1).repeat(8, 2)[:, :height, :width].copy()


def box(row, col, height, width, pixel=10.0):
    """The outline of some pixels of a made scene."""
    west, north = CORNER[0] + col * pixel, CORNER[1] - row * pixel
    return shapely.box(west, north - height * pixel, west + width * pixel, north)


def write(path, *shapes, crs="EPSG:32721"):
    geopandas.GeoDataFrame(geometry=list(shapes), crs=crs).to_file(path)
    return path


STYLES = ("value", "nan", "one-band", "alpha", "internal", "external", "sparse", "mask-file")


def with_nodata(folder, style, values, unseen):
    """A scene of which the pixels ``unseen`` were not observed, said in one of many ways."""
    path, options = folder / f"{style}.tif", {}
    if style in ("value", "one-band", "sparse"):
        values = values.copy()
        values[: 1 if style == "one-band" else 3, unseen] = 0
        options = {"nodata": 0}
    if style == "nan":
        values = values.astype(np.float32)
        values[:, unseen] = np.nan
        options = {"nodata": np.nan}
    if style == "alpha":
        values = np.concatenate([values, np.where(unseen, 0, 255).astype(np.uint8)[np.newaxis]])
        options = {"colours": ["red", "green", "blue", "alpha"]}
    if style == "internal":
        options = {"valid": ~unseen}
    if style == "sparse":
        options |= {"tiled": True, "blockxsize": 16, "blockysize": 16, "SPARSE_OK": True}
    make_scene(path, values, **options)
    if style == "external":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
            dataset.write_mask(~unseen)
        assert path.with_name(path.name + ".msk").exists()
    if style == "mask-file":
        return path, {"mask": make_scene(folder / "hidden.tif", unseen.astype(np.uint8))}
    return path, {"scale": (0, 255)} if style == "nan" else {}


@settings(max_examples=4)
@given(st.integers(0, 2**32 - 1))
def test_every_way_to_say_that_nothing_was_seen_gives_the_same_result(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("nodata")
    rng, values = patches(seed)
    unseen = rng.random((10, 9)).repeat(16, 0).repeat(16, 1)[:150, :130] < 0.2
    first = None
    for style in STYLES:
        path, options = with_nodata(folder, style, values, unseen)
        report = scan(path, **options)
        assert_adds_up(report, ~unseen, np.zeros_like(unseen))
        found = report.class_map().tobytes(), report.polygons.drop(columns="scene").to_json()
        first = first or found
        assert found == first, style


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_assessed_not_assessed_and_outside_add_up_to_the_pixel(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("counts")
    rng, values = patches(seed)
    hidden = rng.random((150, 130)) < 0.2
    unseen = rng.random((150, 130)) < 0.1
    inside = np.zeros((150, 130), bool)
    row, col = int(rng.integers(0, 100)), int(rng.integers(0, 100))
    inside[row : row + 40, col : col + 60] = True
    before = rng.choice(np.array([0, 1, 9], np.uint8), (50, 44)).repeat(3, 0).repeat(3, 1)
    report = scan(
        make_scene(folder / "s.tif", values, valid=~unseen),
        mask=make_scene(folder / "m.tif", hidden.astype(np.uint8) * 7),
        aoi=write(folder / "a.gpkg", box(row, col, 40, 60)),
        baseline=make_scene(folder / "b.tif", before[::3, ::3], gsd_m=30, nodata=9),
    )
    before = before[:150, :130]
    assessed = ~unseen & ~hidden & (before != 9)
    assert_adds_up(report, assessed, ~inside)
    bright = values[0] > 127
    expected = np.where(bright, np.where(before == 1, 1, 2), 0)
    assert np.array_equal(report.class_map(), np.where(assessed & inside, expected, 255))
    assert sum(c.px for c in report.classes) == report.assessed_px


@pytest.mark.parametrize("merge_small", [False, True])
def test_a_scan_of_an_area_is_a_part_of_the_scan_of_the_scene(tmp_path, merge_small):
    _, values = patches(1)
    scene = make_scene(tmp_path / "s.tif", values)
    whole, part = (
        scan(scene),
        scan(scene, aoi=write(tmp_path / "a.fgb", box(30, 20, 80, 100)), merge_small=merge_small),
    )
    expected = np.full((150, 130), 255)
    expected[30:110, 20:120] = whole.class_map()[30:110, 20:120]
    assert np.array_equal(part.class_map(), expected)
    assert part.polygons.union_all().within(box(30, 20, 80, 100).buffer(1e-6))


class Contextual(ThresholdPredictor):
    """Scores that depend on the whole chip."""

    def predict(self, chips, scene_level=None):
        rows, cols = chips[..., 0].cumsum(1) % 1, chips[..., 0].cumsum(2)[:, :, ::-1] % 1
        score = (rows + cols + chips[..., 1].mean((1, 2), keepdims=True)) / 3
        return np.stack([1 - score, score], axis=-1).astype(np.float32)


@pytest.mark.parametrize("where", [(140, 120, 30, 50), (0, 0, 9, 9), (291, 311, 9, 9)])
def test_what_is_far_from_an_area_changes_nothing_in_it(tmp_path, where):
    row, col, height, width = where
    scene = make_scene(tmp_path / "s.tif", patches(4, 300, 320)[1])
    options = {"model": Contextual(), "scores": True}
    whole = scan(scene, **options)
    part = scan(scene, aoi=write(tmp_path / "a.gpkg", box(*where)), **options)
    cut = np.s_[row : row + height, col : col + width]
    assert np.array_equal(part.scores()[cut], whole.scores()[cut])
    assert part.assessed_px == height * width


def test_polygons_know_that_they_touch_what_is_outside(tmp_path):
    values = np.zeros((3, 100, 100), np.uint8)
    values[:, 20:40, 20:40] = values[:, 60:80, 60:80] = 200
    scene = make_scene(tmp_path / "s.tif", values)
    assert not scan(scene).polygons["touches_unobserved"].any()
    area = write(tmp_path / "a.gpkg", box(10, 10, 60, 80))
    for options in ({}, {"merge_small": True}, {"smooth": True}):
        report = scan(scene, aoi=area, **options)
        assert report.polygons["touches_unobserved"].tolist() == [False, True]


@pytest.mark.parametrize("options", [{}, {"simplify": 0}, {"merge_small": True, "min_area": 0.3}])
def test_what_is_outside_is_not_in_the_layer_of_what_was_not_assessed(tmp_path, options):
    _, values = patches(2)
    valid = np.ones((150, 130), bool)
    valid[40:60, 30:50] = valid[100:, 100:] = False
    scene = make_scene(tmp_path / "s.tif", values, valid=valid)
    out = tmp_path / "o.gpkg"
    scan(scene, aoi=write(tmp_path / "a.gpkg", box(20, 20, 85, 85)), output=out, **options)
    unseen = geopandas.read_file(out, layer="not_assessed")
    expected = shapely.union_all([box(40, 30, 20, 20), box(100, 100, 5, 5)])
    assert unseen.union_all().symmetric_difference(expected).area < 0.02 * expected.area
    assert unseen["pixels"].sum() == 20 * 20 + 5 * 5


def test_features_are_the_same_with_and_without_a_layer_of_the_unseen(tmp_path):
    _, values = patches(3)
    valid = np.random.default_rng(3).random((19, 17)).repeat(8, 0).repeat(8, 1)[:150, :130] < 0.9
    scene = make_scene(tmp_path / "s.tif", values, valid=valid)
    area = write(tmp_path / "a.gpkg", box(21, 21, 90, 90))
    alone = scan(scene, aoi=area).polygons
    beside = scan(scene, aoi=area, output=tmp_path / "o.gpkg").polygons
    assert alone.to_json() == beside.to_json()


def test_a_baseline_stands_in_polygons_record_and_legend(tmp_path):
    values = np.full((3, 60, 60), 200, np.uint8)
    scene = make_scene(tmp_path / "s.tif", values)
    forest = np.zeros((60, 60), np.uint8)
    forest[10:30, 10:50] = 1
    baseline = make_scene(tmp_path / "f.tif", forest, tags={"ACQUISITION_DATE": "2019-08-01"})
    classes = tmp_path / "c.tif"
    report = scan(scene, baseline=baseline, output=tmp_path / "o.gpkg", classes=classes)
    (row,) = report.polygons.to_dict("records")
    assert (row["baseline"], row["pixels"], row["touches_unobserved"]) == ("f.tif", 800, False)
    record = report.to_dict()
    assert record["baseline"] == {"name": "f.tif", "date": "2019-08-01"}
    assert not any("no baseline" in note for note in record["notes"])
    assert [(c["id"], c["name"], c["px"]) for c in record["classes"]] == [
        (0, "forest", 0),
        (1, "deforestation", 800),
        (2, "other", 2800),
    ]
    with rasterio.open(classes) as dataset:
        assert dataset.tags()["CLASS_2"] == "other"
        assert 2 in dataset.colormap(1)
    style = pyogrio.read_dataframe(tmp_path / "o.gpkg", layer="layer_styles")["styleQML"][0]
    assert "deforestation of f.tif" in style
    assert "no baseline" not in style
    again = polygonize_to(classes, [], VectorOptions(), keep=True)
    assert set(again._frame["baseline"]) == {"f.tif"}


def test_scores_outside_the_baselines_forest_are_zero(tmp_path):
    scene = make_scene(tmp_path / "s.tif", np.full((3, 60, 60), 200, np.uint8))
    forest = write(tmp_path / "f.gpkg", box(10, 10, 20, 20))
    scores = scan(scene, baseline=forest, scores=True).scores()
    assert scores[10:30, 10:30].min() == 1
    scores[10:30, 10:30] = 0
    assert (scores == 0).all()


def test_the_class_map_of_an_earlier_scan_is_a_baseline(tmp_path):
    """In it forest is 0, which any other raster would mean as no forest."""
    values = np.zeros((3, 60, 60), np.uint8)
    values[:, :20] = 200
    valid = np.ones((60, 60), bool)
    valid[:, :5] = False
    earlier = make_scene(tmp_path / "e.tif", values, valid=valid)
    scan(earlier, classes=tmp_path / "before.tif")
    later = make_scene(tmp_path / "l.tif", np.full((3, 60, 60), 200, np.uint8))
    with pytest.warns(SceneLimited, match="before.tif is read as a class map, class forest"):
        report = scan(later, baseline=tmp_path / "before.tif")
    expected = np.ones((60, 60))
    expected[:20] = 2
    expected[:, :5] = 255
    assert np.array_equal(report.class_map(), expected)


def test_a_class_map_without_forest_is_no_baseline(tmp_path):
    spec = small_spec()
    odd = replace(spec, classes=(ClassDef(0, "wood", "forest"), spec.classes[1]))
    scene = make_scene(tmp_path / "s.tif", np.full((3, 60, 60), 200, np.uint8))
    scan(scene, classes=tmp_path / "before.tif", model=ThresholdPredictor(spec=odd))
    with pytest.raises(SceneError, match="without a class named forest"):
        scan(scene, baseline=tmp_path / "before.tif")


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("T21MXT_20190706T141049_SCL_20m.tif", {0, 1, 3, 8, 9, 10}),
        ("LC08_L2SP_227065_20190706_QA_PIXEL.TIF", {n for n in range(256) if n & 0b11111}),
    ],
)
def test_masks_are_known_by_name(tmp_path, name, hidden):
    numbers = np.arange(0, 240, 16 if "QA" in name else 1, np.uint16)[:15] + np.arange(15)
    mask = make_scene(tmp_path / name, np.tile(numbers.astype(np.uint16), (15, 1)), gsd_m=20)
    scene = make_scene(tmp_path / "s.tif", patches(0, 30, 30)[1])
    with pytest.warns(SceneLimited, match=f"{name} is read as"):
        report = scan(scene, mask=mask)
    expected = np.tile(np.isin(numbers, sorted(hidden)).repeat(2), (30, 1))
    assert np.array_equal(report.class_map() == 255, expected)


def test_a_band_may_say_that_it_is_a_known_mask(tmp_path):
    numbers = np.tile(np.arange(6, dtype=np.uint8), (6, 1))
    mask = make_scene(tmp_path / "m.tif", numbers, gsd_m=50, names=["SCL"])
    scene = make_scene(tmp_path / "s.tif", patches(0, 30, 30)[1])
    with pytest.warns(SceneLimited, match="m.tif is read as SCL"):
        report = scan(scene, mask=mask)
    assert (report.class_map()[0] == 255).reshape(6, 5).all(axis=1).tolist() == [1, 1, 0, 1, 0, 0]


@pytest.mark.parametrize("name", ["classes.tif", "DISCLOSED.tif"])
def test_of_other_masks_every_number_but_0_hides(tmp_path, name):
    numbers = np.tile(np.arange(6, dtype=np.uint8), (6, 1))
    mask = make_scene(tmp_path / name, numbers, gsd_m=50)
    report = scan(make_scene(tmp_path / "s.tif", patches(0, 30, 30)[1]), mask=mask)
    assert np.array_equal(report.class_map() == 255, np.arange(30) >= np.full((30, 1), 5))


def test_what_a_mask_hides_does_not_reach_the_network(tmp_path):
    class Dull(ThresholdPredictor):
        def predict(self, chips, scene_level=None):
            assert chips.max() < 0.5
            return super().predict(chips)

    values = np.full((3, 60, 60), 40, np.uint8)
    values[:, 10:20, 10:20] = 250
    scene = make_scene(tmp_path / "s.tif", values)
    report = scan(scene, mask=write(tmp_path / "c.gpkg", box(10, 10, 10, 10)), model=Dull())
    assert report.not_assessed_px == 100


def test_an_area_in_which_nothing_was_seen_warns(tmp_path):
    valid = np.ones((60, 60), bool)
    valid[:20] = False
    scene = make_scene(tmp_path / "s.tif", patches(0, 60, 60)[1], valid=valid)
    with pytest.warns(NothingAssessed):
        report = scan(scene, aoi=write(tmp_path / "a.gpkg", box(0, 0, 10, 60)))
    assert (report.assessed_px, report.not_assessed_px, report.outside_px) == (0, 600, 3000)


def test_a_file_that_does_not_fit_leaves_nothing_behind(tmp_path):
    scene = make_scene(tmp_path / "s.tif", patches(0, 60, 60)[1])
    far = write(tmp_path / "a.gpkg", shapely.box(0, 0, 1, 1))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SceneError, match="swapped"):
        scan(scene, aoi=far, output=tmp_path / "o.geojson", classes=tmp_path / "c.tif")
    assert sorted(tmp_path.iterdir()) == before


def test_limits_lie_on_the_grid_of_a_resampled_scene(tmp_path):
    """Pixels of 20 m become pixels of 10 m; a mask of 5 m is laid over those."""
    _, values = patches(5, 60, 60)
    scene = make_scene(tmp_path / "s.tif", values, gsd_m=20)
    hidden = np.zeros((240, 240), np.uint8)
    hidden[100:140, 40:90] = 1
    mask = make_scene(tmp_path / "m.tif", hidden, gsd_m=5)
    area = write(tmp_path / "a.gpkg", box(20, 10, 80, 70))
    with pytest.warns(SceneResampled):
        report = scan(scene, aoi=area, mask=mask)
    assert report.class_map().shape[0] in (119, 120)
    assert report.outside_px == report.scene_px - 80 * 70
    assert report.not_assessed_px == pytest.approx(20 * 25, abs=25)


def test_the_record_names_the_files_but_not_their_folders(tmp_path):
    scene = make_scene(tmp_path / "s.tif", patches(0, 60, 60)[1])
    area, cloud = box(10, 10, 20, 20), box(10, 10, 5, 5)
    files = {"aoi": write(tmp_path / "a.gpkg", area), "mask": write(tmp_path / "m.gpkg", cloud)}
    record = scan(scene, **files).to_dict()
    assert (record["options"]["aoi"], record["options"]["mask"]) == ("a.gpkg", "m.gpkg")
    assert str(tmp_path) not in json.dumps(record)


def test_an_array_has_limits_too(tmp_path):
    _, values = patches(0, 60, 60)
    scene = gd.Raster(values, Affine(10, 0, CORNER[0], 0, -10, CORNER[1]), "EPSG:32721")
    area, cloud = box(10, 10, 20, 20), box(10, 10, 5, 5)
    files = {"aoi": write(tmp_path / "a.fgb", area), "mask": write(tmp_path / "m.shp", cloud)}
    report = scan(scene, **files)
    assert (report.assessed_px, report.not_assessed_px) == (20 * 20 - 5 * 5, 5 * 5)
