"""Polygons with one attribute, read from a vector file and brought to a scene's CRS.

Knows OGR's files, layers and fields. Nothing of classes or pixels: values come out as
the file holds them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyogrio
import pyogrio.raw
import pyproj
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj.exceptions import CRSError, ProjError

from geodeforest.core.options import OpenRules
from geodeforest.errors import LabelMismatch, SceneUnreadable
from geodeforest.geo.ground import pyproj_crs
from geodeforest.geo.opening import RULES
from geodeforest.geo.places import bounds
from geodeforest.geo.profile import Grid
from geodeforest.geo.vector_files import ogr_name, without_place

_REMEDY = "give GeoTIFF, PNG, GeoJSON, GeoPackage, FlatGeobuf or Shapefile (.shp)"
_POLYGONAL = (3, 6)  # shapely's type ids of Polygon and MultiPolygon


@dataclass(frozen=True, eq=False)
class Polygons:
    """Shapes in the scene's CRS, and the attribute's value of each."""

    shapes: NDArray[np.object_]
    values: Sequence[object]


def read_polygons(
    path: str | os.PathLike[str], grid: Grid, field: str | None, rules: OpenRules = RULES
) -> Polygons:
    """The polygons near a scene, in file order, in the scene's CRS.

    Features without a geometry are skipped. Outlines that cross themselves are taken by
    the even-odd rule when they are burnt.

    Raises:
        SceneUnreadable: not GeoJSON, GeoPackage, FlatGeobuf or Shapefile, or damaged.
        LabelMismatch: no such attribute, no CRS, or other geometries than polygons.
    """
    name = ogr_name(Path(path), "labels", _REMEDY, rules)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is refused below
            layer, crs = _layer_with(field, name, path)
            if grid.crs is None:
                why = "holds polygons, but the scene has no CRS to place them by"
                raise LabelMismatch(path, why, "give a georeferenced scene")
            to_layer = pyproj.Transformer.from_crs(pyproj_crs(grid.crs), crs, always_xy=True)
            _, _, wkb, columns = pyogrio.raw.read(
                name, layer=layer, columns=[field], bbox=_search_box(grid, to_layer)
            )
            shapes = shapely.from_wkb(wkb)
    except (
        *(DataSourceError, DataLayerError, shapely.errors.GEOSException, CRSError),
        UnicodeDecodeError,  # pyogrio takes names of attributes and layers for UTF-8
    ) as error:
        why = f"cannot be read as polygons ({_first_line(error, Path(path))})"
        raise SceneUnreadable(path, why, "repair or export the file again") from error
    present = np.array([s is not None and not s.is_empty for s in shapes], bool)
    shapes, values = shapes[present], columns[0][present].tolist()
    _refuse_others(path, shapes)
    return Polygons(_reprojected(path, shapes, to_layer), values)


def _layer_with(field: str | None, name: str, path: object) -> tuple[str, pyproj.CRS]:
    infos: list[Mapping[str, Any]] = [
        pyogrio.read_info(name, layer=layer)
        for layer, geometry in pyogrio.list_layers(name)
        if geometry is not None
    ]
    fields = sorted({str(each) for info in infos for each in info["fields"]})
    listed = ", ".join(fields) or "none"
    if field is None:
        why = "holds polygons, and no attribute with their class was named"
        raise LabelMismatch(path, why, f"pass --label-field, one of: {listed}")
    fitting = [info for info in infos if field in info["fields"]]
    if len(fitting) != 1:
        why = f"has {len(fitting)} layers with an attribute {field!r}"
        raise LabelMismatch(path, why, f"pass --label-field, one of: {listed}; in a single layer")
    if fitting[0]["crs"] is None:
        raise LabelMismatch(path, "has no CRS", "write it into the file, for example in QGIS")
    return str(fitting[0]["layer_name"]), pyproj.CRS.from_user_input(fitting[0]["crs"])


def _search_box(
    grid: Grid, to_layer: pyproj.Transformer
) -> tuple[float, float, float, float] | None:
    try:
        left, bottom, right, top = to_layer.transform_bounds(
            *bounds(grid.transform, grid.height, grid.width), densify_pts=21
        )
    except ProjError:
        return None
    # Across the antimeridian left is greater than right: then all features are read.
    finite = bool(np.isfinite([left, bottom, right, top]).all())
    return (left, bottom, right, top) if finite and left < right else None


def _refuse_others(path: object, shapes: NDArray[np.object_]) -> None:
    kinds = {shape.geom_type for shape in shapes if shapely.get_type_id(shape) not in _POLYGONAL}
    if kinds:
        why = f"holds {' and '.join(sorted(kinds))} geometries"
        raise LabelMismatch(path, why, "give polygons alone")


def _reprojected(
    path: object, shapes: NDArray[np.object_], to_layer: pyproj.Transformer
) -> NDArray[np.object_]:
    def to_scene(points: NDArray[np.float64]) -> NDArray[np.float64]:
        xs, ys = to_layer.transform(points[:, 0], points[:, 1], direction="INVERSE")
        return np.column_stack([xs, ys])

    moved = cast("NDArray[np.object_]", shapely.transform(shapes, to_scene))
    if len(moved) and not np.isfinite(shapely.bounds(moved)).all():
        why = "has coordinates that the scene's CRS cannot hold"
        raise LabelMismatch(path, why, "check the CRS of the labels and the order of lon and lat")
    return moved


def _first_line(error: Exception, path: Path) -> str:
    said = next(iter(str(error).splitlines()), type(error).__name__)
    return without_place(said, path).rstrip(". ")
