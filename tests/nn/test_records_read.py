"""Sets of records as they are read: eagerly or by the pipeline, one or several, the seed's too."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from record_sets import (
    ARRAYS,
    FACTS,
    FORM,
    a_set,
    assert_same,
    features_of,
    loose,
    make_record,
    refusal,
    seed_example,
    serialised,
    shard_of,
    text_feature,
    write,
)

from geodeforest.errors import OptionError, RecordError
from geodeforest.nn import records as records_module
from geodeforest.nn.example import encode
from geodeforest.nn.framing import frame
from geodeforest.nn.records import check_records, dataset, index_of, open_records, read_records
from geodeforest.nn.shards import ShardWriter


def test_eager_records_are_those_written(tmp_path):
    directory = a_set(tmp_path, records=3, shards=1)
    for number, record in enumerate(read_records(directory)):
        assert_same(record, make_record(number, group="ab"[number % 2]))


@pytest.mark.parametrize(
    ("dtype", "bands", "levels"),
    [("uint8", 3, 3), ("uint16", 4, 0), ("uint8", 2, 0), ("int16", 3, 3), ("float32", 1, 1)],
)
def test_the_pipeline_gives_the_same_as_the_eager_reader(tmp_path, dtype, bands, levels):
    form = replace(FORM, dtype=dtype, bands=tuple("rgbn"[:bands]), levels=levels)
    directory = write(tmp_path / "set", [make_record(i, form) for i in range(2)], form, shards=1)
    examples = list(dataset(open_records(directory)))
    for example, record in zip(examples, read_records(directory), strict=True):
        for name in ARRAYS:
            np.testing.assert_array_equal(example[name], getattr(record, name))
        assert example["group"].numpy().decode() == record.group


def test_the_pipeline_has_static_shapes(tmp_path):
    spec = dataset(open_records(a_set(tmp_path))).element_spec
    assert {key: (tuple(s.shape), s.dtype.name) for key, s in spec.items()} == {
        "image": ((6, 5, 3), "uint8"),
        "labels": ((6, 5), "uint8"),
        "valid": ((6, 5), "bool"),
        "scene_level": ((3,), "float32"),
        "group": ((), "string"),
    }


def test_a_pipeline_of_some_groups_holds_no_other(tmp_path):
    examples = dataset(open_records(a_set(tmp_path, records=5)), ["b"])
    assert [example["group"].numpy() for example in examples] == [b"b", b"b"]


def test_an_unknown_group_is_refused(tmp_path):
    with pytest.raises(OptionError, match="no group c"):
        dataset(open_records(a_set(tmp_path)), ["c"])


def test_shards_without_an_index_are_read_to_describe_them(tmp_path):
    form = replace(FORM, levels=0)
    directory = write(tmp_path / "set", [make_record(i, form) for i in range(3)], form, shards=2)
    indexed = open_records(directory).index
    found = open_records(sorted(directory.glob("records-*")))
    assert (found.format, found.index.shards) == (indexed.format, indexed.shards)
    assert found.index.tally == indexed.tally


def test_scene_levels_without_the_rule_behind_them_are_not_trained_on(tmp_path):
    shard = shard_of(a_set(tmp_path))
    assert index_of(shard).format.levels == 3
    with pytest.raises(RecordError, match="scene levels"):
        open_records(shard)


def test_whole_numbers_without_a_known_scale_are_not_trained_on(tmp_path):
    form = replace(FORM, dtype="int32", levels=0)
    shard = shard_of(write(tmp_path / "set", [make_record(form=form)], form))
    assert index_of(shard).format.dtype == "int32"
    with pytest.raises(RecordError, match=r"has int32 numbers, and no index\.json tells"):
        open_records(shard)


def test_plain_and_gzip_are_told_apart_by_content_not_by_name(tmp_path):
    form = replace(FORM, levels=0)
    example = encode(make_record(form=form), form)
    plain = loose(tmp_path / "plain.tfrecord.gz", [example])
    packed = tmp_path / "packed.tfrecord"
    packed.write_bytes(gzip.compress(frame(example)))
    assert len(list(dataset(open_records([plain, packed])))) == 2


def test_several_sets_are_one(tmp_path):
    one = write(tmp_path / "one", [make_record(0, group="x")])
    other = write(tmp_path / "other", [make_record(1, group="y")])
    both = open_records([one, other])
    assert (both.index.records, both.index.tally.groups) == (2, {"x": 1, "y": 1})
    assert len(list(dataset(both))) == 2


def test_several_sets_are_as_dark_as_the_darkest_and_the_brightest(tmp_path):
    def set_of(name, dark):
        facts = replace(FACTS, dark_levels=dark)
        with ShardWriter(tmp_path / name, FORM, shards=1) as writer:
            writer.add(make_record())
            writer.commit(facts)
        return tmp_path / name

    one = set_of("one", ((0.1, 0.2), (0.3, 0.4)))
    other = set_of("other", ((0.2, 0.1), (0.25, 0.5)))
    assert open_records([one, other]).index.facts.dark_levels == ((0.1, 0.1), (0.3, 0.5))
    assert open_records([one, set_of("untold", None)]).index.facts.dark_levels is None


def test_sets_of_different_format_are_not_one(tmp_path):
    form = replace(FORM, dtype="uint16")
    one, other = a_set(tmp_path), write(tmp_path / "other", [make_record(form=form)], form)
    assert "another format" in refusal([one, other])


def test_an_address_is_opened_by_tensorflow(tmp_path):
    local, remote = a_set(tmp_path), f"ram://{tmp_path.name}/set"
    for path in local.iterdir():
        with tf.io.gfile.GFile(f"{remote}/{path.name}", "wb") as file:
            file.write(path.read_bytes())
    records = open_records(remote)
    assert records.index == open_records(local).index
    assert len(list(dataset(records))) == 5


def test_shards_without_an_index_are_found_in_a_store_too(tmp_path):
    shard = shard_of(a_set(tmp_path))
    with tf.io.gfile.GFile(f"ram://{tmp_path.name}/loose/{shard.name}", "wb") as file:
        file.write(shard.read_bytes())
    assert check_records(f"ram://{tmp_path.name}/loose").index.records == 3


def test_a_store_that_nobody_knows_is_one_line():
    message = refusal("nowhere://bucket/records")
    assert message.startswith("nowhere://bucket/records/index.json: cannot be read (")
    assert "'nowhere' not implemented" in message
    assert "\n" not in message


def test_an_address_that_became_a_path_is_explained():
    message = refusal(Path("gs://bucket/records"))
    assert message.startswith("gs:/bucket/records: there is no such file; give the address as text")


def test_each_shard_is_read_once(tmp_path, monkeypatch):
    opened = []
    inner = records_module.open_binary

    def counted(name):
        opened.append(name)
        return inner(name)

    monkeypatch.setattr(records_module, "open_binary", counted)
    records = open_records(a_set(tmp_path))
    assert sorted(opened) == sorted(records.files)


def test_seed_records_are_known_by_their_content(tmp_path):
    example, image, labels = seed_example()
    path = loose(tmp_path / "tfrecords_v2_part_1.tfrec", [example])
    (record,) = read_records(tmp_path)
    np.testing.assert_array_equal(record.image, image)
    np.testing.assert_array_equal(record.labels, labels)
    assert record.valid.all()
    assert (record.group, record.crs) == ("tfrecords_v2_part_1", "")
    index = check_records(path).index
    assert [c.name for c in index.format.classes] == ["forest", "deforestation", "other"]


def test_the_pipeline_reads_seed_records_and_splits_them_by_shard(tmp_path):
    examples = [seed_example(seed) for seed in range(2)]
    for number, (example, _, _) in enumerate(examples, start=1):
        loose(tmp_path / f"part_{number}.tfrec", [example])
    (found,) = dataset(open_records(tmp_path), ["part_2"])
    np.testing.assert_array_equal(found["image"], examples[1][1])
    np.testing.assert_array_equal(found["labels"], examples[1][2])
    assert (found["valid"].dtype, found["scene_level"].shape) == (tf.bool, (0,))


def test_seed_and_own_records_do_not_mix(tmp_path):
    form = replace(FORM, levels=0)
    loose(tmp_path / "a.tfrec", [seed_example()[0]])
    loose(tmp_path / "b.tfrec", [encode(make_record(form=form), form)])
    assert "b.tfrec: record 0: has another dtype, shape" in refusal(tmp_path)


@pytest.mark.parametrize("value", [0.0, 0.5, np.nan])
def test_a_seed_mask_that_is_not_one_hot_is_refused(tmp_path, value):
    features = features_of(seed_example()[0])
    mask = np.full((512, 512, 3), value, np.float32)
    example = serialised(features | {"mask": text_feature(mask.tobytes())})
    assert "key 'mask' is not one-hot" in refusal(loose(tmp_path / "a.tfrec", [example]))
