"""Chips, labels and scene levels changed together, the same way for the same seed.

Stateless TensorFlow operations on one example; knows neither files nor networks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from geodeforest.core.spec import Ceiling, SceneInput
from geodeforest.errors import OptionError


class Example(NamedTuple):
    """One chip on its way to the network.

    ``image`` (rows, cols, bands) is scaled to 0..1, ``labels`` (rows, cols) holds class
    *indexes* with 255 = ignored, ``level`` (inputs * bands,) the scene's levels.
    """

    image: tf.Tensor
    labels: tf.Tensor
    level: tf.Tensor


@dataclass(frozen=True, slots=True)
class Recolour:
    """Field-sized patches of one class get other colours above the scene's first level.

    In a share of the rectangles of a random lattice each band's part above the level is
    multiplied by a number drawn from ``low``..``high``: dry red clearings become wet green
    pasture, whose look the labelled scenes lack.
    """

    class_index: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    share: float = 0.35
    cells: int = 6


@dataclass(frozen=True, slots=True)
class Water:
    """A share of the chips gets a river or a lake, which few labelled scenes have.

    It is smooth, and its colour lies ``low``..``high`` by band above the scene's first level:
    all bands alike, give or take. It counts as the class ``class_index``.
    """

    class_index: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    share: float = 0.15
    texture: float = 0.002
    cells: int = 4


@dataclass(frozen=True, slots=True)
class OwnLevel:
    """A share of the chips gets its own levels in place of the scene's.

    A scene may be as small as a chip, and hold nothing of what its darkest part is taken
    for: cleared land without any forest. Such chips are rare, so ``bare_share`` of these are
    made so: what is not of the class ``bare`` is painted over with what is, unless that
    leaves the levels less than ``bare_lighter`` above the scene's, as burnt land would.
    ``inputs`` are the model's scene inputs.
    """

    share: float
    inputs: tuple[SceneInput, ...]
    bare: int = 1
    bare_share: float = 0.0
    bare_lighter: float = 0.0


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may change in training. Amounts are in units of the scaled image, 0..1.

    Haze adds to pixels and levels alike, as scattering does; exposure multiplies both;
    contrast multiplies what lies above the first level; blur, in ``blur`` of the chips, shows them
    as coarser pixels would, resampled; ``level_error`` moves the levels
    alone, since a scene's dark level is never exact. Relief, in half of the chips and up
    to its amount, lights and shades smooth parts of the ground and pulls the levels down
    to the shaded ones. In ``strong_haze_share`` of the chips the haze is so strong that
    only what lies above the level still tells anything.
    """

    crop: int | None = None
    turn: bool = True
    haze: float = 0.0
    strong_haze: float = 0.0
    strong_haze_share: float = 0.0
    relief: float = 0.0
    exposure: float = 0.0
    contrast: float = 0.0
    level_error: float = 0.0
    blur: float = 0.0
    recolour: tuple[Recolour, ...] = ()
    water: Water | None = None
    own_level: OwnLevel | None = None

    def __post_init__(self) -> None:
        amounts = (self.haze, self.strong_haze, self.strong_haze_share, self.relief, self.blur)
        if min(*amounts, self.exposure, self.contrast, self.level_error) < 0:
            raise OptionError("augmentation amounts must not be negative")
        if max(self.exposure, self.contrast) >= 1:
            raise OptionError("exposure and contrast must be below 1")


NONE = Augmentation(turn=False)
TURNS = Augmentation()


