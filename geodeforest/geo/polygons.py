"""Traced regions become polygons on the ground, with the attributes that users get.

Knows geotransform, hectares and scores; nothing of files and formats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geodeforest.core.arrays import Bools, Floats
from geodeforest.core.decide import STEPS
from geodeforest.core.spec import ConfidenceRule
from geodeforest.core.trace import Region
from geodeforest.geo.areas import Geometries, crs_points, measured
from geodeforest.geo.firm import longest_edges_px


@dataclass(frozen=True, slots=True)
class Feature:
    """A polygon in the scene's CRS and its attributes, in the order in which files have them.

    ``id`` is the number of the first pixel, row by row from 1. ``area_ha`` is geodesic;
    ``score_mean`` and ``score_min`` are over the polygon's pixels, None without scores.
    """

    geometry: shapely.Polygon
    id: int
    class_name: str
    area_ha: float
    pixels: int
    score_mean: float | None
    score_min: float | None
    confidence: str | None
    date: str | None
    scene: str
    model: str | None
    baseline: str | None
    touches_unobserved: bool


COLUMNS: Mapping[str, type] = {
    "id": np.int64,
    "class": object,
    "area_ha": np.float64,
    "pixels": np.int64,
    "score_mean": np.float64,
    "score_min": np.float64,
    "confidence": object,
    "date": object,
    "scene": object,
    "model": object,
    "baseline": object,
    "touches_unobserved": np.bool_,
}
"""Names and numpy types of the columns; ``object`` holds text or None."""

_FIELDS = tuple(field.name for field in fields(Feature))[1:]


@dataclass(frozen=True, slots=True)
class PolygonContext:
    """What all polygons of a scene share.

    ``transform`` takes (col, row) pixel corners to the CRS, ``width`` is the scene's in
    pixels. ``class_names`` may lack ids, which then stand for themselves. Polygons under
    ``min_area_ha`` hectares are dropped. Scores are those of ``scored_class``, and say nothing
    of the confidence in another; None is any class. ``outside`` is the class id of what is
    neither assessed nor not assessed, if there is any.
    """

    transform: Affine
    crs: CRS
    width: int
    scene: str
    model: str | None
    date: str | None
    baseline: str | None
    class_names: Mapping[int, str]
    confidence: ConfidenceRule | None
    min_area_ha: float
    has_scores: bool = True
    scored_class: int | None = None
    outside: int | None = None

    def id_of(self, region: Region) -> int:
        """The number of a region's first pixel, row by row from 1."""
        row, col = region.first
        return row * self.width + col + 1


def features(regions: Sequence[Region], context: PolygonContext) -> list[Feature]:
    """The regions as features, in their order, without those that are too small.

    Exteriors run counter-clockwise in the CRS plane, holes clockwise, whichever way the
    grid is turned or mirrored.
    """
    return placed_features(regions, context)[0]


class Placed(NamedTuple):
    """Features on Earth: degrees (n, 2) of all their points; and which of them are firm.

    Those are valid in rounded degrees, too (see ``geo/firm.py``).
    """

    lonlat: Floats
    is_firm: Bools


def placed_features(
    regions: Sequence[Region], context: PolygonContext, longest_firm_px: float = 0
) -> tuple[list[Feature], Placed]:
    """``features``, and where they lie, which measuring them tells.

    They are firm if no edge is over ``longest_firm_px``.
    """
    if not regions:
        return [], Placed(np.empty((0, 2)), np.empty(0, bool))
    polygons = region_polygons(regions, context.transform)
    hectares, lonlat, sizes = measured(polygons, context.crs)
    # Said this way, a polygon whose area is unknown (NaN) is kept.
    is_kept = ~(hectares < context.min_area_ha)
    found = [
        _feature(regions[i], polygons[i], float(hectares[i]), context)
        for i in np.flatnonzero(is_kept).tolist()
    ]
    is_firm = longest_edges_px(regions)[is_kept] <= longest_firm_px
    return found, Placed(lonlat.compress(is_kept.repeat(sizes), axis=0), is_firm)


def columns(batch: Sequence[Feature]) -> dict[str, NDArray[Any]]:
    """The attributes of features as one array per column, with its type even if empty."""
    table: dict[str, NDArray[Any]] = {}
    for (name, dtype), field in zip(COLUMNS.items(), _FIELDS, strict=True):
        table[name] = _values(batch, field).astype(dtype)
    return table


def geometries(batch: Sequence[Feature]) -> Geometries:
    """The geometries of features as one array."""
    return _values(batch, "geometry")


def _values(batch: Sequence[Feature], field: str) -> NDArray[np.object_]:
    values = np.empty(len(batch), object)
    values[:] = list(map(attrgetter(field), batch))
    return values


def region_polygons(regions: Sequence[Region], transform: Affine) -> Geometries:
    """Outlines in pixel corners become polygons in the CRS of the geotransform."""
    outlines = [ring for region in regions for ring in region.rings]
    row, col = np.concatenate(outlines).T.astype(np.float64)
    rings = shapely.linearrings(
        np.stack(crs_points(transform, row, col), axis=1),
        indices=np.arange(len(outlines)).repeat([len(ring) for ring in outlines]),
    )
    # Regions turn counter-clockwise where rows run south, so only mirrored grids turn them.
    if transform.determinant > 0:
        rings = shapely.reverse(rings)
    of_region = np.arange(len(regions)).repeat([len(region.rings) for region in regions])
    polygons: Geometries = shapely.polygons(rings, indices=of_region)
    return polygons


def _feature(
    region: Region, polygon: shapely.Polygon, hectares: float, context: PolygonContext
) -> Feature:
    score_mean = score_min = confidence = None
    if context.has_scores:
        score_mean = round(region.score_sum / region.pixels / STEPS, 3)
        score_min = round(region.score_min / STEPS, 3)
        if context.confidence is not None and context.scored_class in (None, region.class_id):
            # By the rounded mean, so that the two columns never contradict each other.
            confidence = context.confidence(score_mean)
    return Feature(
        geometry=polygon,
        id=context.id_of(region),
        class_name=context.class_names.get(region.class_id, str(region.class_id)),
        area_ha=round(hectares, 4),
        pixels=region.pixels,
        score_mean=score_mean,
        score_min=score_min,
        confidence=confidence,
        date=context.date,
        scene=_as_text(context.scene),
        model=context.model,
        baseline=context.baseline and _as_text(context.baseline),
        touches_unobserved=region.touches_unobserved,
    )


def _as_text(name: str) -> str:
    """A file name without the bytes that are no text, which formats would refuse."""
    return name.encode("utf-8", "replace").decode()
