"""What a training tells of itself: ``log.csv`` and TensorBoard summaries, a row per validation.

Knows numbers and files, nothing of networks.
"""

from __future__ import annotations

import csv
import io

import numpy as np
import tensorflow as tf

from geodeforest.core.metrics import Confusion
from geodeforest.nn.state import BOARD, LOG, StateFolder

_SCALARS = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
)
"""What ``tf.summary.scalar`` would write; that one needs the tensorboard package."""


class Log:
    """Appends rows; a resumed training keeps those up to the step it goes on from.

    ``here`` is the device of this program.

    Raises:
        OutputUnwritable: the folder cannot be written.
    """

    FIELDS = ("step", "loss", "val_accuracy", "val_mean_iou")

    def __init__(self, folder: StateFolder, done: int, here: str) -> None:
        self._folder, self._here = folder, here
        self._rows = _rows(folder.read(LOG) or "", done)
        self._write()
        with folder.writing(), tf.device(self._here):
            self._board = tf.summary.create_file_writer(folder.path(BOARD))

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._board.close()

    def write(self, step: int, loss: float, pooled: Confusion | None) -> None:
        """One row: the mean loss since the last one, and the validation if there is one.

        Raises:
            OutputUnwritable: the folder cannot be written.
        """
        row: dict[str, float] = {"loss": loss}
        if pooled is not None:
            row |= {"val_accuracy": pooled.accuracy, "val_mean_iou": pooled.mean_iou}
        self._rows.append({"step": str(step), **{name: str(value) for name, value in row.items()}})
        self._write()
        with tf.device(self._here), self._board.as_default(step=step):
            for name, value in row.items():
                tf.summary.write(name, np.float32(value), metadata=_SCALARS)
        with self._folder.writing():
            self._board.flush()

    def _write(self) -> None:
        # All of it each time: an object store cannot append, and a kill leaves no half row.
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.FIELDS)
        writer.writeheader()
        writer.writerows(self._rows)
        self._folder.write(LOG, text.getvalue())


def _rows(text: str, done: int) -> list[dict[str, str]]:
    """The whole rows of a log up to a step."""
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    steps = [row.get("step") or "" for row in rows]
    return [
        row
        for row, step in zip(rows, steps, strict=True)
        if step.isdecimal() and int(step) <= done and None not in row and None not in row.values()
    ]