def augment(example: Example, how: Augmentation, seed: tf.Tensor) -> Example:
    """Change an example as ``seed`` (shape (2,), integers) decides. Shapes stay static."""
    seeds = tf.unstack(tf.random.split(seed, 10), num=10)
    if how.crop is not None:
        example = _crop(example, how.crop, seeds[0])
    if how.own_level is not None:
        example = _own_level(example, how.own_level, seeds[7])
    if how.turn:
        example = _turn(example, seeds[1])
    for number, recolour in enumerate(how.recolour):
        example = _recolour(example, recolour, seeds[2] + number)
    if how.water is not None:
        example = _water(example, how.water, seeds[8])
    if how.relief:
        example = _relief(example, how.relief, seeds[6])
    if how.blur:
        example = _blur(example, how.blur, seeds[9])
    if how.contrast or how.exposure:
        example = _stretch(example, how, seeds[3])
    if how.haze or how.strong_haze:
        example = _haze(example, how, seeds[4])
    if how.level_error:
        noise = tf.random.stateless_normal(tf.shape(example.level), seeds[5])
        example = example._replace(level=example.level + how.level_error * noise)
    return example


def _crop(example: Example, side: int, seed: tf.Tensor) -> Example:
    rows, cols = example.labels.shape
    if side > min(rows, cols):
        raise OptionError(f"crop {side} px is larger than the records' {rows} x {cols}")
    at = tf.random.stateless_uniform((2,), seed)
    top = tf.cast(at[0] * tf.cast(rows - side + 1, tf.float32), tf.int32)
    left = tf.cast(at[1] * tf.cast(cols - side + 1, tf.float32), tf.int32)
    return example._replace(
        image=tf.slice(example.image, (top, left, 0), (side, side, example.image.shape[-1])),
        labels=tf.slice(example.labels, (top, left), (side, side)),
    )


def _own_level(example: Example, how: OwnLevel, seed: tf.Tensor) -> Example:
    seeds = tf.unstack(tf.random.split(seed, 2), num=2)
    at_random = tf.random.stateless_uniform((2,), seeds[0])

    # Branches, not tf.where, as most chips are left alone, and sorting and painting take long.
    def bare() -> Example:
        painted = _painted(example, how.bare, seeds[1])
        levels = _levels(painted.image, how.inputs)
        lighter = tf.reduce_mean(levels - example.level) > how.bare_lighter
        return _either(lighter, lambda: painted, lambda: example)

    def own() -> Example:
        chip = _either(at_random[1] < how.bare_share, bare, lambda: example)
        return chip._replace(level=_levels(chip.image, how.inputs))

    return _either(at_random[0] < how.share, own, lambda: example)


def _either(chosen: tf.Tensor, one: Callable[[], Example], other: Callable[[], Example]) -> Example:
    """One example or the other, of which only the chosen one is computed."""
    return Example(*tf.cond(chosen, one, other))


def _levels(image: tf.Tensor, inputs: tuple[SceneInput, ...]) -> tf.Tensor:
    # A quarter of the pixels tells a percentile well enough.
    values = tf.reshape(image[::2, ::2], (-1, image.shape[-1]))
    ranked = tf.sort(values, axis=0)
    at = [round(wanted.percentile / 100 * (ranked.shape[0] - 1)) for wanted in inputs]
    pairs = zip(at, inputs, strict=True)
    return tf.concat([_limited(ranked[i], wanted.ceiling) for i, wanted in pairs], axis=0)


def _limited(level: tf.Tensor, ceiling: Ceiling | None) -> tf.Tensor:
    if ceiling is None:
        return level
    highest = tf.maximum(level[ceiling.under] - ceiling.gap, ceiling.least)
    own = tf.one_hot(ceiling.band, level.shape[0], on_value=True, off_value=False)
    return tf.where(own, tf.minimum(level, highest), level)


PAINT_TURNS = 4
"""Shifted copies of a chip from which paint is taken, before its mean colour has to do."""

LEAST_PAINT = 0.05
"""The share of a chip that must be of a class, if the rest is to be painted like it."""


