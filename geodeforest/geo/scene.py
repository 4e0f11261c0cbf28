"""Open scenes: pixels by window, and which of them are real.

The only place that knows rasterio's column-first windows and GDAL's many ways to say
"no data". Past it there are a boolean mask and stored numbers, and no nodata value.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rasterio.errors import CRSError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from geodeforest.core.grid import Window
from geodeforest.core.options import Stored
from geodeforest.core.pixels import Pixels
from geodeforest.core.ports import SceneSource
from geodeforest.errors import OptionError, SceneUnreadable
from geodeforest.geo.bands import Band, refuse_palette, select_bands
from geodeforest.geo.georeference import LocatedBy, check_georeference, scene_gsd
from geodeforest.geo.opening import GDAL_ERRORS, cause, open_raster
from geodeforest.geo.profile import SceneProfile, image_date

_ARRAY_NAME = "array"


@dataclass(frozen=True, eq=False)
class Raster:
    """A scene that is in memory already.

    ``array`` has shape (bands, rows, cols); a lazy one (dask) is read window by window.
    ``transform`` takes (col, row) pixel corners to coordinates of ``crs``, which may be
    anything rasterio understands, such as "EPSG:32721". ``valid`` has shape (rows, cols).

    Raises:
        OptionError: the shapes or the dtype do not fit, or the CRS is unknown.
    """

    array: Any
    transform: Affine
    crs: Any
    nodata: float | None = None
    valid: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.array.shape)
        if len(shape) != 3 or 0 in shape:
            raise OptionError(f"array: its shape is {shape}; give (bands, rows, cols)")
        if np.dtype(self.array.dtype).kind not in "iuf":
            raise OptionError(f"array: its dtype is {self.array.dtype}; give integers or floats")
        if self.valid is not None and tuple(self.valid.shape) != shape[1:]:
            raise OptionError(f"valid: its shape is {self.valid.shape}; give {shape[1:]}")
        try:
            crs = None if self.crs is None else CRS.from_user_input(self.crs)
        except (CRSError, ValueError) as error:
            raise OptionError(
                f"crs: {self.crs!r} is not known; give for example 'EPSG:32721'"
            ) from error
        object.__setattr__(self, "crs", crs)
        object.__setattr__(self, "transform", Affine(*tuple(self.transform)[:6]))


class Scene(SceneSource, Protocol):
    """An open scene: a ``SceneSource`` that knows where it lies and which bands it reads."""

    @property
    def profile(self) -> SceneProfile:
        """What is known of it beside its pixels."""
        ...

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands it reads, in reading order."""
        ...

    @property
    def tags(self) -> Mapping[str, str]:
        """What its file says in words."""
        ...

    @property
    def stored(self) -> Stored:
        """Its sizes, and what reading it takes."""
        ...


class RasterScene:
    """A scene in a raster dataset. One thread at a time may read it."""

    def __init__(self, dataset: Any, bands: tuple[Band, ...], path: str) -> None:
        self.bands = bands
        self.profile = _dataset_profile(dataset, bands, path)
        self.tags: dict[str, str] = dataset.tags()
        self._dataset = dataset
        self._indexes = [band.index for band in bands]
        self._masks = _mask_bands(dataset, self._indexes)
        self._alpha = _alpha_band(dataset)

    @property
    def height(self) -> int:
        """Rows of the scene."""
        return self.profile.height

    @property
    def width(self) -> int:
        """Columns of the scene."""
        return self.profile.width

    @property
    def stored(self) -> Stored:
        """Its sizes, and what reading it takes."""
        return _stored(self.profile)

    def read(self, window: Window) -> Pixels:
        """The stored pixels of a window that lies inside the scene.

        Raises:
            SceneUnreadable: a block is corrupt or cut short.
        """
        _check_inside(window, self.profile)
        place = to_rasterio(window)
        try:
            values = self._dataset.read(self._indexes, window=place)
            valid = _valid_values(values, self.bands)
            for index in self._masks:
                valid &= self._dataset.read_masks(index, window=place) != 0
            if self._alpha is not None:
                valid &= self._dataset.read(self._alpha, window=place) != 0
        except GDAL_ERRORS as error:
            raise SceneUnreadable(
                self.profile.path,
                f"a block in rows {window.row}..{window.row + window.height - 1}, columns "
                f"{window.col}..{window.col + window.width - 1} cannot be read ({cause(error)})",
                "download or copy the file again",
            ) from error
        return Pixels(values, valid)


