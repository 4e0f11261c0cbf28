"""One class map in; polygons of its classes out."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodeforest.core.options import VectorOptions
from geodeforest.core.ports import Progress
from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.errors import OptionError
from geodeforest.geo.class_map import ClassMap, open_class_map
from geodeforest.geo.files import OutputSet
from geodeforest.geo.legend import Legend, class_legend, confidence_legend
from geodeforest.geo.polygons import PolygonContext
from geodeforest.geo.scene import Raster, Source, block_cache
from geodeforest.geo.vector_sinks import new_styles, vector_format
from geodeforest.geo.vectorise import Tally
from geodeforest.workflows.scan_report import meaning
from geodeforest.workflows.vector_work import PolygonFiles, VectorWork

if TYPE_CHECKING:
    import geopandas
    from numpy.typing import NDArray

Only = str | int | Collection[str | int] | None


@dataclass(frozen=True, slots=True, eq=False)
class PolygonizeReport:
    """What ``polygonize`` made: how many polygons of how many hectares, and where they went.

    ``outline_area_change`` is the share by which simplified outlines changed the area.
    """

    class_map: str
    polygon_count: int
    dropped_count: int
    hectares: float
    outline_area_change: float
    outputs: Sequence[str]
    seconds: float
    _frame: geopandas.GeoDataFrame | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "class_map": self.class_map,
            "polygons": self.polygon_count,
            "polygons_under_min_area": self.dropped_count,
            "hectares": round(self.hectares, 4),
            "outline_area_change": round(self.outline_area_change, 6),
            "outputs": list(self.outputs),
            "seconds": round(self.seconds, 3),
        }


def polygonize(
    class_map: NDArray[Any],
    transform: Any,
    crs: Any,
    min_area: float = 0.5,
    simplify: float | None = None,
    only: Only = None,
    scores: NDArray[Any] | None = None,
    *,
    smooth: bool = False,
    merge_small: bool = False,
) -> geopandas.GeoDataFrame:
    """The polygons of a class map in memory, in its CRS, with the columns of ``scan``.

    Args:
        class_map: class ids (rows, cols) of any integer type; 255, and what is masked in a
            masked array, is not assessed.
        transform: geotransform from (col, row) pixel corners to the CRS.
        crs: anything rasterio understands, such as "EPSG:32721".
        min_area: polygons under this many geodesic hectares are dropped.
        simplify: metres that outlines may move, borders still shared; None is half a
            pixel's diagonal with every pixel's centre on its side, 0 pixel-exact.
        only: class ids to make polygons of, or "all"; None is class 1.
        scores: floats 0..1, or whole steps of 1/250, of the same shape: fills the score columns.
        smooth: round the pixels' outlines instead; no area changes.
        merge_small: give regions under ``min_area`` to the neighbour with the longest shared
            border instead of dropping them.

    Raises:
        OptionError: shapes or options do not fit.
        SceneError: an id or a score is out of range, or the grid has no place on Earth.
    """
    source = _raster(class_map, transform, crs)
    beside = None if scores is None else _raster(scores, transform, crs)
    options = VectorOptions(min_area, simplify, smooth, merge_small)
    report = polygonize_to(source, (), options, only=_words(only), scores=beside, keep=True)
    return report._frame


def polygonize_to(
    class_map: Source,
    paths: Sequence[Path],
    options: VectorOptions,
    *,
    only: Collection[str | int] = (),
    scores: Source | None = None,
    overwrite: bool = False,
    keep: bool = False,
    progress: Progress | None = None,
) -> PolygonizeReport:
    """Make polygons of a class map into files; what ``polygonize`` and the command line share."""
    started = time.perf_counter()
    for path in paths:
        vector_format(path)
    with ExitStack() as stack:
        opened = stack.enter_context(open_class_map(class_map, scores))
        styles = new_styles(paths)
        inputs = [some.profile.path for some in (opened.scene, opened.scores) if some is not None]
        outputs = stack.enter_context(
            OutputSet([*paths, *styles], overwrite=overwrite, inputs=inputs, replaceable=styles)
        )
        stack.enter_context(block_cache(opened.cache_bytes))
        targets = opened.targets(only)
        files = PolygonFiles(paths, outputs, _legend(opened, targets), keep)
        context = _context(opened, options)
        work = VectorWork(context, targets, options, opened.profile.height, files)
        _feed(work, opened, progress)
    return _report(opened, work, [*paths, *styles], time.perf_counter() - started)


def _feed(work: VectorWork, opened: ClassMap, progress: Progress | None) -> None:
    done = 0
    with work:
        for classes, scores in opened.rows():
            work.feed(classes, scores)
            done += len(classes)
            if progress is not None:
                progress(done, opened.profile.height)
        work.finish()


def _report(
    opened: ClassMap, work: VectorWork, paths: Sequence[Path], seconds: float
) -> PolygonizeReport:
    tally: Tally = work.tally
    return PolygonizeReport(
        class_map=opened.profile.name,
        polygon_count=tally.features,
        dropped_count=tally.dropped,
        hectares=tally.hectares,
        outline_area_change=tally.area_change,
        outputs=[path.name for path in paths],
        seconds=seconds,
        _frame=work.frame(),
    )


def _context(opened: ClassMap, options: VectorOptions) -> PolygonContext:
    profile = opened.profile
    return PolygonContext(
        transform=profile.transform,
        crs=profile.crs,
        width=profile.width,
        scene=opened.origin,
        model=opened.model,
        date=profile.date,
        baseline=opened.baseline,
        class_names=opened.names,
        confidence=opened.confidence,
        min_area_ha=options.min_area,
        has_scores=opened.scores is not None,
        scored_class=min(opened.targets(())),
    )


def _legend(opened: ClassMap, targets: set[int]) -> Legend:
    names = opened.names
    everything = len(targets) == NOT_ASSESSED
    listed = {
        i: names.get(i, str(i)) for i in sorted(targets & {*names} if everything else targets)
    }
    if targets == opened.targets(()) and opened.confidence is not None:
        found = names.get(min(targets), f"class {min(targets)}")
        return confidence_legend(meaning(found, opened.baseline), opened.confidence)
    # A scan names all its classes; other maps may hold some that they do not name.
    return class_legend(listed, others=everything and opened.model is None)


def _raster(array: NDArray[Any], transform: Any, crs: Any) -> Raster:
    valid = ~np.ma.getmaskarray(array) if isinstance(array, np.ma.MaskedArray) else None
    array = np.asarray(array)
    if array.ndim != 2:
        raise OptionError(f"the map's shape is {array.shape}; give (rows, cols)")
    if array.dtype == bool:
        array = array.view(np.uint8)
    nodata = NOT_ASSESSED if array.dtype.kind in "iu" else None
    return Raster(array[np.newaxis], transform, crs, nodata=nodata, valid=valid)


def _words(only: Only) -> Sequence[str | int]:
    if only is None:
        return []
    return [only] if isinstance(only, str | int | np.integer) else list(only)
