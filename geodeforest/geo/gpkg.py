"""Polygons as a GeoPackage in the scene's CRS, with a spatial index.

Knows GDAL's options for the format; nothing of how features came to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS

from geodeforest.geo.files import naming_faults
from geodeforest.geo.polygons import Feature, columns, geometries

LAYER = "deforestation"

_BATCH = 5_000
# GDAL writes the time of the last change into the file; equal input is to give equal bytes.
_CLOCK, _NO_TIME = "OGR_CURRENT_DATE", "1970-01-01T00:00:00Z"


class GeoPackageSink:
    """Writes one layer of polygons in batches of equal size, however features come."""

    def __init__(self, path: Path, crs: CRS) -> None:
        self._path, self._crs = path, crs.to_wkt(version="WKT2_2019")
        self._waiting: list[Feature] = []
        self._append = False

    def __enter__(self) -> Self:
        return self

    def write(self, features: Sequence[Feature]) -> None:
        """Append features."""
        self._waiting += features
        while len(self._waiting) >= _BATCH:
            self._flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()

    def _flush(self) -> None:
        batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
        table = columns(batch)
        with naming_faults(self._path, DataLayerError, DataSourceError), _without_clock():
            pyogrio.raw.write(
                self._path,
                shapely.to_wkb(geometries(batch)),
                list(table.values()),
                list(table),
                layer=LAYER,
                driver="GPKG",
                geometry_type="Polygon",
                crs=self._crs,
                append=self._append,
                dataset_options=None if self._append else {"VERSION": "1.2"},
                layer_options=None if self._append else {"SPATIAL_INDEX": "YES"},
            )
        self._append = True


@contextmanager
def _without_clock() -> Iterator[None]:
    before = pyogrio.get_gdal_config_option(_CLOCK)
    pyogrio.set_gdal_config_options({_CLOCK: _NO_TIME})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({_CLOCK: before})