class ArrayScene:
    """A scene in memory, seen like one in a file."""

    def __init__(self, raster: Raster, bands: tuple[Band, ...]) -> None:
        self.bands = bands
        self._raster = raster
        self.tags: dict[str, str] = {}
        self._rows = [band.index - 1 for band in bands]
        _, height, width = raster.array.shape
        self.profile = SceneProfile(
            name=_ARRAY_NAME,
            path=_ARRAY_NAME,
            height=height,
            width=width,
            transform=raster.transform,
            crs=raster.crs,
            dtype=np.dtype(raster.array.dtype).name,
            bands=tuple(band.name for band in bands),
            gsd_m=scene_gsd(raster.transform, raster.crs, height, width),
            date=None,
            block=(1, width),  # any rows can be read without others
        )

    @property
    def height(self) -> int:
        """Rows of the scene."""
        return self.profile.height

    @property
    def width(self) -> int:
        """Columns of the scene."""
        return self.profile.width

    @property
    def stored(self) -> Stored:
        """Its sizes, and what reading it takes."""
        return _stored(self.profile)

    def read(self, window: Window) -> Pixels:
        """The stored pixels of a window that lies inside the scene."""
        _check_inside(window, self.profile)
        part = self._raster.array[:, window.rows, window.cols][self._rows]
        values = np.ascontiguousarray(part)
        valid = _valid_values(values, self.bands)
        if self._raster.valid is not None:
            valid &= np.asarray(self._raster.valid[window.rows, window.cols], bool)
        return Pixels(values, valid)


Source: TypeAlias = str | os.PathLike[str] | Raster | Any
"""What can be opened as a scene: also open rasterio datasets and rioxarray DataArrays."""


@contextmanager
def open_scene(
    source: Source,
    *,
    bands: Sequence[int | str] | str | None = None,
    wanted: Sequence[str] | None = None,
    georeferenced: bool = True,
    palette: bool = False,
) -> Iterator[Scene]:
    """Open a scene and choose its bands, as ``geo.bands.select_bands`` tells.

    A dataset that was open stays open. ``palette`` allows a colour table, for rasters
    whose numbers are classes.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: not a raster, damaged, complex numbers, or a palette image.
        NotGeoreferenced: no CRS or geotransform, unless ``georeferenced`` is False.
        BandMissing: a band asked for is not there.
    """
    with ExitStack() as stack:
        opened, path = _open(source, stack)
        try:
            chosen = select_bands(_present(opened), path, bands=bands, wanted=wanted)
            scene: Scene = (
                ArrayScene(opened, chosen)
                if isinstance(opened, Raster)
                else RasterScene(opened, chosen, path)
            )
            _refuse_complex(scene.profile)
            if not palette:
                refuse_palette(chosen, path)
            if georeferenced:
                _check_georeference(scene.profile, opened)
        except GDAL_ERRORS as error:
            raise SceneUnreadable(
                path, f"its header is damaged ({cause(error)})", "download or copy it again"
            ) from error
        yield scene


def block_cache(size_bytes: int) -> rasterio.Env:
    """A context in which GDAL keeps at most so many bytes of decoded blocks."""
    return rasterio.Env(GDAL_CACHEMAX=size_bytes)  # in bytes here, whatever GDAL's own manual says


def to_rasterio(window: Window) -> RasterioWindow:
    """The same window in rasterio's order: column, row, width, height."""
    return RasterioWindow(window.col, window.row, window.width, window.height)


def _open(source: Source, stack: ExitStack) -> tuple[Any, str]:
    # A dataset or a Raster, and what to call it in messages.
    if isinstance(source, str | os.PathLike):
        return stack.enter_context(open_raster(source)), os.fspath(source)
    if isinstance(source, rasterio.DatasetReader | WarpedVRT):
        return source, str(source.name)
    if isinstance(source, Raster):
        return source, _ARRAY_NAME
    if hasattr(source, "rio") and hasattr(source, "data"):  # a DataArray, rioxarray loaded
        return _from_data_array(source), _ARRAY_NAME
    raise OptionError(
        f"scene: a {type(source).__name__} is not a scene; give a path, an open rasterio "
        "dataset, a rioxarray DataArray or a geodeforest.Raster"
    )


