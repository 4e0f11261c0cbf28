"""Batches: scaled, counted, in an order that can be taken up again at any step."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from geodeforest.core.pixels import BandScale
from geodeforest.nn import pipeline
from geodeforest.nn.augment import NONE, Augmentation
from geodeforest.nn.pipeline import Feed, training_batches, validation_batches
from geodeforest.nn.workers import Share

FEED = Feed(BandScale(0, 200), (2, 1), batch=2, seed=3)
COUNT = 5


def records(count=COUNT, side=4, groups="ab", told=None):
    """Records whose every pixel is four times their number; ``told`` lists those that are read."""

    def read():
        for number in range(count):
            if told is not None:
                told.append(number)
            yield {
                "image": np.full((side, side, 3), 4 * number, np.uint8),
                "labels": np.full((side, side), 1 + number % 2, np.uint8),
                "valid": np.ones((side, side), bool),
                "scene_level": np.zeros(0, np.float32),
                "group": groups[number % len(groups)],
            }

    shapes = {"image": (side, side, 3), "labels": (side, side), "valid": (side, side)}
    types = {"image": tf.uint8, "labels": tf.uint8, "valid": tf.bool}
    spec = {key: tf.TensorSpec(shapes[key], types[key]) for key in shapes}
    spec |= {"scene_level": tf.TensorSpec(0, tf.float32), "group": tf.TensorSpec((), tf.string)}
    return tf.data.Dataset.from_generator(read, output_signature=spec)


def numbers(batches, steps):
    """The numbers of the records in the first batches."""
    images = [batch[0].numpy() for batch in batches.take(steps)]
    return [round(float(image[0, 0, 0]) * 50) for batch in images for image in batch]


def train(how=NONE, feed=FEED, start=0, **made):
    return training_batches(records(**made), feed, how, count=made.get("count", COUNT), start=start)


def test_stored_numbers_are_scaled_and_class_ids_become_indexes():
    images, labels, _ = next(iter(validation_batches(records(), FEED, ["a", "b"], count=5)))[:3]
    assert images.numpy()[1] == pytest.approx(4 / 200)
    assert np.unique(labels).tolist() == [0, 1]
    assert (labels.numpy()[0] == 1).all(), "id 1 is the second class"


def test_every_record_comes_once_an_epoch_and_each_epoch_in_its_own_order():
    order = numbers(train(), 10)
    epochs = [order[first : first + COUNT] for first in range(0, 20, COUNT)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 1


def test_another_seed_gives_another_order():
    other = Feed(FEED.scale, FEED.class_ids, FEED.batch, seed=4)
    assert numbers(train(), 5) != numbers(train(feed=other), 5)


def test_the_program_s_own_seed_changes_nothing():
    tf.random.set_seed(0)
    order = numbers(train(), 5)
    tf.random.set_seed(77)
    assert numbers(train(), 5) == order


@pytest.mark.parametrize("start", [1, 4, 5, 13])
def test_a_training_started_at_a_step_sees_what_it_would_have_seen(start):
    how = Augmentation(crop=2, haze=0.1)
    whole = list(train(how).take(start + 3))[start:]
    later = list(train(how, start=start).take(3))
    for expected, found in zip(whole, later, strict=True):
        for a, b in zip(expected, found, strict=True):
            assert np.array_equal(a, b)


def test_records_beyond_the_cache_are_read_again_and_nothing_else_changes(monkeypatch):
    cached = numbers(train(), 10)
    monkeypatch.setattr(pipeline, "CACHE_BYTES", COUNT * 4 * 4 * 5 - 1)
    told = []
    assert numbers(train(told=told), 10) == cached
    assert len(told) >= 20


def test_records_in_the_cache_are_read_once():
    told = []
    numbers(train(told=told), 10)
    assert told == list(range(COUNT))


def test_resuming_reads_less_than_an_epoch_to_get_there(monkeypatch):
    monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    told = []
    numbers(train(told=told, start=1000), 1)
    # The epoch at hand, and what is fetched ahead of the one batch asked for.
    assert len(told) <= 4 * COUNT


def test_only_so_many_records_wait_as_fit_in_memory(monkeypatch):
    assert numbers(train(count=50), 25) != list(range(50))
    monkeypatch.setattr(pipeline, "SHUFFLE_BYTES", 4 * 4 * 5)
    assert numbers(train(count=50), 25) == list(range(50)), "one waits, so none overtakes"


def test_a_batch_may_be_larger_than_the_set():
    seven = Feed(FEED.scale, FEED.class_ids, batch=7, seed=0)
    images, labels, levels = next(iter(train(feed=seven)))
    assert (images.shape, labels.shape, levels.shape) == ((7, 4, 4, 3), (7, 4, 4), (7, 0))


def test_shapes_are_static():
    for batches in (
        train(Augmentation(crop=2)),
        validation_batches(records(), FEED, "ab", count=5),
    ):
        assert all(part.shape.is_fully_defined() for part in batches.element_spec)


@pytest.mark.parametrize("batch", [1, 2, 4, 8])
def test_validation_counts_each_record_once_and_fills_up_with_nothing(batch):
    feed = Feed(FEED.scale, FEED.class_ids, batch, seed=0)
    seen = []
    for _, labels, _, groups in validation_batches(records(), feed, ["b", "a"], count=COUNT):
        assert len(groups) == batch
        for truth, group in zip(labels.numpy(), groups.numpy(), strict=True):
            seen += ["ba"[group]] if (truth != 255).all() else []
    assert seen == ["a", "b", "a", "b", "a"]


def test_groups_are_told_apart_by_all_their_letters():
    groups = ["l'été", 'a "b"', "森林", "森"]
    batches = validation_batches(records(4, groups=groups), FEED, groups, count=4)
    assert [int(n) for batch in batches for n in batch[3]] == [0, 1, 2, 3]


@pytest.mark.parametrize("of", [2, 4])
def test_shares_put_together_are_the_whole_batches(of):
    feed = replace(FEED, batch=4)
    shares = [numbers(train(feed=replace(feed, share=Share(n, of))), 5) for n in range(of)]
    size = 4 // of
    parts = [[share[i : i + size] for i in range(0, len(share), size)] for share in shares]
    joined = [number for batch in zip(*parts, strict=True) for part in batch for number in part]
    assert joined == numbers(train(feed=feed), 5)


def test_each_record_is_validated_by_one_worker():
    seen = []
    for number in range(2):
        feed = replace(FEED, batch=4, share=Share(number, 2))
        for images, labels, *_ in validation_batches(records(), feed, "ab", count=5):
            real = (labels.numpy() != 255).all(axis=(1, 2))
            seen += [round(float(i[0, 0, 0]) * 50) for i in images.numpy()[real]]
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_a_class_that_nobody_named_is_not_passed_over():
    only_one = replace(FEED, class_ids=(2,))
    with pytest.raises(tf.errors.InvalidArgumentError, match="labels hold an unknown class"):
        numbers(train(feed=only_one), 5)
