"""Where the pixels of one grid lie on another, whatever the two CRS.

Knows grids and CRS; opens no file. A pixel's place does not depend on the window that it is
asked for with.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pyproj
from affine import Affine
from pyproj.exceptions import ProjError

from geodeforest.core.arrays import Floats, Ints
from geodeforest.core.grid import Window
from geodeforest.geo.ground import pyproj_crs
from geodeforest.geo.profile import Grid, corner, is_rotated

_LONGEST_STEP = 32
_TOLERANCE = 0.02  # of a pixel
_PROBES = 9
_ROUNDING = 1e-6  # of a pixel: what lies on a side belongs to the pixel that begins there


class Places:
    """Finds the pixel of ``other`` in which each pixel of ``grid`` has its centre.

    In one CRS that is linear. Else the centres of every so many pixels are reprojected, as
    few as keep those between true to a fiftieth of a pixel. Degrees may pass the
    antimeridian.

    Raises:
        pyproj.exceptions.ProjError: one of the CRS is a local one.
    """

    def __init__(self, grid: Grid, other: Grid) -> None:
        if grid.crs is None or other.crs is None:
            raise ValueError("both grids need a CRS")
        self._grid, self._other = grid, other
        self._period: float | None = None
        self._middle = 0.0
        self._to_other: pyproj.Transformer | None = None
        if grid.crs != other.crs:
            self._to_other = pyproj.Transformer.from_crs(
                pyproj_crs(grid.crs), pyproj_crs(other.crs), always_xy=True
            )
        if other.crs.is_geographic and not is_rotated(other.transform):
            self._period = abs(360 / other.transform.a)
            middle = self._coordinates(np.array(grid.height / 2), np.array(grid.width / 2))[0]
            self._middle = float(middle) if np.isfinite(middle) else 0.0
        self._step = 1 if self._to_other is None else self._good_step()

    def at(self, window: Window) -> tuple[Floats, Floats]:
        """Rows and columns on the other grid, whole numbers (rows, cols), NaN = nowhere.

        They may lie beyond the other grid.
        """
        if self._to_other is None:
            rows = np.arange(window.row, window.row + window.height, dtype=np.float64)
            cols = np.arange(window.col, window.col + window.width, dtype=np.float64)
            found = self._exact(rows[:, np.newaxis], cols[np.newaxis])
        else:
            found = self._between(window, self._step)
        row, col = (part + _ROUNDING for part in found)
        if self._period is not None:
            col = np.where(col < 0, col + self._period, col)
            col = np.where(col >= self._other.width, col - self._period, col)
        return np.floor(row), np.floor(col)

    def _coordinates(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        """The other CRS' coordinates of pixel centres; longitudes near the grid's middle."""
        place = self._grid.transform
        row, col = row + 0.5, col + 0.5
        x, y = place.a * col + place.b * row + place.c, place.d * col + place.e * row + place.f
        if self._to_other is not None:
            x, y = self._to_other.transform(x, y)
            x, y = (np.where(np.isfinite(part), part, np.nan) for part in (x, y))
            if self._period is not None:
                x = self._middle + (x - self._middle + 180) % 360 - 180
        return x, y

    def _exact(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        """Rows and columns on the other grid, with fractions."""
        x, y = self._coordinates(row, col)
        place = self._other.transform
        x, y = x - place.c, y - place.f
        area = place.a * place.e - place.b * place.d
        return (place.a * y - place.d * x) / area, (place.e * x - place.b * y) / area

    def _between(self, window: Window, step: int) -> tuple[Floats, Floats]:
        """The same, interpolated between pixels whose numbers are multiples of the step."""
        rows, (down, past) = _nodes(window.row, window.height, step)
        cols, (across, beyond) = _nodes(window.col, window.width, step)
        nodes = self._exact(rows[:, np.newaxis].astype(float), cols[np.newaxis].astype(float))
        found = []
        for node in nodes:
            lines = node[down] * (1 - past)[:, np.newaxis] + node[down + 1] * past[:, np.newaxis]
            found.append(lines[:, across] * (1 - beyond) + lines[:, across + 1] * beyond)
        return found[0], found[1]

    def _good_step(self) -> int:
        step = _LONGEST_STEP
        while step > 1 and not self._is_good(step):
            step //= 2
        return step

    def _is_good(self, step: int) -> bool:
        """Whether the middles of cells, where interpolation errs most, are near enough."""
        row = np.unique(np.linspace(0, max(0, self._grid.height - step), _PROBES) // step) * step
        col = np.unique(np.linspace(0, max(0, self._grid.width - step), _PROBES) // step) * step
        row, col = row[:, np.newaxis], col[np.newaxis]
        corners = np.array([self._exact(row + r, col + c) for r in (0, step) for c in (0, step)])
        errors = np.abs(corners.mean(axis=0) - self._exact(row + step / 2, col + step / 2))
        size = np.ptp(corners, axis=0).max() / step  # a pixel's side on the other grid
        return bool(errors.max() <= _TOLERANCE * max(1.0, size))


def _nodes(first: int, length: int, step: int) -> tuple[Ints, tuple[Ints, Floats]]:
    """Multiples of the step around a range; for each number in it, its node and what is past."""
    at = np.arange(first, first + length)
    begin = first // step
    nodes = np.arange(begin, (first + length - 1) // step + 2) * step
    return nodes, (at // step - begin, at % step / step)


def bounds(transform: Affine, height: int, width: int) -> tuple[float, float, float, float]:
    """(left, bottom, right, top) of a grid in its CRS, rotated or not."""
    corners = [corner(transform, r, c) for r in (0, height) for c in (0, width)]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


Box: TypeAlias = tuple[float, float, float, float]
"""West, south, east and north, in a CRS' units."""

_MARGIN = 0.05  # of the scene's extent


def search_box(grid: Grid, crs: pyproj.CRS, other: pyproj.CRS) -> Box | None:
    """Where a grid in ``crs`` lies in another CRS, and a bit around it; None if that is not told.

    Across the antimeridian degrees go on beyond 180.
    """
    try:
        to_other = pyproj.Transformer.from_crs(crs, other, always_xy=True)
        west, south, east, north = to_other.transform_bounds(
            *bounds(grid.transform, grid.height, grid.width), densify_pts=21
        )
    except ProjError:
        return None
    if not np.isfinite([west, south, east, north]).all():
        return None
    if other.is_geographic and east < west:
        east += 360
    across, along = _MARGIN * (east - west), _MARGIN * (north - south)
    return west - across, south - along, east + across, north + along


def turned(crs: pyproj.CRS, box: Box) -> list[Box]:
    """A box, and where degrees may name it otherwise: a turn to the west and to the east."""
    west, south, east, north = box
    turns = (0, -360, 360) if crs.is_geographic and not -180 <= west <= east <= 180 else (0,)
    return [(west + turn, south, east + turn, north) for turn in turns]
