"""Augmentation moves image, labels and levels together."""

import numpy as np
import pytest
import tensorflow as tf

from geodeforest.core.spec import Ceiling, SceneInput
from geodeforest.errors import OptionError
from geodeforest.nn.augment import (
    NONE,
    Augmentation,
    Example,
    OwnLevel,
    Recolour,
    Water,
    augment,
)

DARK = SceneInput("dark", 2)
SEEDS = [tf.constant([n, 7], tf.int64) for n in range(12)]


@pytest.fixture
def example():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, (32, 32)).astype(np.uint8)
    labels[3, 5] = 255
    image = rng.random((32, 32, 3)).astype(np.float32) * 0.5 + 0.1
    image[..., 0] = labels  # so that a label can be read off its pixel
    return Example(tf.constant(image), tf.constant(labels), tf.constant([0.1, 0.1, 0.1]))


def test_nothing_asked_changes_nothing(example):
    same = augment(example, NONE, SEEDS[0])
    for before, after in zip(example, same, strict=True):
        assert np.array_equal(before, after)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_labels_turn_and_crop_with_their_pixels(example, seed):
    changed = augment(example, Augmentation(crop=16), seed)
    assert changed.image.shape == (16, 16, 3)
    assert np.array_equal(changed.image[..., 0], tf.cast(changed.labels, tf.float32))


def test_all_eight_symmetries_occur(example):
    seen = {
        augment(example, Augmentation(), tf.constant([n, 0], tf.int64)).labels.numpy().tobytes()
        for n in range(80)
    }
    assert len(seen) == 8


def test_the_same_seed_gives_the_same_example(example):
    how = Augmentation(crop=16, haze=0.1, exposure=0.3, contrast=0.2, level_error=0.02)
    first, second = augment(example, how, SEEDS[3]), augment(example, how, SEEDS[3])
    other = augment(example, how, SEEDS[4])
    assert np.array_equal(first.image, second.image)
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_haze_adds_to_pixels_and_level_alike(example, seed):
    hazy = augment(example, Augmentation(turn=False, haze=0.2), seed)
    above = hazy.image - hazy.level
    assert np.allclose(above, example.image - example.level, atol=1e-6)
    assert not np.allclose(hazy.image, example.image)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_exposure_multiplies_pixels_and_level_alike(example, seed):
    exposed = augment(example, Augmentation(turn=False, exposure=0.5), seed)
    factor = exposed.level[0] / example.level[0]
    assert 1 / 1.5 - 1e-6 <= factor <= 1.5 + 1e-6
    assert np.allclose(exposed.image, example.image * factor, atol=1e-6)


def test_level_error_moves_the_level_alone(example):
    moved = augment(example, Augmentation(turn=False, level_error=0.05), SEEDS[0])
    assert np.array_equal(moved.image, example.image)
    assert not np.allclose(moved.level, example.level)


def test_recolouring_touches_only_its_class_and_keeps_the_dark_level(example):
    rule = Recolour(class_index=1, low=(0.5,) * 3, high=(0.5,) * 3, share=1.0)
    changed = augment(example, Augmentation(turn=False, recolour=(rule,)), SEEDS[0])
    cleared = example.labels.numpy() == 1
    before, after = example.image.numpy(), changed.image.numpy()
    assert np.array_equal(after[~cleared], before[~cleared])
    assert np.allclose(after[cleared], 0.1 + (before[cleared] - 0.1) * 0.5, atol=1e-6)


def test_each_class_has_its_own_recolouring(example):
    rules = (
        Recolour(class_index=1, low=(0.5,) * 3, high=(0.5,) * 3, share=1.0),
        Recolour(class_index=0, low=(2.0,) * 3, high=(2.0,) * 3, share=1.0),
    )
    changed = augment(example, Augmentation(turn=False, recolour=rules), SEEDS[0]).image.numpy()
    factors = np.array([2.0, 0.5, 1.0])[np.minimum(example.labels.numpy(), 2)]
    above = example.image.numpy() - 0.1
    assert np.allclose(changed, 0.1 + above * factors[..., np.newaxis], atol=1e-6)


