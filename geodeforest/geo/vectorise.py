"""Rows of class ids go in, features come out: traced, shaped and measured in one pass.

Wires the tracer, the outlines and the polygons together; knows no files and no models.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.options import VectorOptions
from geodeforest.core.rings import area_px
from geodeforest.core.simplify import PixelMetric, least_pixels, simplify_outlines
from geodeforest.core.smooth import smooth_outlines
from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.core.trace import Region, RegionTracer
from geodeforest.core.vertices import GridVertices
from geodeforest.geo.areas import PixelAreas
from geodeforest.geo.firm import longest_firm_px
from geodeforest.geo.polygons import Feature, Placed, PolygonContext, features, placed_features

_PLACES = 33
"""Looked at along rows, and along columns, for the largest pixel."""

_MARGIN = 1.05
"""By how much that may exceed the largest seen: all latitudes of Web Mercator by 1.01."""


class Finished(NamedTuple):
    """Features that can no longer grow, polygons of what was not assessed, where the first lie."""

    features: list[Feature]
    not_assessed: list[Feature]
    placed: Placed


@dataclass(slots=True)
class Tally:
    """What came out so far.

    ``hectares`` are those of the features that have an area, ``dropped`` counts polygons
    under the minimum area. ``pixels`` and ``outlined_px`` tell what simplification changed.
    """

    features: int = 0
    dropped: int = 0
    hectares: float = 0.0
    pixels: int = 0
    outlined_px: float = 0.0

    @property
    def area_change(self) -> float:
        """By which share the outlines changed the area of all features together."""
        return self.outlined_px / self.pixels - 1 if self.pixels else 0.0


class Vectoriser:
    """Makes features of the ``targets`` in rows of class ids that are fed from first to last.

    With ``not_assessed`` polygons of 255 come too; the features are the same with and
    without. ``metric`` is that of the scene's pixels.
    """

    def __init__(
        self,
        context: PolygonContext,
        targets: Collection[int],
        options: VectorOptions,
        metric: PixelMetric,
        height: int,
        *,
        not_assessed: bool = False,
    ) -> None:
        self._context, self._options, self._metric = context, options, metric
        exact = options.smooth or options.simplify == 0
        self._vertices = GridVertices(context.width, only_nodes=exact)
        unseen = {NOT_ASSESSED} if not_assessed else set()
        self._tracer = RegionTracer(
            context.width,
            {*targets, *unseen},
            self._vertices,
            context.outside,
            self._possible_from(height),
        )
        self._longest_firm_px = 0
        if not options.smooth:
            grid = context.transform, context.crs, height, context.width
            self._longest_firm_px = longest_firm_px(*grid)
        self._closed: list[Region] = []
        self.tally = Tally()
        self._outlined = 0

    def feed(self, classes: NDArray[np.uint8], scores: NDArray[np.uint8] | None = None) -> Finished:
        """Take the next rows, and return what came to its end in those of the feed before.

        They are (rows, cols) of class ids, and of stored scores if there are any. What ends in the
        last ones is outlined together with what reaches beyond them: of a small scene that is all.
        """
        finished = self._finished(self._closed)
        self._closed = self._tracer.feed(classes, scores)
        return finished

    def finish(self) -> Finished:
        """What came to its end in the last rows, and what reaches beyond them."""
        return self._finished(self._closed + self._tracer.finish())

    def _finished(self, regions: Sequence[Region]) -> Finished:
        shaped = self._shaped(regions)
        wanted = [region for region in shaped if region.class_id != NOT_ASSESSED]
        unseen = [region for region in shaped if region.class_id == NOT_ASSESSED]
        found, placed = placed_features(wanted, self._context, self._longest_firm_px)
        self._count(found, wanted)
        return Finished(found, features(unseen, replace(self._context, min_area_ha=0)), placed)

    def _possible_from(self, height: int) -> float:
        """Pixels from which a region may reach the minimum area, however its outline moves.

        Most regions of a noisy map are smaller: to outline and measure them would be for nothing.
        """
        context = self._context
        sides = height, context.width
        rows, cols = (np.linspace(0, side - 1, min(side, _PLACES)) for side in sides)
        areas = PixelAreas(context.transform, context.crs, *sides)
        largest_ha = areas.hectares(rows[:, np.newaxis], cols).max() * _MARGIN
        if not np.isfinite(largest_ha):
            return 0
        least_px = float(context.min_area_ha / largest_ha)
        if self._options.smooth:
            return least_px
        return least_pixels(least_px, self._metric, self._options.simplify)

    def _shaped(self, regions: Sequence[Region]) -> list[Region]:
        if self._options.smooth:
            return smooth_outlines(regions, self._vertices)
        return simplify_outlines(regions, self._vertices, self._metric, self._options.simplify)

    def _count(self, found: Sequence[Feature], regions: Sequence[Region]) -> None:
        kept = {feature.id for feature in found}
        kept_regions = [r for r in regions if self._context.id_of(r) in kept]
        tally = self.tally
        tally.features += len(found)
        self._outlined += len(regions)
        tally.dropped = self._tracer.dropped + self._outlined - tally.features
        # What is not on Earth has no area: it would make the sum unknown, too.
        tally.hectares += float(np.nansum([feature.area_ha for feature in found]))
        tally.pixels += sum(region.pixels for region in kept_regions)
        tally.outlined_px += area_px(kept_regions)
