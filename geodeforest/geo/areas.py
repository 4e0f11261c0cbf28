"""Geodesic hectares of polygons and of counted pixels, in any CRS.

Knows CRS and geotransforms; nothing of scores, attributes or files. Areas are measured on
the ellipsoid of ``ground_of``, WGS 84 on Earth, so they do not depend on the units or the
distortion of the scene's CRS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import pyproj
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geodeforest.core.arrays import Ints
from geodeforest.core.pixels import is_uniform
from geodeforest.geo.ground import ground_of, pyproj_crs
from geodeforest.geo.ring_areas import ring_square_metres

Floats: TypeAlias = NDArray[np.float64]
Geometries: TypeAlias = NDArray[np.object_]

_M2_PER_HA = 10_000

# The geodesic between the ends of an edge leaves the edge if that is very long.
_LONGEST_EDGE_M = 100_000

_TOLERANCE = 4e-5  # of a pixel's area, by rows and again by columns
_LONGEST_STEP = 1024
_BLOCK_PX = 2**19  # pixels counted at a time

# The corners of a pixel in the order in which opposite ones are two apart.
_SOUTH, _EAST = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0])


@lru_cache(maxsize=16)
def crs_length(crs: CRS, metres: float) -> float:
    """About so many metres in the units of a CRS; in degrees, those of a great circle."""
    known = pyproj_crs(crs)
    unit: float = known.axis_info[0].unit_conversion_factor  # in metres or radians
    return metres / unit / (ground_of(crs).geod.a if known.is_geographic else 1)


def crs_points(transform: Affine, row: Floats, col: Floats) -> tuple[Floats, Floats]:
    """CRS coordinates (x, y) of pixel corners, or of points between them."""
    # Spelt out, because affine 2 knows only `*` for this and affine 3 warns of it.
    x = transform.a * col + transform.b * row + transform.c
    y = transform.d * col + transform.e * row + transform.f
    return x, y


class Measured(NamedTuple):
    """Polygons on the ground: their hectares; degrees (n, 2) of all points; how many each has."""

    hectares: Floats
    lonlat: Floats
    sizes: Ints


def measured(polygons: Geometries, crs: CRS) -> Measured:
    """Polygons given in a CRS, none of several parts, as they lie on the ground.

    Corners are joined by geodesics, as QGIS does; only edges of more than 100 km get points
    in between. NaN where a corner cannot be placed on Earth.
    """
    dense = with_short_edges(polygons, crs_length(crs, _LONGEST_EDGE_M))
    rings, polygon_of = shapely.get_rings(dense, return_index=True)
    lonlat = in_degrees(shapely.get_coordinates(rings), crs)
    stops = np.cumsum(shapely.get_num_coordinates(rings))
    lon, lat = lonlat.T
    square_metres = ring_square_metres(lon, lat, stops, ground_of(crs).geod)
    is_hole = np.diff(polygon_of, prepend=-1) == 0
    signed = np.where(is_hole, -square_metres, square_metres) / _M2_PER_HA
    hectares: Floats = np.zeros(len(polygons))
    np.add.at(hectares, polygon_of, signed)
    return Measured(hectares, lonlat, shapely.get_num_coordinates(dense))


def in_degrees(points: Floats, crs: CRS) -> Floats:
    """Points (n, 2) of a CRS as longitudes and latitudes."""
    return np.stack(ground_of(crs).to_lonlat.transform(*points.T), axis=1)


def with_short_edges(polygons: Geometries, longest: float) -> Geometries:
    """Polygons, none of several parts, with points on edges, so that none is over ``longest``.

    Most have no such edge, and are not looked at any more closely.
    """
    may = _with_steps_over(polygons, longest)
    rings, polygon_of = shapely.get_rings(polygons[may], return_index=True)
    # What looked like a long edge may have led from ring to ring.
    may = may[np.unique(polygon_of[_with_steps_over(rings, longest)])]
    dense: Geometries = polygons.copy()
    dense[may] = shapely.segmentize(polygons[may], longest)
    return dense


def _with_steps_over(shapes: Geometries, longest: float) -> NDArray[np.int64]:
    """The indexes of those in which a point may be farther than that from the one before."""
    points, shape_of = shapely.get_coordinates(shapes, return_index=True)
    step = np.abs(np.diff(points, axis=0))
    long = np.flatnonzero(np.maximum(step[:, 0], step[:, 1]) > longest / math.sqrt(2))
    return np.unique(shape_of[long][shape_of[long] == shape_of[long + 1]])


class PixelAreas:
    """The areas of a scene's pixels, and their sums by class as rows pass by.

    The pixels of a column within a few rows are given the same area, interpolated along
    the row that is in the middle. Rows and interpolation are as wide as keeps sums true to
    1e-4: a thousand pixels in a UTM zone, but few rows where degrees of longitude shrink
    towards a pole.
    """

    def __init__(self, transform: Affine, crs: CRS, height: int, width: int) -> None:
        self._transform, self._ground = transform, ground_of(crs)
        self._height, self._width = height, width
        cols = np.array([[0.0], [width // 2], [width - 1]])
        rows = np.array([[0.0], [height // 2], [height - 1]])
        self._step = _step(height, lambda row: _contrast(self.hectares(row, cols)))
        step = _step(width, lambda col: _bend(self.hectares(rows, col)))
        self._nodes = _samples(width, step)
        # At most 255 rows at a time, so that a column's count fits its byte.
        self._block_rows = max(1, min(255, _BLOCK_PX // width))
        # The row whose areas were asked for last, and these: blocks that follow share them.
        self._spoken_for: tuple[float | None, Floats] = None, self._nodes
        self._wholes: dict[int, float] = {}  # hectares of so many such rows

    def hectares(self, row: Floats, col: Floats) -> Floats:
        """Areas of the pixels at broadcast rows and columns; NaN where they are not on Earth.

        Half the cross product of a pixel's diagonals in space: the geodesic area to 1e-4
        for pixels of up to a degree.
        """
        rows, cols = row[..., np.newaxis] + _SOUTH, col[..., np.newaxis] + _EAST
        points = crs_points(self._transform, rows, cols)
        corners = _in_space(*self._ground.to_lonlat.transform(*points), self._ground.geod)
        diagonals = corners[..., 2:, :] - corners[..., :2, :]
        square_metres = _norm(np.cross(diagonals[..., 0, :], diagonals[..., 1, :])) / 2
        return square_metres / _M2_PER_HA

    def count_hectares(
        self, first_row: int, classes: NDArray[np.uint8]
    ) -> dict[int, tuple[int, float]]:
        """Pixels and hectares of each class id present in the rows from ``first_row`` on.

        ``classes`` has shape (rows, cols) and the scene's width. Pixels that are not on
        Earth have no area.
        """
        found: dict[int, tuple[int, float]] = {}
        for middle, rows in self._blocks(first_row, classes):
            if middle != self._spoken_for[0]:
                self._spoken_for, self._wholes = (middle, self.by_column(middle)), {}
            if is_uniform(rows):
                pixels, hectares = found.get(int(rows[0, 0]), (0, 0.0))
                whole = pixels + rows.size, hectares + self._whole(len(rows))
                found[int(rows[0, 0])] = whole
                continue
            for class_id, by_col in _counts(rows):
                pixels, hectares = found.get(class_id, (0, 0.0))
                pixels += int(by_col.sum(dtype=np.int64))
                found[class_id] = pixels, hectares + float((by_col * self._spoken_for[1]).sum())
        return found

    def _whole(self, count: int) -> float:
        if count not in self._wholes:
            self._wholes[count] = float((np.uint8(count) * self._spoken_for[1]).sum())
        return self._wholes[count]

    def by_column(self, row: float) -> Floats:
        """Areas of the pixels of a row, interpolated; 0 where they are not on Earth."""
        nodes = self.hectares(np.array(row), self._nodes)
        return np.nan_to_num(np.interp(np.arange(self._width), self._nodes, nodes))

    def _blocks(
        self, first_row: int, classes: NDArray[np.uint8]
    ) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """The rows in blocks of like areas, each with the row that speaks for it.

        That row does not depend on where the rows were cut before they came here.
        """
        row, stop = first_row, first_row + len(classes)
        while row < stop:
            top = row // self._step * self._step
            bottom = min(top + self._step, self._height)
            end = min(stop, bottom, row + self._block_rows)
            yield (top + bottom - 1) / 2, classes[row - first_row : end - first_row]
            row = end


def _counts(rows: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Each class id in at most 255 rows, from the least on, and how often columns have it."""
    left, at_least = rows.size, 0
    while left:
        # What was counted wraps around, to the far end: a quarter of the time of bincount.
        class_id = at_least + int((rows - np.uint8(at_least)).min())
        by_col = (rows == class_id).view(np.uint8).sum(axis=0, dtype=np.uint8)
        left -= int(by_col.sum(dtype=np.int64))
        at_least = class_id + 1
        yield class_id, by_col