def _painted(example: Example, index: int, seed: tf.Tensor) -> Example:
    """All of the chip in the colours of one class, and labelled so; as it is where that is rare."""
    image, fits = example.image, (tf.cast(example.labels, tf.int32) == index)[..., tf.newaxis]
    share = tf.reduce_mean(tf.cast(fits, tf.float32))
    mean = tf.reduce_mean(tf.where(fits, image, 0.0), axis=(0, 1)) / tf.maximum(share, LEAST_PAINT)
    paint, dry = tf.broadcast_to(mean, image.shape), fits
    painted = tf.where(fits, image, paint)
    for at in tf.unstack(tf.random.stateless_uniform((PAINT_TURNS, 2), seed), num=PAINT_TURNS):
        shift = tf.cast(at * tf.cast(tf.shape(fits)[:2], tf.float32), tf.int32)
        found = tf.roll(fits, shift, (0, 1)) & ~dry
        painted = tf.where(found, tf.roll(image, shift, (0, 1)), painted)
        dry |= found
    enough = share >= LEAST_PAINT
    labels = tf.fill(example.labels.shape, tf.cast(index, example.labels.dtype))
    return example._replace(
        image=tf.where(enough, painted, image), labels=tf.where(enough, labels, example.labels)
    )


def _turn(example: Example, seed: tf.Tensor) -> Example:
    """One of the eight symmetries of the square (four where the chip is not square)."""
    flips = tf.random.stateless_uniform((3,), seed) < 0.5
    both = tf.concat(
        [example.image, tf.cast(example.labels, example.image.dtype)[..., tf.newaxis]], axis=-1
    )
    both = tf.where(flips[0], tf.reverse(both, [0]), both)
    both = tf.where(flips[1], tf.reverse(both, [1]), both)
    if both.shape[0] == both.shape[1]:
        both = tf.where(flips[2], tf.transpose(both, (1, 0, 2)), both)
    return example._replace(
        image=both[..., :-1], labels=tf.cast(both[..., -1], example.labels.dtype)
    )


def _recolour(example: Example, how: Recolour, seed: tf.Tensor) -> Example:
    rows, cols, bands = example.image.shape
    seeds = tf.unstack(tf.random.split(seed, 3), num=3)
    lattice = (how.cells, how.cells)
    factors = tf.random.stateless_uniform((*lattice, bands), seeds[0])
    low, high = tf.constant(how.low, tf.float32), tf.constant(how.high, tf.float32)
    chosen = tf.random.stateless_uniform((*lattice, 1), seeds[1]) < how.share
    cells = tf.where(chosen, low + factors * (high - low), 1.0)
    # A lattice cell wider than needed on each side, rolled at random, so that
    # the rectangles' borders do not always fall on the same pixels.
    wide = tf.image.resize(cells, (rows, cols), method="nearest")
    shift = tf.cast(tf.random.stateless_uniform((2,), seeds[2]) * min(rows, cols), tf.int32)
    field = tf.roll(wide, shift, axis=(0, 1))
    base = _base(example, bands)
    fits = tf.cast(example.labels, tf.int32)[..., tf.newaxis] == how.class_index
    changed = base + (example.image - base) * field
    return example._replace(image=tf.where(fits, changed, example.image))


MOST_WATER = 0.6
"""How far from its line water may reach, in standard deviations of the noise that shapes it."""


def _water(example: Example, how: Water, seed: tf.Tensor) -> Example:
    rows, cols, bands = example.image.shape
    seeds = tf.unstack(tf.random.split(seed, 4), num=4)
    at_random = tf.random.stateless_uniform((3,), seeds[0])

    def watered() -> Example:
        noise = tf.random.stateless_normal((how.cells, how.cells, 1), seeds[1])
        heights = tf.image.resize(noise, (rows, cols), method="bicubic")
        # A contour line of smooth noise winds like a river, and closes like a lake.
        wet = tf.abs(heights - 2 * at_random[1] + 1) < MOST_WATER * at_random[2]
        low, high = tf.constant(how.low, tf.float32), tf.constant(how.high, tf.float32)
        own = tf.random.stateless_uniform((1 + bands,), seeds[2])
        colour = _base(example, bands) + low + (0.7 * own[0] + 0.3 * own[1:]) * (high - low)
        ripples = how.texture * tf.random.stateless_normal((rows, cols, bands), seeds[3])
        index = tf.cast(how.class_index, example.labels.dtype)
        return example._replace(
            image=tf.where(wet, colour + ripples, example.image),
            labels=tf.where(wet[..., 0], index, example.labels),
        )

    return _either(at_random[0] < how.share, watered, lambda: example)


