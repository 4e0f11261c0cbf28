"""Whether all of a GeoPackage was kept.

Knows what a finished file consists of. GDAL tells of no fault where a full disk keeps it from
writing a spatial index, a count or a trigger: the file opens, without them.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from geodeforest.errors import OutputUnwritable
from geodeforest.geo.files import final_name

_APPLICATION_ID = 0x47504B47  # "GPKG" (OGC 12-128r14, requirement 2)

_INDEX = "the spatial index"

# What the catalogue says of a layer, whose name is the parameter.
_CATALOGUE = (
    "SELECT count(*) FROM gpkg_contents WHERE table_name = ?",
    "SELECT count(*) FROM gpkg_geometry_columns WHERE table_name = ?",
    "SELECT count(*) FROM gpkg_extensions WHERE table_name = ?",
)


def check_geopackage(path: Path, named: Path, rows: Mapping[str, int]) -> None:
    """Compare a file with the rows that each of its layers has to have.

    All layers were made in the same way: what one of them has, the others have.

    Raises:
        OutputUnwritable: something is missing; it speaks of ``named`` as it will be called.
        sqlite3.Error: the file cannot be read.
    """
    with closing(sqlite3.connect(path)) as file:
        missing = _missing(file, rows)
    if missing is not None:
        remedy = "check that the disk is not full and write again"
        if missing == _INDEX and "tensorflow" in sys.modules:
            remedy = "load pyogrio before TensorFlow, whose SQLite makes no such index"
        raise OutputUnwritable(final_name(named), f"{missing} was not kept as written", remedy)


def _missing(file: sqlite3.Connection, rows: Mapping[str, int]) -> str | None:
    """What a file lacks; None if it is whole."""
    if _number(file, "PRAGMA quick_check") != "ok":
        return "a page of it"
    identity = (_number(file, "PRAGMA application_id"), _number(file, "PRAGMA user_version"))
    if identity[0] != _APPLICATION_ID or not identity[1]:
        return "what marks it as a GeoPackage"
    if file.execute("PRAGMA foreign_key_check").fetchone() is not None:
        return "a row of its catalogue"
    index = "SELECT count(*) FROM sqlite_master WHERE name = ?"
    if not all(_number(file, index, f"rtree_{layer}_geom_rowid") for layer in rows):
        return _INDEX
    for layer, count in rows.items():
        if set(_counts(file, layer)) != {count} or _has_extent(file, layer) != (count > 0):
            return f"a polygon of {layer}, or what the catalogue says of them,"
    if len({_structure(file, layer) for layer in rows}) > 1:
        return "a table or a trigger"
    return None


def _counts(file: sqlite3.Connection, layer: str) -> list[Any]:
    """How many rows a layer has: itself, in its spatial index, and as its count says."""
    return [
        _number(file, f'SELECT count(*) FROM "{layer}"'),
        _number(file, f'SELECT count(*) FROM "rtree_{layer}_geom_rowid"'),
        _number(file, "SELECT feature_count FROM gpkg_ogr_contents WHERE table_name = ?", layer),
    ]


def _has_extent(file: sqlite3.Connection, layer: str) -> bool:
    query = "SELECT min_x + min_y + max_x + max_y FROM gpkg_contents WHERE table_name = ?"
    return _number(file, query, layer) is not None


def _structure(file: sqlite3.Connection, layer: str) -> tuple[Any, ...]:
    """Tables, triggers and rows of the catalogue that are about a layer, without its name."""
    about = (
        "SELECT type, replace(name, ?, '') FROM sqlite_master "
        "WHERE tbl_name = ? OR tbl_name LIKE ? ORDER BY 1, 2"
    )
    things = file.execute(about, (layer, layer, f"rtree_{layer}_%")).fetchall()
    return (*things, *(_number(file, query, layer) for query in _CATALOGUE))


def _number(file: sqlite3.Connection, query: str, *parameters: object) -> Any:
    row = file.execute(query, parameters).fetchone()
    return None if row is None else row[0]
