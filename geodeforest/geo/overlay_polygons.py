"""Polygons laid over a scene's grid: read, checked, brought to its pixels and burnt by window.

Knows OGR's files and layers; nothing of attributes, nor of what the polygons are for. Bad
ones are refused, not repaired: what was meant is not to be guessed.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pyogrio
import pyogrio.raw
import pyproj
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj.exceptions import CRSError
from rasterio.features import rasterize

from geodeforest.core.grid import Window
from geodeforest.core.options import OpenRules
from geodeforest.errors import LimitUnusable, SceneUnreadable
from geodeforest.geo.ground import pyproj_crs
from geodeforest.geo.opening import RULES, cause
from geodeforest.geo.places import Box, search_box, turned
from geodeforest.geo.profile import Grid, ground_sample_distance
from geodeforest.geo.vector_files import ogr_name, without_place

Shapes: TypeAlias = NDArray[np.object_]

_DRIVERS = ("GeoJSON", "GPKG", "FlatGeobuf", "ESRI Shapefile")
_POLYGONAL = (3, 6)  # shapely's type ids of Polygon and MultiPolygon
_REMEDY = "give GeoTIFF, JPEG 2000, GeoJSON, GeoPackage, FlatGeobuf or Shapefile (.shp)"
_EMPTY = "holds no polygon", "give one, or leave the option out"

# Places in pixels are whole numbers of these. So a window's own numbering, which begins
# elsewhere, moves them without an error, and windows agree on what lies on a pixel's centre.
_PARTS_OF_PX = 1024
_SAGITTA_PX = 0.1  # how far a straight edge may be from the bent one it stands for
_EARTH_M = 6.4e6


class PolygonOverlay:
    """Polygons over a scene."""

    date: str | None = None

    def __init__(
        self, path: str | os.PathLike[str], grid: Grid, what: str, rules: OpenRules = RULES
    ) -> None:
        name = ogr_name(Path(path), "polygons", _REMEDY, rules)
        shapes, self.notes = _read(path, name, grid, what)
        self._shapes = _in_pixels(path, shapes, grid)
        self._tree = shapely.STRtree(self._shapes)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """1 where a polygon holds the pixel's centre, else 0; shape (rows, cols)."""
        row, col, shape = window.row, window.col, (window.height, window.width)
        near = self._tree.query(_box(window))
        if not near.size:
            return np.zeros(shape, np.uint8)
        burnt: NDArray[np.uint8] = rasterize(
            self._shapes[np.sort(near)],
            out_shape=shape,
            transform=Affine(1, 0, col, 0, 1, row),
            dtype="uint8",
        )
        return burnt

    def may_hold(self, window: Window) -> bool:
        """Whether a polygon touches a window, which may leave the scene."""
        return bool(self._tree.query(_box(window), predicate="intersects").size)


def _box(window: Window) -> shapely.Polygon:
    row, col = window.row, window.col
    return shapely.box(col, row, col + window.width, row + window.height)