def test_recolouring_a_share_leaves_some_fields_alone(example):
    rule = Recolour(class_index=1, low=(0.2,) * 3, high=(0.4,) * 3, share=0.5)
    shares = []
    for seed in SEEDS:
        changed = augment(example, Augmentation(turn=False, recolour=(rule,)), seed)
        cleared = example.labels.numpy() == 1
        moved = (changed.image.numpy() != example.image.numpy()).any(axis=-1)[cleared]
        shares.append(moved.mean())
    assert 0.3 < np.mean(shares) < 0.7


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_blur_shows_coarser_pixels_and_changes_neither_labels_nor_level(example, seed):
    blurred = augment(example, Augmentation(turn=False, blur=1.0), seed)
    assert blurred.image.shape == example.image.shape
    assert np.std(blurred.image[..., 1]) < 0.7 * np.std(example.image[..., 1])
    assert np.allclose(np.mean(blurred.image), np.mean(example.image), atol=0.01)
    assert np.array_equal(blurred.labels, example.labels)
    assert np.array_equal(blurred.level, example.level)


def test_blur_leaves_its_share_of_chips_alone(example):
    how = Augmentation(turn=False, blur=0.5)
    same = [np.array_equal(augment(example, how, seed).image, example.image) for seed in SEEDS]
    assert 2 < sum(same) < len(SEEDS) - 2


def test_a_crop_larger_than_the_record_is_refused(example):
    with pytest.raises(OptionError, match="crop 64"):
        augment(example, Augmentation(crop=64), SEEDS[0])


def test_negative_amounts_are_refused():
    with pytest.raises(OptionError, match="negative"):
        Augmentation(haze=-0.1)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_relief_lights_the_ground_smoothly_and_only_lowers_the_level(example, seed):
    flat = example._replace(image=tf.fill((32, 32, 3), 0.4))
    hilly = augment(flat, Augmentation(turn=False, relief=0.5), seed)
    ratio = hilly.image.numpy()[..., 0] / 0.4
    assert (hilly.level.numpy() <= flat.level.numpy() + 1e-7).all()
    assert np.abs(np.diff(ratio, axis=0)).max() < 0.5 * (np.ptp(ratio) + 1e-6)


def test_about_half_of_the_chips_have_no_relief(example):
    how = Augmentation(turn=False, relief=0.5)
    seeds = [tf.constant([n, 1], tf.int64) for n in range(60)]
    same = [np.allclose(augment(example, how, s).image, example.image, atol=1e-6) for s in seeds]
    assert 0.3 < np.mean(same) < 0.7


def test_a_chip_may_get_its_own_level():
    image = np.zeros((8, 8, 2), np.float32)
    image[::2, ::2] = np.arange(32).reshape(4, 4, 2) / 100
    chip = Example(tf.constant(image), tf.zeros((8, 8), tf.uint8), tf.constant([0.9] * 4))
    how = Augmentation(
        turn=False, own_level=OwnLevel(0.5, (SceneInput("least", 0), SceneInput("middle", 50)))
    )
    levels = {tuple(augment(chip, how, seed).level.numpy().tolist()) for seed in SEEDS}
    own = np.concatenate([image[0, 0], image[4, 0]])  # the least pixel and the middle one
    assert levels == {tuple(chip.level.numpy().tolist()), tuple(own.tolist())}


def test_a_chips_own_level_keeps_under_the_ceiling():
    image = np.tile(np.array([0.4, 0.5, 0.5], np.float32), (8, 8, 1))
    chip = Example(tf.constant(image), tf.zeros((8, 8), tf.uint8), tf.zeros(3))
    rule = SceneInput("dark", 2, ceiling=Ceiling(band=0, under=2, gap=0.2, least=0.1))
    own = augment(chip, Augmentation(turn=False, own_level=OwnLevel(1, (rule,))), SEEDS[0])
    np.testing.assert_allclose(own.level, [0.3, 0.5, 0.5], rtol=1e-6)


