"""Where a scene lies on Earth and what its file says of itself.

Values and arithmetic on CRS and geotransform. Knows no pixels, opens no file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date as Date
from typing import Protocol

from affine import Affine
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from geodeforest.core.reflectance import Product
from geodeforest.core.simplify import PixelMetric
from geodeforest.geo.ground import ground_of

_RIGHT_ANGLE = 1e-3  # of a cosine

# The time of the image first; TIFFTAG_DATETIME is last, since many programs put the
# time of writing there.
_DATE_TAGS = (
    "ACQUISITION_DATE",
    "ACQUISITIONDATETIME",  # GDAL's IMAGERY domain
    "DATE_ACQUIRED",
    "SENSING_TIME",
    "PRODUCT_START_TIME",
    "DATATAKE_1_DATATAKE_SENSING_START",
    "TIFFTAG_DATETIME",
)
_DATE = re.compile(r"\s*(\d{4})([-:/]?)(\d{2})\2(\d{2})(?!\d)")


class Grid(Protocol):
    """A pixel grid, such as a ``SceneProfile``."""

    @property
    def height(self) -> int:
        """Rows."""
        ...

    @property
    def width(self) -> int:
        """Columns."""
        ...

    @property
    def transform(self) -> Affine:
        """From (col, row) pixel corners to CRS coordinates."""
        ...

    @property
    def crs(self) -> CRS | None:
        """None where unknown."""
        ...


@dataclass(frozen=True, slots=True)
class SceneProfile:
    """What is known of an open scene beside its pixels.

    ``bands`` names the selected bands in reading order. ``transform`` takes (col, row)
    pixel corners to CRS coordinates. ``gsd_m`` is None where the grid has no place on
    the ground. ``date`` is the image's ISO 8601 date. ``block`` is (rows, cols) of the
    file's own blocks. ``product`` is what a known product's metadata say, ``files`` are all
    that pixels are read from.
    """

    name: str
    path: str
    height: int
    width: int
    transform: Affine
    crs: CRS | None
    dtype: str
    bands: tuple[str, ...]
    gsd_m: float | None
    date: str | None
    block: tuple[int, int]
    product: Product | None = None
    files: tuple[str, ...] = ()

    @property
    def rotated(self) -> bool:
        """Whether rows or columns run askew to the CRS axes (rotation or shear)."""
        return is_rotated(self.transform)

    @property
    def is_north_up(self) -> bool:
        """Whether rows run southwards and columns eastwards."""
        return not self.rotated and self.transform.a > 0 and self.transform.e < 0


def is_rotated(transform: Affine) -> bool:
    """Whether a grid is rotated or sheared by more than a billionth of a pixel per pixel."""
    pixel = max(abs(transform.a), abs(transform.e))
    return bool(max(abs(transform.b), abs(transform.d)) > 1e-9 * pixel)


def corner(transform: Affine, row: float, col: float) -> tuple[float, float]:
    """CRS coordinates (x, y) of a pixel corner."""
    # Spelt out, because affine 2 knows only `*` for this and affine 3 warns of it.
    x = transform.a * col + transform.b * row + transform.c
    y = transform.d * col + transform.e * row + transform.f
    return x, y


SAME_PLACE_PX = 0.05
"""Grids whose corners differ by less are one grid, written by different programs."""


def same_place(one: Affine, other: Affine, height: int, width: int) -> bool:
    """Whether two geotransforms put the corners of a grid in the same places."""
    to_pixels = ~other
    for row, col in ((r, c) for r in (0, height) for c in (0, width)):
        x, y = corner(one, row, col)
        found_col, found_row = corner(to_pixels, y, x)
        if max(abs(found_row - row), abs(found_col - col)) > SAME_PLACE_PX:
            return False
    return True


def same_grid(one: Grid, other: Grid) -> bool:
    """Whether two rasters have the same pixels: size, CRS and place."""
    if (one.height, one.width, one.crs) != (other.height, other.width, other.crs):
        return False
    if one.transform == other.transform:
        return True
    flat = one.transform.is_degenerate or other.transform.is_degenerate
    return not flat and same_place(one.transform, other.transform, one.height, one.width)


def shifted(transform: Affine, row: int, col: int) -> Affine:
    """The geotransform of the part of a grid that begins at pixel (row, col)."""
    x, y = corner(transform, row, col)
    return Affine(transform.a, transform.b, x, transform.d, transform.e, y)


def ground_sample_distance(transform: Affine, crs: CRS, height: int, width: int) -> float | None:
    """Metres on the ground per pixel, at the centre of a grid of ``height`` x ``width``.

    The mean of the geodesic lengths of the central pixel's two sides on the ellipsoid of
    ``ground_of``, whatever the units of the CRS. None where the CRS is a local grid, has
    three axes in space, or does not reach the scene's centre.
    """
    pixel = pixel_metric(transform, crs, height, width)
    return None if pixel is None else (pixel.row + pixel.col) / 2


def pixel_metric(transform: Affine, crs: CRS, height: int, width: int) -> PixelMetric | None:
    """The geodesic lengths of the central pixel's sides, and the angle between them.

    None where ``ground_sample_distance`` is.
    """
    col, row = width / 2, height / 2
    corners = [corner(transform, *at) for at in ((row, col), (row, col + 1), (row + 1, col))]
    xs, ys = zip(*corners, strict=True)
    try:
        ground = ground_of(crs)
        lons, lats = ground.to_lonlat.transform(xs, ys, errcheck=True)
        azimuths, _, sides = ground.geod.inv([lons[0]] * 2, [lats[0]] * 2, lons[1:], lats[1:])
    except ProjError:
        return None
    col, row = sides
    if not (math.isfinite(col + row) and min(col, row) > 0):
        return None
    turn = math.cos(math.radians(azimuths[1] - azimuths[0]))
    # The geodesics of a right angle on the map are not at right angles to the last bit.
    return PixelMetric(row, col, 0.0 if abs(turn) < _RIGHT_ANGLE else turn)


def grid_metric(transform: Affine, crs: CRS, height: int, width: int) -> PixelMetric:
    """``pixel_metric``, or the sides of a grid without a place in units of its CRS."""
    found = pixel_metric(transform, crs, height, width)
    if found is not None:
        return found
    col = math.hypot(transform.a, transform.d)
    row = math.hypot(transform.b, transform.e)
    turn = (transform.a * transform.b + transform.d * transform.e) / (row * col)
    return PixelMetric(row, col, turn)


def image_date(tags: Iterable[Mapping[str, str]]) -> str | None:
    """The ISO 8601 date on which the image was taken, from the file's tags."""
    found = {key.upper(): value for some in tags for key, value in some.items()}
    for key in _DATE_TAGS:
        if (day := iso_date(found.get(key, ""))) is not None:
            return day
    return None


def iso_date(text: str) -> str | None:
    """The ISO 8601 date at the beginning of a text such as "20200701T140051"; None without."""
    if (match := _DATE.match(text)) is None:
        return None
    year, _, month, day = match.groups()
    try:
        return Date(int(year), int(month), int(day)).isoformat()
    except ValueError:  # 0000:00:00 is what a camera without a clock writes
        return None
