"""A scan from a file to polygons, rasters and the run record."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from square_scenes import scene_with_square

import geodeforest as gd
from geodeforest.core.grid import Window
from geodeforest.errors import BandMissing, NothingAssessed, OptionError, SceneUnreadable
from geodeforest.geo.profile import corner
from geodeforest.testing import ConstantPredictor, ThresholdPredictor, make_scene, small_spec


def burnt(report, scene):
    """The report's polygons as a raster of the scene."""
    with rasterio.open(scene) as source:
        shapes = [(geometry, 1) for geometry in report.polygons.geometry]
        grid = {"out_shape": source.shape, "transform": source.transform}
    return rasterize(shapes, **grid) if shapes else np.zeros(grid["out_shape"], np.uint8)


def test_a_bright_square_becomes_one_polygon_of_its_own_area(tmp_path):
    report = gd.scan(scene_with_square(tmp_path / "s.tif"), model=ThresholdPredictor())
    assert report.polygon_count == len(report.polygons) == 1
    assert report.deforested_ha == pytest.approx(50 * 60 / 100, rel=2e-3)
    assert report.polygons.crs.to_epsg() == 32721
    row = report.polygons.iloc[0]
    assert (row["id"], row["class"], row["pixels"]) == (50 * 200 + 60 + 1, "deforestation", 3000)
    assert (row["score_mean"], row["score_min"], row["confidence"]) == (1, 1, "high")
    assert not row["touches_unobserved"]
    assert (row["scene"], row["model"]) == ("s.tif", "small 1")


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 0.7]))
def test_scores_class_map_and_polygons_agree_pixel_for_pixel(tmp_path_factory, seed, threshold):
    folder = tmp_path_factory.mktemp("agree")
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, 256, (3, 25, 18), np.uint8).repeat(4, 1).repeat(5, 2)
    coarse[:, rng.integers(0, 100, 30), rng.integers(0, 90, 30)] = 0
    scene = make_scene(folder / "s.tif", coarse, nodata=0)

    class Graded(ThresholdPredictor):
        def predict(self, chips, scene_level=None):
            score = chips[..., 0] * 0.9
            return np.stack([1 - score, score], axis=-1)

    report = gd.scan(
        scene, model=Graded(), classes=True, scores=True, min_area=0, threshold=threshold
    )
    classes, scores = report.class_map(), report.scores()
    unseen = (coarse == 0).any(axis=0)
    assert np.array_equal(classes == 255, unseen)
    assert np.array_equal(np.isnan(scores), unseen)
    assert np.array_equal(classes == 1, np.nan_to_num(scores) >= threshold - 1e-6)
    assert np.array_equal(burnt(report, scene), classes == 1)
    assert report.polygons["pixels"].sum() == (classes == 1).sum()


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": "a"},
        {"min_area": "a"},
        {"simplify": "a"},
        {"chip": 64.0},
        {"overlap": "a"},
        {"threads": "a"},
        {"memory": "a"},
        {"classes": 5},
        {"report": 5},
        {"output": 5},
        {"output": [5]},
        {"bands": 5},
        {"scale": 5},
        {"scale": ("a", "b")},
        {"model": 5},
        {"scene": [7]},
    ],
)
def test_an_argument_of_a_wrong_type_is_refused_by_name(tmp_path, wrong):
    arguments = {"scene": tmp_path / "none.tif", "model": ThresholdPredictor(), **wrong}
    with pytest.raises(OptionError, match=f"^{next(iter(wrong))}: ") as caught:
        gd.scan(**arguments)
    assert "\n" not in str(caught.value)


def test_every_pixel_is_accounted_for(tmp_path):
    values = np.full((3, 150, 90), 50, np.uint8)
    values[:, :40] = 0
    values[:, 60:80, 10:30] = 200
    scene = make_scene(tmp_path / "s.tif", values, nodata=0)
    report = gd.scan(scene, model=ThresholdPredictor())
    assert (report.assessed_px, report.not_assessed_px) == (110 * 90, 40 * 90)
    assert report.assessed_px + report.not_assessed_px + report.outside_px == report.scene_px
    assert report.not_assessed_ha == pytest.approx(36, rel=2e-3)
    assert {c.name: c.px for c in report.classes} == {"forest": 9500, "deforestation": 400}
    record = report.to_dict()
    assert record["hectares"]["not_assessed"] == pytest.approx(report.not_assessed_ha, abs=1e-4)
    assert json.loads(json.dumps(record)) == record


