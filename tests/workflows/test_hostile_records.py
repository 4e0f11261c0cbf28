"""Records that are damaged, crafted or wrong: exit 7 before TensorFlow sees them, with the place.

Some are vouched for by an index made to fit them, as a stranger's would be.

There is no way to skip what is damaged and train on the rest: the rest of a shard is a share that
nobody chose, its groups and classes are not those of the index, and the file can be copied again.
"""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from geodeforest.cli import main
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import CLASSES, Architecture
from geodeforest.errors import GeodeforestError
from geodeforest.nn.crc import masked_crc32c
from geodeforest.nn.example import Record, encode
from geodeforest.nn.framing import frame
from geodeforest.nn.index import INDEX_NAME, RecordFormat, SetFacts
from geodeforest.nn.shards import ShardWriter, sha256_of
from geodeforest.workflows.train_model import train

FORM = RecordFormat("uint8", 32, 32, ("red", "green", "blue"), CLASSES[:2])
OPTIONS = {"architecture": Architecture((4,)), "steps": 2, "batch": 1, "strategy": "cpu"}


def record(number):
    image = np.random.default_rng(number).integers(0, 255, FORM.shape, np.uint8)
    return Record(
        image=image,
        labels=(image[..., 0] > 127).astype(np.uint8),
        valid=np.ones((32, 32), bool),
        scene=f"scene-{number}",
        group=f"g{number}",
        crs="EPSG:32635",
        transform=(10.0, 0.0, 5e5, 0.0, -10.0, 5e6),
        scene_level=np.zeros(0, np.float32),
    )


GOOD = [encode(record(number), FORM) for number in range(4)]


def changed(payload, **features):
    """The record with other features; None leaves one out."""
    example = tf.train.Example.FromString(payload)
    for key, value in features.items():
        del example.features.feature[key]
        if value is not None:
            example.features.feature[key].CopyFrom(value)
    return example.SerializeToString()


def mask_of(value):
    labels = np.zeros((32, 32, 1), np.uint8)
    labels[0, :5] = value
    png = tf.io.encode_png(labels).numpy()
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[png]))


def flipped(framed, at):
    data = bytearray(framed)
    data[at] ^= 1
    return bytes(data)


def crafted(length):
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked_crc32c(packed)) + b"tail"


TWO = b"".join(frame(payload) for payload in GOOD[:2])
THIRD = frame(GOOD[2])
NO_MASK = changed(GOOD[2], mask=None)
SHORT = changed(GOOD[2], encoding=tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"raw"])))
WRONG_TYPE = changed(GOOD[2], height=tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"6"])))
STRANGE = changed(GOOD[2], mask=mask_of(7))

ROWS = {
    "T1 data checksum": (TWO + flipped(THIRD, 40), "record 2: at byte {} has a wrong payload"),
    "T1 length checksum": (TWO + flipped(THIRD, 9), "record 2: at byte {} has a wrong length"),
    "T2 tail cut off": (TWO + THIRD[:-7], "record 2: at byte {} claims"),
    "T3 empty file": (b"", "is empty"),
    "T4 crafted length": (TWO + crafted(2**40), "record 2: at byte {} claims 1099511627776 bytes"),
    "T5 text": (b"records, or so they say", "record 0: is not a TFRecord file"),
    "T5 gzip in gzip": (gzip.compress(gzip.compress(TWO)), "record 0: is not a TFRecord file"),
    "T6 missing key": (TWO + frame(NO_MASK), "record 2: key 'mask' is missing (has: "),
    "T6 short bytes": (TWO + frame(SHORT), "record 2: key 'image' has "),
    "T6 wrong type": (TWO + frame(WRONG_TYPE), "record 2: key 'height' is a bytes_list"),
    "T6 empty record": (TWO + frame(b""), "record 2: key 'image' is missing (has: nothing)"),
    "T7 not an Example": (TWO + frame(b"\xff\xff"), "record 2: the payload is not a tf.train"),
    "T8 unknown class": (
        TWO + frame(STRANGE),
        "record 2: key 'mask' has unknown class ids 7 (5",
    ),
}


def refused(records, output) -> str:
    """The one line that a training ends with, and that it leaves nothing."""
    with pytest.raises(GeodeforestError) as error:
        train(records, output, **OPTIONS)
    assert error.value.exit_code == 7
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.fixture
def unseen(monkeypatch):
    """TensorFlow's own reader of records, which believes whatever it is given, is not reached."""
    monkeypatch.delattr(tf.data, "TFRecordDataset")