COARSER = (2, 3, 4)
"""By which factors pixels may be larger in a chip that is blurred."""


def _blur(example: Example, share: float, seed: tf.Tensor) -> Example:
    rows, cols, _ = example.image.shape
    at_random = tf.random.stateless_uniform((2,), seed)

    def coarse(factor: int) -> tf.Tensor:
        small = tf.image.resize(example.image, (rows // factor, cols // factor), method="area")
        return tf.image.resize(small, (rows, cols))

    which = tf.cast(at_random[0] * len(COARSER), tf.int32)
    branches = [functools.partial(coarse, factor) for factor in COARSER]
    image = tf.cond(
        at_random[1] < share,
        lambda: tf.switch_case(which, branches),
        lambda: example.image,
    )
    return example._replace(image=tf.ensure_shape(image, example.image.shape))


RELIEF_CELLS = (4, 12, 32)
"""Lattices whose noise makes the relief: hills, ridges and the rough of a canopy."""

HAZE_PART = 0.5
"""The share of a scene's level that is scattered light and so knows no relief."""


def _relief(example: Example, most: float, seed: tf.Tensor) -> Example:
    rows, cols, bands = example.image.shape
    seeds = tf.unstack(tf.random.split(seed, len(RELIEF_CELLS) + 1), num=len(RELIEF_CELLS) + 1)
    slopes = tf.zeros((rows, cols, 1))
    for cells, key in zip(RELIEF_CELLS, seeds[1:], strict=True):
        noise = tf.random.stateless_normal((cells, cells, 1), key)
        slopes += tf.image.resize(noise, (rows, cols), method="bicubic")
    amount = most * tf.maximum(tf.random.stateless_uniform((), seeds[0], -1.0, 1.0), 0.0)
    light = tf.exp(amount * slopes / len(RELIEF_CELLS) ** 0.5)
    haze = HAZE_PART * _base(example, bands)
    # Two standard deviations below the mean lies what a 2nd percentile finds.
    dark = HAZE_PART + (1 - HAZE_PART) * tf.exp(-2 * 0.7 * amount)
    return example._replace(image=haze + (example.image - haze) * light, level=example.level * dark)


def _stretch(example: Example, how: Augmentation, seed: tf.Tensor) -> Example:
    bands = example.image.shape[-1]
    seeds = tf.unstack(tf.random.split(seed, 2), num=2)
    contrast = _around_one(how.contrast, (bands,), seeds[0])
    exposure = _around_one(how.exposure, (), seeds[1])
    base = _base(example, bands)
    image = (base + (example.image - base) * contrast) * exposure
    return example._replace(image=image, level=example.level * exposure)


def _haze(example: Example, how: Augmentation, seed: tf.Tensor) -> Example:
    bands = example.image.shape[-1]
    seeds = tf.unstack(tf.random.split(seed, 3), num=3)
    strong = tf.random.stateless_uniform((), seeds[0]) < how.strong_haze_share
    amount = tf.where(strong, how.strong_haze, how.haze)
    # Most of it is common to the bands, a part is each band's own.
    common = tf.random.stateless_normal((1,), seeds[1])
    own = tf.random.stateless_normal((bands,), seeds[2])
    haze = amount * (0.8 * common + 0.6 * own)
    inputs = example.level.shape[0] // bands
    return example._replace(
        image=example.image + haze, level=example.level + tf.tile(haze, [inputs])
    )


def _base(example: Example, bands: int) -> tf.Tensor:
    """The scene's first level, or zero where the scene has none."""
    return example.level[:bands] if example.level.shape[0] else tf.zeros((bands,))


def _around_one(amount: float, shape: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
    """Factors whose logarithm is even in ``+-log(1 + amount)``."""
    spread = tf.math.log(1.0 + amount)
    return tf.exp(tf.random.stateless_uniform(shape, seed, -spread, spread))
