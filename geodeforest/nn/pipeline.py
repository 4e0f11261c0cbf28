"""From parsed records to batches: scaled, split by group, augmented. Static shapes throughout.

Knows ``tf.data`` and the record's features; neither files nor networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.nn.augment import Augmentation, Example, augment
from geodeforest.nn.workers import WHOLE, Share

CACHE_BYTES = 2 * 2**30
"""Training records of up to so many bytes are decoded once and held in memory."""

_UNKNOWN = 254
"""Stands for the index of a class that the records should not have; there are never so many."""

SHUFFLE_RECORDS, SHUFFLE_BYTES = 256, 2**29
"""At most so many records wait for their turn, and never more than fit in so many bytes."""


@dataclass(frozen=True, slots=True)
class Feed:
    """How records become examples. ``class_ids`` are in the order of the network's outputs.

    ``batch`` is the global one; of each batch only the examples of ``share`` are made.
    """

    scale: BandScale
    class_ids: tuple[int, ...]
    batch: int
    seed: int
    share: Share = WHOLE

    @property
    def part(self) -> int:
        """Examples of a batch that are this worker's."""
        return self.batch // self.share.of


def training_batches(
    records: tf.data.Dataset,
    feed: Feed,
    augmentation: Augmentation,
    *,
    count: int,
    start: int = 0,
) -> tf.data.Dataset:
    """Endless batches (images, labels, levels) of ``count`` records.

    The order of each epoch and every augmentation follow from the seed and the numbers of
    the epoch and the example, so a training resumed at step ``start`` sees what it would
    have seen, and passes over less than one epoch to get there.
    """
    size = _record_bytes(records)
    # Without it an index that names a group of no record would have this wait for ever.
    records = records.apply(tf.data.experimental.assert_cardinality(count))
    if count * size <= CACHE_BYTES:
        records = records.cache()
    waiting = max(1, min(count, SHUFFLE_RECORDS, SHUFFLE_BYTES // size))

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # The graph takes a seed of its own from the program's and would mix it in.
        tf.compat.v1.get_default_graph().seed = None
        seed = _hash(number, feed.seed)
        order = records.shuffle(waiting, seed, reshuffle_each_iteration=False)
        return order.enumerate(number * count)

    def change(number: tf.Tensor, record: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        seed = tf.stack([number, tf.constant(feed.seed, tf.int64)])
        return tuple(augment(_example(record, feed), augmentation, seed))

    first, passed = divmod(start * feed.batch, count)
    numbered = tf.data.Dataset.range(first, tf.int64.max).flat_map(epoch).skip(passed)
    changed = _shared(numbered, feed).map(change, num_parallel_calls=tf.data.AUTOTUNE)
    return changed.batch(feed.part, drop_remainder=True).prefetch(2)


def validation_batches(
    records: tf.data.Dataset, feed: Feed, groups: Sequence[str], *, count: int
) -> tf.data.Dataset:
    """One pass of (images, labels, levels, group numbers), every batch of the same shape.

    The last batch is filled up with examples whose labels are all ignored.
    """
    names = tf.constant(list(groups))

    def numbered(record: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        number = tf.argmax(tf.cast(names == record["group"], tf.int32), output_type=tf.int32)
        return (*_example(record, feed), number)

    def blank(
        image: tf.Tensor, labels: tf.Tensor, level: tf.Tensor, number: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        return image, tf.fill(labels.shape, tf.cast(NOT_ASSESSED, labels.dtype)), level, number

    records = records.apply(tf.data.experimental.assert_cardinality(count))
    examples = records.map(numbered, num_parallel_calls=tf.data.AUTOTUNE)
    missing = -count % feed.batch
    filled = examples.concatenate(examples.repeat().take(missing).map(blank))
    return _shared(filled, feed).batch(feed.part, drop_remainder=True).prefetch(2)


def _shared(examples: tf.data.Dataset, feed: Feed) -> tf.data.Dataset:
    """This worker's examples: a run of them out of each batch, as replicas would get them."""
    if feed.share.of == 1:
        return examples
    runs = feed.part, feed.share.of, feed.share.number
    mine = examples.enumerate().filter(lambda at, _: at // runs[0] % runs[1] == runs[2])
    return mine.map(lambda _, example: example)


def _example(record: dict[str, tf.Tensor], feed: Feed) -> Example:
    stored = tf.cast(record["image"], tf.float32)
    image = tf.clip_by_value((stored - feed.scale.low) / feed.scale.span, 0, 1)
    table = [_UNKNOWN] * 255 + [NOT_ASSESSED]
    for index, class_id in enumerate(feed.class_ids):
        table[class_id] = index
    labels = tf.gather(tf.constant(table, tf.uint8), tf.cast(record["labels"], tf.int32))
    # Passed over, a class that nobody named would be lost in silence.
    known = tf.debugging.assert_none_equal(
        labels, tf.constant(_UNKNOWN, tf.uint8), message="labels hold an unknown class"
    )
    with tf.control_dependencies([known]):
        labels = tf.identity(labels)
    labels = tf.where(record["valid"], labels, tf.constant(NOT_ASSESSED, tf.uint8))
    return Example(image, labels, record["scene_level"])


def _hash(number: tf.Tensor, seed: int) -> tf.Tensor:
    """A whole number that follows from both, and from nothing else."""
    both = tf.stack([number, tf.constant(seed, tf.int64)])
    return tf.random.stateless_uniform((), both, minval=None, maxval=None, dtype=tf.int64)


def _record_bytes(records: tf.data.Dataset) -> int:
    """Memory of one parsed record, without its few words."""
    parts = [part for part in records.element_spec.values() if part.dtype != tf.string]
    return max(1, sum(int(part.shape.num_elements() * part.dtype.size) for part in parts))
