"""Scores from TensorFlow: the same answers as ONNX Runtime, from ``model.weights.h5``.

Knows arrays and a model directory; no scene.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from geodeforest.core.options import Device
from geodeforest.core.predicting import check_chips, check_scores, level_of_scene, self_test
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import ModelError, OptionError
from geodeforest.nn.export import WEIGHTS_FILE, load_described


class KerasPredictor:
    """A model directory's network, rebuilt from this project's code and ready to run.

    ``predict`` may be called from several threads at once. Each chip is one run; a size
    that comes for the first time costs a second of tracing. ``loads`` is what it makes the program
    load.
    """

    loads = ("tensorflow",)

    def __init__(self, directory: str | Path, device: Device = "cpu") -> None:
        """Rebuild the network, load its weights, run one small chip.

        Raises:
            OptionError: ``device`` is ``gpu``, and TensorFlow finds none.
            ModelError: spec, weights or the scores of the chip are refused.
        """
        home = Path(directory)
        self._path = home / WEIGHTS_FILE
        self.device = device
        place = _place(device)
        with tf.device(place):
            self._spec, model = load_described(home)

        # One graph per size: bilinear upsampling cannot be traced for sides yet unknown.
        def run(inputs: Any) -> Any:
            with tf.device(place):
                return model(inputs, training=False)

        self._run = tf.function(run, reduce_retracing=False)
        self_test(self, self._path)

    @property
    def spec(self) -> ModelSpec:
        """What the model is."""
        return self._spec

    def predict(
        self,
        chips: NDArray[np.float32],
        scene_level: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Scores (n, rows, cols, classes) of chips (n, rows, cols, bands) scaled to 0..1.

        ``scene_level``, (n, inputs * bands), holds what ``spec.scene_inputs`` names; without it
        the middle of the training scenes' stands in, with a warning.

        Raises:
            OptionError: chips or scene_level do not fit the model.
            ModelError: the run fails or gives scores that are not finite.
        """
        scene_level = level_of_scene(self._spec, chips, scene_level)
        check_chips(self._spec, chips, scene_level)
        scores = np.empty((*chips.shape[:3], len(self._spec.classes)), np.float32)
        for at in range(len(chips)):
            one = slice(at, at + 1)
            level = None if scene_level is None else scene_level[one]
            scores[one] = self._scores(chips[one], level)
        return scores

    def _scores(
        self, chip: NDArray[np.float32], level: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        inputs = [tf.constant(a, tf.float32) for a in (chip, level) if a is not None]
        try:
            found: NDArray[np.float32] = self._run(
                inputs if level is not None else inputs[0]
            ).numpy()
        except (tf.errors.OpError, MemoryError) as error:
            why = f"the network does not run ({type(error).__name__})"
            raise ModelError(self._path, why, "try a smaller --chip") from error
        check_scores(self._spec, self._path, chip, found)
        return found


def _place(device: Device) -> str:
    if device == "cpu":
        return "/CPU:0"
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        raise OptionError(
            'device gpu: TensorFlow finds no GPU; run: pip install "geodeforest[gpu]", '
            "check the driver, or choose cpu"
        )
    return str(gpus[0].name)
