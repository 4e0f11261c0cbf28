"""Small sets of records, and ways to take them apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import ClassDef, SceneInput
from geodeforest.errors import RecordError
from geodeforest.nn.example import Record
from geodeforest.nn.framing import frame, read_frames
from geodeforest.nn.index import RecordFormat, SetFacts
from geodeforest.nn.records import check_records
from geodeforest.nn.shards import ShardWriter

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
