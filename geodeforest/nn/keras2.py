"""Weights as Keras 2 saved them in HDF5, layer by layer. Reads no configuration and runs nothing.

``save_weights("x.h5")`` lists the layers in the root's ``layer_names`` and the weights of
each in its group's ``weight_names``; ``save("x.h5")`` puts the same under ``model_weights``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from geodeforest.errors import GeodeforestError, WeightsError, brief
from geodeforest.nn import hdf5
from geodeforest.nn.hdf5 import own, own_dataset, words

FILE_LIMIT_BYTES = 2**30
PARAMETERS_LIMIT = 200_000_000

_LOOK = "import sys; from geodeforest.nn.keras2 import look; sys.exit(look(sys.argv[1]))"
_LOOK_SECONDS = hdf5.LOOK_SECONDS

_WHOLE_MODEL = "model_weights"
_REFUSED = "its Keras 2 weights cannot be imported"
_DAMAGED = f"{_REFUSED}: the HDF5 library fails at it, so it is damaged"
_REMEDY = "save the network again with save_weights('x.h5') of Keras 2"

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SavedConv:
    """A convolution in the file: its kernel (4 sizes) and its bias (one size), not yet read."""

    name: str
    kernel: h5py.Dataset
    bias: h5py.Dataset

    @property
    def shape(self) -> Shape:
        """The sizes of the kernel."""
        return tuple(int(size) for size in self.kernel.shape)

    def read(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernel and bias.

        Raises:
            ValueError: a number is not finite.
        """
        kernel, bias = self.kernel[()], self.bias[()]
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise ValueError(f"its layer {self.name!r} has weights that are not finite")
        return kernel, bias


def look_first(path: Path) -> None:
    """Let a process of its own find the weights, before this one opens the file.

    Raises:
        WeightsError: the file is refused, or HDF5 fails at it.
    """
    why = hdf5.look_first(_LOOK, str(path), _LOOK_SECONDS)
    if why is not None:
        raise WeightsError(path, why if why.startswith(_REFUSED) else _DAMAGED, _REMEDY)


def look(path: str) -> str | None:
    """What speaks against a file: the whole life of the process of ``look_first``."""
    hdf5.limit_process(_LOOK_SECONDS)
    try:
        with saved_convs(Path(path)):
            return None
    except WeightsError as error:
        return error.why


@contextmanager
def saved_convs(path: Path) -> Iterator[list[SavedConv]]:
    """The convolutions of a weights file in the file's order; layers without weights are left out.

    A ``ValueError`` raised while the file is open is an error of the file.

    Raises:
        WeightsError: not such a file, out of bounds, or with other weights than kernels and
            biases in float32.
    """
    try:
        _check_file(path)
        with h5py.File(path, "r") as file:
            yield _convs(file, path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, GeodeforestError):
            raise
        why = f"{_REFUSED}: {brief(error)}"
        raise WeightsError(path, why, _REMEDY) from error


def _check_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    if path.stat().st_size > FILE_LIMIT_BYTES:
        raise ValueError(f"it has more than {FILE_LIMIT_BYTES:,} bytes")


def _convs(file: h5py.File, size: int) -> list[SavedConv]:
    root = own(file, _WHOLE_MODEL, h5py.Group) if _WHOLE_MODEL in file else file
    names = words(root, "layer_names")
    if len(set(names)) != len(names):
        raise ValueError("it names a layer twice")
    convs = [found for name in names if (found := _conv(root, name)) is not None]
    parameters = sum(conv.kernel.size + conv.bias.size for conv in convs)
    if parameters > PARAMETERS_LIMIT or 4 * parameters > size:
        raise ValueError(f"it has {parameters:,} parameters, more than it can hold")
    return convs


def _conv(root: h5py.Group, name: str) -> SavedConv | None:
    layer = own(root, name, h5py.Group)
    weights = [own_dataset(layer, weight) for weight in words(layer, "weight_names")]
    if not weights:
        return None
    shapes = [weight.shape for weight in weights]
    if [len(shape) for shape in shapes] != [4, 1]:
        raise ValueError(f"its layer {name!r} has weights {shapes}, not a kernel and a bias")
    for weight in weights:
        if weight.dtype != np.float32 or 0 in weight.shape:
            raise ValueError(f"its weight {weight.name} is {weight.dtype} {weight.shape}")
    return SavedConv(name, *weights)
