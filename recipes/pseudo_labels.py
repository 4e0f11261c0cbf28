"""Labels of scenes that nobody labelled, where a model is sure.

Lee 2013 (pseudo-labels); Xie et al. 2020 (arXiv 1911.04252): labels from clean images, learnt
from altered ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geodeforest import scan
from geodeforest.core.ports import Predictor
from geodeforest.core.spec import NOT_ASSESSED, ModelSpec

SAME_GROUND = ("0",)
"""Scenes without labels that show the ground of a labelled one (``Amazon_954``)."""

SURE = 0.8
"""From this mean score on a pixel is labelled, and under its complement."""


class Turned:
    """A ``Predictor`` that averages a model over the eight turns and mirror images of a chip."""

    def __init__(self, model: Predictor) -> None:
        self._model = model

    @property
    def spec(self) -> ModelSpec:
        """That of the model."""
        return self._model.spec

    def predict(
        self, chips: NDArray[np.float32], scene_level: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Mean scores (n, rows, cols, classes) of square chips (n, rows, cols, bands)."""
        total = np.zeros((*chips.shape[:3], len(self.spec.classes)), np.float32)
        for turn in range(8):
            turned = np.ascontiguousarray(_turned(chips, turn))
            total += _back(self._model.predict(turned, scene_level), turn)
        return total / 8


def _turned(chips: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    quarters = np.rot90(chips, turn % 4, axes=(1, 2))
    return quarters[:, :, ::-1] if turn >= 4 else quarters


def _back(scores: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    mirrored = scores[:, :, ::-1] if turn >= 4 else scores
    return np.rot90(mirrored, -(turn % 4), axes=(1, 2))


def pairs(data: Path, model: Predictor, masks: Path) -> list[tuple[Path, Path]]:
    """The scenes without labels, each with the mask that ``model`` gives it in ``masks``."""
    masks.mkdir(parents=True, exist_ok=True)
    scenes = sorted((data / "unlabelled").glob("*.tiff"))
    found = [(s, masks / f"{s.stem}.png") for s in scenes if s.stem not in SAME_GROUND]
    for scene, labels in found:
        write_labels(scene, model, labels)
    return found


def write_labels(scene: Path, model: Predictor, labels: Path) -> None:
    """Write a mask (1 forest, 2 all else, 255 not sure) of ``scene`` as a PNG."""
    scores = scan(scene, scores=True, model=Turned(model)).scores()
    mask = np.full(scores.shape, NOT_ASSESSED, np.uint8)
    mask[scores <= 1 - SURE] = 1
    mask[scores >= SURE] = 2
    Image.fromarray(mask).save(labels)