def half_cleared(brighter):
    """A chip of forest in the west and cleared land in the east, so much brighter."""
    labels = np.repeat([[0, 1]], 16, axis=0).repeat(16, axis=1).astype(np.uint8)
    image = np.random.default_rng(2).uniform(0.1, 0.12, (16, 32, 2)).astype(np.float32)
    image[labels == 1] += brighter
    return Example(tf.constant(image), tf.constant(labels), tf.constant([0.1, 0.1]))


def test_a_chip_may_become_bare_in_the_colours_of_its_cleared_part():
    chip = half_cleared(0.3)
    bare = augment(
        chip, Augmentation(turn=False, own_level=OwnLevel(1, (DARK,), 1, 1, 0.05)), SEEDS[0]
    )
    assert np.unique(bare.labels).tolist() == [1]
    assert bare.image.numpy().min() > 0.39
    assert np.array_equal(bare.image[:, 16:], chip.image[:, 16:])
    assert (bare.level.numpy() > 0.39).all()


@pytest.mark.parametrize("brighter", [0.0, 0.04])
def test_land_that_is_hardly_brighter_than_forest_paints_nothing(brighter):
    chip = half_cleared(brighter)
    same = augment(
        chip, Augmentation(turn=False, own_level=OwnLevel(1, (DARK,), 1, 1, 0.05)), SEEDS[0]
    )
    assert np.array_equal(same.image, chip.image)
    assert np.array_equal(same.labels, chip.labels)


def test_a_chip_with_hardly_any_cleared_land_is_not_painted():
    chip = half_cleared(0.3)
    labels = np.zeros((16, 32), np.uint8)
    labels[0, 20:25] = 1
    chip = chip._replace(labels=tf.constant(labels))
    same = augment(chip, Augmentation(turn=False, own_level=OwnLevel(1, (DARK,), 1, 1)), SEEDS[0])
    assert np.array_equal(same.image, chip.image)


def wooded(side=64):
    """A chip of rough forest without any clearing, 0.1 above nothing."""
    image = np.random.default_rng(3).uniform(0.1, 0.2, (side, side, 2)).astype(np.float32)
    return Example(tf.constant(image), tf.zeros((side, side), tf.uint8), tf.constant([0.1, 0.1]))


def test_water_is_smooth_and_of_its_class_and_the_rest_stays():
    chip = wooded()
    water = Water(1, low=(0.3, 0.5), high=(0.4, 0.6), share=1.0, texture=0.001)
    for seed in SEEDS:
        wet = augment(chip, Augmentation(turn=False, water=water), seed)
        is_wet = wet.labels.numpy() == 1
        assert np.array_equal(wet.image.numpy()[~is_wet], chip.image.numpy()[~is_wet])
        if is_wet.any():
            colour = wet.image.numpy()[is_wet]
            assert colour.std(axis=0).max() < 0.01
            above = colour.mean(axis=0) - 0.1
            assert (above > [0.29, 0.49]).all()
            assert (above < [0.41, 0.61]).all()


def test_some_chips_get_much_water_and_some_little():
    water = Water(1, low=(0.3, 0.5), high=(0.4, 0.6), share=1.0)
    chips = [augment(wooded(), Augmentation(turn=False, water=water), seed) for seed in SEEDS]
    shares = [chip.labels.numpy().mean() for chip in chips]
    assert min(shares) < 0.1
    assert max(shares) > 0.25


def test_only_a_share_of_the_chips_gets_water():
    water = Water(1, low=(0.3, 0.5), high=(0.4, 0.6), share=0.5)
    seeds = [tf.constant([n, 5], tf.int64) for n in range(60)]
    how = Augmentation(turn=False, water=water)
    wet = [augment(wooded(32), how, seed).labels.numpy().any() for seed in seeds]
    assert 0.3 < np.mean(wet) < 0.7
