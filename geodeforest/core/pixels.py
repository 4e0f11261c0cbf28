"""Stored pixels and which of them are real, and their way to the network's input.

Shapes are (bands, rows, cols) on the scene's side and (rows, cols, bands) on the
network's. Nothing here knows where the pixels came from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geodeforest.errors import OptionError


@dataclass(frozen=True, slots=True)
class BandScale:
    """Linear map from stored numbers to model input: ``low`` becomes 0, ``high`` becomes 1.

    Each is one number for all bands, or one per band in reading order. A number per band
    that is the same for all is kept as one number.
    """

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, _shortest(getattr(self, name)))
        ends = [part for part in (self.low, self.high) if isinstance(part, tuple)]
        if len(set(map(len, ends))) > 1:
            raise OptionError(f"scale {self.low},{self.high}: it needs as many LOW as HIGH")
        low, high = np.array(self.low, np.float64), np.array(self.high, np.float64)
        with np.errstate(over="ignore"):  # in float32, as the scale is used
            finite, span = np.isfinite(low.astype(np.float32)), (high - low).astype(np.float32)
        if not (finite.all() and (span > 0).all() and (span < math.inf).all()):
            raise OptionError(
                f"scale {self.low},{self.high}: LOW must be less than HIGH, both finite"
            )

    def __call__(self, stored: NDArray[np.generic]) -> NDArray[np.float32]:
        """Scale (bands, ...) and clip to 0..1, in float32."""
        shape = (-1,) + (1,) * (stored.ndim - 1)
        return _scaled(stored, *(end.reshape(shape) for end in self._ends))

    def lines(self, stored: NDArray[np.generic], bands: int) -> NDArray[np.float32]:
        """Scale rows of pixels (rows, cols * bands), the bands of each side by side."""
        cols = stored.shape[1] // bands
        return _scaled(stored, *(np.tile(end, cols) if end.ndim else end for end in self._ends))

    @property
    def _ends(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Low and span, one number or one per band."""
        return np.array(self.low, np.float32), np.array(self.span, np.float32)

    def stored(self, scaled: NDArray[np.floating]) -> NDArray[np.float64]:
        """The stored numbers that become ``scaled``, one for each band."""
        low, span = np.array(self.low, np.float64), np.array(self.span, np.float64)
        return np.asarray(low + scaled.astype(np.float64) * span)

    def __str__(self) -> str:
        """The range as people write it: "0..3558", or one of each band with "/" between."""
        bands = zip(*np.broadcast_arrays(*map(np.atleast_1d, (self.low, self.high))), strict=True)
        return " / ".join(f"{low:.7g}..{high:.7g}" for low, high in bands)

    @property
    def span(self) -> float | tuple[float, ...]:
        """What lies between low and high, one number or one per band."""
        difference = np.subtract(self.high, self.low)
        return tuple(difference.tolist()) if difference.ndim else float(difference)

    @property
    def numbers(self) -> tuple[float, ...]:
        """All its numbers, those of low first."""
        parts = (part if isinstance(part, tuple) else (part,) for part in (self.low, self.high))
        return tuple(chain(*parts))

    @property
    def bands(self) -> int | None:
        """For how many bands it is; None if for any number of them."""
        counts = {len(part) for part in (self.low, self.high) if isinstance(part, tuple)}
        return counts.pop() if counts else None


def _scaled(
    stored: NDArray[np.generic], low: NDArray[np.float32], span: NDArray[np.float32]
) -> NDArray[np.float32]:
    most = np.iinfo(stored.dtype.name).max if stored.dtype.kind == "u" else math.inf
    # What is too large for float32 is above HIGH anyway; NaN in a file may be signalling.
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = stored.astype(np.float32)
        if low.any():
            scaled -= low
        scaled /= span
    if low.any() or most > span.min():  # but bytes by 255 cannot leave 0..1
        np.clip(scaled, 0, 1, out=scaled)
    return scaled


def _shortest(part: Any) -> Any:
    if not isinstance(part, list | tuple):
        return part
    first = part[0] if part else None
    return first if all(number == first for number in part) else tuple(part)


_Array = TypeVar("_Array", bound=NDArray[Any])

UNKNOWN = 255
"""The baseline says nothing of a pixel."""

_LIMITS = ("outside", "failed", "before")


