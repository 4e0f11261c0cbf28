"""Files laid over a scene's grid: yes, no or unknown for each of its pixels.

Knows rasters on any grid and, through ``overlay_polygons``, polygons; nothing of what the
answer is for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from geodeforest.core.addresses import shown
from geodeforest.core.grid import Window
from geodeforest.core.options import OpenRules
from geodeforest.core.pixels import UNKNOWN
from geodeforest.errors import LimitUnusable, SceneNotFound, SceneUnreadable
from geodeforest.geo.ground import pyproj_crs
from geodeforest.geo.lone_files import open_lone
from geodeforest.geo.opening import GDAL_ERRORS, LABEL_DRIVERS, RULES, cause, open_raster
from geodeforest.geo.parts import to_rasterio
from geodeforest.geo.places import Places, bounds, search_box, turned
from geodeforest.geo.profile import Grid, image_date

_RASTERS = (b"II*", b"II+", b"MM\0", b"\x89PNG", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51")
POLYGONS_LOAD = "pyarrow", "pyogrio"
"""What polygons make the program load that rasters do not."""

_PART_PX = 2**18  # of the scene placed at a time
_READ_PX = 2**22  # of the overlay read at a time


@dataclass(frozen=True, slots=True)
class Yes:
    """Which numbers of a raster mean yes: any of the ``values``, any of the ``bits`` set.

    ``values`` None is every number but 0. One of the ``bands`` suffices. ``name`` is what such
    rasters are called.
    """

    values: tuple[int, ...] | None = None
    bits: tuple[int, ...] = ()
    name: str | None = None
    bands: tuple[int, ...] = (1,)

    def __call__(self, stored: NDArray[Any]) -> NDArray[np.bool_]:
        """Where the numbers mean yes."""
        if self.values is None:
            differs: NDArray[np.bool_] = stored != 0
            return differs
        found = np.isin(stored, self.values)
        if self.bits:
            found |= (stored & sum(1 << bit for bit in self.bits)) != 0
        return found


Kind: TypeAlias = Callable[[str | os.PathLike[str], Any], Yes]
"""Tells from its path and the open dataset how a raster is to be read."""


def plain(_: str | os.PathLike[str], __: Any) -> Yes:
    """Every number but 0 means yes."""
    return Yes()


class Overlay(Protocol):
    """Answers for a scene's pixels, by window. One thread at a time may ask."""

    date: str | None
    notes: tuple[str, ...]

    def read(self, window: Window) -> NDArray[np.uint8]:
        """1 yes, 0 no, 255 unknown, shape (rows, cols).

        Raises:
            SceneUnreadable: a block is corrupt or cut short.
        """
        ...

    def may_hold(self, window: Window) -> bool:
        """Whether any pixel in or near a window, which may leave the scene, can be a yes."""
        ...


@contextmanager
def open_overlay(
    path: str | os.PathLike[str], grid: Grid, what: str, kind: Kind, rules: OpenRules = RULES
) -> Iterator[Overlay]:
    """Open a raster or polygons in any CRS over a scene's grid; which of them, the content tells.

    A raster answers by the pixel in which a scene's pixel has its centre: yes where it is not
    0, or as its ``kind`` tells; unknown where it is nodata or ends. Polygons answer yes where
    they hold the centre. ``what`` names in messages the option that the file was given to.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: neither raster nor polygons, or damaged.
        LimitUnusable: no CRS, no overlap with the scene, or geometries that are not valid.
    """
    if rules.untrusted:
        open_lone(os.fspath(path)).close()
    if not is_raster(Path(path)):
        # Slow to load, and large (``POLYGONS_LOAD``).
        from geodeforest.geo.overlay_polygons import PolygonOverlay

        yield PolygonOverlay(path, grid, what, rules)
        return
    with open_raster(path, LABEL_DRIVERS, rules) as dataset:
        yield RasterOverlay(path, dataset, grid, what, kind(path, dataset))


@contextmanager
def open_known_raster(
    path: str | os.PathLike[str], grid: Grid, what: str, yes: Yes
) -> Iterator[RasterOverlay]:
    """Open a raster of which is known how to read it, such as a product's own.

    Raises:
        SceneError: it is missing, damaged, or does not lie on the scene.
    """
    with open_raster(path, LABEL_DRIVERS) as dataset:
        yield RasterOverlay(shown(os.fspath(path)), dataset, grid, what, yes)


