"""Files of polygons before OGR sees them: what they are, and how OGR is kept to that.

OGR tries all its drivers on a file. A text that begins like GeoJSON may be a pipeline that
reads and writes other files (GDALG), and an SQLite database may hold tables that are other
files. So content decides here, and OGR gets a name that leaves it no choice.
"""

from __future__ import annotations

import os
from pathlib import Path

from geodeforest.core.options import OpenRules
from geodeforest.errors import SceneUnreadable
from geodeforest.geo.opening import RULES

_BOM, _JSON, _SQLITE = b"\xef\xbb\xbf", b"{", b"SQLite format 3\0"
_FLATGEOBUF, _SHAPEFILE = b"fgb\x03", b"\0\0\x27\x0a"
_GEOPACKAGES = (b"GPKG", b"GP10", b"GP11")  # its application id, 68 bytes into the database

# GeoJSON is read whole, at several times its size; the others hand over what is near.
_JSON_BYTES, _FILE_BYTES = 256 * 2**20, 4 * 2**30
_STRANGERS_BYTES = 64 * 2**20


def ogr_name(path: Path, what: str, remedy: str, rules: OpenRules = RULES) -> str:
    """The name by which OGR opens a file as what its content says, with no other driver.

    ``what`` calls such files in messages.

    Raises:
        SceneUnreadable: not GeoJSON, GeoPackage, FlatGeobuf or Shapefile, or too large.
    """
    if not path.is_file():
        raise SceneUnreadable(path, "is not a regular file", remedy)
    with path.open("rb") as file:
        begin = file.read(72)
    head = begin.removeprefix(_BOM).lstrip(b" \t\r\n")
    if head.startswith(b"version https://git-lfs"):
        raise SceneUnreadable(path, f"is a Git LFS pointer, not the {what}", "run git lfs pull")
    is_json = head.startswith(_JSON)
    if rules.untrusted and not is_json:
        why = "is neither GeoTIFF nor GeoJSON, and nothing else is read with --untrusted"
        raise SceneUnreadable(path, why, "export it as GeoJSON")
    is_database = begin.startswith(_SQLITE) and begin[68:72] in _GEOPACKAGES
    if not (is_json or is_database or begin.startswith((_FLATGEOBUF, _SHAPEFILE))):
        raise SceneUnreadable(path, f"is neither a raster nor a file of {what}", remedy)
    most = _JSON_BYTES if is_json else _FILE_BYTES
    most = min(most, _STRANGERS_BYTES) if rules.untrusted else most
    if path.stat().st_size > most:
        why = f"is larger than {most >> 20} MB"
        raise SceneUnreadable(path, why, "cut it to the scene, or make a GeoPackage of it")
    if ";" in path.name and not is_json:
        why = "has a semicolon in its name, at which pyogrio would cut it"
        raise SceneUnreadable(path, why, "rename it")
    place = os.fspath(path.absolute())  # a bare name could be taken for a GDAL prefix
    return f"GeoJSON:{place}" if is_json else place


def without_place(said: str, path: Path) -> str:
    """What OGR said of a file, without the folders of this machine."""
    return said.replace(f"GeoJSON:{path.absolute()}", path.name).replace(
        str(path.absolute()), path.name
    )
