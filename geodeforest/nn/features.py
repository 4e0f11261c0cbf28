"""The features of one ``tf.train.Example``, each read with the refusal it deserves.

Knows protobuf's lists and PNG headers; nothing of which features a record has.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from geodeforest.errors import RecordError

REBUILD = "build the records again"

_PNG_HEAD = struct.Struct(">8sI4sIIBB")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS = {0: 1, 2: 3, 4: 2, 6: 4}
"""Channels per PNG colour type."""


class Features:
    """The features of one record, each read with the refusal it deserves."""

    def __init__(self, payload: bytes, path: object, index: int) -> None:
        self._path, self._index = path, index
        try:
            example = tf.train.Example.FromString(payload)
            self._by_key = {str(k): v for k, v in example.features.feature.items()}
        except Exception as error:  # protobuf's own kinds, and UnicodeDecodeError
            why = "the payload is not a tf.train.Example"
            raise RecordError(path, why, "give records of images", index=index) from error

    @property
    def is_seed(self) -> bool:
        """Whether these are at most an image and a mask."""
        return set(self._by_key) <= {"image", "mask"}

    def refusal(self, key: str, why: str) -> RecordError:
        """An error that names the key."""
        return RecordError(self._path, f"key '{key}' {why}", REBUILD, index=self._index)

    def texts(self, key: str) -> list[str]:
        """A list of words."""
        try:
            return [value.decode() for value in self._values(key, "bytes_list")]
        except UnicodeDecodeError as error:
            raise self.refusal(key, "is not UTF-8 text") from error

    def text(self, key: str) -> str:
        """One word."""
        return str(self._only(key, self.texts(key)))

    def integer(self, key: str) -> int:
        """One whole number."""
        return int(self._only(key, self._values(key, "int64_list")))

    def floats(self, key: str) -> list[float]:
        """Numbers, perhaps none."""
        return [float(value) for value in self._values(key, "float_list")]

    def bytes(self, key: str, length: int) -> bytes:
        """Raw bytes of a known length."""
        data = self._only(key, self._values(key, "bytes_list"))
        if len(data) != length:
            raise self.refusal(key, f"has {len(data)} bytes, not {length}")
        return cast("bytes", data)

    def png(
        self,
        key: str,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        *,
        any_colour: bool = False,
    ) -> NDArray[np.generic]:
        """A PNG of a known shape and dtype, judged by its header before it is decoded.

        With ``any_colour`` a palette or an alpha channel is turned into the bands wanted.
        """
        data = self._only(key, self._values(key, "bytes_list"))
        if data[:8] != _PNG_SIGNATURE or len(data) < _PNG_HEAD.size:
            raise self.refusal(key, "is not a PNG")
        _, _, _, width, height, bits, colour = _PNG_HEAD.unpack(data[: _PNG_HEAD.size])
        channels = shape[2] if any_colour else _PNG_COLOURS.get(colour, 0)
        if (height, width, channels, bits) != (*shape, 8 * dtype.itemsize):
            found = f"{height} x {width} x {channels} at {bits} bits"
            raise self.refusal(key, f"is a PNG of {found}, not {dtype} {shape}")
        try:
            pixels = tf.io.decode_png(data, channels=shape[2], dtype=tf.as_dtype(dtype))
        except tf.errors.OpError as error:
            raise self.refusal(key, "is a damaged PNG") from error
        return cast("NDArray[np.generic]", pixels.numpy())

    def _only(self, key: str, values: Sequence[Any]) -> Any:
        if len(values) != 1:
            raise self.refusal(key, f"has {len(values)} values, not 1")
        return values[0]

    def _values(self, key: str, wanted: str) -> Sequence[Any]:
        if key not in self._by_key:
            has = ", ".join(sorted(self._by_key)) or "nothing"
            raise self.refusal(key, f"is missing (has: {has})")
        feature = self._by_key[key]
        held = feature.WhichOneof("kind")
        if held not in (wanted, None):
            raise self.refusal(key, f"is a {held}, not a {wanted}")
        return cast("Sequence[Any]", getattr(feature, wanted).value)
