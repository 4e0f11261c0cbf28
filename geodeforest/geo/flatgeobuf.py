"""Polygons as FlatGeobuf in the scene's CRS, with a spatial index.

Knows the format's one trap: its index comes first, so all features must be known before
the first is written. They wait in a GeoPackage on disk, not in memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS

from geodeforest.geo.files import naming_faults
from geodeforest.geo.flatgeobuf_check import check_flatgeobuf
from geodeforest.geo.gpkg import LAYER, GeoPackageSink
from geodeforest.geo.legend import Legend
from geodeforest.geo.origin import Origin
from geodeforest.geo.polygons import Feature, Placed


class FlatGeobufSink:
    """Writes the features; what was not assessed has no place in a file of one layer.

    What ``origin`` tells becomes the layer's description, as JSON.
    """

    def __init__(self, path: Path, crs: CRS, legend: Legend, origin: Origin | None = None) -> None:
        self._path, self._crs = path, crs.to_wkt(version="WKT2_2019")
        self._described = {"DESCRIPTION": json.dumps(dict(origin))} if origin else {}
        self._waiting = path.with_name(path.name + ".gpkg")
        self._written = 0
        self._sink = GeoPackageSink(self._waiting, crs, legend, named=path)

    def __enter__(self) -> Self:
        return self

    def write(
        self,
        features: Sequence[Feature],
        not_assessed: Sequence[Feature] = (),
        placed: Placed | None = None,
    ) -> None:
        """Append features."""
        self._sink.write(features)
        self._written += len(features)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        self._sink.__exit__(None, None, None)
        with (
            naming_faults(self._path, DataLayerError, DataSourceError),
            pyogrio.open_arrow(self._waiting, layer=LAYER, use_pyarrow=False) as (meta, stream),
        ):
            pyogrio.write_arrow(
                stream,
                self._path,
                layer=LAYER,
                driver="FlatGeobuf",
                geometry_name=meta["geometry_name"] or "geom",
                geometry_type="Polygon",
                crs=self._crs,
                SPATIAL_INDEX="YES",
                **self._described,
            )
        self._waiting.unlink()
        with naming_faults(self._path):
            check_flatgeobuf(self._path, self._written)