def test_a_polygon_beside_the_unknown_says_so(tmp_path):
    values = np.full((3, 60, 60), 50, np.uint8)
    values[:, 10:30, 10:30] = 200
    values[:, 30:40, 15] = 0
    report = gd.scan(make_scene(tmp_path / "s.tif", values, nodata=0), model=ThresholdPredictor())
    assert report.polygons["touches_unobserved"].tolist() == [True]


def test_small_polygons_are_dropped_and_counted(tmp_path):
    values = np.zeros((3, 60, 60), np.uint8)
    values[:, 5:12, 5:12] = 200  # 49 px = 0.49 ha
    values[:, 30:38, 30:38] = 200  # 64 px
    scene = make_scene(tmp_path / "s.tif", values)
    report = gd.scan(scene, model=ThresholdPredictor())
    assert (report.polygon_count, report.dropped_count) == (1, 1)
    assert gd.scan(scene, model=ThresholdPredictor(), min_area=0).polygon_count == 2


def test_a_scene_with_nothing_observed_warns_and_reports_nothing(tmp_path):
    scene = make_scene(tmp_path / "s.tif", np.zeros((3, 90, 70), np.uint8), nodata=0)
    with pytest.warns(NothingAssessed, match="says nothing about the forest"):
        report = gd.scan(scene, model=ThresholdPredictor(), output=tmp_path / "p.gpkg")
    assert (report.assessed_px, report.not_assessed_px) == (0, 6300)
    assert report.polygons.empty
    assert (tmp_path / "p.gpkg").exists()


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (63, 64), (65, 130)])
def test_scenes_of_any_shape(tmp_path, shape):
    values = np.full((3, *shape), 200, np.uint8)
    report = gd.scan(
        make_scene(tmp_path / "s.tif", values), model=ThresholdPredictor(), classes=True, min_area=0
    )
    assert report.class_map().shape == shape
    assert (report.class_map() == 1).all()
    assert report.polygons["touches_unobserved"].all()


def test_what_is_not_on_earth_spoils_no_sum(tmp_path):
    edge = rasterio.Affine(1000, 0, 6_378_137 - 50_000, 0, -1000, 40_000)
    ortho = "+proj=ortho +lat_0=0 +lon_0=-60 +R=6378137"
    values = np.zeros((3, 80, 80), np.uint8)
    values[:, 10:20, 10:20] = values[:, 30:50, 40:80] = 200
    scene = make_scene(tmp_path / "s.tif", values, crs=ortho, transform=edge)
    model = ThresholdPredictor(spec=replace(small_spec(), gsd_m=None))
    report = gd.scan(scene, model=model, report=tmp_path / "r.json")
    areas = report.polygons["area_ha"]
    assert areas.isna().tolist() == [False, True]
    assert report.deforested_ha == areas[0] > 0
    json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)


def test_a_rotated_grid_gives_polygons_in_the_right_place(tmp_path):
    turned = rasterio.Affine(8, 6, 500_000, 6, -8, 9_300_000)
    scene = scene_with_square(tmp_path / "s.tif", transform=turned)
    report = gd.scan(scene, model=ThresholdPredictor())
    assert report.deforested_ha == pytest.approx(30, rel=2e-3)
    x, y = report.polygons.geometry[0].centroid.coords[0]
    assert (x, y) == pytest.approx(corner(turned, row=75, col=90), abs=0.5)


def test_a_dtype_without_a_scale_asks_for_one(tmp_path):
    scene = make_scene(tmp_path / "s.tif", np.zeros((3, 70, 70), np.int32))
    with pytest.raises(SceneUnreadable, match="--scale"):
        gd.scan(scene, model=ThresholdPredictor())
    assert gd.scan(scene, model=ThresholdPredictor(), scale=(0, 9)).polygon_count == 0


