"""Whether a raster's pixels can be placed on the ground, and what to do where they cannot.

Knows CRS and geotransforms; opens nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from affine import Affine
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geodeforest.errors import NotGeoreferenced, OptionError
from geodeforest.geo.ground import pyproj_crs
from geodeforest.geo.profile import SceneProfile, ground_sample_distance

LocatedBy: TypeAlias = Literal["points", "polynomials"] | None
"""What else may say where a raster lies: ground control points or rational polynomials."""

_REACH = 1e9  # units of a CRS; Jupiter is 4.5e8 metres around, the Earth 1.3e8 feet


def scene_gsd(transform: Affine, crs: CRS | None, height: int, width: int) -> float | None:
    """The ground sample distance in metres; None without a usable CRS and geotransform."""
    if crs is None or is_default(transform):
        return None
    return ground_sample_distance(transform, crs, height, width)


def is_default(transform: Affine) -> bool:
    """Whether this is what GDAL and others give a raster without a geotransform."""
    return tuple(transform)[:6] in {(1, 0, 0, 0, 1, 0), (1, 0, 0, 0, -1, 0)}


def with_crs(profile: SceneProfile, asked: object) -> SceneProfile:
    """The same scene in the CRS that a user says it has, such as "EPSG:32721".

    A CRS that the scene has already stays, unless it is a local one that has no place on
    the ground.

    Raises:
        OptionError: the CRS is unknown, or the scene has another one.
    """
    try:
        crs = CRS.from_user_input(asked)
    except (CRSError, ValueError) as error:
        raise OptionError(
            f"--assign-crs {asked}: no such CRS is known; give for example EPSG:32721"
        ) from error
    if profile.crs is not None and profile.crs != crs and not _is_local(profile.crs):
        raise OptionError(
            f"{profile.path}: --assign-crs names {crs.to_string()[:80]} but the scene is in "
            f"{profile.crs.to_string()[:80]}; leave it out, or warp the scene if you want another"
        )
    gsd_m = scene_gsd(profile.transform, crs, profile.height, profile.width)
    return replace(profile, crs=crs, gsd_m=gsd_m)


def _is_local(crs: CRS) -> bool:
    try:
        return bool(pyproj_crs(crs).is_engineering)
    except ProjError:  # of which PROJ can make nothing
        return True


def _within_reach(profile: SceneProfile) -> bool:
    """Whether all corners have coordinates that a CRS can have."""
    a, b, c, d, e, f, *_ = profile.transform
    height, width = profile.height, profile.width
    corners = [(row, col) for row in (0, height) for col in (0, width)]
    return all(
        abs(a * col + b * row + c) < _REACH and abs(d * col + e * row + f) < _REACH
        for row, col in corners
    )


def check_georeference(profile: SceneProfile, located_by: LocatedBy) -> None:
    """Refuse a raster whose pixels have no place on the ground.

    Raises:
        NotGeoreferenced: without CRS or geotransform, or with one that leads nowhere.
    """
    missing = None
    remedy = 'write it into the file, for example with rio edit-info FILE --transform "[...]"'
    if is_default(profile.transform):
        missing = "geotransform"
        if located_by == "points":
            missing += " (only ground control points)"
            remedy = "warp it first, for example with rio warp FILE OUT.tif --dst-crs EPSG:n"
        elif located_by == "polynomials":
            missing += " (only rational polynomials)"
            remedy = "orthorectify it first, for example with GDAL's gdalwarp -rpc"
    elif profile.transform.is_degenerate:
        missing = "usable geotransform (its pixels have no area)"
    elif not _within_reach(profile):
        missing = "usable geotransform (its corners lie beyond any planet)"
    elif profile.crs is None:
        missing = "CRS"
        remedy = "pass --assign-crs EPSG:n, the CRS that its coordinates are in"
    elif profile.gsd_m is None:
        missing = "CRS that can be placed on Earth"
        remedy = "warp it first, for example with rio warp FILE OUT.tif --dst-crs EPSG:n"
        if _is_local(profile.crs):
            remedy = "pass --assign-crs EPSG:n if you know in which CRS its coordinates are"
    if missing is not None:
        raise NotGeoreferenced(profile.path, missing, remedy)
