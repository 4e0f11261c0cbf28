"""The seams: what the scan loop needs of a scene, a model and its outputs.

Protocols only. The implementations live on the edges (rasterio, ONNX Runtime,
TensorFlow); ``geodeforest.testing`` holds fakes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.grid import Window
from geodeforest.core.pixels import Pixels
from geodeforest.core.spec import ModelSpec
from geodeforest.core.trace import Region


class SceneSource(Protocol):
    """Pixels of one scene, by window, in the model's band order."""

    @property
    def height(self) -> int:
        """Rows of the scene."""
        ...

    @property
    def width(self) -> int:
        """Columns of the scene."""
        ...

    def read(self, window: Window) -> Pixels:
        """The stored pixels of a window that lies inside the scene.

        Raises:
            SceneUnreadable: a block is corrupt or cut short.
        """
        ...


class Predictor(Protocol):
    """A network ready to run. ``predict`` may be called from several threads at once."""

    @property
    def spec(self) -> ModelSpec:
        """What the model is."""
        ...

    def predict(
        self,
        chips: NDArray[np.float32],
        scene_level: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Scores (n, rows, cols, classes) of chips (n, rows, cols, bands) scaled to 0..1.

        ``scene_level`` holds the spec's scene inputs, shape (n, inputs * bands).
        """
        ...


@runtime_checkable
class Stoppable(Protocol):
    """A predictor of which a run can be broken off."""

    def stop(self, threads: Collection[int]) -> None:
        """End the runs of these threads, by their identifiers, as soon as can be.

        They raise ``Stopped`` (``core/threads.py``), as nothing is wrong with the model.
        """
        ...


class RowSink(Protocol):
    """Takes the rows of one raster from the first to the last."""

    def write(self, rows: NDArray[np.uint8]) -> None:
        """Append rows of shape (rows, cols)."""
        ...


class RegionSink(Protocol):
    """Takes finished regions in their canonical order."""

    def write(self, regions: Sequence[Region]) -> None:
        """Append regions."""
        ...


class Progress(Protocol):
    """Told how much of the work is done."""

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total`` chips are finished."""
        ...
