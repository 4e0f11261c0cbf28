"""In which ways a raster says what was not observed, for people to read.

Knows GDAL's mask flags; which pixels they hide is for ``parts`` to read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from rasterio.enums import MaskFlags

from geodeforest.geo.bands import Band

Kind: TypeAlias = Literal[
    "nodata",
    "nodata together",
    "not finite",
    "alpha",
    "internal mask",
    "external mask",
    "mask array",
]
"""A number that means nothing, in any band or in all of them together; NaN and infinity;
transparency; a mask in the file, in a file beside it (``.msk``), or given with an array.
"""


@dataclass(frozen=True, slots=True)
class MaskKind:
    """One way in which pixels are hidden, and the bands it holds for, counted from 1.

    ``value`` is the nodata value as text, since NaN is one.
    """

    kind: Kind
    bands: tuple[int, ...]
    value: str | None = None

    def __str__(self) -> str:
        return self.kind if self.value is None else f"{self.kind} {self.value}"


def dataset_kinds(dataset: Any, bands: Sequence[Band]) -> tuple[MaskKind, ...]:
    """All that an open dataset hides pixels with."""
    found = list(_value_kinds(bands, dataset.dtypes))
    data = tuple(band.index for band in bands if band.colour != "alpha")
    if len(data) < len(bands):
        found.append(MaskKind("alpha", data))
    if together := dataset.tags().get("NODATA_VALUES"):
        found.append(MaskKind("nodata together", data, together))
    masked = tuple(i for i in data if _has_mask(dataset.mask_flag_enums[i - 1]))
    if masked:
        beside = any(Path(name).suffix == ".msk" for name in dataset.files)
        found.append(MaskKind("external mask" if beside else "internal mask", masked))
    return tuple(found)


def array_kinds(bands: Sequence[Band], dtype: str, *, given: bool) -> tuple[MaskKind, ...]:
    """All that an array hides pixels with; ``given`` is a mask beside it."""
    found = tuple(_value_kinds(bands, [dtype] * len(bands)))
    every = tuple(band.index for band in bands)
    return (*found, MaskKind("mask array", every)) if given else found


class HidesPixels(Protocol):
    """One raster of a scene, with its bands and all that hides pixels of it."""

    @property
    def bands(self) -> Sequence[Band]:
        """Counted from 1."""
        ...

    @property
    def masks(self) -> tuple[MaskKind, ...]:
        """Of each kind the bands that it holds for."""
        ...


def scene_kinds(parts: Sequence[HidesPixels], count: int) -> tuple[MaskKind, ...]:
    """All that hides pixels of a scene, its ``count`` bands numbered through.

    Of a product one part stands for those that are not open.
    """
    found: dict[tuple[Kind, str | None], set[int]] = {}
    before = 0
    while before < count:
        for part in parts:
            for kind in part.masks:
                numbers = {before + band for band in kind.bands}
                found.setdefault((kind.kind, kind.value), set()).update(numbers)
            before += len(part.bands)
    return tuple(MaskKind(kind, tuple(sorted(b)), value) for (kind, value), b in found.items())


def _value_kinds(bands: Sequence[Band], dtypes: Sequence[str]) -> Iterator[MaskKind]:
    """What the stored numbers themselves hide: nodata values, NaN and infinity."""
    by_value: dict[str, list[int]] = {}
    for band in bands:
        if band.nodata is not None and band.colour != "alpha":
            by_value.setdefault(f"{band.nodata:.12g}", []).append(band.index)
    for value, indexes in by_value.items():
        yield MaskKind("nodata", tuple(indexes), value)
    floats = [b.index for b, dtype in zip(bands, dtypes, strict=True) if _is_float(dtype)]
    if floats:
        yield MaskKind("not finite", tuple(floats))


def _has_mask(flags: Sequence[MaskFlags]) -> bool:
    # NODATA_VALUES set the flags of a mask and of nodata.
    return MaskFlags.per_dataset in flags and not {MaskFlags.alpha, MaskFlags.nodata} & set(flags)


def _is_float(dtype: str) -> bool:
    return not dtype.startswith("complex") and np.issubdtype(np.dtype(dtype), np.floating)