def _from_data_array(source: Any) -> Raster:
    rio = source.rio
    data = source.transpose(..., rio.y_dim, rio.x_dim).data
    # The geotransform that rioxarray keeps is not that of an array with every other row.
    place = rio.transform(recalc=True)
    return Raster(data if data.ndim == 3 else data[np.newaxis], place, rio.crs, rio.nodata)


def _present(opened: Any) -> tuple[Band, ...]:
    if isinstance(opened, Raster):
        nodata = _storable(opened.nodata, np.dtype(opened.array.dtype).name)
        count = opened.array.shape[0]
        return tuple(Band(index, None, "undefined", nodata) for index in range(1, count + 1))
    facts = zip(
        opened.indexes,
        _descriptions(opened),
        opened.colorinterp,
        opened.nodatavals,
        opened.dtypes,
        strict=True,
    )
    return tuple(
        Band(index, description, colour.name.lower(), _storable(nodata, dtype))
        for index, description, colour, nodata, dtype in facts
    )


def _descriptions(dataset: Any) -> Sequence[str | None]:
    try:
        return tuple(dataset.descriptions)
    except UnicodeDecodeError:  # written in some 8-bit alphabet: then they say nothing
        return (None,) * int(dataset.count)


def _storable(nodata: float | None, dtype: str) -> float | None:
    # A nodata value that the dtype cannot hold fits no pixel.
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


def _valid_values(values: NDArray[np.generic], bands: Sequence[Band]) -> NDArray[np.bool_]:
    valid = np.ones(values.shape[1:], bool)
    for plane, band in zip(values, bands, strict=True):
        if band.nodata is not None:
            valid &= plane != band.nodata
        if np.issubdtype(plane.dtype, np.floating):
            valid &= np.isfinite(plane)
    return valid


def _mask_bands(dataset: Any, indexes: Sequence[int]) -> tuple[int, ...]:
    # Only masks that say more than nodata does: internal ones, .msk side-cars and
    # NODATA_VALUES. Alpha is read apart, since GDAL hides it behind a nodata value.
    found, every_flag = [], dataset.mask_flag_enums
    for index in indexes:
        flags = set(every_flag[index - 1])
        if flags in ({MaskFlags.all_valid}, {MaskFlags.nodata}) or MaskFlags.alpha in flags:
            continue
        found.append(index)
        if MaskFlags.per_dataset in flags:
            return (index,)
    return tuple(found)


def _alpha_band(dataset: Any) -> int | None:
    for index, colour in zip(dataset.indexes, dataset.colorinterp, strict=True):
        if colour.name == "alpha":
            return int(index)
    return None


def _dataset_profile(dataset: Any, bands: tuple[Band, ...], path: str) -> SceneProfile:
    rows, cols = dataset.block_shapes[0]
    return SceneProfile(
        name=Path(path).name,
        path=path,
        height=dataset.height,
        width=dataset.width,
        transform=dataset.transform,
        crs=dataset.crs,
        dtype=dataset.dtypes[bands[0].index - 1],
        bands=tuple(band.name for band in bands),
        gsd_m=scene_gsd(dataset.transform, dataset.crs, dataset.height, dataset.width),
        date=image_date((dataset.tags(), dataset.tags(ns="IMAGERY"))),
        block=(rows, cols),
    )


def _stored(profile: SceneProfile) -> Stored:
    pixel_bytes = len(profile.bands) * np.dtype(profile.dtype).itemsize
    return Stored(profile.height, profile.width, pixel_bytes, profile.block[0])


def _check_inside(window: Window, profile: SceneProfile) -> None:
    if window.within(profile.height, profile.width) != window:
        raise ValueError(f"{window} leaves the scene of {profile.height} x {profile.width} px")


def _refuse_complex(profile: SceneProfile) -> None:
    if profile.dtype.startswith("complex"):
        raise SceneUnreadable(
            profile.path,
            f"holds {profile.dtype} numbers, not brightness",
            "convert them first, for example to amplitude",
        )


def _check_georeference(profile: SceneProfile, opened: Any) -> None:
    located_by: LocatedBy = None
    if not isinstance(opened, Raster):
        located_by = "points" if opened.gcps[0] else "polynomials" if opened.rpcs else None
    check_georeference(profile, located_by)