def test_the_scale_decides_what_the_model_sees(tmp_path):
    scene = make_scene(tmp_path / "s.tif", np.full((3, 70, 70), 100, np.uint8))
    assert gd.scan(scene, model=ThresholdPredictor()).polygon_count == 0
    assert gd.scan(scene, model=ThresholdPredictor(), scale=(0, 150)).polygon_count == 1


def test_too_few_bands_are_refused(tmp_path):
    scene = make_scene(tmp_path / "s.tif", np.zeros((2, 70, 70), np.uint8))
    with pytest.raises(BandMissing):
        gd.scan(scene, model=ThresholdPredictor())


def test_bands_are_taken_as_asked(tmp_path):
    values = np.zeros((4, 70, 70), np.uint8)
    values[3] = 250
    scene = make_scene(tmp_path / "s.tif", values)
    assert gd.scan(scene, model=ThresholdPredictor()).polygon_count == 0
    assert gd.scan(scene, model=ThresholdPredictor(), bands=[4, 2, 1]).polygon_count == 1


def test_a_band_that_stands_for_several_is_a_warning_and_in_the_record(tmp_path):
    scene = make_scene(tmp_path / "s.tif", np.full((3, 70, 70), 200, np.uint8))
    with pytest.warns(gd.errors.UnlikelyNumbers) as caught:
        report = gd.scan(scene, model=ThresholdPredictor(), bands=[3, 3, 3])
    said = (
        "band 3 is read as red, green and blue, which the model was trained to tell apart; "
        "name a band for each with --bands"
    )
    assert [str(warning.message) for warning in caught] == [f"s.tif: {said}"]
    assert report.to_dict()["warnings"] == [said]
    assert report.polygon_count == 1


def test_bands_may_be_one_text(tmp_path):
    values = np.zeros((4, 70, 70), np.uint8)
    values[3] = 250
    scene = make_scene(tmp_path / "s.tif", values)
    assert gd.scan(scene, model=ThresholdPredictor(), bands="4, 2,1").polygon_count == 1


def test_an_array_is_a_scene_too():
    values = np.full((3, 80, 80), 200, np.uint8)
    raster = gd.Raster(values, rasterio.Affine(10, 0, 5e5, 0, -10, 9.3e6), "EPSG:32721")
    report = gd.scan(raster, model=ThresholdPredictor())
    assert report.deforested_ha == pytest.approx(64, rel=2e-3)


def test_rasters_that_were_not_asked_for_are_not_there(tmp_path):
    report = gd.scan(scene_with_square(tmp_path / "s.tif"), model=ThresholdPredictor())
    with pytest.raises(OptionError, match="classes=True"):
        report.class_map()


