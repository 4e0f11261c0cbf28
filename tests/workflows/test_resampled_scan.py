"""Scans of scenes whose pixels are not of the model's size."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

import geodeforest as gd
from geodeforest.cli import main
from geodeforest.errors import GsdMismatch, OptionError, SceneResampled
from geodeforest.testing import ThresholdPredictor, make_scene

SIDE_M = 1200
"""Of the square ground of the scenes here; the bright part is 300 m by 600 m of it."""


def painted(path, gsd_m, **profile):
    side = round(SIDE_M / gsd_m)
    values = np.zeros((3, side, side), np.uint8)
    values[:, round(300 / gsd_m) : round(600 / gsd_m), round(300 / gsd_m) : round(900 / gsd_m)] = (
        200
    )
    return make_scene(path, values, gsd_m=gsd_m, **profile)


@pytest.mark.parametrize("gsd_m", [1, 2.5, 5, 20, 30, 60])
def test_the_same_ground_gives_the_same_polygon_whatever_the_pixels(tmp_path, gsd_m):
    with pytest.warns(SceneResampled, match=r"resampled to 10 m"):
        report = gd.scan(
            painted(tmp_path / "s.tif", gsd_m), model=ThresholdPredictor(), classes=True, simplify=0
        )
    assert report.scene_px == report.assessed_px == pytest.approx(120 * 120, rel=0.01)
    assert report.class_map().shape[0] * report.class_map().shape[1] == report.scene_px
    assert report.polygon_count == 1
    # Half a pixel of the coarser of both grids on each side.
    slack_ha = 2 * (300 + 600) * max(gsd_m, 10) / 2 / 10_000
    assert report.deforested_ha == pytest.approx(18, abs=slack_ha)
    west, south, east, north = report.polygons.total_bounds
    x, y = 500_000, 9_300_000
    assert (west - x, y - north, east - x, y - south) == pytest.approx(
        (300, 300, 900, 600), abs=max(gsd_m, 10)
    )


def test_the_record_tells_both_grids(tmp_path):
    with pytest.warns(SceneResampled):
        report = gd.scan(painted(tmp_path / "s.tif", 30), model=ThresholdPredictor())
    record = json.loads(json.dumps(report.to_dict()))
    assert (record["scene"]["height"], record["scene"]["gsd_m"]) == (40, pytest.approx(30, 1e-2))
    grid = record["grid"]
    assert (grid["height"], grid["gsd_m"], grid["resampled"]) == (120, pytest.approx(10), True)
    assert grid["height"] * grid["width"] == record["counts"]["scene_px"]
    assert any("30 m pixels are resampled to 10 m" in note for note in record["notes"])


def test_maps_lie_on_the_grid_of_the_record(tmp_path):
    with pytest.warns(SceneResampled):
        report = gd.scan(
            painted(tmp_path / "s.tif", 2.5),
            model=ThresholdPredictor(),
            classes=tmp_path / "c.tif",
            scores=tmp_path / "x.tif",
        )
    for name in ("c.tif", "x.tif"):
        with rasterio.open(tmp_path / name) as raster:
            grid = report.to_dict()["grid"]
            assert raster.shape == (grid["height"], grid["width"])
            assert list(raster.transform)[:6] == pytest.approx(grid["transform"], rel=1e-12)


@pytest.mark.parametrize("gsd_m", [8, 10, 12.4])
def test_a_quarter_more_or_less_is_scanned_as_it_is(tmp_path, recwarn, gsd_m):
    report = gd.scan(painted(tmp_path / "s.tif", gsd_m), model=ThresholdPredictor())
    assert not report.to_dict()["grid"]["resampled"]
    assert report.scene_px == round(SIDE_M / gsd_m) ** 2
    assert not [w for w in recwarn if issubclass(w.category, SceneResampled)]


def test_without_resampling_such_a_scene_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(GsdMismatch, match=r"30 m pixels.*trained on 10 m; pass --resample"):
        gd.scan(painted(tmp_path / "s.tif", 30), model=ThresholdPredictor(), resample=False)


def test_pixels_too_coarse_for_what_is_looked_for_are_refused(tmp_path):
    with pytest.raises(GsdMismatch, match=r"too coarse.*80 m at most"):
        gd.scan(painted(tmp_path / "s.tif", 100), model=ThresholdPredictor())


def test_what_is_not_observed_stays_so_and_every_pixel_is_counted(tmp_path):
    valid = np.ones((40, 40), bool)
    valid[:10] = False
    with pytest.warns(SceneResampled):
        report = gd.scan(
            painted(tmp_path / "s.tif", 30, valid=valid), model=ThresholdPredictor(), classes=True
        )
    unseen = report.class_map() == 255
    assert unseen[:29].all()
    assert not unseen[31:].any()
    assert report.not_assessed_px == unseen.sum()
    assert report.assessed_px + report.not_assessed_px == report.scene_px


def test_the_result_depends_neither_on_chips_nor_on_memory(tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 255, (3, 30, 25), np.uint8).repeat(6, 1).repeat(6, 2)
    scene = make_scene(tmp_path / "s.tif", coarse, gsd_m=4)
    written = []
    for chip, work_px in ((64, 2**18), (16, 100)):
        monkeypatch.setattr("geodeforest.geo.resampled._WORK_PX", work_px)
        path = tmp_path / f"p{chip}.geojson"
        with pytest.warns(SceneResampled):
            gd.scan(
                scene, model=ThresholdPredictor(), output=path, min_area=0, chip=chip, overlap=4
            )
        found = json.loads(path.read_text("utf-8"))
        del found["geodeforest"]  # names the scan, the chip too
        written.append(found)
    assert written[0] == written[1]


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_the_command_line_says_it_in_one_line(tmp_path):
    done = run("scan", painted(tmp_path / "s.tif", 20), "-o", tmp_path / "p.geojson", "-q")
    said = [line for line in done.stderr.splitlines() if "resampled" in line]
    assert len(said) == 1
    assert said[0].startswith("geodeforest: warning: s.tif: 20 m pixels are resampled to 10 m")


def test_no_resample_is_exit_3(tmp_path):
    done = run(
        "scan",
        painted(tmp_path / "s.tif", 20),
        "-o",
        tmp_path / "p.geojson",
        "--no-resample",
        code=3,
    )
    assert "pass --resample" in done.stderr
    assert not (tmp_path / "p.geojson").exists()


# --- a CRS that only the user knows -----------------------------------------------------------


def test_a_missing_crs_can_be_assigned(tmp_path):
    scene = painted(tmp_path / "s.tif", 10, crs=None)
    report = gd.scan(scene, model=ThresholdPredictor(), assign_crs="EPSG:32721")
    assert report.polygons.crs.to_epsg() == 32721
    assert report.deforested_ha == pytest.approx(18, rel=2e-3)
    record = report.to_dict()
    assert record["scene"]["crs"] == record["options"]["assign_crs"] == "EPSG:32721"


def test_a_local_crs_can_be_replaced(tmp_path):
    scene = painted(tmp_path / "s.tif", 10, crs='LOCAL_CS["site grid",UNIT["metre",1]]')
    with pytest.raises(gd.errors.NotGeoreferenced, match="--assign-crs"):
        gd.scan(scene, model=ThresholdPredictor())
    report = gd.scan(scene, model=ThresholdPredictor(), assign_crs=32721)
    assert report.polygons.crs.to_epsg() == 32721


def test_the_crs_that_a_scene_has_may_be_named(tmp_path):
    scene = painted(tmp_path / "s.tif", 10)
    assert gd.scan(scene, model=ThresholdPredictor(), assign_crs="EPSG:32721").polygon_count == 1


def test_another_crs_than_the_scenes_is_refused(tmp_path):
    with pytest.raises(OptionError, match="names EPSG:32722 but the scene is in EPSG:32721"):
        gd.scan(painted(tmp_path / "s.tif", 10), model=ThresholdPredictor(), assign_crs=32722)


@pytest.mark.parametrize("asked", ["EPSG:999999", "a river", ""])
def test_a_crs_that_nobody_knows_is_exit_2(tmp_path, asked):
    scene = painted(tmp_path / "s.tif", 10, crs=None)
    done = run("scan", scene, "-o", tmp_path / "p.gpkg", "--assign-crs", asked, code=2)
    assert "no such CRS is known" in done.stderr


def test_a_scene_without_a_crs_is_told_of_the_option(tmp_path):
    scene = painted(tmp_path / "s.tif", 10, crs=None)
    done = run("scan", scene, "-o", tmp_path / "p.gpkg", code=3)
    assert "no CRS; pass --assign-crs EPSG:n" in done.stderr
    run("scan", scene, "-o", tmp_path / "p.gpkg", "--assign-crs", "EPSG:32721")
