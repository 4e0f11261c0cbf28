"""A scan from a file to polygons, rasters and the run record."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

import geodeforest as gd
from geodeforest.core.grid import Window
from geodeforest.errors import (
    BandMissing,
    BudgetExceeded,
    DiskFull,
    NothingAssessed,
    OptionError,
    OutputExists,
    OutputUnwritable,
    SceneUnreadable,
)
from geodeforest.geo.files import GO_ON
from geodeforest.geo.profile import corner
from geodeforest.testing import ConstantPredictor, ThresholdPredictor, make_scene, small_spec
from geodeforest.workflows import budget, scan_scene, scan_work


def scene_with_square(path, **profile):
    values = np.zeros((3, 150, 200), np.uint8)
    values[:, 50:100, 60:120] = 200
    return make_scene(path, values, **profile)


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


def test_no_file_is_written_unless_a_path_is_given(tmp_path, monkeypatch):
    scene = scene_with_square(tmp_path / "s.tif")
    empty = tmp_path / "cwd"
    empty.mkdir()
    monkeypatch.chdir(empty)
    gd.scan(scene, model=ThresholdPredictor())
    assert not list(empty.iterdir())


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


def test_a_scratch_file_is_no_output(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    report = gd.scan(scene, model=ThresholdPredictor(), classes=True, scores=tmp_path / "x.tif")
    assert report.to_dict()["outputs"] == {"polygons": [], "scores": "x.tif"}


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


def test_the_same_scan_gives_the_same_bytes(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    for folder, threads in (("a", 1), ("b", 3)):
        (tmp_path / folder).mkdir()
        gd.scan(
            scene,
            model=ThresholdPredictor(),
            output=tmp_path / folder / "p.geojson",
            classes=tmp_path / folder / "c.tif",
            scores=tmp_path / folder / "x.tif",
            threads=threads,
        )
    for name in ("p.geojson", "c.tif", "x.tif"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


class FailsLate(ThresholdPredictor):
    def predict(self, chips, scene_level=None):
        if chips.mean() > 0.05:
            raise RuntimeError("worker lost")
        return super().predict(chips)


def test_a_failure_leaves_old_outputs_and_no_scratch(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    out = tmp_path / "out"
    out.mkdir()
    (out / "p.geojson").write_text("old")
    with pytest.raises(RuntimeError):
        gd.scan(
            scene,
            model=FailsLate(),
            output=out / "p.geojson",
            classes=out / "c.tif",
            overwrite=True,
        )
    assert [p.name for p in out.iterdir()] == ["p.geojson"]
    assert (out / "p.geojson").read_text() == "old"


def test_an_existing_output_is_refused_before_any_work(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    (tmp_path / "p.geojson").write_text("old")
    with pytest.raises(OutputExists):
        gd.scan(scene, model=FailsLate(), output=tmp_path / "p.geojson")


def test_the_input_is_never_the_output(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    before = scene.read_bytes()
    with pytest.raises(OptionError):
        gd.scan(scene, model=ThresholdPredictor(), classes=scene, overwrite=True)
    assert scene.read_bytes() == before


def test_the_file_of_an_open_dataset_is_an_input_too(tmp_path):
    path = scene_with_square(tmp_path / "s.tif")
    with rasterio.open(path) as scene, pytest.raises(OptionError, match="the output is the input"):
        gd.scan(scene, model=ThresholdPredictor(), classes=path, overwrite=True)


def test_nobody_reads_a_scene_after_a_sink_has_failed(tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(scan_work.ScanWork, "_count", fail)
    with pytest.raises(ZeroDivisionError) as caught:  # the error keeps its frames alive
        gd.scan(scene_with_square(tmp_path / "s.tif"), model=ThresholdPredictor())
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name]
    assert caught.tb is not None


def test_rasters_are_found_again_from_another_directory(tmp_path, monkeypatch):
    scene = scene_with_square(tmp_path / "s.tif").absolute()
    monkeypatch.chdir(tmp_path)
    report = gd.scan(scene, model=ThresholdPredictor(), classes="c.tif")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert (report.class_map() == 1).sum() == 3000


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


def test_a_full_disk_is_told_with_what_it_has_and_what_the_scan_needs(tmp_path, monkeypatch):
    """The maps and the journal, as the plan says; of polygons nobody knows."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    monkeypatch.setattr(Path, "write_text", disk_full)
    scene, model = scene_with_square(tmp_path / "s.tif"), ThresholdPredictor()
    outputs = {"classes": tmp_path / "c.tif", "report": tmp_path / "r.json"}
    with pytest.raises(DiskFull) as caught:
        gd.scan(scene, model=model, **outputs)
    chip = model.spec.chip
    needed = 2 * 150 * 200 + 2 * 150 * 200 + 2 * chip * 200 * 4
    assert (caught.value.free_bytes, caught.value.needed_bytes) == (3 * 2**20, needed)
    told = f", with 3.0 MB free where the scan needs up to {needed / 2**20:.1f} MB beside its "
    assert f"r.json: the disk is full{told}polygons; free some space or " in str(caught.value)
    assert caught.value.__notes__ == [GO_ON]


