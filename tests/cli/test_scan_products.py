"""Products as a user scans them: a folder, an archive, files side by side, an item."""

import json

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from products import make_item, make_landsat, make_planet, make_safe, plane, zipped

from geodeforest.cli import main
from geodeforest.testing import ThresholdPredictor, make_scene


@pytest.fixture(autouse=True)
def fake_model(monkeypatch):
    import geodeforest.workflows.load_model as loading
    import geodeforest.workflows.scan_scene  # noqa: F401  # binds the real one first

    monkeypatch.setattr(loading, "load_model", lambda *_: ThresholdPredictor(above=0.1))


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def bare_ground(rows=100, cols=120):
    """Bright red in one square of dark forest, as stored numbers of Sentinel-2 before 04.00."""
    red = plane(300, rows, cols)
    red[20:40, 30:70] = 3000
    return {"B02": plane(300, rows, cols), "B03": plane(500, rows, cols), "B04": red}


@pytest.fixture
def safe(tmp_path):
    return make_safe(tmp_path, bands=bare_ground(), baseline="02.14", offsets=False)


def found(path):
    return [f["properties"] for f in json.loads(path.read_text())["features"]]


def test_a_safe_folder_gives_its_name_date_and_polygons(safe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("scan", safe)
    (one,) = found(tmp_path / f"{safe.stem}_deforestation.geojson")
    assert one["area_ha"] == pytest.approx(8.0, rel=1e-2)
    assert (one["date"], one["scene"]) == ("2022-07-01", safe.name)


def test_folder_archive_metadata_and_files_are_the_same_scene(safe, tmp_path):
    images = next(safe.glob("GRANULE/*/IMG_DATA/R10m"))
    listed = ",".join(str(path) for path in sorted(images.glob("*.jp2")))
    named = {"folder": safe, "metadata": safe / "MTD_MSIL2A.xml", "files": listed}
    for name, scene in named.items():
        run("scan", scene, "--classes", tmp_path / f"{name}.tif", "-o", tmp_path / f"{name}.gpkg")
    run("scan", zipped(safe), "--classes", tmp_path / "zip.tif", "-o", tmp_path / "zip.gpkg")
    maps = {}
    for name in (*named, "zip"):
        with rasterio.open(tmp_path / f"{name}.tif") as dataset:
            maps[name] = dataset.read(1)
    assert (maps["folder"] == 1).sum() == 800
    for name, values in maps.items():
        np.testing.assert_array_equal(values, maps["folder"], err_msg=name)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_clouds_of_a_level_2a_product_are_not_assessed(tmp_path, packed):
    scl = plane(4, 50, 60, np.uint8)
    scl[10:15, 15:25] = 9  # over a part of the bare ground, on pixels of 20 m
    scene = make_safe(tmp_path, bands=bare_ground(), scl=scl, baseline="02.14", offsets=False)
    classes, polygons = tmp_path / "c.tif", tmp_path / "p.geojson"
    result = run("scan", zipped(scene) if packed else scene, "--classes", classes, "-o", polygons)
    assert "what SCL calls cloud or shadow is not assessed" in result.stderr
    with rasterio.open(classes) as dataset:
        hidden = dataset.read(1) == 255
    assert np.array_equal(hidden, (scl == 9).repeat(2, 0).repeat(2, 1))
    assert [one["touches_unobserved"] for one in found(polygons)] == [True]


def test_files_side_by_side_are_named_for_what_they_share(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, values in bare_ground().items():
        make_scene(tmp_path / f"north_{name}.tif", values)
    run("scan", "north_B04.tif,north_B03.tif,north_B02.tif")
    assert len(found(tmp_path / "north_deforestation.geojson")) == 1


def test_no_band_of_a_list_may_be_an_output(tmp_path):
    for name, values in bare_ground().items():
        make_scene(tmp_path / f"{name}.tif", values)
    listed = ",".join(str(tmp_path / f"B0{n}.tif") for n in (4, 3, 2))
    result = run("scan", listed, "--classes", tmp_path / "B03.tif", "--overwrite", code=2)
    assert "B03.tif" in result.stderr


@pytest.mark.parametrize("maker", [make_landsat, make_planet])
def test_other_products_are_planned(tmp_path, maker):
    path = maker(tmp_path)
    facts = json.loads(run("plan", path, "--json").stdout)
    assert facts["refusals"] == []
    assert [band["model"] for band in facts["bands"]] == ["red", "green", "blue"]
    files = {"make_landsat": ["SR_B4", "SR_B3", "SR_B2"], "make_planet": ["red", "green", "blue"]}
    assert [band["file"] for band in facts["bands"]] == files[maker.__name__]


def test_an_item_is_scanned(tmp_path):
    words = {"B02": "blue", "B03": "green", "B04": "red"}
    assets = {}
    for name, values in bare_ground().items():
        make_scene(tmp_path / f"{name}.tif", values)
        band = {"name": name, "common_name": words[name]}
        assets[words[name]] = {"href": f"{name}.tif", "eo:bands": [band]}
    item = make_item(tmp_path, assets, **{"s2:processing_baseline": "02.14"})
    run("scan", item, "-o", tmp_path / "out.geojson")
    (one,) = found(tmp_path / "out.geojson")
    assert one["date"] == "2022-07-01"


def test_a_product_can_be_cut_into_chips(safe, tmp_path):
    run("chip", safe, "-o", tmp_path / "chips", "--chip", "64")
    first = tmp_path / "chips" / f"{safe.stem}_r00000_c00000.tif"
    with rasterio.open(first) as dataset:
        assert dataset.descriptions == ("B02", "B03", "B04")
        assert dataset.nodata == 0
        assert dataset.read(3)[30, 40] == 3000


def test_a_product_becomes_records(safe, tmp_path):
    labels = make_scene(tmp_path / "labels.tif", plane(1, 100, 120, np.uint8))
    run("records", "build", safe, labels, "-o", tmp_path / "set", "--class-map", "1=forest")
    index = json.loads((tmp_path / "set" / "index.json").read_text())
    assert index["schema"]


def record_of(path, tmp_path):
    run("scan", path, "--report", tmp_path / "r.json", "-o", tmp_path / "o.geojson", "--overwrite")
    return json.loads((tmp_path / "r.json").read_text())


@pytest.mark.parametrize("archive", [False, True])
def test_clouds_of_the_scene_classification_are_not_assessed(tmp_path, archive):
    scl = plane(4, 50, 60, np.uint8)
    scl[:5, :7] = 9
    scl[20:22, 30:40] = 3
    about = {"baseline": "02.14", "offsets": False}
    safe = make_safe(tmp_path, bands=bare_ground(), scl=scl, **about)
    told = record_of(zipped(safe) if archive else safe, tmp_path)
    assert told["counts"]["not_assessed_px"] == 4 * (5 * 7 + 2 * 10)


def test_cloud_and_cirrus_of_level_1c_are_not_assessed(tmp_path):
    classi = np.zeros((3, 17, 20), np.uint8)
    classi[0, 0, 0] = classi[1, 1, 1] = classi[2, 2, 3] = classi[2, 0, 0] = 1
    about = {"baseline": "04.00", "offsets": False}
    safe = make_safe(tmp_path, "1C", bands=bare_ground(), classi=classi, **about)
    assert record_of(safe, tmp_path)["counts"]["not_assessed_px"] == 2 * 36


def test_a_plan_tells_a_products_nodata_date_and_bands(safe):
    facts = json.loads(run("plan", safe, "--json").stdout)
    assert facts["masks"] == [{"kind": "nodata", "bands": [1, 2, 3], "value": "0"}]
    assert (facts["scene"]["name"], facts["scene"]["date"]) == (safe.name, "2022-07-01")
    assert [band["index"] for band in facts["bands"]] == [3, 2, 1]
