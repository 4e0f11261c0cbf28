"""What a training tells of itself: ``log.csv`` and TensorBoard summaries, a row per validation.

Knows numbers and files, nothing of networks.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import tensorflow as tf

from geodeforest.core.metrics import Confusion

_SCALARS = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
)
"""What ``tf.summary.scalar`` would write; that one needs the tensorboard package."""

HERE = "/job:localhost"
"""The device of this program. With a remote TPU the default device is another machine's."""


class Log:
    """Appends rows; a resumed training keeps those up to the step it goes on from.

    Raises:
        OSError: the directory cannot be written.
    """

    FIELDS = ("step", "loss", "val_accuracy", "val_mean_iou")

    def __init__(self, directory: Path, done: int) -> None:
        self._path = directory / "log.csv"
        kept = [row for row in _rows(self._path) if int(row["step"]) <= done] if done else []
        scratch = directory / "log.csv.scratch"
        with scratch.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.FIELDS)
            writer.writeheader()
            writer.writerows(kept)
        scratch.replace(self._path)
        with tf.device(HERE):
            self._board = tf.summary.create_file_writer(str(directory / "tensorboard"))

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._board.close()

    def write(self, step: int, loss: float, pooled: Confusion | None) -> None:
        """One row: the mean loss since the last one, and the validation if there is one."""
        row: dict[str, float] = {"loss": loss}
        if pooled is not None:
            row |= {"val_accuracy": pooled.accuracy, "val_mean_iou": pooled.mean_iou}
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.FIELDS).writerow({"step": step, **row})
        with tf.device(HERE), self._board.as_default(step=step):
            for name, value in row.items():
                tf.summary.write(name, np.float32(value), metadata=_SCALARS)
        self._board.flush()


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a log; one that was cut short by a power cut is left out."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if (row.get("step") or "").isdecimal() and None not in row.values()]