class RasterOverlay:
    """A raster on a grid of its own."""

    notes: tuple[str, ...] = ()

    def __init__(
        self, path: str | os.PathLike[str], dataset: Any, grid: Grid, what: str, yes: Yes
    ) -> None:
        self._path, self._dataset, self._yes = path, dataset, yes
        bands = [c for c in dataset.colorinterp if c.name != "alpha"]
        if len(bands) != 1 and yes.name is None:
            why = f"has {len(bands)} bands; a raster for --{what} has one"
            raise LimitUnusable(path, why, "give the band that tells")
        if dataset.dtypes[0].startswith("complex"):
            raise LimitUnusable(path, "holds complex numbers", "give whole numbers")
        self._places = _places(path, dataset, grid)
        self.date = image_date((dataset.tags(), dataset.tags(ns="IMAGERY")))
        if yes.name is not None:
            self.notes = (f"{Path(path).name} is read as {yes.name}",)
        if self._places is not None and not _overlaps(dataset, grid):
            raise LimitUnusable(path, "does not overlap the scene", f"leave --{what} out")

    def read(self, window: Window) -> NDArray[np.uint8]:
        """1 yes, 0 no, 255 unknown, shape (rows, cols).

        Raises:
            SceneUnreadable: a block is corrupt or cut short.
        """
        answers = np.empty((window.height, window.width), np.uint8)
        rows = max(1, _PART_PX // window.width)
        for row in range(0, window.height, rows):
            height = min(rows, window.height - row)
            part = Window(window.row + row, window.col, height, window.width)
            answers[row : row + height] = self._sampled(part)
        return answers

    def may_hold(self, window: Window) -> bool:
        """True: what a raster holds is known when it is read."""
        return True

    def _sampled(self, window: Window) -> NDArray[np.uint8]:
        answers = np.full((window.height, window.width), UNKNOWN, np.uint8)
        row, col = self._placed(window)
        inside = self._inside(row, col)
        if not inside.any():
            return answers
        row, col = row[inside].astype(np.int64), col[inside].astype(np.int64)
        first_row, first_col = int(row.min()), int(col.min())
        near = Window(
            first_row, first_col, int(row.max()) - first_row + 1, int(col.max()) - first_col + 1
        )
        if near.height * near.width > _READ_PX and answers.size > 1:
            return self._in_halves(window)
        answers[inside] = self._stored(near)[row - first_row, col - first_col]
        return answers

    def _in_halves(self, window: Window) -> NDArray[np.uint8]:
        row, col, height, width = window.row, window.col, window.height, window.width
        if height > width:
            half = height // 2
            parts = [Window(row, col, half, width), Window(row + half, col, height - half, width)]
            return np.concatenate([self._sampled(part) for part in parts])
        half = width // 2
        parts = [Window(row, col, height, half), Window(row, col + half, height, width - half)]
        return np.concatenate([self._sampled(part) for part in parts], axis=1)

    def _stored(self, window: Window) -> NDArray[np.uint8]:
        """The answers of a window of the raster itself."""
        place = to_rasterio(window)
        try:
            stored = self._dataset.read(list(self._yes.bands), window=place)
            known = self._dataset.read_masks(self._yes.bands[0], window=place) != 0
        except GDAL_ERRORS as error:
            why = (
                f"a block in rows {window.row}..{window.row + window.height - 1}, columns "
                f"{window.col}..{window.col + window.width - 1} cannot be read ({cause(error)})"
            )
            raise SceneUnreadable(self._path, why, "download or copy the file again") from error
        yes = self._yes(stored).any(axis=0)
        if self._yes.values is None:
            known &= (stored == stored).all(axis=0)  # NaN
        else:
            known |= yes  # a kind that is known says what its nodata means
        return np.where(known, yes, np.uint8(UNKNOWN)).astype(np.uint8)

    def _placed(self, window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self._places is not None:
            return self._places.at(window)
        row = np.arange(window.row, window.row + window.height, dtype=np.float64)
        col = np.arange(window.col, window.col + window.width, dtype=np.float64)
        grid: tuple[NDArray[np.float64], NDArray[np.float64]] = np.meshgrid(row, col, indexing="ij")
        return grid[0], grid[1]

    def _inside(self, row: NDArray[np.float64], col: NDArray[np.float64]) -> NDArray[np.bool_]:
        height, width = self._dataset.height, self._dataset.width
        inside: NDArray[np.bool_] = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        return inside


def _overlaps(dataset: Any, grid: Grid) -> bool:
    crs = pyproj_crs(dataset.crs)
    box = search_box(grid, pyproj_crs(cast(Any, grid.crs)), crs)
    if box is None:
        return True
    west, south, east, north = bounds(dataset.transform, dataset.height, dataset.width)
    return any(
        left < east and west < right and bottom < north and south < top
        for left, bottom, right, top in turned(crs, box)
    )


def _places(path: object, dataset: Any, grid: Grid) -> Places | None:
    """Where the scene's pixels lie; None is on the same pixels."""
    placed = dataset.crs is not None and not dataset.transform.is_identity
    if not placed and (dataset.height, dataset.width) == (grid.height, grid.width):
        return None  # drawn over the scene by a program that knows no place
    if not placed:
        why = "has no CRS or geotransform, and another size than the scene"
        raise LimitUnusable(path, why, "write its CRS into the file, or give it the scene's size")
    try:
        return Places(grid, dataset)
    except ProjError as error:
        why = f"has a CRS that cannot be related to the scene's ({cause(error)})"
        raise LimitUnusable(path, why, "warp it to the scene's CRS") from error


def is_raster(path: Path) -> bool:
    """Whether a file begins like a raster of a format that is known.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: its beginning cannot be read.
    """
    if not path.exists():
        raise SceneNotFound(path)
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(_RASTERS)
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
        raise SceneUnreadable(path, why, "check its permissions") from error