def test_the_outputs_of_a_constant_score_are_constant(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    model = ConstantPredictor(0.5, small_spec(halo=16))
    report = gd.scan(scene, model=model, scores=True)
    assert np.unique(report.scores()).tolist() == [0.5]


def test_the_built_in_model_finds_the_clearings_of_a_sample():
    sample = Path(__file__).parents[2] / "data" / "sample" / "hills.tif"
    report = gd.scan(sample)
    share = report.deforested_ha / report.assessed_ha
    assert 0.4 < share < 0.8
    with rasterio.open(sample) as scene:
        row, col = 150, 110  # bare red soil in the middle of the pasture
        pasture = scene.xy(row, col)
        forest = scene.xy(40, 150)  # closed canopy in the north
    import shapely

    covered = report.polygons.geometry
    assert covered.contains(shapely.Point(pasture)).any()
    assert not covered.contains(shapely.Point(forest)).any()


def test_numbers_that_cannot_be_meant_are_a_warning_and_stand_in_the_record(tmp_path):
    sample = Path(__file__).parents[2] / "data" / "sample" / "hills.tif"
    with rasterio.open(sample) as scene:
        bands = np.stack([scene.read(i) for i in (3, 2, 1)]) / 3558 * 255
        raster = gd.Raster(bands.clip(1, 255).astype(np.uint16), scene.transform, scene.crs)
    with pytest.warns(gd.errors.UnlikelyNumbers, match="pass --scale 0,255"):
        report = gd.scan(raster, scale=(0, 3558))
    assert "--scale 0,255" in report.to_dict()["warnings"][0]
    assert gd.scan(raster, scale=(0, 255)).to_dict()["warnings"] == []


def test_the_offset_that_the_numbers_show_is_taken_off_and_said(tmp_path):
    """A scene with Sentinel-2's offset, and nothing that tells of it, gives the same map."""
    sample = Path(__file__).parents[2] / "data" / "sample" / "hills.tif"
    with rasterio.open(sample) as scene:
        bands = np.stack([scene.read(i) for i in (3, 2, 1)])
        place = scene.transform, scene.crs
    plain = gd.scan(gd.Raster(bands, *place), classes=True)
    with pytest.warns(gd.errors.UnlikelyNumbers, match="offset of 1000"):
        moved = gd.scan(gd.Raster(bands + np.uint16(1000), *place), classes=True)
    np.testing.assert_array_equal(moved.class_map(), plain.class_map())
    record = moved.to_dict()
    assert record["options"]["scale"] == [1000, 4558]
    assert "as the numbers show" in record["options"]["scale_from"]
    assert plain.to_dict()["warnings"] == []


@pytest.mark.parametrize("gain", [[1e-4] * 3, [1e-4, 2e-4, 5e-5]])
def test_scale_tags_are_applied_once(gain):
    """Reflectance is reflectance, however each band stores it."""
    sample = Path(__file__).parents[2] / "data" / "sample" / "hills.tif"
    with rasterio.open(sample) as scene:
        bands = np.stack([scene.read(i) for i in (3, 2, 1)])
        place = scene.transform, scene.crs
    stored = np.rint(bands * (1e-4 / np.array(gain))[:, None, None]).astype(np.int32)
    report = gd.scan(gd.Raster(stored, *place, scales=gain), classes=True)
    plain = gd.scan(gd.Raster(bands, *place), classes=True)
    agree = (report.class_map() == plain.class_map()).mean()
    assert agree > 0.999  # half a unit of rounding in green
    assert report.to_dict()["options"]["scale_from"] == "the scale and offset tags"
    assert report.to_dict()["warnings"] == []


def test_a_part_of_a_map_is_read_by_windows_of_rasterio_too(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    report = gd.scan(scene, model=ThresholdPredictor(), classes=True)
    part = report.class_map(rasterio.windows.Window(50, 40, 30, 20))
    np.testing.assert_array_equal(part, report.class_map()[40:60, 50:80])
    assert set(np.unique(part)) == {0, 1}


@pytest.mark.parametrize(
    "window",
    [
        Window(row=140, col=0, height=20, width=10),
        rasterio.windows.Window(0, 140, 10, 20),
        rasterio.windows.Window(0, 0.5, 10, 20),
        rasterio.windows.Window(0, np.nan, 10, 20),
        ((0, 10), (0, 10)),
    ],
)
def test_a_window_that_is_none_of_the_map_is_refused(tmp_path, window):
    scene = scene_with_square(tmp_path / "s.tif")
    report = gd.scan(scene, model=ThresholdPredictor(), classes=True)
    with pytest.raises(OptionError, match="window"):
        report.class_map(window)


def test_progress_is_a_function_or_false(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    assert gd.scan(scene, model=ThresholdPredictor(), progress=False).polygon_count == 1
    with pytest.raises(OptionError, match="progress: True"):
        gd.scan(scene, model=ThresholdPredictor(), progress=True)


def test_a_scan_takes_numbers_of_numpy(tmp_path):
    scene, model = scene_with_square(tmp_path / "s.tif"), ThresholdPredictor()
    chosen = {"chip": np.int64(64), "overlap": np.int16(16), "min_area": np.float32(1)}
    report = gd.scan(scene, model=model, report=tmp_path / "r.json", **chosen)
    assert json.loads((tmp_path / "r.json").read_text())["run"] == report.to_dict()["run"]
    plain = gd.scan(scene, model=model, chip=64, overlap=16, min_area=1)
    assert plain.to_dict()["run"] == report.to_dict()["run"]
