"""What an output says of how it came about: the run's name, the scene, the model, the version.

Knows where each format has a place for such words; nothing of what they mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from geodeforest.errors import GeodeforestError
from geodeforest.geo.opening import open_raster

Origin: TypeAlias = Mapping[str, str]
"""Words by name, such as ``run``; the same for the same input, model and options."""

MEMBER = "geodeforest"
"""Where they stand in GeoJSON, and in the metadata of GeoParquet."""

JSON_START = '{"type":"FeatureCollection",'
"""How a GeoJSON file of ours begins; the member follows."""

WORDS = ("version", "run", "scene", "model", "model_sha256")
"""What an output tells: of the program, the hash that names the run, and so on."""

_TAG = "GEODEFOREST_"
_HEAD_BYTES = 2**16


def as_tags(origin: Origin) -> dict[str, str]:
    """The words as tags of a GeoTIFF or as metadata of a GeoPackage."""
    return {f"{_TAG}{name.upper()}": word for name, word in origin.items()}


def read_origin(path: Path) -> dict[str, str]:
    """What a file says of its origin; empty where it says nothing that is understood."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        reader = next((read for magic, read in _READERS if head.startswith(magic)), None)
        found = {} if reader is None else dict(_words(reader(path, head)))
    except (OSError, ValueError, RecursionError, GeodeforestError):
        return {}
    return {name: found[name] for name in WORDS if name in found}


def _words(found: object) -> Iterator[tuple[str, str]]:
    for name, word in found.items() if isinstance(found, Mapping) else ():
        if isinstance(name, str) and isinstance(word, str):
            yield name, word


def _of_tags(tags: Any) -> dict[str, str]:
    return {
        name.removeprefix(_TAG).lower(): word
        for name, word in _words(tags)
        if name.startswith(_TAG)
    }


def _of_tiff(path: Path, _: bytes) -> object:
    with open_raster(path) as dataset:
        return _of_tags(dataset.tags())


def _of_json(_: Path, head: bytes) -> object:
    text = head.decode("utf-8", "replace")
    start = f'{JSON_START}"{MEMBER}":'
    return json.JSONDecoder().raw_decode(text, len(start))[0] if text.startswith(start) else {}


def _of_geopackage(path: Path, _: bytes) -> object:
    return _of_tags(_info(path)["dataset_metadata"])


def _of_flatgeobuf(path: Path, _: bytes) -> object:
    told = _info(path)["layer_metadata"] or {}
    return json.loads(told.get("DESCRIPTION", "{}"))


def _info(path: Path) -> dict[str, Any]:
    import pyogrio  # takes half a second to load
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        found: dict[str, Any] = pyogrio.read_info(path, layer=0)
    except (DataLayerError, DataSourceError) as error:
        raise ValueError(path) from error
    return found


def _of_parquet(path: Path, _: bytes) -> object:
    try:
        from pyarrow import parquet
    except ImportError:
        return {}
    return json.loads((parquet.read_metadata(path).metadata or {}).get(MEMBER.encode(), b"{}"))


_READERS: tuple[tuple[bytes, Callable[[Path, bytes], object]], ...] = (
    (b"II", _of_tiff),
    (b"MM", _of_tiff),
    (b"{", _of_json),
    (b"SQLite format 3\0", _of_geopackage),
    (b"fgb\x03", _of_flatgeobuf),
    (b"PAR1", _of_parquet),
)