def _read(
    path: str | os.PathLike[str], name: str, grid: Grid, what: str
) -> tuple[Shapes, tuple[str, ...]]:
    """The valid polygons near a scene in its CRS, and remarks on the file.

    ``name`` is what OGR calls it.

    Raises:
        SceneUnreadable: it is damaged.
        LimitUnusable: no CRS, no overlap, or other geometries than valid polygons.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is refused below
            info = _only_layer(name, path)
            crs = _crs(path, info)
            box = search_box(grid, pyproj_crs(cast(Any, grid.crs)), crs)
            _check_extent(path, info, crs, box, what)
            # GeoJSON is read whole anyway, and so nothing bad in it is passed over.
            everything = info["driver"] == "GeoJSON" or box is None or turned(crs, box) != [box]
            _, fids, wkb, _ = pyogrio.raw.read(
                name,
                layer=info["layer_name"],
                columns=[],
                bbox=None if everything else box,
                return_fids=True,
            )
            shapes = shapely.from_wkb(wkb)
    except (
        *(DataSourceError, DataLayerError, shapely.errors.GEOSException),
        UnicodeDecodeError,  # pyogrio takes names of attributes and layers for UTF-8
    ) as error:
        why = f"cannot be read as polygons ({_reason(error, Path(path))})"
        raise SceneUnreadable(path, why, "repair or export the file again") from error
    present = np.array([s is not None and not s.is_empty for s in shapes], bool)
    if everything and not present.any():
        raise LimitUnusable(path, *_EMPTY)
    notes = _notes(Path(path), info, crs, int((~present).sum()))
    shapes = shapes[present]
    _refuse_others(path, shapes)
    _refuse_invalid(path, shapes, fids[present])
    return _brought(path, shapes, grid, crs, box), notes


def _reason(error: Exception, path: Path) -> str:
    # Without OGR's advice, which is for those who call it.
    said, _, _ = cause(error).partition("; It might help")
    return without_place(said, path).rstrip(". ")


def _only_layer(name: str, path: object) -> dict[str, Any]:
    found = [layer for layer, geometry in pyogrio.list_layers(name) if geometry is not None]
    if len(found) != 1:
        listed = f" ({', '.join(map(str, found))})" if found else ""
        why = f"has {len(found)} layers with geometries{listed}"
        raise LimitUnusable(path, why, "give a file with a single layer of polygons")
    info: dict[str, Any] = pyogrio.read_info(name, layer=found[0], force_total_bounds=True)
    if info["driver"] not in _DRIVERS:
        raise SceneUnreadable(path, f"is a file of OGR's driver {info['driver']}", _REMEDY)
    if info["features"] == 0:
        raise LimitUnusable(path, *_EMPTY)
    return info


def _crs(path: object, info: dict[str, Any]) -> pyproj.CRS:
    if info["crs"] is None:
        raise LimitUnusable(path, "has no CRS", "write it into the file, for example in QGIS")
    try:
        crs = pyproj.CRS.from_user_input(info["crs"])
    except CRSError as error:
        why = f"has a CRS that is not known ({cause(error)})"
        raise LimitUnusable(path, why, "export it in longitude and latitude") from error
    bounds = info["total_bounds"]
    if crs.is_geographic and bounds is not None:
        west, south, east, north = bounds
        if min(west, south + 270) < -360 or max(east, north + 270) > 360 + 1e-6:
            why = f"has coordinates that are no degrees ({west:g}, {south:g})"
            raise LimitUnusable(path, why, "are they metres? write their CRS into the file")
    return crs


def _check_extent(
    path: object, info: dict[str, Any], crs: pyproj.CRS, box: Box | None, what: str
) -> None:
    bounds = info["total_bounds"]
    if box is None or bounds is None or not np.isfinite(bounds).all():
        return
    west, south, east, north = bounds
    for left, bottom, right, top in turned(crs, box):
        if left <= east and west <= right and bottom <= north and south <= top:
            return
    remedy = f"are its coordinates swapped? else leave --{what} out"
    raise LimitUnusable(path, "does not overlap the scene", remedy)


def _refuse_others(path: object, shapes: Shapes) -> None:
    kinds = {shape.geom_type for shape in shapes if shapely.get_type_id(shape) not in _POLYGONAL}
    if kinds:
        why = f"holds {' and '.join(sorted(kinds))} geometries"
        raise LimitUnusable(path, why, "give polygons alone")


def _refuse_invalid(path: object, shapes: Shapes, fids: NDArray[np.int64]) -> None:
    wrong = np.flatnonzero(~shapely.is_valid(shapes))
    if wrong.size:
        first = wrong[0]
        more = f", and {wrong.size - 1} more" if wrong.size > 1 else ""
        why = (
            f"feature {fids[first]} is no valid polygon ({shapely.is_valid_reason(shapes[first])})"
        )
        raise LimitUnusable(path, why + more, "repair it, for example with QGIS' Fix geometries")


def _notes(path: Path, info: dict[str, Any], crs: pyproj.CRS, empty: int) -> tuple[str, ...]:
    notes = []
    if empty:
        plural = "features" if empty > 1 else "feature"
        notes.append(f"{path.name}: {empty} {plural} without a geometry left out")
    if info["driver"] == "GeoJSON" and crs.to_epsg() != 4326 and not _is_crs84(crs):
        notes.append(f"{path.name}: its old crs member ({crs.name}) is honoured")
    return tuple(notes)


def _is_crs84(crs: pyproj.CRS) -> bool:
    authority = crs.to_authority()
    return authority is not None and authority[0] == "OGC"


def _brought(path: object, shapes: Shapes, grid: Grid, crs: pyproj.CRS, box: Box | None) -> Shapes:
    """The parts of shapes that are near a scene, in its CRS; long edges bend with it."""
    to_scene = pyproj.Transformer.from_crs(crs, pyproj_crs(cast(Any, grid.crs)), always_xy=True)

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        xs, ys = to_scene.transform(points[:, 0], points[:, 1])
        return np.column_stack([xs, ys])

    if box is not None:
        shapes = _cut(shapes, crs, box)
    if not len(shapes):
        return shapes
    shapes = shapely.segmentize(shapes, _longest_edge(grid, crs))
    moved = cast("Shapes", shapely.transform(shapes, move))
    if not np.isfinite(shapely.bounds(moved)).all():
        why = "has coordinates that the scene's CRS cannot hold"
        raise LimitUnusable(path, why, "check its CRS and the order of longitude and latitude")
    return moved


def _cut(shapes: Shapes, crs: pyproj.CRS, box: Box) -> Shapes:
    """What lies in a box, seen from it: degrees a turn away are brought back."""
    found = []
    for left, bottom, right, top in turned(crs, box):
        frame = shapely.box(left, bottom, right, top)
        near = shapes[shapely.intersects(shapes, frame)]
        # Whole where they fit: no vertex of theirs is touched.
        crossing = ~shapely.contains_properly(frame, near)
        near[crossing] = shapely.intersection(near[crossing], frame)
        back = np.array([box[0] - left, 0.0])
        found.append(shapely.transform(near, back.__add__))
    parts = shapely.get_parts(shapely.get_parts(np.concatenate(found)))
    return cast("Shapes", parts[np.isin(shapely.get_type_id(parts), _POLYGONAL)])


def _longest_edge(grid: Grid, crs: pyproj.CRS) -> float:
    """Units of a CRS in which a straight edge and the Earth's bend part by a tenth of a pixel."""
    gsd = ground_sample_distance(grid.transform, cast(Any, grid.crs), grid.height, grid.width)
    metres = (8 * _EARTH_M * _SAGITTA_PX * (gsd or 10)) ** 0.5
    unit: float = crs.axis_info[0].unit_conversion_factor or 1  # in metres or radians
    return float(metres / unit / (_EARTH_M if crs.is_geographic else 1))


def _in_pixels(path: object, shapes: Shapes, grid: Grid) -> Shapes:
    """Shapes in the scene's own pixels (x = column, y = row), to a thousandth."""
    place = grid.transform
    area = place.a * place.e - place.b * place.d

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points[:, 0] - place.c, points[:, 1] - place.f
        col, row = (place.e * x - place.b * y) / area, (place.a * y - place.d * x) / area
        return np.round(np.column_stack([col, row]) * _PARTS_OF_PX) / _PARTS_OF_PX

    return cast("Shapes", shapely.transform(shapes, move)) if len(shapes) else shapes