@pytest.mark.parametrize("row", ROWS)
def test_a_loose_shard_is_refused_with_file_record_and_key(tmp_path, row, unseen):
    data, what = ROWS[row]
    shard = tmp_path / "shard.tfrecord"
    shard.write_bytes(data)
    assert refused(shard, tmp_path / "m").startswith(f"{shard}: {what.format(len(TWO))}")
    assert not (tmp_path / "m").exists()


COMMANDS = {
    "train": ("train", "{}", "-o", "m", "--steps", "2", "--strategy", "cpu"),
    "records verify": ("records", "verify", "{}"),
    "records info": ("records", "info", "{}"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("row", ROWS)
def test_each_command_ends_with_7_and_one_line(tmp_path, row, command, unseen, monkeypatch):
    data, what = ROWS[row]
    monkeypatch.chdir(tmp_path)
    Path("shard.tfrecord").write_bytes(data)
    words = [word.format("shard.tfrecord") for word in COMMANDS[command]]
    ending = CliRunner().invoke(main, words)
    assert (ending.exit_code, ending.stdout) == (7, "")
    said = f"geodeforest: error: shard.tfrecord: {what.format(len(TWO))}"
    assert ending.stderr.startswith(said)
    assert ending.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["shard.tfrecord"]


def test_the_record_that_ends_tensorflow_does_not_end_the_command(tmp_path):
    """In a process of its own, since TensorFlow itself would take this one along."""
    (tmp_path / "shard.tfrecord").write_bytes(TWO + crafted(2**40))
    words = [word.format("shard.tfrecord") for word in COMMANDS["train"]]
    ending = subprocess.run(
        [sys.executable, "-m", "geodeforest", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert ending.returncode == 7
    said = f"geodeforest: error: shard.tfrecord: {ROWS['T4 crafted length'][1].format(len(TWO))}"
    assert ending.stderr.startswith(said)
    assert ending.stderr.count("\n") == 1


def a_set(directory: Path, *, shards: int = 1) -> Path:
    with ShardWriter(directory, FORM, shards=shards) as writer:
        for number in range(4):
            writer.add(record(number))
        writer.commit(SetFacts(BandScale(0, 255)))
    return directory


def vouched(directory: Path, data: bytes, **facts: object) -> Path:
    """A set of one shard with these bytes, whose index has their size and hash."""
    index = a_set(directory) / INDEX_NAME
    (shard,) = directory.glob("records-*")
    shard.write_bytes(data)
    found = json.loads(index.read_text()) | facts
    found["shards"][0] |= {"bytes": len(data), "sha256": sha256_of(shard)}
    index.write_text(json.dumps(found))
    return shard


IN_FRAME = [row for row in ROWS if row[:2] in ("T1", "T2", "T4", "T5")]


@pytest.mark.parametrize("row", IN_FRAME)
def test_an_index_that_vouches_for_broken_frames_changes_nothing(tmp_path, row, unseen):
    data, what = ROWS[row]
    shard = vouched(tmp_path / "set", data)
    assert refused(shard.parent, tmp_path / "m").startswith(f"{shard}: {what.format(len(TWO))}")


def test_t3_a_shard_cut_between_two_records_is_found_by_the_index(tmp_path, unseen):
    directory = a_set(tmp_path / "set", shards=2)
    first, _ = sorted(directory.glob("records-*"))
    whole = gzip.decompress(first.read_bytes())
    first.write_bytes(gzip.compress(whole[: len(frame(GOOD[0]))], mtime=0))
    assert refused(directory, tmp_path / "m").startswith(f"{first}: is not the shard of its index")


@pytest.mark.parametrize("row", ["T6 empty record", "T7 not an Example"])
def test_an_index_cannot_vouch_for_what_is_no_record(tmp_path, row, unseen):
    shard = vouched(tmp_path / "set", ROWS[row][0])
    assert refused(shard.parent, tmp_path / "m").startswith(f"{shard}: record 2: ")


@pytest.mark.parametrize("row", ["T6 missing key", "T6 short bytes", "T8 unknown class"])
def test_what_only_the_training_stumbles_on_is_named_all_the_same(tmp_path, row):
    data, what = ROWS[row]
    shard = vouched(tmp_path / "set", data + frame(GOOD[3]))
    assert refused(shard.parent, tmp_path / "m").startswith(f"{shard}: {what}")


def test_t8_ignored_pixels_are_no_unknown_class(tmp_path):
    shard = tmp_path / "shard.tfrecord"
    ignored = changed(GOOD[2], mask=mask_of(255))
    shard.write_bytes(TWO + frame(ignored))
    assert train(shard, tmp_path / "m", **OPTIONS).steps == 2
