"""The ground under a CRS: longitudes and latitudes, and the ellipsoid on which to measure.

On Earth that is WGS 84, whatever the CRS; on another planet or moon the CRS's own ellipsoid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pyproj
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

WGS84 = pyproj.Geod(ellps="WGS84")

_SAME_BODY = 0.01  # of the radius; Earth's ellipsoids differ by less than 0.001


@dataclass(frozen=True, slots=True)
class Ground:
    """What takes (x, y) of a CRS to degrees (longitude, latitude), and geodesics in these."""

    to_lonlat: pyproj.Transformer
    geod: pyproj.Geod
    is_earth: bool


@lru_cache(maxsize=32)
def ground_of(crs: CRS) -> Ground:
    """The ground under a CRS.

    Raises:
        pyproj.exceptions.ProjError: a local grid, one in space, or one that PROJ cannot place.
    """
    known = pyproj_crs(crs)
    if known.is_geocentric:
        raise ProjError("a geocentric CRS has no longitudes and latitudes of its own")
    try:
        to_lonlat = pyproj.Transformer.from_crs(known, "EPSG:4326", always_xy=True)
        return Ground(to_lonlat, WGS84, is_earth=True)
    except ProjError:
        own, geod = known.geodetic_crs, _geod_of(known)
        if own is None or geod is None or abs(geod.a / WGS84.a - 1) < _SAME_BODY:
            raise
        return Ground(pyproj.Transformer.from_crs(known, own, always_xy=True), geod, is_earth=False)


def _geod_of(crs: pyproj.CRS) -> pyproj.Geod | None:
    """The CRS's own ellipsoid, if it has one that measures anything."""
    try:
        return crs.get_geod()
    except ZeroDivisionError:  # a damaged file's ellipsoid without an axis
        return None


def is_on_earth(crs: CRS) -> bool:
    """Whether a CRS gives longitudes and latitudes on WGS 84."""
    try:
        return ground_of(crs).is_earth
    except ProjError:
        return False


def pyproj_crs(crs: CRS) -> pyproj.CRS:
    """The same CRS for pyproj, which carries its own PROJ: handed over as WKT 2 text.

    Raises:
        pyproj.exceptions.CRSError: a local CRS that PROJ cannot read.
    """
    return pyproj.CRS.from_wkt(crs.to_wkt(version="WKT2_2019"))
