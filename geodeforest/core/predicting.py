"""What every engine asks of chips and owes of scores, so that engines cannot differ.

Knows arrays; nothing here runs a network.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.plausible import usual_level
from geodeforest.core.ports import Predictor
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import LevelUntold, ModelError, OptionError


def level_of_scene(
    spec: ModelSpec, chips: NDArray[Any], scene_level: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    """The scene inputs of each chip, (n, inputs * bands), as far as the model wants any.

    Where they are not given, the middle of the training scenes' stands in for them, with a
    ``LevelUntold``: statistics of the chips themselves would differ from chip to chip.
    """
    if scene_level is not None or not spec.scene_inputs or chips.ndim == 0:
        return scene_level
    usual = usual_level(spec)
    if usual is None:
        return None
    told = ", ".join(f"{number:.4g}" for number in usual)
    names = ", ".join(i.name for i in spec.scene_inputs)
    warnings.warn(
        LevelUntold(
            f"the model wants the scene's {names}; {told}, the middle of its training scenes', "
            "stands in; pass scene_level"
        ),
        stacklevel=3,
    )
    return np.tile(usual, (len(chips), 1))


def check_chips(spec: ModelSpec, chips: NDArray[Any], scene_level: NDArray[Any] | None) -> None:
    """Refuse what the model cannot take.

    ``chips`` must be finite floats (n, rows, cols, bands) whose sides are multiples of
    ``spec.multiple``; ``scene_level`` (n, inputs * bands) where the spec names scene inputs.

    Raises:
        OptionError: another shape or dtype, or a value that is not finite.
    """
    bands, multiple = len(spec.bands), spec.multiple
    if chips.ndim != 4 or chips.shape[3] != bands:
        raise OptionError(f"chips have shape {chips.shape}, not (n, rows, cols, {bands})")
    rows, cols = chips.shape[1:3]
    if rows < 1 or cols < 1 or rows % multiple or cols % multiple:
        raise OptionError(
            f"chips of {rows} x {cols} px do not suit the model; "
            f"their sides must be multiples of {multiple} px"
        )
    if chips.dtype.kind != "f":
        raise OptionError(f"chips are {chips.dtype}, not floats; scale stored numbers to 0..1")
    _check_level(spec, len(chips), scene_level)
    if not np.isfinite(chips).all():
        raise OptionError("chips hold values that are not finite; fill what was not observed")


def _check_level(spec: ModelSpec, chips: int, scene_level: NDArray[Any] | None) -> None:
    levels = len(spec.scene_inputs) * len(spec.bands)
    if scene_level is None:
        if levels:
            names = ", ".join(i.name for i in spec.scene_inputs)
            raise OptionError(f"the model needs the scene's {names}; pass scene_level")
        return
    if not levels:
        raise OptionError("the model takes no scene_level; leave it out")
    if scene_level.shape != (chips, levels) or not np.isfinite(scene_level).all():
        raise OptionError(
            f"scene_level has shape {scene_level.shape}; it must be finite and ({chips}, {levels})"
        )


def check_scores(
    spec: ModelSpec, where: object, chips: NDArray[Any], scores: NDArray[np.float32]
) -> None:
    """Refuse scores of the wrong shape or not finite; ``where`` names the model in the error.

    Raises:
        ModelError: the network does not do what its spec says.
    """
    wanted = (*chips.shape[:3], len(spec.classes))
    if scores.shape != wanted:
        why = f"the network gives scores of shape {scores.shape}, not {wanted}"
        raise ModelError(where, why, "export the model again")
    if not np.isfinite(scores).all():
        why = "the network gives scores that are not finite"
        raise ModelError(where, why, "its weights are broken: train or export it again")


def self_test_sides(spec: ModelSpec) -> tuple[int, int]:
    """Rows and columns of the chip of ``self_test``.

    Not a square: ONNX Runtime tells memory patterns apart by the exclusive or of their sides, 0 for
    every square, so that the pattern of this one would stand in the way of all chips' own.
    """
    return 2 * spec.multiple, 3 * spec.multiple


def self_test(predictor: Predictor, where: object) -> None:
    """Run one small chip, a ramp from 0 to 1, and refuse a network that is not a classifier.

    Raises:
        ModelError: wrong shape, not finite, or the scores of a pixel do not sum to 1.
    """
    spec = predictor.spec
    (rows, cols), bands = self_test_sides(spec), len(spec.bands)
    chip = np.linspace(0, 1, rows * cols * bands, dtype=np.float32)
    levels = len(spec.scene_inputs) * bands
    level = np.full((1, levels), 0.1, np.float32) if levels else None
    scores = predictor.predict(chip.reshape(1, rows, cols, bands), level)
    if scores.min() < 0 or not np.allclose(scores.sum(axis=3), 1, atol=1e-3):
        why = "the scores of a pixel do not sum to 1"
        raise ModelError(where, why, "the network must end in a softmax")
