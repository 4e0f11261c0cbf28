"""Sets of records as they are written: one record, the index, whole shards or none."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_sets import (
    CLEARED,
    FACTS,
    FOREST,
    FORM,
    a_set,
    assert_same,
    features_of,
    make_record,
    payloads,
    refusal,
    shard_of,
    write,
)

from geodeforest.errors import OutputExists, OutputUnwritable, RecordError
from geodeforest.nn import shards as shards_module
from geodeforest.nn.example import decode, encode
from geodeforest.nn.index import INDEX_NAME, RecordFormat, RecordIndex
from geodeforest.nn.records import check_records, dataset, open_records
from geodeforest.nn.shards import ShardWriter, sha256_of

# One record, there and back


@given(
    st.sampled_from(["uint8", "uint16", "int16", "int32", "float32", "float64"]),
    st.integers(1, 5),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(0, 2),
)
@settings(max_examples=40, deadline=None)
def test_a_record_comes_back_as_it_was(dtype, bands, size, inputs):
    names = tuple(f"band {i}" for i in range(bands))
    form = RecordFormat(dtype, *size, names, (FOREST, CLEARED), levels=inputs * bands)
    record = make_record(form=form)
    decoded = decode(encode(record, form), "a", 0, stem="a")
    assert (decoded.format, decoded.kind) == (form, "project")
    assert_same(decoded.record, record)


def test_equal_records_give_equal_bytes():
    assert encode(make_record(), FORM) == encode(make_record(), FORM)


def test_the_features_are_those_of_the_schema():
    features = features_of(encode(make_record(), FORM))
    assert sorted(features) == [
        "bands", "classes", "crs", "dtype", "encoding", "group", "height", "image", "mask",
        "scene", "scene_level", "transform", "valid", "width",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "bands", "encoding"),
    [("uint8", 3, b"png"), ("uint16", 4, b"png"), ("uint8", 2, b"raw"), ("float32", 3, b"raw")],
)
def test_images_are_png_where_png_can_hold_them(dtype, bands, encoding):
    form = replace(FORM, dtype=dtype, bands=tuple("rgbn"[:bands]), levels=0)
    features = features_of(encode(make_record(form=form), form))
    assert features["encoding"].bytes_list.value[0] == encoding


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"image": np.zeros((6, 5, 3), np.uint16)}, "image"),
        ({"image": np.zeros((5, 6, 3), np.uint8)}, "image"),
        ({"labels": np.zeros((6, 5), np.int64)}, "mask"),
        ({"labels": np.full((6, 5), 7, np.uint8)}, r"mask.*7 \(30 px\)"),
        ({"valid": np.zeros((6, 4), bool)}, "valid"),
        ({"scene_level": np.zeros(2, np.float32)}, "scene_level"),
        ({"scene_level": np.full(3, np.nan, np.float32)}, "scene_level"),
    ],
)
def test_a_record_that_does_not_fit_its_set_is_refused(change, key):
    with pytest.raises(RecordError, match=key):
        encode(replace(make_record(), **change), FORM)


# The index


def test_the_index_text_comes_back_as_it_was(tmp_path):
    index = check_records(a_set(tmp_path)).index
    assert RecordIndex.from_json(index.to_json()) == index


def test_the_index_counts_what_was_written(tmp_path):
    directory = a_set(tmp_path, records=5, shards=2)
    facts = json.loads((directory / INDEX_NAME).read_text())
    labels = np.concatenate([make_record(i).labels.ravel() for i in range(5)])
    assert facts["records"] == 5
    assert [shard["records"] for shard in facts["shards"]] == [3, 2]
    assert facts["groups"] == {"a": 3, "b": 2}
    assert facts["class_pixels"] == {str(i): int((labels == i).sum()) for i in (0, 1, 255)}
    for shard in facts["shards"]:
        path = directory / shard["name"]
        assert (path.stat().st_size, sha256_of(path)) == (shard["bytes"], shard["sha256"])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"schema": 2}, "`schema` is not 1"),
        ({"dtype": "complex64"}, "`dtype`"),
        ({"bands": []}, "without pixels, bands or classes"),
        ({"levels": 1}, "1 levels for 1 scene inputs"),
        ({"scale": {"low": 1, "high": 0}}, "wrong field"),
        ({"classes": [{"id": 300, "name": "x", "role": "other"}]}, "wrong field"),
        ({"classes": [{"id": 0.5, "name": "x", "role": "other"}]}, "wrong field"),
        ({"height": float("inf")}, "wrong field"),
        ({"shards": []}, "names no shard"),
        ({"groups": {"a": 3, "b": 0}}, "counts a group without a record"),
        ({"class_pixels": {"0": 0}}, "or a class without a pixel"),
        ({"class_pixels": {"7": 9}}, "counts pixels of class 7"),
    ],
)
def test_a_wrong_index_is_refused(tmp_path, change, what):
    index = a_set(tmp_path) / INDEX_NAME
    index.write_text(json.dumps(json.loads(index.read_text()) | change))
    assert what in refusal(index.parent)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a\\b", "..", ""])
def test_an_index_cannot_name_a_file_outside_its_directory(tmp_path, name):
    index = a_set(tmp_path) / INDEX_NAME
    facts = json.loads(index.read_text())
    facts["shards"][0]["name"] = name
    index.write_text(json.dumps(facts))
    assert "not a plain file name" in refusal(index.parent)


@pytest.mark.parametrize("field", ["dtype", "classes", "shards", "gsd_m", "class_pixels"])
def test_a_missing_field_of_the_index_is_named(tmp_path, field):
    index = a_set(tmp_path) / INDEX_NAME
    facts = json.loads(index.read_text())
    del facts[field]
    index.write_text(json.dumps(facts))
    assert f"`{field}` is missing" in refusal(index.parent)


# Writing


def test_equal_records_give_equal_files(tmp_path):
    one, other = (write(tmp_path / name, [make_record()]) for name in ("one", "other"))
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_the_gzip_header_holds_no_time(tmp_path):
    assert shard_of(a_set(tmp_path)).read_bytes()[4:8] == bytes(4)


def test_all_shards_exist_even_if_some_are_empty(tmp_path):
    directory = write(tmp_path / "set", [make_record()], shards=3)
    assert [len(payloads(shard_of(directory, i))) for i in range(3)] == [1, 0, 0]
    assert check_records(directory).index.records == 1


def test_records_keep_their_order_when_shards_are_read_in_turn(tmp_path):
    directory = a_set(tmp_path, records=7, shards=3)
    groups = [example["group"].numpy() for example in dataset(open_records(directory))]
    assert groups == [b"a", b"b"] * 3 + [b"a"]


def test_an_existing_directory_is_refused_and_left_alone(tmp_path):
    directory = a_set(tmp_path)
    before = (directory / INDEX_NAME).read_bytes()
    with pytest.raises(OutputExists):
        write(directory, [make_record(9)])
    assert (directory / INDEX_NAME).read_bytes() == before


def test_overwrite_replaces_the_whole_set(tmp_path):
    directory = a_set(tmp_path, records=5, shards=3)
    write(directory, [make_record(9)], shards=1, overwrite=True)
    assert sorted(path.name for path in directory.iterdir()) == [
        "index.json", "records-00000-of-00001.tfrecord.gz",
    ]  # fmt: skip
    assert check_records(directory).index.records == 1


def test_overwrite_does_not_delete_what_is_not_records(tmp_path):
    (tmp_path / "precious.txt").write_text("keep me")
    with pytest.raises(OutputUnwritable, match=r"precious\.txt"):
        write(tmp_path, [make_record()], overwrite=True)
    assert (tmp_path / "precious.txt").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_nothing(tmp_path, error):
    def interrupted():
        with ShardWriter(tmp_path / "set", FORM) as writer:
            writer.add(make_record())
            raise error

    with pytest.raises(error):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputUnwritable, match="No space left on device"):
        write(tmp_path / "set", [make_record()])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_puts_the_old_set_back(tmp_path, monkeypatch):
    directory = a_set(tmp_path)
    rename = Path.rename

    def failing(self, target):
        if self.name == "records":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputUnwritable):
        write(directory, [make_record()], overwrite=True)
    assert check_records(directory).index.records == 5
    assert list(tmp_path.iterdir()) == [directory]


def test_a_directory_that_came_meanwhile_is_not_replaced(tmp_path):
    with ShardWriter(tmp_path / "set", FORM) as writer:
        writer.add(make_record())
        write(tmp_path / "set", [make_record(1)])
        with pytest.raises(OutputExists):
            writer.commit(FACTS)
    assert check_records(tmp_path / "set").index.records == 1


def test_a_set_without_records_is_refused(tmp_path):
    with ShardWriter(tmp_path / "set", FORM) as writer, pytest.raises(RecordError):
        writer.commit(FACTS)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_parent_directory_is_refused_before_any_work(tmp_path):
    with pytest.raises(OutputUnwritable, match="parent directory"):
        ShardWriter(tmp_path / "no" / "set", FORM)


def test_shards_that_cannot_be_opened_leave_nothing(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(shards_module, "_deterministic_gzip", refuse)
    with pytest.raises(OutputUnwritable, match="Too many open files"):
        write(tmp_path / "set", [make_record()])
    assert list(tmp_path.iterdir()) == []
