from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import ClassDef, SceneInput
from geodeforest.errors import OptionError, OutputExists, OutputUnwritable, RecordError
from geodeforest.nn import records as records_module
from geodeforest.nn import shards as shards_module
from geodeforest.nn.example import Record, decode, encode
from geodeforest.nn.framing import frame, read_frames
from geodeforest.nn.index import INDEX_NAME, RecordFormat, RecordIndex, SetFacts
from geodeforest.nn.records import check_records, dataset, index_of, open_records, read_records
from geodeforest.nn.shards import ShardWriter, sha256_of

FOREST = ClassDef(0, "forest", "forest")
CLEARED = ClassDef(1, "deforestation", "deforestation")
FORM = RecordFormat("uint8", 6, 5, ("red", "green", "blue"), (FOREST, CLEARED), levels=3)
FACTS = SetFacts(BandScale(0, 255), (SceneInput("dark", 2),), gsd_m=10.0, val_groups=("b",))
ARRAYS = ("image", "labels", "valid", "scene_level")
WORDS = ("scene", "group", "crs", "transform")


def make_record(seed: int = 0, form: RecordFormat = FORM, group: str = "a") -> Record:
    random = np.random.default_rng(seed)
    dtype = np.dtype(form.dtype)
    image = random.normal(50, 20, form.shape).clip(0).astype(dtype)
    return Record(
        image=image,
        labels=random.choice(np.array([*form.class_ids, 255], np.uint8), form.shape[:2]),
        valid=random.random(form.shape[:2]) < 0.8,
        scene=f"scene-{seed}.tif",
        group=group,
        crs="EPSG:32721",
        transform=(10.0, 0.0, 500_000.123456789, 0.0, -10.0, 9_000_000.987654321),
        scene_level=random.random(form.levels).astype(np.float32),
    )


def write(directory: Path, records: list[Record], form: RecordFormat = FORM, **options) -> Path:
    with ShardWriter(directory, form, **options) as writer:
        for record in records:
            writer.add(record)
        writer.commit(replace(FACTS, scene_inputs=FACTS.scene_inputs if form.levels else ()))
    return directory


def a_set(tmp_path: Path, records: int = 5, shards: int = 2) -> Path:
    made = [make_record(i, group="ab"[i % 2]) for i in range(records)]
    return write(tmp_path / "set", made, shards=shards)


def shard_of(directory: Path, number: int = 0) -> Path:
    return sorted(directory.glob("records-*"))[number]


def payloads(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [payload for _, payload in read_frames(file, path)]


def loose(path: Path, examples: list[bytes]) -> Path:
    path.write_bytes(b"".join(frame(example) for example in examples))
    return path


def features_of(example: bytes) -> dict[str, tf.train.Feature]:
    return dict(tf.train.Example.FromString(example).features.feature)


def serialised(features: dict[str, tf.train.Feature]) -> bytes:
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def text_feature(*values: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def assert_same(one: Record, other: Record) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
        assert getattr(one, name).dtype == getattr(other, name).dtype
    for name in WORDS:
        assert getattr(one, name) == getattr(other, name)


def refusal(paths) -> str:
    with pytest.raises(RecordError) as caught:
        check_records(paths)
    return str(caught.value)


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


# Reading


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


# The seed's schema


def seed_example(seed: int = 0) -> tuple[bytes, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    image = random.integers(0, 9, (512, 512, 3), np.uint8)
    labels = random.integers(0, 3, (512, 512), np.uint8)
    mask = np.eye(3, dtype=np.float32)[labels]
    features = {
        "image": text_feature(tf.io.encode_png(image, compression=1).numpy()),
        "mask": text_feature(mask.tobytes()),
    }
    return serialised(features), image, labels


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


# Damage


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


def test_shards_that_cannot_be_opened_leave_nothing(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(shards_module, "_deterministic_gzip", refuse)
    with pytest.raises(OutputUnwritable, match="Too many open files"):
        write(tmp_path / "set", [make_record()])
    assert list(tmp_path.iterdir()) == []
