"""The rasters that a scene consists of: grid, bands and pixels of one dataset or array.

Knows GDAL's many ways to say "no data" and rasterio's column-first windows. Past it there
are stored numbers, a boolean mask, and no nodata value. Nothing of which bands a model wants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rasterio.errors import CRSError
from rasterio.windows import Window as RasterioWindow

from geodeforest.core.grid import Window
from geodeforest.core.pixels import uniform
from geodeforest.errors import OptionError, SceneUnreadable
from geodeforest.geo.bands import Band
from geodeforest.geo.gaps import Gaps
from geodeforest.geo.georeference import LocatedBy
from geodeforest.geo.mask_kinds import MaskKind, array_kinds, dataset_kinds
from geodeforest.geo.opening import GDAL_ERRORS, cause

StoredPixels: TypeAlias = tuple[NDArray[np.generic], NDArray[np.bool_]]
"""Stored numbers (bands, rows, cols) and which pixels (rows, cols) are real."""

_PICTURE_BANDS, _MOST_LIKELY_BANDS = (3, 4), 16


@dataclass(frozen=True, eq=False)
class Raster:
    """A scene that is in memory already.

    ``array`` has shape (bands, rows, cols); a lazy one (dask) is read window by window.
    ``transform`` takes (col, row) pixel corners to coordinates of ``crs``, which may be
    anything rasterio understands, such as "EPSG:32721". ``valid`` has shape (rows, cols).
    A number times its band's one of ``scales`` plus that of ``offsets`` is what was measured.
    ``descriptions`` name the bands, and ``tags`` say more, as those of a file do.

    Raises:
        OptionError: the shapes or the dtype do not fit, or the CRS is unknown.
    """

    array: Any
    transform: Affine
    crs: Any
    nodata: float | None = None
    valid: NDArray[np.bool_] | None = None
    scales: Sequence[float] | None = None
    offsets: Sequence[float] | None = None
    descriptions: Sequence[str | None] | None = None
    tags: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.array.shape)
        if len(shape) != 3 or 0 in shape:
            raise OptionError(f"array: its shape is {shape}; give (bands, rows, cols)")
        if shape[2] in _PICTURE_BANDS and min(shape[:2]) > _MOST_LIKELY_BANDS:
            why = f"its shape {shape} is that of a picture with its bands last"
            raise OptionError(f"array: {why}; give np.moveaxis(array, -1, 0)")
        if np.dtype(self.array.dtype).kind not in "iuf":
            raise OptionError(f"array: its dtype is {self.array.dtype}; give integers or floats")
        if self.valid is not None and tuple(self.valid.shape) != shape[1:]:
            raise OptionError(f"valid: its shape is {self.valid.shape}; give {shape[1:]}")
        for name in ("scales", "offsets", "descriptions"):
            by_band = getattr(self, name)
            if by_band is not None and len(by_band) != shape[0]:
                raise OptionError(f"{name}: there are {len(by_band)}; give {shape[0]}")
        try:
            crs = None if self.crs is None else CRS.from_user_input(self.crs)
        except (CRSError, ValueError) as error:
            raise OptionError(
                f"crs: {self.crs!r} is not known; give for example 'EPSG:32721'"
            ) from error
        object.__setattr__(self, "crs", crs)
        object.__setattr__(self, "transform", Affine(*tuple(self.transform)[:6]))


class Part(Protocol):
    """One raster of a scene. ``bands`` are all of its bands, counted from 1 in the part."""

    path: str
    bands: tuple[Band, ...]
    height: int
    width: int
    transform: Affine
    crs: CRS | None
    block: tuple[int, int]
    tags: Mapping[str, str]
    located_by: LocatedBy

    @property
    def masks(self) -> tuple[MaskKind, ...]:
        """All that it hides pixels with."""
        ...

    def dtype(self, index: int) -> str:
        """The data type of a band."""
        ...

    def cached_px_bytes(self, bands: Sequence[Band]) -> int:
        """Bytes that a pixel takes in GDAL's block cache once these bands are read."""
        ...

    def busy_cols(self, bands: Sequence[Band]) -> int:
        """How many columns its tiles hold something of, at most, in any rows read together."""
        ...

    def read(self, bands: Sequence[Band], window: Window) -> StoredPixels:
        """The bands' pixels in a window that lies inside.

        Raises:
            SceneUnreadable: a block is corrupt or cut short.
        """
        ...


