"""Whether a raster's pixels can be placed on the ground, and what to do where they cannot.

Knows CRS and geotransforms; opens nothing.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from affine import Affine
from rasterio.crs import CRS

from geodeforest.errors import NotGeoreferenced
from geodeforest.geo.profile import SceneProfile, ground_sample_distance

LocatedBy: TypeAlias = Literal["points", "polynomials"] | None
"""What else may say where a raster lies: ground control points or rational polynomials."""


def scene_gsd(transform: Affine, crs: CRS | None, height: int, width: int) -> float | None:
    """The ground sample distance in metres; None without a usable CRS and geotransform."""
    if crs is None or is_default(transform):
        return None
    return ground_sample_distance(transform, crs, height, width)


def is_default(transform: Affine) -> bool:
    """Whether this is what GDAL and others give a raster without a geotransform."""
    return tuple(transform)[:6] in {(1, 0, 0, 0, 1, 0), (1, 0, 0, 0, -1, 0)}


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
    elif profile.crs is None:
        missing = "CRS"
        remedy = "write it into the file, for example with rio edit-info FILE --crs EPSG:n"
    elif profile.gsd_m is None:
        missing = "CRS that can be placed on Earth"
        remedy = "warp it first, for example with rio warp FILE OUT.tif --dst-crs EPSG:n"
    if missing is not None:
        raise NotGeoreferenced(profile.path, missing, remedy)
