"""How high the sun stood over a scene that a morning satellite took.

Knows dates, places and grids; opens nothing.
"""

from __future__ import annotations

import math
from datetime import date as Date

import pyproj
from pyproj.exceptions import ProjError

from geodeforest.geo.ground import pyproj_crs
from geodeforest.geo.profile import Grid, corner

MORNING = 10.2
"""The mean local solar time, in hours, at which Landsat 8 and 9 pass the equator (USGS)."""


def sun_over(grid: Grid, day: str) -> float | None:
    """The sun's height in degrees at a grid's centre on a morning; None where it has no place."""
    if grid.crs is None:
        return None
    x, y = corner(grid.transform, grid.height / 2, grid.width / 2)
    try:
        known = pyproj_crs(grid.crs)
        to_lonlat = pyproj.Transformer.from_crs(known, "EPSG:4326", always_xy=True)
        _, lat = to_lonlat.transform(x, y, errcheck=True)
    except ProjError:
        return None
    return sun_degrees(lat, day) if abs(lat) <= 90 else None


def sun_degrees(lat: float, day: str, hour: float = MORNING) -> float:
    """The sun's height in degrees at a latitude, an ISO 8601 date and a local solar time.

    The declination by Cooper's formula (1969, Solar Energy 12), true to half a degree.
    """
    days = Date.fromisoformat(day).timetuple().tm_yday
    declination = math.radians(23.45) * math.sin(math.tau * (284 + days) / 365)
    hour_angle = math.radians(15 * (hour - 12))
    here = math.radians(lat)
    sine = math.sin(here) * math.sin(declination)
    sine += math.cos(here) * math.cos(declination) * math.cos(hour_angle)
    return math.degrees(math.asin(sine))
