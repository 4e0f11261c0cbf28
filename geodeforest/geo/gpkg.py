"""Polygons as a GeoPackage in the scene's CRS, with spatial indexes and default styles.

Knows GDAL's options for the format, and the tables in which QGIS looks for styles; nothing of
how features came to be.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS

from geodeforest.geo.files import naming_faults
from geodeforest.geo.gpkg_check import check_geopackage
from geodeforest.geo.legend import NOT_ASSESSED_LEGEND, Legend
from geodeforest.geo.origin import Origin, as_tags
from geodeforest.geo.polygons import Feature, Placed, columns, geometries

LAYER, NOT_ASSESSED_LAYER = "deforestation", "not_assessed"
NOT_ASSESSED_COLUMNS = ("id", "area_ha", "pixels", "date", "scene")

_BATCH = 5_000
# GDAL writes the time of the last change into the file; equal input is to give equal bytes.
_CLOCK, _NO_TIME = "OGR_CURRENT_DATE", "1970-01-01T00:00:00.000Z"

# GDAL's clock is one for the process, and several scenes may be written side by side.
_ONE_AT_A_TIME = threading.Lock()

_STYLES = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT,
    styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
)
"""


class GeoPackageSink:
    """Writes ``deforestation`` and ``not_assessed`` in batches of equal size.

    ``legend`` becomes the style that QGIS applies by itself; the second layer has its own.
    ``origin`` becomes the file's metadata. Errors speak of ``named``, where that is not the file
    itself.
    """

    def __init__(
        self,
        path: Path,
        crs: CRS,
        legend: Legend,
        origin: Origin | None = None,
        *,
        named: Path | None = None,
    ) -> None:
        wkt = crs.to_wkt(version="WKT2_2019")
        self._file = _File(path, named or path, wkt, as_tags(origin) if origin else None)
        self._legend = legend
        self._polygons = _Layer(self._file, LAYER, is_first=True)
        self._unseen = _Layer(self._file, NOT_ASSESSED_LAYER, is_first=False)

    def __enter__(self) -> Self:
        return self

    def write(
        self,
        features: Sequence[Feature],
        not_assessed: Sequence[Feature] = (),
        placed: Placed | None = None,
    ) -> None:
        """Append features, and polygons of what was not assessed."""
        self._polygons.add(features)
        if len(self._unseen.waiting) + len(not_assessed) >= _BATCH:
            self._polygons.create()  # readers take the first layer of a file for the main one
        self._unseen.add(not_assessed)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        for layer in (self._polygons, self._unseen):
            layer.finish()
        legends = {LAYER: self._legend, NOT_ASSESSED_LAYER: NOT_ASSESSED_LEGEND}
        rows = {LAYER: self._polygons.written, NOT_ASSESSED_LAYER: self._unseen.written}
        with naming_faults(self._file.named, sqlite3.Error):
            _add_styles(self._file.path, legends)
            check_geopackage(self._file.path, self._file.named, rows)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    named: Path
    crs: str
    origin: dict[str, str] | None


class _Layer:
    """One layer of a file, and the features that wait for a batch."""

    def __init__(self, file: _File, name: str, *, is_first: bool) -> None:
        self._file, self._name, self._is_first = file, name, is_first
        self._exists = False
        self.written = 0
        self.waiting: list[Feature] = []

    def add(self, features: Sequence[Feature]) -> None:
        self.waiting += features
        while len(self.waiting) >= _BATCH:
            self._write_batch()

    def create(self) -> None:
        """Make the layer, if it is not there yet."""
        if not self._exists:
            self._write_batch()

    def finish(self) -> None:
        """Write what still waits; an empty layer, too, has its columns and CRS."""
        if self.waiting or not self._exists:
            self._write_batch()

    def _write_batch(self) -> None:
        batch, self.waiting = self.waiting[:_BATCH], self.waiting[_BATCH:]
        table = self._table(batch)
        with naming_faults(self._file.named, DataLayerError, DataSourceError), _without_clock():
            pyogrio.raw.write(
                self._file.path,
                shapely.to_wkb(geometries(batch)),
                list(table.values()),
                list(table),
                layer=self._name,
                driver="GPKG",
                geometry_type="Polygon",
                crs=self._file.crs,
                append=self._exists or not self._is_first,
                dataset_options={"VERSION": "1.2"} if self._is_new_file else None,
                dataset_metadata=self._file.origin if self._is_new_file else None,
                layer_options=None if self._exists else {"SPATIAL_INDEX": "YES"},
            )
        self._exists = True
        self.written += len(batch)

    @property
    def _is_new_file(self) -> bool:
        return self._is_first and not self._exists

    def _table(self, batch: Sequence[Feature]) -> Mapping[str, NDArray[Any]]:
        table = columns(batch)
        return table if self._is_first else {name: table[name] for name in NOT_ASSESSED_COLUMNS}


def _add_styles(path: Path, legends: Mapping[str, Legend]) -> None:
    """Write the table that QGIS reads default styles from."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(_STYLES)
        file.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, "
            "last_change) VALUES ('layer_styles', 'attributes', 'layer_styles', '', ?)",
            (_NO_TIME,),
        )
        for layer, legend in legends.items():
            file.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
                "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, "
                "owner, update_time) VALUES ('', '', ?, 'geom', ?, ?, '', 1, '', '', ?)",
                (layer, layer, legend.qml(), _NO_TIME),
            )


@contextmanager
def _without_clock() -> Iterator[None]:
    with _ONE_AT_A_TIME:
        before = pyogrio.get_gdal_config_option(_CLOCK)
        pyogrio.set_gdal_config_options({_CLOCK: _NO_TIME})
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options({_CLOCK: before})