def test_nothing_is_said_of_needs_that_are_not_known(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_text", disk_full)
    scene = scene_with_square(tmp_path / "s.tif")
    with pytest.raises(
        DiskFull, match=r"the disk is full, with [\d,.]+ MB free; free some"
    ) as caught:
        gd.scan(scene, model=ThresholdPredictor(), report=tmp_path / "r.json", resume=False)
    assert caught.value.needed_bytes is None


def disk_full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_record_that_cannot_be_written_names_its_file(tmp_path, monkeypatch):
    scene = scene_with_square(tmp_path / "s.tif")
    monkeypatch.setattr(Path, "write_text", disk_full)
    with pytest.raises(OutputUnwritable, match=r"r\.json: the disk is full"):
        gd.scan(
            scene,
            model=ThresholdPredictor(),
            output=tmp_path / "p.gpkg",
            report=tmp_path / "r.json",
        )
    # Rows are kept for the next scan to go on from; of outputs there are none.
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["s.tif"]


@pytest.mark.parametrize("wrong", [{"classes": "c.png"}, {"report": "r.txt"}, {"output": "p.shp"}])
def test_an_extension_that_is_not_the_contents_is_refused_before_any_work(wrong):
    with pytest.raises(OptionError, match="name"):
        gd.scan("missing.tif", model=ThresholdPredictor(), **wrong)


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


def test_a_plan_over_the_memory_is_refused_with_the_figure(tmp_path):
    with pytest.raises(BudgetExceeded, match="--memory"):
        gd.scan(scene_with_square(tmp_path / "s.tif"), model=ThresholdPredictor(), memory=10)


def test_bands_may_be_one_text(tmp_path):
    values = np.zeros((4, 70, 70), np.uint8)
    values[3] = 250
    scene = make_scene(tmp_path / "s.tif", values)
    assert gd.scan(scene, model=ThresholdPredictor(), bands="4, 2,1").polygon_count == 1


@pytest.fixture
def planned(monkeypatch):
    """The plans that scans follow, on a machine of 64 CPUs."""
    plans, real = [], scan_scene.scan_rows

    def watched(scene, predictor, plan, *others):
        plans.append(plan)
        return real(scene, predictor, plan, *others)

    monkeypatch.setattr(budget, "cpus", lambda: 64)
    monkeypatch.setattr(scan_scene, "scan_rows", watched)
    return plans


def test_threads_nobody_asked_for_are_as_many_as_fit(tmp_path, planned):
    scene, model = scene_with_square(tmp_path / "s.tif"), ThresholdPredictor()
    gd.scan(scene, model=model, memory=4096)
    most = planned[0].threads
    assert most == len(planned[0].grid)
    short = (planned[0].bytes - 2 * planned[0].network_bytes) // 2**20
    gd.scan(scene, model=model, memory=short)
    assert 1 <= planned[1].threads < most
    assert planned[1].bytes <= short * 2**20
    with pytest.raises(BudgetExceeded):
        gd.scan(scene, model=model, memory=short, threads=most)


def test_no_more_threads_than_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 6}, raising=False)
    assert budget.cpus() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert budget.cpus() == 1


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


# The peak that the kernel counts from the start of the program itself: ru_maxrss begins with
# that of the process it was forked from.
PEAK = """
def peak_kb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
"""

MEMORY = """
import sys
import numpy as np, rasterio
import geodeforest as gd
from geodeforest.testing import ThresholdPredictor, small_spec
model = ThresholdPredictor(0.5, small_spec(chip=512, halo=32))
out = sys.argv[2]
report = gd.scan(sys.argv[1], model=model, classes=out + "/c.tif", scores=out + "/x.tif",
                 output=out + "/p.geojson", min_area=2, threads=2)
assert report.polygon_count > 100, report.polygon_count
print(peak_kb())
"""


