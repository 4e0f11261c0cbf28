"""A validator of GeoJSON against the rules of RFC 7946. Shares no code with the writer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import shapely

DECIMALS = 7
_FINEST = 1.5 * 10.0**-DECIMALS
"""Degrees. What is smaller than this would vanish in rounding, and may have more decimals."""


def faults(text: str) -> list[str]:
    """What a FeatureCollection of polygons does against the RFC or its recommendations."""
    found: list[str] = []
    collection = json.loads(text, parse_constant=lambda name: found.append(f"{name} is no JSON"))
    if collection.get("type") != "FeatureCollection":
        return [*found, "is no FeatureCollection"]
    found += [f"the member {name} is not allowed" for name in _old_members(collection)]
    features = collection["features"]
    for number, feature in enumerate(features):
        found += [f"feature {number}: {fault}" for fault in _of_feature(feature)]
    return [*found, *_of_bbox(collection.get("bbox"), features)]


def _old_members(value: Any) -> Iterator[str]:
    """Members of the specification before the RFC, or that the RFC forbids (sections 4, 7.1)."""
    for name in ("crs", "coordinates", "geometries", "geometry", "properties"):
        if name in value:
            yield name


def _of_feature(feature: dict[str, Any]) -> Iterator[str]:
    if feature.get("type") != "Feature":
        yield "has another type"
    if not {"geometry", "properties"} <= feature.keys():
        yield "lacks a member"
    if {"crs", "coordinates", "features", "geometries"} & feature.keys():
        yield "has a member of another type"
    if not isinstance(feature.get("id"), int | str):
        yield "has an id that is neither number nor text"
    geometry = feature["geometry"]
    if geometry.keys() - {"type", "coordinates", "bbox"}:
        yield "its geometry has a member of another type"
    for polygon in _polygons(geometry):
        yield from _of_polygon(polygon)
    if not shapely.is_valid(shape := shapely.geometry.shape(geometry)) or shape.is_empty:
        yield f"its geometry is not valid ({shapely.is_valid_reason(shape)})"


def _polygons(geometry: dict[str, Any]) -> list[list[Any]]:
    coordinates: list[Any] = geometry["coordinates"]
    return {"Polygon": [coordinates], "MultiPolygon": coordinates}[geometry["type"]]


def _of_polygon(rings: list[Any]) -> Iterator[str]:
    for number, ring in enumerate(rings):
        if len(ring) < 4 or ring[0] != ring[-1]:
            yield "a ring is not closed, or has under four positions"
        if (_doubled_area(ring) > 0) != (number == 0):
            yield "a ring turns the wrong way"
        if any(len(position) != 2 for position in ring):
            yield "a position is not of two numbers"
            return
        lon, lat = zip(*ring, strict=True)
        if not (-180 <= min(lon) <= max(lon) <= 180 and -90 <= min(lat) <= max(lat) <= 90):
            yield "a position is not on Earth"
        # An edge of more than half the Earth goes the other way round it (section 3.1.9),
        # but for those along a pole and the ends of the map.
        if any(abs(b[0] - a[0]) > 180 and abs(a[1]) < 90 for a, b in itertools.pairwise(ring)):
            yield "an edge crosses the antimeridian"
        if min(max(lon) - min(lon), max(lat) - min(lat)) > _FINEST and _decimals(ring) > DECIMALS:
            yield f"a position has more than {DECIMALS} decimals"


def _doubled_area(ring: list[list[float]]) -> float:
    west, south = ring[0]
    moved = [(lon - west, lat - south) for lon, lat in ring]
    pairs = itertools.pairwise(moved)
    return sum(x * v - u * y for (x, y), (u, v) in pairs)


def _decimals(ring: list[list[float]]) -> int:
    numbers = (Decimal(repr(number)).normalize() for position in ring for number in position)
    return max(-int(number.as_tuple().exponent) for number in numbers)


def _of_bbox(bbox: Any, features: list[dict[str, Any]]) -> Iterator[str]:
    positions = [
        position
        for feature in features
        for polygon in _polygons(feature["geometry"])
        for ring in polygon
        for position in ring
    ]
    if not positions or bbox is None:
        if bool(positions) != (bbox is not None):
            yield "the bbox is missing, or is of nothing"
        return
    if len(bbox) != 4:
        yield "the bbox is not of four numbers"
        return
    west, south, east, north = bbox
    lats = [lat for _, lat in positions]
    if abs(south - min(lats)) > 1e-7 or abs(north - max(lats)) > 1e-7:
        yield "the bbox is not that of the latitudes"
    lons = [lon for lon, _ in positions]
    hair = 1e-7
    if west <= east:
        within = all(west - hair <= lon <= east + hair for lon in lons)
    else:  # across the antimeridian (section 5.2)
        within = all(lon >= west - hair or lon <= east + hair for lon in lons)
    if not within or min(abs(lon - west) for lon in lons) > hair:
        yield "the bbox is not that of the longitudes"
