"""Where chips lie on Earth, and which of them show the same ground, whatever their CRS.

Knows grids and CRS; nothing of records or groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyproj
import shapely
from affine import Affine
from numpy.typing import NDArray

_POINTS = 8
"""Points per side: what is straight in a projected CRS bends in degrees."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The rows and columns (start, stop) of a chip that show ground, on its grid.

    ``transform`` are six affine numbers a..f; ``crs`` is empty where it is not known.
    """

    crs: str
    transform: tuple[float, ...]
    rows: tuple[int, int]
    cols: tuple[int, int]

    def polygon(self) -> shapely.Polygon | None:
        """Its outline half a pixel inside, in degrees; None where it has no place on Earth.

        Longitudes go on beyond 180 where it crosses the antimeridian.
        """
        affine = Affine(*self.transform)
        crs = _crs(self.crs)
        if crs is None or affine.is_identity or affine.determinant == 0:
            return None
        (top, bottom), (left, right) = self.rows, self.cols
        ring = _outline(top + 0.5, left + 0.5, bottom - 0.5, right - 0.5)
        x = affine.a * ring[:, 0] + affine.b * ring[:, 1] + affine.c
        y = affine.d * ring[:, 0] + affine.e * ring[:, 1] + affine.f
        lon, lat = _to_degrees(self.crs).transform(x, y)
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            return None
        if np.ptp(lon) > 180:
            lon = np.where(lon < 0, lon + 360, lon)
        return shapely.Polygon(np.stack([lon, lat], axis=1))


def overlaps(polygons: Sequence[shapely.Polygon | None]) -> Iterator[tuple[int, int]]:
    """Pairs (lesser, greater index) of polygons that share ground, in order.

    Chips that only touch do not: they are half a pixel smaller all round.
    """
    placed = [(number, some) for number, some in enumerate(polygons) if some is not None]
    # What lies beyond 180 degrees is looked for under its other name, too.
    placed += [
        (number, shapely.transform(some, lambda points: points - (360, 0)))
        for number, some in placed
        if some.bounds[2] > 180
    ]
    if not placed:
        return
    shapes = [some for _, some in placed]
    found = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = np.sort(np.array([number for number, _ in placed])[found], axis=0)
    for one, other in np.unique(pairs[:, pairs[0] < pairs[1]], axis=1).T:
        yield int(one), int(other)


def _outline(top: float, left: float, bottom: float, right: float) -> NDArray[np.float64]:
    """Points (n, 2) as (col, row) along the sides of a rectangle of pixels."""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    share = np.linspace(0, 1, _POINTS, endpoint=False)[:, np.newaxis]
    sides = [
        a + share * (b - a) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)
    ]
    return np.concatenate(sides)


@lru_cache(maxsize=256)
def _crs(text: str) -> pyproj.CRS | None:
    try:
        return pyproj.CRS.from_user_input(text) if text else None
    except pyproj.exceptions.CRSError:
        return None


@lru_cache(maxsize=256)
def _to_degrees(text: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(_crs(text), "EPSG:4326", always_xy=True)