class DatasetPart:
    """An open raster dataset. One thread at a time may read it.

    ``tags`` also hold those of GDAL's IMAGERY domain.
    """

    def __init__(self, dataset: Any, path: str) -> None:
        self.path = path
        self.bands = _dataset_bands(dataset)
        self.height, self.width = int(dataset.height), int(dataset.width)
        self.transform: Affine = dataset.transform
        self.crs: CRS | None = dataset.crs
        rows, cols = dataset.block_shapes[0]
        self.block = (int(rows), int(cols))
        self.tags: Mapping[str, str] = {**dataset.tags(ns="IMAGERY"), **dataset.tags()}
        self.located_by: LocatedBy = _located_by(dataset)
        self._dataset = dataset
        self._gaps = Gaps(dataset)
        self._by_pixel = dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL"
        self._masks = _mask_bands(dataset)
        self._alpha = next((b.index for b in self.bands if b.colour == "alpha"), None)

    @property
    def masks(self) -> tuple[MaskKind, ...]:
        """All that it hides pixels with, a product's nodata included."""
        return dataset_kinds(self._dataset, self.bands)

    def dtype(self, index: int) -> str:
        """The data type of a band."""
        return str(self._dataset.dtypes[index - 1])

    def cached_px_bytes(self, bands: Sequence[Band]) -> int:
        """Bytes that a pixel takes in GDAL's block cache once these bands are read."""
        read = {band.index for band in bands}
        if self._alpha is not None:
            read.add(self._alpha)
        if self._by_pixel:
            read = set(self._dataset.indexes)  # all are decoded together
        masks = len({self._masks[i] for i in read if i in self._masks})
        px_bytes = masks + sum(np.dtype(self.dtype(index)).itemsize for index in read)
        padded_width = -(-self.width // self.block[1]) * self.block[1]
        return -(-px_bytes * padded_width // self.width)

    def busy_cols(self, bands: Sequence[Band]) -> int:
        """How many columns its tiles hold something of, at most, in any rows read together."""
        told_by = self._told_by(bands)
        return self._gaps.busy_cols(told_by) if told_by else self.width

    def read(self, bands: Sequence[Band], window: Window) -> StoredPixels:
        """The bands' pixels in a window that lies inside.

        Raises:
            SceneUnreadable: a block is corrupt or cut short.
        """
        place, indexes = to_rasterio(window), [band.index for band in bands]
        try:
            if self._is_unwritten(bands, window):
                return _unwritten(bands, window, self.dtype(indexes[0]))
            values = self._dataset.read(indexes, window=place)
            valid = real_values(values, bands)
            for index in sorted({self._masks[i] for i in indexes if i in self._masks}):
                valid = valid & (self._dataset.read_masks(index, window=place) != 0)
            if self._alpha is not None:
                valid = valid & (self._dataset.read(self._alpha, window=place) != 0)
        except GDAL_ERRORS as error:
            raise SceneUnreadable(
                self.path,
                f"a block in rows {window.row}..{window.row + window.height - 1}, columns "
                f"{window.col}..{window.col + window.width - 1} cannot be read ({cause(error)})",
                "download or copy the file again",
            ) from error
        return values, valid

    def _is_unwritten(self, bands: Sequence[Band], window: Window) -> bool:
        # What GDAL gives for a block that was never written: nodata, or else 0, in alpha too.
        indexes = self._told_by(bands)
        return bool(indexes) and all(self._gaps.hold(window, index) for index in indexes)

    def _told_by(self, bands: Sequence[Band]) -> list[int]:
        """The bands by whose blocks it can be told that nothing was written; none if it cannot."""
        if self._alpha is None and any(band.nodata is None for band in bands):
            return []
        indexes = [band.index for band in bands]
        if self._alpha is not None:
            indexes.append(self._alpha)
        return indexes[:1] if self._by_pixel else indexes


class ArrayPart:
    """An array, seen like a dataset."""

    located_by: LocatedBy = None

    def __init__(self, raster: Raster, path: str) -> None:
        count, self.height, self.width = raster.array.shape
        self.path = path
        nodata = storable(raster.nodata, self.dtype_of(raster))
        gains, offsets = raster.scales or (1,) * count, raster.offsets or (0,) * count
        names = raster.descriptions or (None,) * count
        self.bands = tuple(
            Band(index, name, "undefined", nodata, float(gain), float(offset))
            for index, (name, gain, offset) in enumerate(zip(names, gains, offsets, strict=True), 1)
        )
        self.transform: Affine = raster.transform
        self.crs: CRS | None = raster.crs
        self.block = (1, self.width)  # any rows can be read without others
        self.tags: Mapping[str, str] = raster.tags or {}
        self.masks = array_kinds(self.bands, self.dtype_of(raster), given=raster.valid is not None)
        self._raster = raster

    @staticmethod
    def dtype_of(raster: Raster) -> str:
        """The data type of all bands."""
        return str(np.dtype(raster.array.dtype).name)

    def dtype(self, index: int) -> str:
        """The data type of a band."""
        return self.dtype_of(self._raster)

    def cached_px_bytes(self, bands: Sequence[Band]) -> int:
        """None: an array is in memory already."""
        return 0

    def busy_cols(self, bands: Sequence[Band]) -> int:
        """All of them: an array has no gaps."""
        return int(self.width)

    def read(self, bands: Sequence[Band], window: Window) -> StoredPixels:
        """The bands' pixels in a window that lies inside."""
        planes = self._raster.array[:, window.rows, window.cols][[b.index - 1 for b in bands]]
        values = np.ascontiguousarray(planes)
        valid = real_values(values, bands)
        if self._raster.valid is not None:
            valid = valid & np.asarray(self._raster.valid[window.rows, window.cols], bool)
        return values, valid


def to_rasterio(window: Window) -> RasterioWindow:
    """The same window in rasterio's order: column, row, width, height."""
    return RasterioWindow(window.col, window.row, window.width, window.height)


def asked_window(asked: object, height: int, width: int) -> Window:
    """What a user gave as a window, ours or rasterio's, of ``height`` x ``width`` pixels.

    Raises:
        OptionError: it is neither, is not of whole pixels, or leaves the raster.
    """
    if isinstance(asked, RasterioWindow):
        sides = asked.row_off, asked.col_off, asked.height, asked.width
        if not all(float(side).is_integer() for side in sides):
            raise OptionError(f"window: {asked!r} is not of whole pixels; round it first")
        asked = Window(*map(int, sides))
    if not isinstance(asked, Window):
        raise OptionError(f"window: {asked!r} is neither rasterio's Window nor geodeforest's")
    if asked.within(height, width) != asked:
        raise OptionError(f"window: {asked!r} leaves the raster of {height} x {width} px")
    return asked


def real_values(values: NDArray[np.generic], bands: Sequence[Band]) -> NDArray[np.bool_]:
    """Where no band holds its nodata value, nor NaN or infinity: shape (rows, cols)."""
    valid: NDArray[np.bool_] = uniform(np.True_, values.shape[1:])
    for plane, band in zip(values, bands, strict=True):
        if band.nodata is not None:
            valid = valid & (plane != band.nodata)
        if np.issubdtype(plane.dtype, np.floating):
            valid = valid & np.isfinite(plane)
    return valid


def storable(nodata: float | None, dtype: str) -> float | None:
    """A nodata value as the dtype stores it; None where it cannot, and so fits no pixel."""
    if nodata is None or dtype.startswith("complex"):
        return None
    kind = np.dtype(dtype)
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind)
        fits = float(nodata).is_integer() and limits.min <= nodata <= limits.max
        return int(nodata) if fits else None
    with np.errstate(over="ignore"):
        stored = float(kind.type(nodata))
    return stored if np.isfinite(stored) == np.isfinite(nodata) else None


def _unwritten(bands: Sequence[Band], window: Window, dtype: str) -> StoredPixels:
    shape = (window.height, window.width)
    stored = [0 if band.nodata is None else band.nodata for band in bands]
    values = np.array(stored, dtype).reshape(-1, 1, 1)
    return uniform(values, (len(bands), *shape)), uniform(np.False_, shape)


def _dataset_bands(dataset: Any) -> tuple[Band, ...]:
    facts = zip(
        dataset.indexes,
        _descriptions(dataset),
        dataset.colorinterp,
        dataset.nodatavals,
        dataset.dtypes,
        dataset.scales,
        dataset.offsets,
        strict=True,
    )
    return tuple(
        Band(index, description, colour.name.lower(), storable(nodata, dtype), gain, offset)
        for index, description, colour, nodata, dtype, gain, offset in facts
    )


def _descriptions(dataset: Any) -> Sequence[str | None]:
    try:
        return tuple(dataset.descriptions)
    except UnicodeDecodeError:  # written in some 8-bit alphabet: then they say nothing
        return (None,) * int(dataset.count)


def _mask_bands(dataset: Any) -> dict[int, int]:
    # By band, the one whose mask to read. Only masks that say more than nodata does: internal
    # ones, .msk side-cars and NODATA_VALUES. Alpha is read apart, since GDAL hides it behind
    # a nodata value.
    found: dict[int, int] = {}
    shared: int | None = None
    for index, named in zip(dataset.indexes, dataset.mask_flag_enums, strict=True):
        flags = set(named)
        if flags in ({MaskFlags.all_valid}, {MaskFlags.nodata}) or MaskFlags.alpha in flags:
            continue
        if MaskFlags.per_dataset in flags:
            shared = index if shared is None else shared
            found[index] = shared
        else:
            found[index] = index
    return found


def _located_by(dataset: Any) -> LocatedBy:
    if dataset.gcps[0]:
        return "points"
    return "polynomials" if dataset.rpcs else None