def large_scene(path, height, width=6000):
    """Clearings scattered over a dark scene, written block row by block row."""
    rng = np.random.default_rng(0)
    profile = {
        "driver": "GTiff",
        "count": 3,
        "height": height,
        "width": width,
        "dtype": "uint8",
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "zlevel": 1,
        "crs": "EPSG:32721",
        "transform": rasterio.Affine(10, 0, 4e5, 0, -10, 9.3e6),
    }
    with rasterio.open(path, "w", **profile) as scene:
        for row in range(0, height, 512):
            rows = min(512, height - row)
            block = np.full((3, rows, width), 40, np.uint8)
            for left in range(0, width, 300):
                top, deep = rng.integers(0, 300), rng.integers(10, 60)
                block[:, top : top + deep, left : left + 2 * deep] = 180
            scene.write(block, window=rasterio.windows.Window(0, row, width, rows))
    return path


def peak_kb(tmp_path, height):
    scene = large_scene(tmp_path / f"{height}.tif", height)
    out = tmp_path / f"out{height}"
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PEAK + MEMORY, str(scene), str(out)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


def test_peak_memory_does_not_grow_with_the_scenes_height(tmp_path):
    once, twice = peak_kb(tmp_path, 6000), peak_kb(tmp_path, 12000)
    assert twice < 1.15 * once, f"{once} kB, then {twice} kB"


PLANNED = """
import sys
import geodeforest as gd
from geodeforest.workflows import budget, scan_scene
plans, real = [], scan_scene.scan_rows
def watched(scene, predictor, plan, *others):
    plans.append(plan)
    return real(scene, predictor, plan, *others)
scan_scene.scan_rows = watched
out = sys.argv[2]
gd.scan(sys.argv[1], classes=out + "/c.tif", scores=out + "/x.tif", output=out + "/p.geojson",
        threads=2)
print(plans[0].bytes // 1024, peak_kb())
"""


@pytest.mark.parametrize(("height", "width", "gsd_m"), [(600, 3000, 10), (6000, 6000, 2.5)])
def test_the_peak_of_a_scan_stays_within_its_plan(tmp_path, height, width, gsd_m):
    scene = large_scene(tmp_path / "s.tif", height=height, width=width)
    with rasterio.open(scene, "r+") as dataset:
        dataset.transform = rasterio.Affine(gsd_m, 0, 4e5, 0, -gsd_m, 9.3e6)
    done = subprocess.run(
        [sys.executable, "-c", PEAK + PLANNED, str(scene), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    planned_kb, peak_kb = map(int, done.stdout.split())
    assert 0.6 * planned_kb < peak_kb <= planned_kb


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


def in_two(monkeypatch, between):
    """Have settled rows come in two portions, and ``between`` called before the second."""
    real = scan_scene.scan_rows

    def portions(*args, **options):
        for settled in real(*args, **options):
            half = len(settled.classes) // 2
            parts = slice(None, half), slice(half, None)
            for part in parts:
                yield replace(
                    settled,
                    first=settled.first + (part.start or 0),
                    classes=settled.classes[part],
                    scores=settled.scores[part],
                )
                between()

    monkeypatch.setattr(scan_scene, "scan_rows", portions)


def test_outputs_are_made_while_the_next_rows_come(tmp_path, monkeypatch):
    came, real = threading.Event(), scan_work.ScoreMapSink.write

    def waiting(sink, rows):
        assert came.wait(20), "the next rows came only after these were written"
        real(sink, rows)

    in_two(monkeypatch, came.set)
    monkeypatch.setattr(scan_work.ScoreMapSink, "write", waiting)
    scene = scene_with_square(tmp_path / "s.tif")
    gd.scan(scene, model=ThresholdPredictor(), scores=tmp_path / "x.tif")
    assert (tmp_path / "x.tif").exists()


def test_an_interrupt_ends_the_outputs_thread_and_leaves_no_output(tmp_path, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    in_two(monkeypatch, interrupt)
    scene, before = scene_with_square(tmp_path / "s.tif"), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        gd.scan(
            scene,
            model=ThresholdPredictor(),
            classes=tmp_path / "c.tif",
            scores=tmp_path / "x.tif",
            output=tmp_path / "p.geojson",
        )
    # Rows may be kept for the next scan to go on from; of outputs there are none.
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["s.tif"]
    assert threading.active_count() <= before


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
