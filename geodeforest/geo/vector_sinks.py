"""Where finished polygons go: files by their extension, or a table in memory.

Knows which format an extension means; the formats have modules of their own. Sinks write
to the path they are given; what is half-written there is for the caller to discard.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from geodeforest.errors import MissingExtra, OptionError
from geodeforest.geo.files import naming_faults
from geodeforest.geo.geojson import GeoJSONSink
from geodeforest.geo.ground import pyproj_crs
from geodeforest.geo.legend import QML_START, Legend
from geodeforest.geo.origin import Origin
from geodeforest.geo.polygons import COLUMNS, Feature, Placed, columns, geometries

if TYPE_CHECKING:
    import geopandas


class VectorSink(Protocol):
    """Takes the features of one scene in their order; leaving it finishes the output."""

    def write(
        self,
        features: Sequence[Feature],
        not_assessed: Sequence[Feature] = (),
        placed: Placed | None = None,
    ) -> None:
        """Append features; and polygons of what was not assessed, if the format has a place.

        ``placed`` is where the features lie on Earth, if that is at hand.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class VectorFormat:
    """What an extension means.

    ``holds_not_assessed``: there is a place for polygons of what was not assessed.
    ``on_earth``: coordinates are longitudes and latitudes, whatever the scene's CRS.
    ``style_beside``: the style goes to a file of the same name that ends in ``.qml``.
    ``needs`` is a package, and the extra that installs it. ``loads`` are packages that take time
    and memory, which no other part of a scan loads.
    """

    sink: Callable[[Path, CRS, Legend, Origin | None], VectorSink]
    holds_not_assessed: bool = False
    on_earth: bool = False
    style_beside: bool = False
    needs: tuple[str, str] | None = None
    by_ogr: bool = False
    loads: tuple[str, ...] = ()


# Modules of their own, loaded when they are used: pyogrio loads pandas and pyarrow, which
# takes longer than all else that a small scene does.


def _geopackage(path: Path, crs: CRS, legend: Legend, origin: Origin | None) -> VectorSink:
    from geodeforest.geo.gpkg import GeoPackageSink

    return GeoPackageSink(path, crs, legend, origin)


def _flatgeobuf(path: Path, crs: CRS, legend: Legend, origin: Origin | None) -> VectorSink:
    from geodeforest.geo.flatgeobuf import FlatGeobufSink

    return FlatGeobufSink(path, crs, legend, origin)


def _geoparquet(path: Path, crs: CRS, legend: Legend, origin: Origin | None) -> VectorSink:
    from geodeforest.geo.geoparquet import GeoParquetSink

    return GeoParquetSink(path, crs, legend, origin)


_OGR = ("pyarrow", "pyogrio")

_FORMATS = {
    ".geojson": VectorFormat(GeoJSONSink, on_earth=True),
    ".gpkg": VectorFormat(_geopackage, holds_not_assessed=True, by_ogr=True, loads=_OGR),
    ".fgb": VectorFormat(_flatgeobuf, style_beside=True, by_ogr=True, loads=_OGR),
    ".parquet": VectorFormat(
        _geoparquet, needs=("pyarrow", "parquet"), loads=("pyarrow", "pyarrow.parquet")
    ),
}


def vector_format(path: Path) -> VectorFormat:
    """The format that the extension of ``path`` means.

    Raises:
        OptionError: no format has that extension, or the name cannot be written.
        MissingExtra: the package that writes it is not installed.
    """
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise OptionError(
            f"{path}: no format has this extension; name a file {', '.join(_FORMATS)}"
        )
    if found.by_ogr and ";" in path.name:
        raise OptionError(f"{path}: has a semicolon, at which pyogrio cuts a name; leave it out")
    if found.needs is not None and find_spec(found.needs[0]) is None:
        raise MissingExtra(f"{path}: GeoParquet", found.needs[1])
    return found


def style_path(path: Path) -> Path | None:
    """Where the style of a file of polygons goes; None if it has no file of its own."""
    return path.with_suffix(".qml") if vector_format(path).style_beside else None


def new_styles(paths: Sequence[Path]) -> list[Path]:
    """The style files to write beside files of polygons.

    A style that is there already and does not begin like ours is the user's own: it is left
    out, and stays.
    """
    styles = [style for style in map(style_path, paths) if style is not None]
    return [style for style in styles if not os.path.lexists(style) or _is_ours(style)]


def _is_ours(style: Path) -> bool:
    try:
        with style.open("rb") as file:
            return file.read(len(QML_START)) == QML_START
    except OSError:
        return False


def open_vector_sink(
    path: Path, crs: CRS, legend: Legend, origin: Origin | None = None
) -> VectorSink:
    """The sink for a file of polygons that are in ``crs``, by the extension of ``path``.

    ``origin`` is what the file tells of how it came about, words by name. Nothing
    is written before the sink is entered.

    Raises:
        OptionError: no format has that extension.
        MissingExtra: the package that writes it is not installed.
    """
    return vector_format(path).sink(path, crs, legend, origin)


def write_style(path: Path, legend: Legend) -> None:
    """Write a style file.

    Raises:
        OutputUnwritable: the disk is full.
    """
    with naming_faults(path):
        path.write_text(legend.qml(), encoding="utf-8", newline="\n")


class MemorySink:
    """Keeps features for a table."""

    def __init__(self, crs: CRS) -> None:
        self._crs = crs
        self._features: list[Feature] = []

    def __enter__(self) -> Self:
        return self

    def write(
        self,
        features: Sequence[Feature],
        not_assessed: Sequence[Feature] = (),
        placed: Placed | None = None,
    ) -> None:
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
        return frame_of(table, geometries(self._features), pyproj_crs(self._crs))


def frame_of(
    table: Mapping[str, Sequence[object] | NDArray[np.object_]],
    shapes: Sequence[bytes] | NDArray[np.object_],
    crs: object,
) -> geopandas.GeoDataFrame:
    """A table of ``COLUMNS`` and the geometries, or their WKB, in a CRS, as a frame."""
    import geopandas

    if not isinstance(shapes, np.ndarray):
        shapes = geopandas.array.from_wkb(np.array(shapes, object))
    # Through objects, since pandas would turn text, and its None, into a type of its own.
    return (
        geopandas.GeoDataFrame(dict(table), dtype=object)
        .astype(dict(COLUMNS))
        .set_geometry(geopandas.GeoSeries(shapes, crs=crs))
    )
