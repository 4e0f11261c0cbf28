"""What a run record says of inputs and outputs, and that inputs stay as they are."""

import hashlib
import json
import os
import zipfile

import numpy as np
import pytest
import rasterio

import geodeforest as gd
from geodeforest.core.options import ScanOptions
from geodeforest.errors import InputChanged
from geodeforest.geo.origin import read_origin
from geodeforest.geo.scene import open_scene
from geodeforest.testing import ThresholdPredictor, make_scene
from geodeforest.workflows import run_inputs
from geodeforest.workflows.scan_record import run_id


@pytest.fixture
def scene(tmp_path):
    values = np.zeros((3, 150, 200), np.uint8)
    values[:, 50:100, 60:120] = 200
    return make_scene(tmp_path / "s.tif", values)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def record_of(scene, **options):
    return gd.scan(scene, model=ThresholdPredictor(), **options).to_dict()


def test_the_record_says_what_each_input_held(tmp_path, scene):
    over = make_scene(tmp_path / "m.tif", np.zeros((150, 200), np.uint8))
    (tmp_path / "s.tif.aux.xml").write_text("<PAMDataset/>")
    inputs = record_of(scene, mask=over)["inputs"]
    assert [(i["role"], i["name"], i["bytes"], i["sha256"]) for i in inputs] == [
        (role, path.name, path.stat().st_size, sha256(path))
        for role, path in (
            ("scene", scene),
            ("scene", tmp_path / "s.tif.aux.xml"),
            ("mask", over),
        )
    ]


def test_files_of_one_scene_are_all_listed(tmp_path):
    bands = [
        make_scene(tmp_path / f"B0{i}.tif", np.full((90, 80), 50, np.uint8)) for i in (4, 3, 2)
    ]
    record = record_of(",".join(map(str, bands)))
    assert [i["sha256"] for i in record["inputs"]] == [sha256(path) for path in bands]


def test_an_open_dataset_is_known_by_its_file(scene):
    with rasterio.open(scene) as dataset:
        assert [i["sha256"] for i in record_of(dataset)["inputs"]] == [sha256(scene)]


def test_an_array_is_known_by_its_numbers(scene):
    with rasterio.open(scene) as dataset:
        array, place, crs = dataset.read(), dataset.transform, dataset.crs
    first, again, other = (
        record_of(gd.Raster(numbers, place, crs))
        for numbers in (array, array.copy(), np.where(array == 0, np.uint8(1), array))
    )
    assert first["inputs"][0]["sha256"] is not None
    assert first["run"] == again["run"] != other["run"]


def test_the_record_lists_the_hash_of_every_other_output(tmp_path, scene):
    names = ["p.geojson", "p.gpkg", "p.fgb", "c.tif", "x.tif"]
    polygons = [tmp_path / name for name in names[:3]]
    rasters = {"classes": tmp_path / "c.tif", "scores": tmp_path / "x.tif"}
    record_of(scene, output=polygons, **rasters, report=tmp_path / "r.json")
    files = json.loads((tmp_path / "r.json").read_text())["files"]
    assert {f["name"]: (f["bytes"], f["sha256"]) for f in files} == {
        name: ((tmp_path / name).stat().st_size, sha256(tmp_path / name))
        for name in [*names, "p.qml"]
    }


def test_rasters_in_the_scratch_are_no_outputs(scene):
    assert record_of(scene, classes=True, scores=True)["files"] == []


def test_the_record_says_which_libraries_made_it(scene):
    versions = record_of(scene)["versions"]
    assert versions["numpy"] == np.__version__
    assert versions["gdal"] == rasterio.__gdal_version__
    assert {"onnxruntime", "rasterio", "pyogrio"} <= set(versions)


def test_the_run_depends_on_inputs_and_options_but_not_on_outputs_and_threads(tmp_path, scene):
    run = record_of(scene)["run"]
    quicker = record_of(scene, threads=3, memory=2000, output=tmp_path / "p.geojson")
    assert quicker["run"] == run
    assert record_of(scene, threshold=0.7)["run"] != run
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(dataset.read(1) + 1, 1)
    assert record_of(scene)["run"] != run


def test_the_run_follows_from_the_record_as_it_is_written(tmp_path, scene):
    record_of(scene, report=tmp_path / "r.json")
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["run"] == run_id(record)
    assert record["run"] != run_id({**record, "geodeforest": "0"})


