"""The weights file of a model directory: arrays by layer, in HDF5. Knows no network.

It is read from memory, so that what is read is what was hashed, and by a process of its own
first. Keras' own reader passes over what is missing; here everything has to be there.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from geodeforest.errors import WeightsError, brief
from geodeforest.nn import hdf5
from geodeforest.nn.hdf5 import ENTRIES_LIMIT, own, own_dataset

_LOOK = "import sys; from geodeforest.nn.weights import look; sys.exit(look())"
_REFUSED = "the weights do not fit the spec's network"
_REMEDY = "export the model again"


class SavedWeights:
    """The layers of an open file."""

    def __init__(self, file: h5py.File) -> None:
        layers = own(file, "layers", h5py.Group)
        if len(layers) > ENTRIES_LIMIT:
            raise ValueError(f"{len(layers)} layers")
        parts = (own(own(layers, name, h5py.Group), "vars", h5py.Group) for name in layers)
        self._vars = {str(part.attrs.get("name")): part for part in parts}

    def read(self, layer: str, number: int) -> NDArray[np.float32]:
        """One weight of a layer, counted from 0.

        Raises:
            KeyError: there is no such layer.
            ValueError: no such weight, not in the file itself, packed, or not float32.
        """
        data = own_dataset(self._vars[layer], str(number))
        if data.dtype != np.float32:
            raise ValueError(f"{data.name} is {data.dtype}")
        found: NDArray[np.float32] = data[()]
        return found

    def read_all(self) -> None:
        """Read every weight there is, for what may happen."""
        for layer, variables in self._vars.items():
            for number in range(len(variables)):
                self.read(layer, number)


def look_first(content: bytes, path: Path) -> None:
    """Let a process of its own read the bytes of a file; ``path`` names it in errors.

    Raises:
        WeightsError: the file is refused, or HDF5 fails at it.
    """
    why = hdf5.look_first(_LOOK, "", hdf5.LOOK_SECONDS, content)
    if why is not None:
        told = why if why.startswith(_REFUSED) else "the HDF5 library fails at it"
        raise WeightsError(path, told, _REMEDY)


def look() -> str | None:
    """What speaks against a file: the whole life of the process of ``look_first``."""
    hdf5.limit_process(hdf5.LOOK_SECONDS)
    try:
        with saved_weights(sys.stdin.buffer.read(), Path()) as saved:
            saved.read_all()
    except WeightsError as error:
        return error.why
    return None


@contextmanager
def saved_weights(content: bytes, path: Path) -> Iterator[SavedWeights]:
    """The weights in the bytes of a file; ``path`` names it in errors.

    A ``ValueError`` raised while it is open is an error of the file.

    Raises:
        WeightsError: not such a file, or with other weights than are asked for.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            yield SavedWeights(file)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(path, f"{_REFUSED} ({brief(error)})", _REMEDY) from error
