from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from rasterio.crs import CRS

from geodeforest.cli import main

PLACE = Affine(10, 0, 600_000, 0, -10, 9_000_000)


def write(path: Path, values: np.ndarray) -> str:
    count, height, width = values.shape
    with rasterio.open(
        path, "w", "GTiff", width, height, count, CRS.from_epsg(32721), PLACE, values.dtype
    ) as file:
        file.write(values)
    return str(path)


@pytest.fixture
def pair(tmp_path):
    random = np.random.default_rng(5)
    scene = random.integers(0, 99, (3, 32, 48), np.uint8)
    labels = random.integers(1, 3, (1, 32, 48), np.uint8)
    return write(tmp_path / "s.tif", scene), write(tmp_path / "labels.tif", labels)


@pytest.fixture
def records(pair, tmp_path):
    result = run("build", *pair, "-o", tmp_path / "set", "--chip", 16, *MAPPED)
    assert result.exit_code == 0, result.output
    return tmp_path / "set"


MAPPED = ("--class-map", "1=forest,2=deforestation", "--scene-input", "dark:2")


def run(*args):
    return CliRunner().invoke(main, ["records", *map(str, args)])


def assert_refused(result, code: int, what: str) -> None:
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("geodeforest: error: ")
    assert what in result.stderr
    assert result.stderr.count("\n") == 1


def test_build_says_what_it_wrote(pair, tmp_path):
    output = tmp_path / "set"
    result = run("build", *pair, "-o", output, "--chip", 16, "--shards", 2, *MAPPED)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"6 records in 2 shards, 0.0 MB, -> {output}\n"


@pytest.mark.parametrize(
    ("class_map", "says"),
    [
        ("1=forest,2=forest", "the classes are forest; a model needs deforestation and"),
        ("1=forest,2=ignore,3=deforestation", "only one has a pixel; label the others too"),
        ("1=forest,2=other,3=deforestation", "no pixel is deforestation, so the model will not"),
    ],
)
def test_build_warns_of_what_training_will_miss(pair, tmp_path, class_map, says):
    result = run("build", *pair, "-o", tmp_path / "set", "--chip", 16, "--class-map", class_map)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"geodeforest: warning: {tmp_path / 'set'}: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_build_prints_the_index_as_json(pair, tmp_path):
    result = run(
        "build", *pair, "-o", tmp_path / "set", "--chip", 16, "--json", "--scale", "0,100",
        "--bands", "3,2", "--overlap", 4, "--val-group", "s", *MAPPED,
    )  # fmt: skip
    index = json.loads(result.stdout)
    assert index == json.loads((tmp_path / "set" / "index.json").read_text())
    assert index["scale"] == {"low": 0, "high": 100}
    assert (index["height"], len(index["bands"]), index["records"]) == (16, 2, 12)
    assert index["val_groups"] == ["s"]
    assert [s["name"] for s in index["scene_inputs"]] == ["dark"]
    assert [c["name"] for c in index["classes"]] == ["forest", "deforestation"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--class-map", "2"), "is not like 1=forest"),
        (("--class-map", "2=savanna"), "'savanna' is not a class"),
        (("--background", "savanna"), "'savanna' is not a class"),
        (("--scene-input", "dark"), "is not like dark:2"),
        (("--scene-input", "dark:120"), "is not like dark:2"),
        (("--scale", "5,1"), "LOW must be less than HIGH"),
        (("--overlap", "16"), "overlap 16 px"),
        (("--val-group", "t"), "no group 't'"),
    ],
)
def test_bad_options_are_usage_errors(pair, tmp_path, options, what):
    result = run("build", *pair, "-o", tmp_path / "set", "--chip", 16, *options)
    assert_refused(result, 2, what)
    assert not (tmp_path / "set").exists()


def test_a_scene_without_labels_is_a_usage_error(pair, tmp_path):
    assert_refused(run("build", *pair, pair[0], "-o", tmp_path / "set"), 2, "has no labels")


def test_unknown_classes_end_with_7(pair, tmp_path):
    result = run("build", *pair, "-o", tmp_path / "set", "--class-map", "1=forest")
    assert_refused(result, 7, "holds unknown classes: 2 (")


def test_an_existing_output_ends_with_5_and_overwrite_replaces_it(pair, records):
    args = ("build", *pair, "-o", records, "--chip", 32, *MAPPED)
    assert_refused(run(*args), 5, "pass --overwrite")
    assert run(*args, "--overwrite").exit_code == 0
    assert json.loads((records / "index.json").read_text())["height"] == 32


def test_info_describes_a_set(records):
    lines = run("info", records).stdout.splitlines()
    assert lines[0].startswith("6 records in 4 shards")
    assert lines[1] == "images        16 x 16 px, uint8: red, green, blue"
    assert lines[-3] == "scene inputs  dark (percentile 2)"
    assert lines[-2:] == ["groups        1: s 6", "to validate   none"]


def test_info_as_json_is_the_index(records):
    found = json.loads(run("info", records, "--json").stdout)
    assert found == json.loads((records / "index.json").read_text())


def test_info_reads_loose_shards(records):
    shards = sorted(records.glob("records-*"))[:2]
    found = json.loads(run("info", *shards, "--json").stdout)
    assert found["records"] == 4
    assert [shard["name"] for shard in found["shards"]] == [shard.name for shard in shards]


def test_info_of_a_directory_needs_no_tensorflow(records):
    program = (
        "import sys; from geodeforest.cli import main; "
        f"main(['records', 'info', {str(records)!r}], standalone_mode=False); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def test_verify_reports_one_line(records):
    assert run("verify", records).stdout == "6 records in 4 shards, 0.0 MB, all whole\n"


def test_verify_names_a_damaged_shard(records):
    shard = sorted(records.glob("records-*"))[2]
    shard.write_bytes(shard.read_bytes()[:-1])
    assert_refused(run("verify", records), 7, f"{shard}: record 1: the gzip data is damaged")


def test_verify_names_record_and_key(records, tmp_path):
    import tensorflow as tf

    from geodeforest.nn.framing import frame

    loose = tmp_path / "loose.tfrecord"
    loose.write_bytes(frame(tf.train.Example().SerializeToString()))
    assert_refused(run("verify", loose), 7, "record 0: key 'image' is missing (has: nothing)")


def test_a_crafted_length_ends_with_7_in_a_process_of_its_own(tmp_path):
    import struct

    from geodeforest.nn.crc import masked_crc32c

    length = struct.pack("<Q", 2**40)
    shard = tmp_path / "bad.tfrecord"
    shard.write_bytes(length + struct.pack("<I", masked_crc32c(length)) + b"tail")
    command = [sys.executable, "-m", "geodeforest", "records", "verify", str(shard)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr == (
        f"geodeforest: error: {shard}: record 0: at byte 0 claims 1099511627776 bytes, "
        "more than the file has left; fetch or build the file again\n"
    )


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_huge_index_is_refused_without_being_parsed(command, tmp_path):
    (tmp_path / "set").mkdir()
    with (tmp_path / "set" / "index.json").open("wb") as file:
        file.truncate(2**40)  # sparse
    result = run(command, tmp_path / "set")
    assert result.exit_code == 7
    assert "index.json: has more than 67,108,864 characters" in result.stderr