class Meddling(ThresholdPredictor):
    """Does something once, while the scan is at work."""

    def __init__(self, deed):
        super().__init__()
        self.deed = deed

    def predict(self, chips, scene_level=None):
        deed, self.deed = self.deed, lambda: None
        deed()
        return super().predict(chips, scene_level)


def deeds(path, other):
    def touched():
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))

    def replaced():
        os.replace(other, path)

    def cut():
        os.truncate(path, 1000)

    return {"touched": touched, "replaced": replaced, "cut": cut, "gone": path.unlink}


@pytest.mark.parametrize("deed", ["touched", "replaced", "cut", "gone"])
def test_a_scene_that_changes_during_the_scan_leaves_nothing(tmp_path, deed):
    values = np.random.default_rng(5).integers(0, 250, (3, 900, 300), np.uint8)
    scene, other = (make_scene(tmp_path / name, values) for name in ("s.tif", "t.tif"))
    model = Meddling(deeds(scene, other)[deed])
    with pytest.raises(InputChanged, match=r"s\.tif: changed during the scan") as caught:
        gd.scan(scene, model=model, output=tmp_path / "p.geojson", threads=1, chip=64)
    assert caught.value.exit_code == 3
    assert {f.name for f in tmp_path.iterdir()} <= {"s.tif", "t.tif"}


@pytest.mark.parametrize("option", ["mask", "aoi", "baseline"])
def test_what_lies_over_the_scene_may_not_change_either(tmp_path, scene, option):
    over = make_scene(tmp_path / "over.tif", np.ones((150, 200), np.uint8))
    model = Meddling(deeds(over, over)["touched"])
    if option == "mask":
        over = make_scene(tmp_path / "over.tif", np.zeros((150, 200), np.uint8))
    with pytest.raises(InputChanged, match="over"):
        gd.scan(scene, model=model, **{option: over})


def test_a_change_with_unreadable_blocks_skipped_is_refused_too(tmp_path):
    values = np.random.default_rng(5).integers(0, 250, (3, 900, 300), np.uint8)
    scene = make_scene(tmp_path / "s.tif", values)
    model = Meddling(deeds(scene, scene)["cut"])
    with pytest.raises(InputChanged):
        gd.scan(scene, model=model, on_error="skip", threads=1, chip=64)


def test_of_an_archive_the_archive_is_hashed(tmp_path, scene):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(scene, "a/b.tif")
    members = [f"{tmp_path}/a.zip/a/{name}" for name in ("b.tif", "c.tif")]
    assert list(run_inputs._places("scene", members)) == [("scene", tmp_path / "a.zip")]


NAMES = ["p.geojson", "p.gpkg", "p.fgb", "p.parquet", "c.tif", "x.tif"]


def test_every_output_names_the_run_and_what_made_it(tmp_path, scene):
    *polygons, classes, scores = (tmp_path / name for name in NAMES)
    record = record_of(scene, output=polygons, classes=classes, scores=scores)
    for path in (*polygons, classes, scores):
        told = read_origin(path)
        assert told["run"] == record["run"], path
        assert (told["version"], told["model"], told["scene"]) == (
            gd.__version__,
            "small 1",
            "s.tif",
        )


def test_the_words_in_an_output_do_not_depend_on_its_place_or_the_threads(tmp_path, scene):
    written = []
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        *polygons, classes, scores = (tmp_path / folder / name for name in NAMES)
        record_of(
            scene,
            output=polygons,
            classes=classes,
            scores=scores,
            threads=number + 1,
            memory=1000 + number,
        )
        written.append({name: read_origin(tmp_path / folder / name) for name in NAMES})
    assert written[0] == written[1]


def test_a_file_with_two_roles_is_hashed_once(scene, monkeypatch):
    hashed = []
    real = run_inputs.file_fingerprint
    monkeypatch.setattr(
        run_inputs, "file_fingerprint", lambda path: hashed.append(path) or real(path)
    )
    inputs = run_inputs.RunInputs(scene, ScanOptions(mask=scene))
    with open_scene(scene) as opened:
        roles = [told["role"] for told in inputs.fingerprints(opened.profile)]
    assert (roles, len(hashed)) == (["scene", "mask"], 1)
