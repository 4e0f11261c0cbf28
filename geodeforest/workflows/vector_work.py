"""Rows of class ids on their way into files of polygons; what scan and polygonize share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.options import VectorOptions
from geodeforest.geo.files import OutputSet
from geodeforest.geo.legend import Legend
from geodeforest.geo.polygons import PolygonContext
from geodeforest.geo.profile import grid_metric
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

    ``keep`` also holds the polygons in memory.
    """

    paths: Sequence[Path]
    outputs: OutputSet
    legend: Legend
    keep: bool = False


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
        self._vectoriser = Vectoriser(
            context,
            targets,
            options,
            grid_metric(context.transform, context.crs, height, context.width),
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
                sink = open_vector_sink(files.outputs.scratch(path), self._crs, files.legend)
                self._sinks.append(stack.enter_context(sink))
                if (style := style_path(path)) is not None:
                    write_style(files.outputs.scratch(style), files.legend)
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
        self._write(self._vectoriser.feed(classes, scores))

    def finish(self) -> None:
        """Say that all rows were fed."""
        self._write(self._vectoriser.finish())

    def frame(self) -> geopandas.GeoDataFrame | None:
        """The polygons, if they were kept."""
        return None if self._memory is None else self._memory.frame()

    def _write(self, finished: Finished) -> None:
        if any(finished):
            for sink in self._sinks:
                sink.write(*finished)
