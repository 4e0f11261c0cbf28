"""Damaged records are found, and named with their file, number and key."""

from __future__ import annotations

import gzip
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from record_sets import (
    FORM,
    a_set,
    features_of,
    loose,
    make_record,
    payloads,
    refusal,
    seed_example,
    serialised,
    shard_of,
    text_feature,
)

from geodeforest.errors import RecordError
from geodeforest.nn.example import encode
from geodeforest.nn.framing import frame
from geodeforest.nn.index import INDEX_NAME
from geodeforest.nn.records import open_records


def test_a_flipped_byte_is_found_with_the_record_it_is_in(tmp_path):
    shard = shard_of(a_set(tmp_path))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    assert f"{shard}: record " in refusal(shard.parent)


def test_another_whole_shard_is_found_by_the_hash(tmp_path):
    shard = shard_of(a_set(tmp_path))
    data = bytearray(shard.read_bytes())
    data[9] ^= 1  # the system that packed it, which nobody reads
    shard.write_bytes(data)
    assert f"{shard}: is not the shard of its index: another SHA-256" in refusal(shard.parent)


def test_a_shard_cut_at_a_record_boundary_is_found_by_the_index(tmp_path):
    shard = shard_of(a_set(tmp_path))
    whole = payloads(shard)
    shard.write_bytes(gzip.compress(b"".join(frame(p) for p in whole[:-1]), mtime=0))
    assert "is not the shard of its index" in refusal(shard.parent)


def test_a_count_that_is_not_that_of_the_shard_is_refused(tmp_path):
    index = a_set(tmp_path) / INDEX_NAME
    facts = json.loads(index.read_text())
    facts["shards"][0]["records"] = 4
    facts["groups"]["a"] += 1
    index.write_text(json.dumps(facts))
    assert "holds 3 records, 4 expected" in refusal(index.parent)


def test_groups_that_do_not_add_up_to_the_records_are_refused(tmp_path):
    # Validation counts its batches by them.
    index = a_set(tmp_path) / INDEX_NAME
    facts = json.loads(index.read_text())
    facts["groups"]["a"] += 3
    index.write_text(json.dumps(facts))
    with pytest.raises(RecordError, match="groups of 8 records and shards of 5"):
        open_records(index.parent)


def test_counts_that_are_not_those_of_the_records_are_refused(tmp_path):
    index = a_set(tmp_path) / INDEX_NAME
    facts = json.loads(index.read_text())
    facts["class_pixels"]["0"] += 1
    index.write_text(json.dumps(facts))
    assert "its class_pixels are not those of the records" in refusal(index.parent)


def test_a_missing_shard_is_named(tmp_path):
    shard = shard_of(a_set(tmp_path))
    shard.unlink()
    assert refusal(shard.parent) == f"{shard}: there is no such file; check the path"


def test_an_empty_loose_shard_is_refused(tmp_path):
    assert "is empty" in refusal(loose(tmp_path / "a.tfrecord", []))


def test_a_pipe_is_refused_and_does_not_hang(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "a.tfrecord")
    assert "is not a regular file" in refusal(tmp_path / "a.tfrecord")


def test_a_directory_without_shards_is_refused(tmp_path):
    assert "holds neither index.json nor a .tfrecord file" in refusal(tmp_path)


PNG = tf.io.encode_png(np.zeros((6, 5, 1), np.uint8)).numpy()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"mask": None}, "key 'mask' is missing (has: bands, classes, crs,"),
        ({"encoding": text_feature(b"jpeg")}, "key 'encoding' is 'jpeg'"),
        ({"encoding": text_feature(b"raw")}, "key 'image' has "),
        ({"height": text_feature(b"6")}, "key 'height' is a bytes_list"),
        ({"dtype": text_feature(b"object")}, "key 'dtype' is 'object'"),
        ({"dtype": text_feature(b"uint16")}, "key 'image' is a PNG of"),
        ({"mask": text_feature(b"GIF89a")}, "key 'mask' is not a PNG"),
        ({"mask": text_feature(PNG[:40])}, "key 'mask' is a damaged PNG"),
        ({"mask": text_feature()}, "key 'mask' has 0 values, not 1"),
        ({"group": text_feature(b"\xff")}, "key 'group' is not UTF-8"),
        ({"classes": text_feature(b"[" * 100_000)}, "key 'classes' cannot be read"),
        ({"transform": text_feature(*[b"1"] * 5, b"inf")}, "key 'transform'"),
        ({"transform": text_feature(b"one")}, "key 'transform'"),
    ],
)
def test_what_is_wrong_with_a_record_is_told_with_its_number_and_key(tmp_path, change, what):
    good = encode(make_record(), FORM)
    features = {k: v for k, v in (features_of(good) | change).items() if v is not None}
    message = refusal(loose(tmp_path / "a.tfrecord", [good, serialised(features)]))
    assert f"a.tfrecord: record 1: {what}" in message


def test_a_size_beyond_all_measure_allocates_nothing(tmp_path):
    huge = tf.train.Feature(int64_list=tf.train.Int64List(value=[2**40]))
    features = features_of(encode(make_record(), FORM)) | {"height": huge, "width": huge}
    message = refusal(loose(tmp_path / "a.tfrecord", [serialised(features)]))
    assert "more than allowed" in message


def test_a_seed_record_without_mask_is_named_with_what_it_has(tmp_path):
    features = features_of(seed_example()[0])
    example = serialised({"image": features["image"]})
    message = refusal(loose(tmp_path / "a.tfrecord", [example]))
    assert "record 0: key 'mask' is missing (has: image)" in message


@pytest.mark.parametrize("payload", [b"\x0a\x05\x0a\x03\x0a\x01\xff", b"\xff\xff", b"plain text"])
def test_a_payload_that_is_no_example_is_refused(tmp_path, payload):
    assert "record 0: " in refusal(loose(tmp_path / "a.tfrecord", [payload]))


def test_unknown_class_ids_are_listed_with_their_pixels(tmp_path):
    mask = np.zeros((6, 5, 1), np.uint8)
    mask[0, :4], mask[1, 0], mask[2, 0] = 7, 9, 255
    changed = {"mask": text_feature(tf.io.encode_png(mask).numpy())}
    example = serialised(features_of(encode(make_record(), FORM)) | changed)
    message = refusal(loose(tmp_path / "a.tfrecord", [example]))
    assert "key 'mask' has unknown class ids 7 (4 px), 9 (1 px)" in message


def test_valid_must_be_zero_or_one(tmp_path):
    valid = text_feature(tf.io.encode_png(np.full((6, 5, 1), 2, np.uint8)).numpy())
    example = serialised(features_of(encode(make_record(), FORM)) | {"valid": valid})
    assert "key 'valid'" in refusal(loose(tmp_path / "a.tfrecord", [example]))
