"""Open scenes: pixels by window in the model's band order, and which of them are real.

Knows that the parts of a scene lie on one grid, and what a scene must have to be used.
Rasters are the business of ``parts``, and what a user may name as a scene that of ``sources``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import rasterio

from geodeforest.core.addresses import is_remote
from geodeforest.core.grid import Window
from geodeforest.core.options import OpenRules, Stored
from geodeforest.core.pixels import Pixels
from geodeforest.core.ports import SceneSource
from geodeforest.errors import BandMissing, SceneUnreadable
from geodeforest.geo.bands import Band, refuse_palette, select_bands
from geodeforest.geo.georeference import check_georeference, scene_gsd, with_crs
from geodeforest.geo.opening import GDAL_ERRORS, RULES, cause
from geodeforest.geo.parts import Part, Raster, StoredPixels
from geodeforest.geo.products import Member
from geodeforest.geo.profile import (
    SceneProfile,
    image_date,
    same_grid,
)
from geodeforest.geo.sources import SceneFiles, Source, find_scene, open_member
from geodeforest.geo.sun import sun_over

__all__ = ["Raster", "Scene", "Source", "block_cache", "open_scene"]


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


_LARGEST_TILE = 1024
"""Sides of tiles that may be read some columns at a time, without need to be cached."""

_FEW_ROWS, _SOME_ROWS = 16, 256
"""Blocks of fewer rows are read some at a time; decoding one twice costs little then."""

Opener: TypeAlias = Callable[[Part | Member], Part]
"""Opens a raster of a product; others are open."""


class RasterScene:
    """A scene in rasters, files or arrays.

    Its parts lie on one grid and are numbered through: the first band of the second part
    follows the last one of the first. One thread at a time may read it.

    Raises:
        SceneUnreadable: parts that are read differ in grid, CRS or dtype.
    """

    def __init__(self, files: SceneFiles, bands: Sequence[Band], opener: Opener) -> None:
        self._shares = _shares(files, bands, opener)
        self.bands = _chosen(self._shares, bands)
        first, others = self._shares[0].part, [share.part for share in self._shares[1:]]
        self._dtype = first.dtype(self._shares[0].bands[0].index)
        for share in self._shares:
            _check_fits(share, first, self._dtype)
        used = [first, *others]
        self.tags: Mapping[str, str] = {
            k: v for part in reversed(used) for k, v in part.tags.items()
        }
        self.located_by = first.located_by
        self._blank = None if files.listing is None else files.listing.blank
        product = None
        if files.listing is not None:
            product = files.listing.product(self.bands, self._dtype, partial(sun_over, first))
        self.profile = SceneProfile(
            name=files.name,
            path=files.path,
            height=first.height,
            width=first.width,
            transform=first.transform,
            crs=first.crs,
            dtype=self._dtype,
            bands=tuple(band.name for band in self.bands),
            gsd_m=scene_gsd(first.transform, first.crs, first.height, first.width),
            date=(product and product.date) or image_date(part.tags for part in used),
            block=(max(p.block[0] for p in used), max(p.block[1] for p in used)),
            product=product,
            files=tuple(part.path for part in used),
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
        pixel_bytes = len(self.bands) * np.dtype(self._dtype).itemsize
        cached = sum(share.part.cached_px_bytes(share.bands) for share in self._shares)
        return Stored(
            self.height,
            self.width,
            pixel_bytes,
            self.profile.block[0],
            cached_px_bytes=cached or None,
            tile_cols=self._tile_cols,
            busy_cols=None if self._tile_cols is None else self._busy_cols,
        )

    @cached_property
    def _busy_cols(self) -> int:
        return max(share.part.busy_cols(share.bands) for share in self._shares)

    @property
    def _tile_cols(self) -> int | None:
        """The columns of its tiles, if that is what all of its blocks are, and at hand."""
        rows, cols = self.profile.block
        small = rows <= _LARGEST_TILE and cols <= min(_LARGEST_TILE, self.width)
        alike = len({share.part.block for share in self._shares}) == 1
        return cols if small and alike and not is_remote(self.profile.path) else None

    def read(self, window: Window) -> Pixels:
        """The stored pixels of a window that lies inside the scene.

        What any of the bands did not observe is not valid.

        Raises:
            SceneUnreadable: a block is corrupt or cut short.
        """
        if window.within(self.height, self.width) != window:
            raise ValueError(f"{window} leaves the scene of {self.height} x {self.width} px")
        parts = _by_blocks(window, self.profile.block[0])
        pixels = Pixels.joined([Pixels(*self._stored_pixels(part)) for part in parts], axis=0)
        if self._blank is None:
            return pixels
        seen = (pixels.values != self._blank).any(axis=0)
        return replace(pixels, valid=pixels.valid & seen)

    def _stored_pixels(self, window: Window) -> StoredPixels:
        if len(self._shares) == 1:
            return self._shares[0].part.read(self._shares[0].bands, window)
        shape = (window.height, window.width)
        values, valid = np.empty((len(self.bands), *shape), self._dtype), np.ones(shape, bool)
        for share in self._shares:
            values[share.places], seen = share.part.read(share.bands, window)
            valid &= seen
        return values, valid


@dataclass(frozen=True, slots=True)
class _Share:
    """What one part gives: its bands, counted in the part, and their places in the scene."""

    part: Part
    bands: tuple[Band, ...]
    places: list[int]


@contextmanager
def open_scene(
    source: Source,
    *,
    bands: Sequence[int | str] | str | None = None,
    wanted: Sequence[str] | None = None,
    georeferenced: bool = True,
    palette: bool = False,
    assign_crs: object = None,
    rules: OpenRules = RULES,
) -> Iterator[Scene]:
    """Open a scene and choose its bands, as ``geo.bands.select_bands`` tells.

    A dataset that was open stays open. ``palette`` allows a colour table, for rasters
    whose numbers are classes; ``assign_crs`` stands in for a CRS that the raster lacks.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: not a raster, damaged, complex numbers, or a palette image.
        NotGeoreferenced: no CRS or geotransform, unless ``georeferenced`` is False.
        BandMissing: a band asked for is not there.
        SceneTooLarge: it has more pixels than the ``rules`` allow.
    """
    with ExitStack() as stack:
        found = find_scene(source, stack, rules)
        try:
            try:
                chosen = select_bands(found.bands, found.path, bands=bands, wanted=wanted)
            except BandMissing:
                if not palette:  # that it has too few bands is the smaller trouble then
                    refuse_palette(found.bands, found.path)
                raise
            scene = RasterScene(found, chosen, partial(open_member, stack=stack, rules=rules))
            if assign_crs is not None:
                scene.profile = with_crs(scene.profile, assign_crs)
            _refuse_complex(scene.profile)
            if not palette:
                refuse_palette(scene.bands, found.path)
            if georeferenced:
                check_georeference(scene.profile, scene.located_by)
        except GDAL_ERRORS as error:
            raise SceneUnreadable(
                found.path, f"its header is damaged ({cause(error)})", "download or copy it again"
            ) from error
        yield scene


def block_cache(size_bytes: int) -> rasterio.Env:
    """A context in which GDAL keeps at most so many bytes of decoded blocks."""
    return rasterio.Env(GDAL_CACHEMAX=size_bytes)  # in bytes here, whatever GDAL's own manual says


def _shares(files: SceneFiles, bands: Sequence[Band], opener: Opener) -> list[_Share]:
    """What each member gives, those that give nothing left out; opens what is not open yet."""
    shares, before = [], 0
    for member in files.members:
        count = len(member.labels if isinstance(member, Member) else member.bands)
        within = range(before + 1, before + 1 + count)
        places = [place for place, band in enumerate(bands) if band.index in within]
        if places:
            part = opener(member)
            own = tuple(part.bands[bands[at].index - before - 1] for at in places)
            shares.append(_Share(part, own, places))
        before += count
    return sorted(shares, key=lambda share: share.places[0])


def _chosen(shares: Sequence[_Share], bands: Sequence[Band]) -> tuple[Band, ...]:
    # As the open files tell, with the scene's numbers.
    found = {
        at: band for share in shares for at, band in zip(share.places, share.bands, strict=True)
    }
    return tuple(replace(found[at], index=band.index) for at, band in enumerate(bands))


def _check_fits(share: _Share, first: Part, dtype: str) -> None:
    part = share.part
    if part is not first and not same_grid(part, first):
        raise SceneUnreadable(
            part.path,
            f"does not lie on the grid of {Path(first.path).name}",
            "give bands of one pixel size, extent and CRS",
        )
    for band in share.bands:
        if (found := part.dtype(band.index)) != dtype:
            raise SceneUnreadable(
                part.path,
                f"stores {found} and {Path(first.path).name} {dtype}",
                "convert one of them: the bands of a scene have one data type",
            )


def _by_blocks(window: Window, block_rows: int) -> Iterator[Window]:
    """The window, cut into rows of blocks.

    Where bands or masks lie in blocks of their own, all those of one row are read before
    those of the next. So the last row of a window is still in the cache when the next
    window begins in the middle of it.
    """
    step = block_rows if block_rows >= _FEW_ROWS else _SOME_ROWS // block_rows * block_rows
    first, end = window.row, window.row + window.height
    while first < end:
        stop = min(end, (first // step + 1) * step)
        yield Window(first, window.col, stop - first, window.width)
        first = stop


def _refuse_complex(profile: SceneProfile) -> None:
    if profile.dtype.startswith("complex"):
        raise SceneUnreadable(
            profile.path,
            f"holds {profile.dtype} numbers, not brightness",
            "convert them first, for example to amplitude",
        )