def _step(length: int, error: Callable[[Floats], float]) -> int:
    """The largest power of two at which samples that far apart are good enough.

    ``error`` judges from one more sample between each two. Where one is not on Earth (its
    area is NaN) no step is good enough.
    """
    step = _LONGEST_STEP
    while step > 1:
        if error(_samples(length, step, between=1)) <= _TOLERANCE:
            break
        step //= 2
    return step


def _contrast(areas: Floats) -> float:
    """How far each sample is from the next one, at most, as a share; or NaN."""
    return float(np.max(np.abs(np.diff(areas)) / areas[:, 1:], initial=0))


def _bend(areas: Floats) -> float:
    """How far each sample is from the mean of its neighbours, at most, as a share; or NaN."""
    return float(np.max(np.abs(np.diff(areas, 2)) / areas[:, 1:-1], initial=0) / 2)


def _samples(length: int, step: int, between: int = 0) -> Floats:
    """Even samples from the first pixel to the last, at most ``step`` apart, and some between."""
    return np.linspace(0, length - 1, math.ceil((length - 1) / step) * (1 + between) + 1)


def _norm(vectors: Floats) -> Floats:
    lengths: Floats = np.sqrt((vectors**2).sum(axis=-1))
    return lengths


def _in_space(lon: Floats, lat: Floats, geod: pyproj.Geod) -> Floats:
    """Metres from the centre, shape (..., 3), of points on an ellipsoid."""
    on_earth = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = (np.radians(np.where(on_earth, angle, np.nan)) for angle in (lon, lat))
    to_axis = geod.a / np.sqrt(1 - geod.es * np.sin(lat) ** 2)
    return np.stack(
        [
            to_axis * np.cos(lat) * np.cos(lon),
            to_axis * np.cos(lat) * np.sin(lon),
            to_axis * (1 - geod.es) * np.sin(lat),
        ],
        axis=-1,
    )
