"""Polygons as GeoJSON by RFC 7946: WGS 84, right-hand rule, split at the antimeridian.

Knows longitudes, latitudes and JSON text; nothing of rasters. The text follows from the
features and their origin: no path and no clock is in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from shapely.affinity import translate

from geodeforest.core.arrays import Bools, Ints
from geodeforest.errors import OutputUnwritable
from geodeforest.geo.areas import Floats, Geometries, crs_length, in_degrees, with_short_edges
from geodeforest.geo.files import final_name, naming_faults
from geodeforest.geo.ground import is_on_earth
from geodeforest.geo.legend import Legend
from geodeforest.geo.origin import JSON_START, MEMBER, Origin
from geodeforest.geo.polygons import COLUMNS, Feature, Placed, columns, geometries
from geodeforest.geo.positions import DECIMALS, ring_texts

# An edge that is straight in a projected CRS bends in degrees: a longer one than this would
# be off by more than 0.1 m. Degrees of another datum hardly bend.
_LONGEST_PROJECTED_M = 2_000
_LONGEST_GEOGRAPHIC_M = 100_000

_WORLD = shapely.box(-180, -90, 180, 90)
_POLYGON = shapely.GeometryType.POLYGON.value


class GeoJSONSink:
    """Writes a FeatureCollection as features come, one a line.

    A geometry is a Polygon, or a MultiPolygon where the antimeridian cuts it. ``bbox`` stands
    after the features; without any feature there is none, as RFC 7946 allows. What ``origin``
    tells is the member ``geodeforest`` (section 6.1).
    """

    def __init__(
        self,
        path: Path,
        crs: CRS,
        legend: Legend | None = None,
        origin: Origin | None = None,
    ) -> None:
        self._path, self._crs, self._origin = path, crs, origin  # there is no place for a legend
        self._bounds = _Bounds()
        self._separator = "\n"
        self._file: TextIO

    def __enter__(self) -> Self:
        if not is_on_earth(self._crs):
            raise OutputUnwritable(
                final_name(self._path),
                "GeoJSON needs longitudes and latitudes, which the scene's CRS cannot give",
                "write a .gpkg instead",
            )
        with naming_faults(self._path):
            self._file = self._path.open("w", encoding="utf-8", newline="\n")
            told = f'"{MEMBER}":{_json(dict(self._origin))},' if self._origin else ""
            self._file.write(f'{JSON_START}{told}"features":[')
        return self

    def write(
        self,
        features: Sequence[Feature],
        not_assessed: Sequence[Feature] = (),
        placed: Placed | None = None,
    ) -> None:
        """Append features; what was not assessed has no place here."""
        if not features:
            return
        shapes = to_lonlat(geometries(features), self._crs, placed)
        off_earth = np.flatnonzero(~np.isfinite(shapely.bounds(shapes)).all(axis=1))
        if len(off_earth):
            raise OutputUnwritable(
                final_name(self._path),
                f"polygon {features[off_earth[0]].id} has no longitudes and latitudes",
                "write a .gpkg instead",
            )
        self._bounds.add(shapes)
        with naming_faults(self._path):
            for text in feature_texts(features, geometry_texts(shapes)):
                self._file.write(self._separator + text)
                self._separator = ",\n"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with naming_faults(self._path), self._file:
            if kind is None:
                bbox = self._bounds.bbox()
                self._file.write("\n]}\n" if bbox is None else f'\n],"bbox":{_json(bbox)}}}\n')


def feature_texts(features: Sequence[Feature], geometries: Sequence[str]) -> Iterator[str]:
    """Features as one line of JSON each, with the texts of their geometries."""
    texts = [_column_texts(values) for values in columns(features).values()]
    names = ",".join(f"{_json(name)}:%s" for name in COLUMNS)
    line = f'{{"type":"Feature","id":%s,"properties":{{{names}}},"geometry":%s}}'
    return map(line.__mod__, zip(texts[0], *texts, geometries, strict=True))


def _column_texts(values: NDArray[Any]) -> list[str]:
    """The values of a column as JSON; numbers that are not finite are null.

    Numbers are encoded all at once, since there is no comma in any of them; of texts each once.
    """
    if values.dtype == object:
        known = {value: _json(value) for value in set(values)}
        return [known[value] for value in values]
    numbers = values.tolist()
    if values.dtype == np.float64:
        numbers = [number if math.isfinite(number) else None for number in numbers]
    return _json(numbers)[1:-1].split(",")


def geometry_texts(shapes: Geometries) -> list[str]:
    """Polygons and multipolygons as JSON."""
    parts, shape_of = shapely.get_parts(shapes, return_index=True)
    rings, part_of = shapely.get_rings(parts, return_index=True)
    texts = _joined(_joined(_ring_texts(rings), part_of), shape_of)
    return [
        f'{{"type":"MultiPolygon","coordinates":{text}}}'
        if isinstance(shape, shapely.MultiPolygon)
        else f'{{"type":"Polygon","coordinates":{text[1:-1]}}}'
        for shape, text in zip(shapes, texts, strict=True)
    ]


def _ring_texts(rings: Geometries) -> list[str]:
    points = shapely.get_coordinates(rings)
    stops = np.cumsum(shapely.get_num_coordinates(rings))
    texts = ring_texts(points, stops)
    if texts is None:  # something too small for rounded degrees
        return [_json(shapely.get_coordinates(ring).tolist()) for ring in rings]
    return texts


def _joined(texts: Sequence[str], whole: Ints) -> list[str]:
    """The texts of each whole, numbered from 0 without a gap, as one JSON array."""
    stops = np.cumsum(np.bincount(whole)).tolist()
    return ["[" + ",".join(texts[a:b]) + "]" for a, b in pairwise([0, *stops])]


def to_lonlat(polygons: Geometries, crs: CRS, placed: Placed | None = None) -> Geometries:
    """Polygons of a CRS in rounded degrees of longitude and latitude on WGS 84.

    All are valid, exteriors counter-clockwise, and none is lost: one so small that rounding
    would leave nothing of it keeps more decimals. What the antimeridian cuts becomes a
    multipolygon. Where a corner cannot be placed on Earth, the geometry is not finite.
    ``placed`` is where they lie, if that is at hand.
    """
    longest = _LONGEST_GEOGRAPHIC_M if crs.is_geographic else _LONGEST_PROJECTED_M
    dense = with_short_edges(polygons, crs_length(crs, longest))
    count = shapely.get_num_coordinates(dense)
    if placed is None or len(placed.lonlat) != count.sum():
        lonlat = in_degrees(shapely.get_coordinates(dense), crs)
        placed = Placed(lonlat, np.zeros(len(dense), bool))
    on_earth, beyond = _extents(placed.lonlat, np.cumsum(count) - count)
    rounded: Geometries = shapely.set_coordinates(dense.copy(), _rounded(placed.lonlat))
    wrong = beyond.copy()
    doubtful = np.flatnonzero(on_earth & ~placed.is_firm)
    wrong[doubtful] |= ~shapely.is_valid(rounded[doubtful])
    for i in np.flatnonzero(wrong).tolist():
        rounded[i] = _valid(_cut(dense[i], crs) if beyond[i] else _placed(dense[i], crs))
    rounded[on_earth] = shapely.orient_polygons(rounded[on_earth])
    return rounded


def _extents(lonlat: Floats, starts: Ints) -> tuple[Bools, Bools]:
    """Which shapes lie on Earth at all, and which the antimeridian may cut."""
    least, most = (reach.reduceat(lonlat, starts) for reach in (np.minimum, np.maximum))
    west, east = least[:, 0], most[:, 0]
    on_earth = np.isfinite(least + most).all(axis=1)
    return on_earth, on_earth & ((east - west > 180) | (west < -180) | (east > 180))


def _rounded(lonlat: Floats) -> Floats:
    """Rounded degrees, none of them -0.0."""
    rounded: Floats = np.round(lonlat, DECIMALS) + 0.0
    return rounded


def _placed(shape: shapely.Geometry, crs: CRS) -> shapely.Geometry:
    """A geometry of a CRS in degrees of longitude and latitude."""
    return shapely.transform(shape, lambda points: in_degrees(points, crs))


def _valid(shape: shapely.Geometry) -> shapely.Polygon | shapely.MultiPolygon:
    """A geometry in rounded degrees; made valid if plain rounding would make it invalid.

    Then it is moved to their grid. If that leaves nothing of it, it stays as it is.
    """
    rounded = shapely.transform(shape, _rounded)
    if rounded.is_valid:
        return rounded
    valid = _polygonal(shapely.make_valid(shape))
    snapped = _polygonal(shapely.transform(shapely.set_precision(valid, 10.0**-DECIMALS), _rounded))
    return valid if snapped.is_empty or not snapped.is_valid else snapped


def _cut(polygon: shapely.Polygon, crs: CRS) -> shapely.Polygon | shapely.MultiPolygon:
    """A polygon whose longitudes jump or go too far, as the parts of it within -180..180."""
    placed = _placed(shapely.orient_polygons(polygon), crs)
    shell, *holes = (
        _within(_unrolled(shapely.get_coordinates(ring)))
        for ring in (placed.exterior, *(hole.reverse() for hole in placed.interiors))
    )
    return _polygonal(shell.difference(shapely.union_all(holes)))


def _unrolled(ring: Floats) -> shapely.Geometry:
    """The area to the left of a ring, with longitudes that go on steadily past 180 degrees.

    A ring around a pole ends a turn away from where it began; it is closed along the pole,
    which is the northern one if the ring runs eastwards.
    """
    lon, lat = np.unwrap(ring[:, 0], period=360), ring[:, 1]
    turn = lon[-1] - lon[0]
    if abs(turn) > 180:
        lon = np.append(lon, [lon[-1], lon[0], lon[0]])
        lat = np.append(lat, [math.copysign(90, turn)] * 2 + [lat[0]])
    return shapely.make_valid(shapely.Polygon(np.stack([lon, lat], axis=1)))


def _within(area: shapely.Geometry) -> shapely.Geometry:
    """An area of any longitudes, moved into -180..180."""
    west, _, east, _ = area.bounds
    turns = range(math.floor((west + 180) / 360), math.ceil((east + 180) / 360))
    return shapely.union_all(
        [translate(area, -360.0 * turn).intersection(_WORLD) for turn in turns]
    )


def _polygonal(shape: shapely.Geometry) -> shapely.Polygon | shapely.MultiPolygon:
    """The polygons of a geometry, without the lines and points that cutting may leave."""
    parts = shapely.get_parts(shapely.get_parts(shape))  # of collections of multipolygons
    polygons = parts[(shapely.get_type_id(parts) == _POLYGON) & ~shapely.is_empty(parts)]
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(list(polygons))


class _Bounds:
    """The box around all points seen, with longitudes from -180 and from 0 to tell the better."""

    def __init__(self) -> None:
        self._least, self._most = np.full(3, np.inf), np.full(3, -np.inf)

    def add(self, shapes: Geometries) -> None:
        lon, lat = shapely.get_coordinates(shapes).T
        points = np.stack([lon, np.where(lon < 0, lon + 360, lon), lat])
        self._least = np.minimum(self._least, points.min(axis=1))
        self._most = np.maximum(self._most, points.max(axis=1))

    def bbox(self) -> list[float] | None:
        """West, south, east, north; west is the greater across the antimeridian (RFC 7946, 5.2)."""
        west, west_turned, south = self._least.tolist()
        east, east_turned, north = self._most.tolist()
        if south > north:
            return None
        if east_turned - west_turned < min(east - west, 180):
            west, east = (lon - 360 if lon > 180 else lon for lon in (west_turned, east_turned))
        return [round(value, DECIMALS) for value in (west, south, east, north)]


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _json(value: Any) -> str:
    return _JSON.encode(value)
