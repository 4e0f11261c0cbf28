"""Run records compared with the files that they list."""

import json
import os
import shutil

import numpy as np
import pytest

import geodeforest as gd
from geodeforest.errors import OptionError, RunRecordError
from geodeforest.testing import ThresholdPredictor, make_scene

OUTPUTS = ["p.geojson", "p.gpkg", "c.tif"]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    values = np.zeros((3, 60, 80), np.uint8)
    values[:, 10:40, 20:60] = 200
    gd.scan(
        make_scene(folder / "s.tif", values),
        model=ThresholdPredictor(),
        output=[folder / "p.geojson", folder / "p.gpkg"],
        classes=folder / "c.tif",
        report=folder / "r.json",
    )
    return folder


@pytest.fixture
def files(original, tmp_path):
    """The scene, the outputs and the record of a scan, in a folder."""
    return shutil.copytree(original, tmp_path / "files")


def states(found):
    return {each.name: each.state for each in found.checked}


def edited(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


@pytest.mark.parametrize("name", ["r.json", *OUTPUTS])
def test_what_was_not_touched_is_as_recorded(files, name):
    found = gd.verify(files / name)
    assert (found.exit_code, found.problems) == (0, ())
    assert states(found) == dict.fromkeys(["s.tif", *OUTPUTS], "as recorded") | {
        "small": "not known"
    }


@pytest.mark.parametrize("name", OUTPUTS)
def test_one_changed_byte_of_an_output_is_found(files, name):
    content = bytearray((files / name).read_bytes())
    content[len(content) // 2] ^= 1
    (files / name).write_bytes(content)
    found = gd.verify(files / "r.json")
    assert found.exit_code == 3
    assert found.problems == (f"{name}: was changed after the scan; scan again or get it again",)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_missing_output_is_found(files, name):
    (files / name).unlink()
    found = gd.verify(files / "r.json")
    assert [problem.partition(";")[0] for problem in found.problems] == [f"{name}: is missing"]


def test_an_input_elsewhere_is_no_problem_until_it_is_looked_for(files, tmp_path):
    archive = tmp_path / "archive" / "2019"
    archive.mkdir(parents=True)
    (files / "s.tif").rename(archive / "s.tif")
    assert states(gd.verify(files / "r.json"))["s.tif"] == "not here"
    assert states(gd.verify(files / "r.json", inputs=archive.parent))["s.tif"] == "as recorded"
    (archive / "s.tif").unlink()
    assert gd.verify(files / "r.json", inputs=archive.parent).exit_code == 3


def test_another_scene_of_the_same_name_is_found(files):
    make_scene(files / "s.tif", np.ones((3, 60, 80), np.uint8))
    (problem,) = gd.verify(files / "p.gpkg").problems
    assert problem.startswith("s.tif: is not the scene that was scanned")


@pytest.mark.parametrize(
    "changes", [{"options": {"threshold": 0.9}}, {"inputs": []}, {"geodeforest": "9"}]
)
def test_a_record_whose_words_do_not_give_its_run_was_changed(files, changes):
    (problem,) = gd.verify(edited(files / "r.json", **changes)).problems
    assert problem.startswith("r.json: was changed after the scan")


def test_the_built_in_model_is_compared_by_its_name(files):
    spec = gd.load_model().spec
    model = {"name": spec.name, "version": "1", "sha256": spec.files["model.onnx"].sha256}
    assert states(gd.verify(edited(files / "r.json", model=model)))[spec.name] == "as recorded"
    changed = gd.verify(edited(files / "r.json", model={**model, "sha256": "0" * 64}))
    assert states(changed)[spec.name] == "changed"
    unknown = {**model, "name": "mine"}
    assert states(gd.verify(edited(files / "r.json", model=unknown)))["mine"] == "not here"
    named = gd.verify(files / "r.json", model=spec.name)
    assert states(named)["mine"] == "as recorded"


def test_of_two_records_that_list_an_output_its_own_run_counts(files):
    edited(shutil.copy(files / "r.json", files / "a.json"), run="0" * 64)
    assert gd.verify(files / "p.gpkg").path == str(files / "r.json")


def test_an_output_without_a_record_tells_what_it_knows(files):
    record = json.loads((files / "r.json").read_text())
    (files / "r.json").unlink()
    with pytest.raises(
        RunRecordError,
        match=f"version {gd.__version__}, run {record['run']}, scene s.tif, model small 1",
    ):
        gd.verify(files / "c.tif")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"run": "a", "files": 1, "inputs": []}',
        b'{"run": "a", "files": [{"name": "../s.tif", "bytes": 1, "sha256": "a"}], "inputs": []}',
        b'{"run": "a", "files": [{"name": "/etc/hosts", "bytes": 1, "sha256": ""}], "inputs": []}',
        b'{"run": "a", "files": [{"name": "a", "bytes": "1", "sha256": "a"}], "inputs": []}',
        b'{"run": ' + b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_record_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(RunRecordError, match=r"is no run record") as caught:
        gd.verify(tmp_path / "r.json")
    assert "\n" not in str(caught.value)


def test_a_pipe_beside_an_output_is_not_waited_for(files):
    os.mkfifo(files / "a.json")
    assert gd.verify(files / "p.gpkg").exit_code == 0


def test_inputs_that_are_no_folder_are_an_option_error(files):
    with pytest.raises(OptionError, match="is no folder"):
        gd.verify(files / "r.json", inputs=files / "s.tif")
