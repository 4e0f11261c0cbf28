"""Areas of rings whose corners are joined by geodesics, all rings at once.

Knows ellipsoids, longitudes and latitudes; nothing of polygons or CRS.

From a meridian eastwards, the area between equator and an edge is the integral of ``y`` over
the longitude, where ``y`` is the area between equator and latitude per radian (Snyder 1987, Map
projections, equation 3-12). The trapezoid of an edge's ends lacks -y'' d^3 / 12. By Clairaut's
rule r sin(azimuth) is constant along a geodesic, r being the distance from the axis; so y' is
r^2 cot(azimuth), and y'' is -r^2 sin(latitude) (1 + 3 cot^2(azimuth)). What is left out is of
the fifth order: under a square centimetre for an edge of ``_LONGEST``.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pyproj
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

_LONGEST = 3e-4
"""Radians of longitude or latitude, 1.9 km; longer edges are measured one by one."""


def ring_square_metres(
    lon: Floats, lat: Floats, stops: NDArray[np.int64], geod: pyproj.Geod
) -> Floats:
    """Areas, never negative, of closed rings of degrees that lie one after the other.

    ``stops`` are where each ends. NaN where a corner is not finite.
    """
    if not len(stops):
        return np.empty(0)
    starts = np.concatenate([[0], stops[:-1]])
    east, north = (np.where(np.isfinite(v), np.radians(v), np.nan) for v in (lon, lat))
    found, longest = _short_edged(east, north, starts, geod)
    # Said this way, what is not finite goes there, too.
    for ring in np.flatnonzero(~(longest <= _LONGEST)).tolist():
        part = slice(starts[ring], stops[ring])
        found[ring] = geod.polygon_area_perimeter(lon[part], lat[part])[0]
    return np.abs(found)


def _short_edged(
    lon: Floats, lat: Floats, starts: NDArray[np.int64], geod: pyproj.Geod
) -> tuple[Floats, Floats]:
    """Areas of rings of radians, and the longest step of each in longitude or latitude."""
    sine = np.sin(lat)
    east, north = np.diff(lon, append=lon[-1]), np.diff(lat, append=lat[-1])
    east[starts[1:] - 1] = north[starts[1:] - 1] = 0  # no edge leads from ring to ring
    longest = np.maximum.reduceat(np.maximum(np.abs(east), np.abs(north)), starts)

    y = _to_equator(sine, geod)
    # From the latitude of the ring's first corner: small numbers keep their digits.
    y -= y[starts].repeat(np.diff(starts, append=len(y)))
    middle = (sine + np.append(sine[1:], sine[-1])) / 2
    flat = 1 - geod.es * middle**2
    meridian = geod.a * (1 - geod.es) / flat**1.5 * north
    parallel_squared = geod.a**2 * (1 - middle**2) / flat * east**2
    bend = middle * (parallel_squared + 3 * meridian**2) / 12
    pieces = east * ((y + np.append(y[1:], y[-1])) / 2 + bend)
    return np.add.reduceat(pieces, starts), longest


def _to_equator(sine: Floats, geod: pyproj.Geod) -> Floats:
    """The area between the equator and latitudes per radian of longitude, square metres."""
    eccentricity = np.sqrt(geod.es)
    curved = np.arctanh(eccentricity * sine) / eccentricity if geod.es > 0 else sine
    area: Floats = geod.a**2 * (1 - geod.es) / 2 * (sine / (1 - geod.es * sine**2) + curved)
    return area
