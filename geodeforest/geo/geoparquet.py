"""Polygons as GeoParquet 1.1 in the scene's CRS (https://geoparquet.org/releases/v1.1.0).

Knows the format's metadata; needs pyarrow, which is loaded when a file is begun.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import shapely
from rasterio.crs import CRS

from geodeforest.geo.files import naming_faults
from geodeforest.geo.ground import pyproj_crs
from geodeforest.geo.legend import Legend
from geodeforest.geo.origin import MEMBER, Origin
from geodeforest.geo.polygons import COLUMNS, Feature, Placed, columns, geometries

if TYPE_CHECKING:
    import pyarrow

_BATCH = 5_000
_GEOMETRY, _BBOX, _CORNERS = "geometry", "bbox", ("xmin", "ymin", "xmax", "ymax")


class GeoParquetSink:
    """Writes the features in row groups of equal size, each with its bounds.

    What was not assessed has no place in a file of one table. What ``origin`` tells becomes the
    file's metadata under the key ``geodeforest``, as JSON.
    """

    def __init__(self, path: Path, crs: CRS, legend: Legend, origin: Origin | None = None) -> None:
        self._origin = {MEMBER: json.dumps(dict(origin))} if origin else {}
        self._path, self._crs = path, pyproj_crs(crs).to_json_dict()
        self._waiting: list[Feature] = []
        self._bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])

    def __enter__(self) -> Self:
        from pyarrow import parquet

        self._schema = _schema()
        with naming_faults(self._path):
            self._writer = parquet.ParquetWriter(self._path, self._schema, compression="zstd")
        return self

    def write(
        self,
        features: Sequence[Feature],
        not_assessed: Sequence[Feature] = (),
        placed: Placed | None = None,
    ) -> None:
        """Append features."""
        self._waiting += features
        while len(self._waiting) >= _BATCH:
            self._write_batch()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with naming_faults(self._path), self._writer:
            if kind is None:
                if self._waiting:
                    self._write_batch()
                self._writer.add_key_value_metadata(
                    {"geo": json.dumps(self._metadata()), **self._origin}
                )

    def _write_batch(self) -> None:
        import pyarrow

        batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
        shapes = geometries(batch)
        bounds = shapely.bounds(shapes)
        self._bounds[:2] = np.minimum(self._bounds[:2], bounds[:, :2].min(axis=0))
        self._bounds[2:] = np.maximum(self._bounds[2:], bounds[:, 2:].max(axis=0))
        table: dict[str, Any] = {
            name: pyarrow.array(values, type=self._schema.field(name).type, from_pandas=True)
            for name, values in columns(batch).items()
        }
        table[_BBOX] = pyarrow.StructArray.from_arrays(list(bounds.T), names=list(_CORNERS))
        table[_GEOMETRY] = shapely.to_wkb(shapes)
        with naming_faults(self._path):
            self._writer.write_table(pyarrow.table(table, schema=self._schema))

    def _metadata(self) -> dict[str, Any]:
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": ["Polygon"],
            "crs": self._crs,
            "orientation": "counterclockwise",
            "edges": "planar",
            "covering": {_BBOX: {corner: [_BBOX, corner] for corner in _CORNERS}},
        }
        if np.isfinite(self._bounds).all():
            column["bbox"] = self._bounds.tolist()
        return {"version": "1.1.0", "primary_column": _GEOMETRY, "columns": {_GEOMETRY: column}}


def _schema() -> pyarrow.Schema:
    import pyarrow

    types = {
        np.int64: pyarrow.int64(),
        np.float64: pyarrow.float64(),
        np.bool_: pyarrow.bool_(),
        object: pyarrow.string(),
    }
    corner = [pyarrow.field(name, pyarrow.float64()) for name in _CORNERS]
    return pyarrow.schema(
        [
            *((name, types[dtype]) for name, dtype in COLUMNS.items()),
            (_BBOX, pyarrow.struct(corner)),
            (_GEOMETRY, pyarrow.binary()),
        ]
    )
