"""Rows of class ids on their way into files of polygons; what scan and polygonize share."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.options import VectorOptions
from geodeforest.core.sieve import Sieve
from geodeforest.core.simplify import PixelMetric
from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.errors import GeodeforestWarning
from geodeforest.geo.areas import PixelAreas
from geodeforest.geo.files import OutputSet
from geodeforest.geo.legend import Legend
from geodeforest.geo.origin import Origin
from geodeforest.geo.polygons import PolygonContext
from geodeforest.geo.profile import grid_metric
from geodeforest.geo.spool import Rows, RowSpool
from geodeforest.geo.vector_sinks import (
    MemorySink,
    VectorSink,
    open_vector_sink,
    style_path,
    vector_format,
    write_style,
)
from geodeforest.geo.vectorise import Finished, Tally, Vectoriser

if TYPE_CHECKING:
    import geopandas


@dataclass(frozen=True, slots=True)
class PolygonFiles:
    """Files of polygons in an ``OutputSet``, and how QGIS is to show them.

    ``keep`` also holds the polygons in memory. ``origin`` is what each file tells of how it
    came about.
    """

    paths: Sequence[Path]
    outputs: OutputSet
    legend: Legend
    keep: bool = False
    origin: Origin | None = None


class VectorWork:
    """Takes rows from the first to the last and writes the polygons of ``targets``.

    Entering opens the files; leaving finishes them.
    """

    def __init__(
        self,
        context: PolygonContext,
        targets: Collection[int],
        options: VectorOptions,
        height: int,
        files: PolygonFiles,
    ) -> None:
        self._files, self._crs = files, context.crs
        metric = grid_metric(context.transform, context.crs, height, context.width)
        self._merger = None
        if options.merge_small:
            # Nothing is dropped: an outline may be smaller than its pixels, and what has no
            # neighbour but the unobserved may be larger than what was seen of it.
            context = replace(context, min_area_ha=0)
            areas = PixelAreas(context.transform, context.crs, height, context.width)
            named = files.paths[0] if files.paths else Path("polygons")
            self._merger = _Merger(options.min_area, areas, metric, context, named)
        self._vectoriser = Vectoriser(
            context,
            targets,
            options,
            metric,
            height,
            not_assessed=any(vector_format(path).holds_not_assessed for path in files.paths),
        )
        self._stack = ExitStack()
        self._sinks: list[VectorSink] = []
        self._memory = MemorySink(context.crs) if files.keep else None

    @property
    def tally(self) -> Tally:
        """What came out so far."""
        return self._vectoriser.tally

    def __enter__(self) -> Self:
        files = self._files
        with ExitStack() as stack:
            for path in files.paths:
                place = files.outputs.scratch(path)
                sink = open_vector_sink(place, self._crs, files.legend, files.origin)
                self._sinks.append(stack.enter_context(sink))
                self._write_style(path)
            if self._merger is not None:
                stack.enter_context(self._merger)
            if self._memory is not None:
                self._sinks.append(stack.enter_context(self._memory))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def feed(self, classes: NDArray[np.uint8], scores: NDArray[np.uint8] | None = None) -> None:
        """Take the next rows of class ids, and of stored scores if there are any."""
        if self._merger is not None:
            self._merger.feed(classes, scores)
        else:
            self._write(self._vectoriser.feed(classes, scores))

    def finish(self) -> None:
        """Say that all rows were fed."""
        for classes, scores in self._merger.rows() if self._merger is not None else ():
            self._write(self._vectoriser.feed(classes, scores))
        self._write(self._vectoriser.finish())

    def frame(self) -> geopandas.GeoDataFrame | None:
        """The polygons, if they were kept."""
        return None if self._memory is None else self._memory.frame()

    def _write_style(self, path: Path) -> None:
        style, outputs = style_path(path), self._files.outputs
        if style is None:
            return
        if style in outputs:
            write_style(outputs.scratch(style), self._files.legend)
            return
        why = f"{style}: is a style of your own and stays; {path.name} is shown with it"
        warnings.warn(why, GeodeforestWarning, stacklevel=5)

    def _write(self, finished: Finished) -> None:
        if finished.features or finished.not_assessed:
            for sink in self._sinks:
                sink.write(*finished)


class _Merger:
    """Lets rows wait until it is known which regions are too small, and merges those."""

    def __init__(
        self,
        min_area: float,
        areas: PixelAreas,
        metric: PixelMetric,
        context: PolygonContext,
        named: Path,
    ) -> None:
        self._min_area, self._areas, self._named = min_area, areas, named
        self._outside = context.outside
        self._sieve = Sieve(context.width, metric.row, metric.col)
        self._first_row = 0

    def __enter__(self) -> Self:
        self._spool = RowSpool(self._named)
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.__exit__(None, None, None)

    def feed(self, classes: NDArray[np.uint8], scores: NDArray[np.uint8] | None) -> None:
        middle = self._first_row + (len(classes) - 1) / 2
        self._sieve.feed(self._inside(classes), self._areas.by_column(middle))
        self._spool.write(classes, scores)
        self._first_row += len(classes)

    def rows(self) -> Iterator[Rows]:
        """All rows, with every region that has a neighbour as large as it has to be."""
        relabelling = self._sieve.relabelling(self._min_area)
        for classes, scores in self._spool.rows():
            inside = self._inside(classes)
            merged = relabelling.feed(inside)
            merged[inside != classes] = classes[inside != classes]
            yield merged, scores

    def _inside(self, classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What is outside gives and takes as little as what was not assessed."""
        if self._outside is None:
            return classes
        return np.where(classes == self._outside, np.uint8(NOT_ASSESSED), classes)
