"""Where finished polygons go: files by their extension, or a table in memory.

Knows which format an extension means; the formats have modules of their own. Sinks write
to the path they are given; what is half-written there is for the caller to discard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import geopandas
from rasterio.crs import CRS

from geodeforest.errors import OptionError
from geodeforest.geo.geojson import GeoJSONSink
from geodeforest.geo.gpkg import GeoPackageSink
from geodeforest.geo.polygons import COLUMNS, Feature, columns, geometries
from geodeforest.geo.profile import pyproj_crs


class VectorSink(Protocol):
    """Takes the features of one scene in their order; leaving it finishes the output."""

    def write(self, features: Sequence[Feature]) -> None:
        """Append features."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


_SINKS: dict[str, Callable[[Path, CRS], VectorSink]] = {
    ".geojson": GeoJSONSink,
    ".gpkg": GeoPackageSink,
}


def vector_format(path: Path) -> Callable[[Path, CRS], VectorSink]:
    """What makes a sink of the format that the extension of ``path`` means.

    Raises:
        OptionError: no format has that extension.
    """
    sink = _SINKS.get(path.suffix.lower())
    if sink is None:
        known = " or ".join(_SINKS)
        raise OptionError(f"{path}: no format has this extension; name a file {known}")
    return sink


def open_vector_sink(path: Path, crs: CRS) -> VectorSink:
    """The sink for a file of polygons that are in ``crs``, by the extension of ``path``.

    Nothing is written before the sink is entered.

    Raises:
        OptionError: no format has that extension.
    """
    return vector_format(path)(path, crs)


class MemorySink:
    """Keeps features for a table."""

    def __init__(self, crs: CRS) -> None:
        self._crs = crs
        self._features: list[Feature] = []

    def __enter__(self) -> Self:
        return self

    def write(self, features: Sequence[Feature]) -> None:
        """Append features."""
        self._features += features

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def frame(self) -> geopandas.GeoDataFrame:
        """All features, one row each, in the scene's CRS; columns have their types even if empty.

        What is unknown is None in columns of text and NaN in columns of numbers.
        """
        table = {name: values.astype(object) for name, values in columns(self._features).items()}
        # Through objects, since pandas would turn text, and its None, into a type of its own.
        return (
            geopandas.GeoDataFrame(table, dtype=object)
            .astype(dict(COLUMNS))
            .set_geometry(
                geopandas.GeoSeries(geometries(self._features), crs=pyproj_crs(self._crs))
            )
        )