@dataclass(frozen=True, slots=True)
class Pixels:
    """A window's stored values, which of them are real, and which of those count.

    ``values`` has shape (bands, rows, cols) in the file's dtype, all else (rows, cols).
    ``valid`` is False where any band is nodata, masked, transparent, not finite or not read.
    Pixels that are valid may still not be looked at, and are shown to the network all the
    same: ``outside`` is True beyond the area of interest, ``before`` is what the baseline
    says, 1 forest, 0 none, 255 unknown. ``failed`` is True where the file cannot be read.
    None is the same as all False; without a baseline everything counts.
    """

    values: NDArray[np.generic]
    valid: NDArray[np.bool_]
    outside: NDArray[np.bool_] | None = None
    failed: NDArray[np.bool_] | None = None
    before: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape[1:] != self.valid.shape:
            raise OptionError(
                f"values {self.values.shape} and valid {self.valid.shape} must be "
                "(bands, rows, cols) and (rows, cols)"
            )

    @property
    def assessed(self) -> NDArray[np.bool_]:
        """What something will be said of: valid, inside, and known to the baseline."""
        found = self.valid
        if self.outside is not None:
            found = found & ~self.outside
        return found if self.before is None else found & (self.before != UNKNOWN)

    def crop(self, rows: slice, cols: slice) -> Pixels:
        """The pixels of a part, as views."""
        limits = {
            name: plane[rows, cols]
            for name in _LIMITS
            if (plane := getattr(self, name)) is not None
        }
        return replace(
            self, values=self.values[:, rows, cols], valid=self.valid[rows, cols], **limits
        )

    @property
    def is_idle(self) -> bool:
        """Whether nothing will be said of any of the pixels."""
        assessed = self.assessed
        return not (assessed[0, 0] if is_uniform(assessed) else assessed.any())

    def copy(self) -> Pixels:
        """The same in memory of its own; what is the same everywhere needs none."""
        limits = {
            name: _copied(plane) for name in _LIMITS if (plane := getattr(self, name)) is not None
        }
        return Pixels(_copied(self.values), _copied(self.valid), **limits)

    def bands_last(self) -> Pixels:
        """The same with a pixel's bands side by side in memory, as the network takes them."""
        if is_uniform(self.values):
            return self
        beside = np.empty((*self.valid.shape, len(self.values)), self.values.dtype)
        for band, plane in enumerate(self.values):  # all at once takes ten times as long
            beside[..., band] = plane
        return replace(self, values=beside.transpose(2, 0, 1))

    @classmethod
    def joined(cls, parts: Sequence[Pixels], axis: int) -> Pixels:
        """Parts that lie one below the other (``axis`` 0) or side by side (1)."""
        if len(parts) == 1:
            return parts[0]
        limits = {}
        for name in _LIMITS:
            planes = [getattr(part, name) for part in parts]
            if any(plane is not None for plane in planes):
                limits[name] = _joined(
                    [
                        uniform(False, part.valid.shape) if plane is None else plane
                        for part, plane in zip(parts, planes, strict=True)
                    ],
                    axis,
                )
        return cls(
            _joined([part.values for part in parts], axis + 1),
            _joined([part.valid for part in parts], axis),
            **limits,
        )


def uniform(value: Any, shape: Sequence[int]) -> NDArray[Any]:
    """An array that holds one number, or one per band, at every pixel, and no memory. Read-only.

    ``value`` is a scalar or has shape (bands, 1, 1).
    """
    return np.broadcast_to(value, shape)


def is_uniform(plane: NDArray[Any]) -> bool:
    """Whether an array (..., rows, cols) is known to be the same at every pixel."""
    return plane.strides[-2:] == (0, 0) or plane.shape[-2:] == (1, 1)


def writable(plane: _Array) -> _Array:
    """The same array, or where it is read-only a copy."""
    return plane if plane.flags.writeable else plane.copy()


def _copied(plane: NDArray[Any]) -> NDArray[Any]:
    if is_uniform(plane):
        return uniform(plane[..., :1, :1].copy(), plane.shape)
    return plane.copy(order="K")


def _joined(planes: Sequence[NDArray[Any]], axis: int) -> NDArray[Any]:
    first = planes[0][..., :1, :1]
    if all(is_uniform(p) and np.array_equal(p[..., :1, :1], first) for p in planes):
        shape = list(planes[0].shape)
        shape[axis] = sum(plane.shape[axis] for plane in planes)
        return uniform(first.copy(), shape)
    return np.concatenate(planes, axis)


def to_input(pixels: Pixels, scale: BandScale, fill: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale stored pixels to the network's (rows, cols, bands) in 0..1.

    Pixels that are not real become ``fill`` (one value per band), so that what was
    never observed looks like an ordinary pixel of the scene and not like a dark one.
    """
    bands, rows, cols = pixels.values.shape
    lines = pixels.values.transpose(1, 2, 0).reshape(rows, cols * bands)  # a view of `bands_last`
    image = np.ascontiguousarray(scale.lines(lines, bands)).reshape(rows, cols, bands)
    if not (is_uniform(pixels.valid) and pixels.valid[0, 0]):
        image.reshape(-1, bands)[np.flatnonzero(~pixels.valid)] = fill  # by index: half the time
    return image


def pad_reflect(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Grow (rows, cols, bands) to ``height`` x ``width`` by reflection at the far edges.

    A side of one pixel is repeated, since it has nothing to reflect. What is large enough is
    returned as it is.
    """
    rows, cols = image.shape[:2]
    if (rows, cols) == (height, width):
        return image
    return np.pad(image, ((0, height - rows), (0, width - cols), (0, 0)), mode="reflect")
