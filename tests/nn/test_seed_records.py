"""The seed's records, written and read here by TensorFlow alone, as its notebooks did."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import geodeforest as gd
from geodeforest.nn.records import check_records, open_records, read_records

SIDE = 512
CODES = {11: 0, 226: 1, 51: 2}  # of the masks' red channel: forest, deforestation, other


def pair(number: int) -> tuple[bytes, np.ndarray]:
    """The bytes of a PNG file, one of them with an alpha channel, and a mask of red codes."""
    draw = np.random.default_rng(number)
    colours = draw.integers(0, 256, (SIDE // 64, SIDE // 64, 4 if number == 1 else 3), np.uint8)
    image = np.kron(colours, np.ones((64, 64, 1), np.uint8))
    red = draw.choice([*CODES], (SIDE // 32, SIDE // 32), p=[0.77, 0.1, 0.13])
    return tf.io.encode_png(image).numpy(), np.kron(red, np.ones((32, 32), int))


def one_hot(red: np.ndarray) -> np.ndarray:
    return np.stack([red == code for code in CODES], axis=-1).astype(np.float32)


def write(path, numbers) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number in numbers:
            image, red = pair(number)
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
                "mask": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[one_hot(red).tobytes()])
                ),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())


def parsed(example: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """An example as the seed's training saw it: image in 0..1, one-hot mask."""
    keys = {key: tf.io.FixedLenFeature([], tf.string) for key in ("image", "mask")}
    found = tf.io.parse_single_example(example, keys)
    image = tf.image.resize(tf.image.decode_png(found["image"], channels=3), [SIDE, SIDE])
    mask = tf.reshape(tf.io.decode_raw(found["mask"], tf.float32), [SIDE, SIDE, 3])
    return (tf.cast(image, tf.float32) / 255).numpy(), mask.numpy()


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    home = tmp_path_factory.mktemp("seed")
    parts = {"tfrecords_v2_part_1": (0, 1), "tfrecords_v2_part_10": (2,)}
    for name, numbers in parts.items():
        write(home / f"{name}.tfrec", numbers)
    return [home / f"{name}.tfrec" for name in parts]


def test_records_are_read_as_the_seeds_training_saw_them(shards):
    scale = open_records(shards).index.facts.scale
    theirs = [parsed(example) for example in tf.data.TFRecordDataset([str(s) for s in shards])]
    ours = list(read_records(shards))
    assert len(ours) == len(theirs) == 3
    for record, (image, mask) in zip(ours, theirs, strict=True):
        scaled = scale(record.image.transpose(2, 0, 1)).transpose(1, 2, 0)
        np.testing.assert_allclose(scaled, image, atol=1e-6)
        np.testing.assert_array_equal(np.eye(3)[record.labels], mask)
        assert record.valid.all()


def test_all_of_them_is_checked(shards):
    index = check_records(shards).index
    assert index.records == 3
    assert index.tally.groups == {"tfrecords_v2_part_1": 2, "tfrecords_v2_part_10": 1}
    assert [c.name for c in index.format.classes] == ["forest", "deforestation", "other"]
    reds = np.stack([pair(number)[1] for number in range(3)])
    for code, class_id in CODES.items():
        assert index.tally.class_pixels[class_id] == (reds == code).sum()


def test_the_seeds_network_trains_on_them_with_its_loss(shards, tmp_path):
    report = gd.train(
        shards,
        tmp_path / "model",
        architecture="seed-unet",
        filters=(2, 4),
        loss="seed-hybrid",
        steps=1,
        batch=2,
        crop=64,
        val_group="tfrecords_v2_part_10",
    )
    spec = gd.load_model(tmp_path / "model").spec
    assert (spec.architecture.norm, spec.training["loss"]) == (False, "seed-hybrid")
    assert (spec.gsd_m, len(spec.classes)) == (None, 3)
    assert report.confusion["tfrecords_v2_part_10"].pixels == SIDE**2
