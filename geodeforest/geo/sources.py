"""Whatever a user names as a scene: the rasters that it consists of, and their bands.

Knows paths, lists of files, products, open datasets and arrays. Which bands are read, and
whether the rasters fit together, is for ``scene`` to say.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import rasterio
from rasterio.vrt import WarpedVRT

from geodeforest.core.addresses import redacted, shown
from geodeforest.core.options import OpenRules
from geodeforest.errors import OptionError, SceneUnreadable
from geodeforest.geo import landsat, planet, sentinel2, stac
from geodeforest.geo.bands import SPECTRAL, Band, band_word
from geodeforest.geo.data_arrays import is_data_array, raster_of
from geodeforest.geo.names import scene_name, split_names
from geodeforest.geo.opening import GDAL_ERRORS, RULES, cause, open_raster
from geodeforest.geo.parts import ArrayPart, DatasetPart, Part, Raster, storable
from geodeforest.geo.product_files import DiskFolder, Folder, zip_folder
from geodeforest.geo.products import Label, Listing, Member

_ARRAY_NAME = "array"
_ZIP = b"PK\x03\x04"

Source: TypeAlias = str | os.PathLike[str] | Raster | Sequence[Any] | Any
"""What can be opened as a scene: a path or several with commas, a ``Raster``, an open rasterio
dataset, a rioxarray DataArray, or a sequence of paths or datasets on one grid.
"""


@dataclass(frozen=True, slots=True)
class SceneFiles:
    """A scene before its bands are chosen: ``bands`` are those of all ``members`` in order.

    Members of a product are opened when one of their bands is read, others are open.
    ``path`` is what messages call the scene.
    """

    members: tuple[Part | Member, ...]
    bands: tuple[Band, ...]
    path: str
    name: str
    listing: Listing | None = None


def find_scene(source: Source, stack: ExitStack, rules: OpenRules = RULES) -> SceneFiles:
    """What a user named; ``stack`` closes what was opened here.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: neither a raster nor a known product, or damaged.
        SceneTooLarge: it has more pixels than the ``rules`` allow.
        OptionError: it is nothing that can be a scene.
    """
    if rules.untrusted:
        return _stack_of_bands(_lone(source, stack, rules), by_name=False)
    if isinstance(source, str | os.PathLike):
        source = split_names(os.fspath(source))
    several = source if isinstance(source, list | tuple) else (source,)
    if not several:
        raise OptionError("scene: no file is named; give one at least")
    if all(isinstance(each, str | os.PathLike) for each in several):
        paths = tuple(os.fspath(each) for each in several)
        if (listing := _listing(paths)) is not None:
            told = tuple(map(shown, paths))
            return SceneFiles(listing.members, listing.bands(), told[0], scene_name(told), listing)
    parts = tuple(_part(each, stack, rules) for each in several)
    paths = tuple(part.path for part in parts)
    if len(parts) > 1:
        parts = tuple(map(_with_file_name, parts))
        return SceneFiles(parts, _numbered(parts), paths[0], scene_name(paths))
    return _stack_of_bands(parts[0])


def open_member(member: Part | Member, stack: ExitStack, rules: OpenRules = RULES) -> Part:
    """A member as an open raster, its bands as the product's metadata tell.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: not a raster, damaged, or not with the bands that it should have.
        SceneTooLarge: it has more pixels than the ``rules`` allow.
    """
    if not isinstance(member, Member):
        return member
    part = _part(member.path, stack, rules)
    data = [band for band in part.bands if band.colour != "alpha"]
    if len(data) != len(member.labels):
        raise SceneUnreadable(
            part.path,
            f"has {len(data)} bands, and its metadata tell of {len(member.labels)}",
            "download or copy it again",
        )
    labelled = tuple(
        _labelled(band, label, part.dtype(band.index))
        for band, label in zip(data, member.labels, strict=True)
    )
    part.bands = (*labelled, *part.bands[len(data) :])
    return part


def open_parts(
    files: SceneFiles, stack: ExitStack, rules: OpenRules = RULES
) -> tuple[Part, *tuple[Part, ...]]:
    """The rasters of a scene that are open, and of a product its first one.

    Raises:
        SceneNotFound, SceneUnreadable, SceneTooLarge: the first one cannot be opened.
    """
    first, *others = files.members
    more = (member for member in others if not isinstance(member, Member))
    return open_member(first, stack, rules), *more


def _labelled(band: Band, label: Label, dtype: str) -> Band:
    nodata = storable(label.nodata, dtype)
    nodata = band.nodata if nodata is None else nodata
    return replace(band, description=label.name, nodata=nodata, meaning=label.meaning)


def _listing(paths: tuple[str, ...]) -> Listing | None:
    """The product that paths name, if it is of a known kind."""
    path = Path(paths[0])
    if len(paths) == 1:
        if (folder := _folder(path)) is not None:
            found = sentinel2.list_product(folder) or landsat.list_product(folder)
            if found is None:
                why = "is a directory without a Sentinel-2 or Landsat product"
                raise SceneUnreadable(path, why, "give the path of the raster in it")
            return found
        if path.suffix.lower() == ".json" and path.is_file():
            is_landsat = path.name.endswith("_MTL.json")
            return landsat.list_metadata(path) if is_landsat else stac.list_item(path)
        if path.name.endswith(("_MTL.txt", "_MTL.xml")) and path.is_file():
            return landsat.list_metadata(path)
    return sentinel2.list_files(paths) or landsat.list_files(paths)


def _folder(path: Path) -> Folder | None:
    """The folder that a path names: itself, that of a product's metadata, or in a zip archive."""
    if path.is_dir():
        return DiskFolder(path)
    if path.name in sentinel2.METADATA:
        return DiskFolder(path.parent)
    if not _begins(path, _ZIP):
        return None
    folder = zip_folder(path, (*sentinel2.METADATA, *landsat.METADATA))
    if folder is None:
        why = "is a zip archive without a Sentinel-2 or Landsat product"
        raise SceneUnreadable(path, why, "unpack it first")
    return folder


def _begins(path: Path, magic: bytes) -> bool:
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            return False
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except (OSError, ValueError):  # what is wrong, opening it as a raster tells
        return False


def _lone(source: Source, stack: ExitStack, rules: OpenRules) -> Part:
    """One file of a stranger's, whose name tells nothing."""
    if not isinstance(source, str | os.PathLike):
        raise OptionError("untrusted: the scene is not the path of a file; give one")
    name = os.fspath(source)
    if len(split_names(name)) > 1:
        why = "is several files, and with --untrusted a scene is one"
        raise SceneUnreadable(name, why, "stack them into one GeoTIFF first")
    return _part(name, stack, rules)


def _stack_of_bands(part: Part, *, by_name: bool = True) -> SceneFiles:
    """One raster, with what its name tells of a product."""
    listing = None
    if by_name:
        listing = planet.list_file(part.path, part.bands)
        listing = listing or landsat.list_stack(part.path, part.bands)
    if listing is not None:
        part.bands = tuple(map(_completed, part.bands, listing.labels))
    return SceneFiles((part,), part.bands, part.path, Path(part.path).name, listing)


def _completed(band: Band, label: Label) -> Band:
    nodata = label.nodata if band.nodata is None else band.nodata
    description = band.description or label.name or None
    # A writer that knows nothing of the product may call four bands red, green, blue and alpha.
    return replace(
        band, description=description, colour="undefined", nodata=nodata, meaning=label.meaning
    )


def _part(source: Any, stack: ExitStack, rules: OpenRules) -> Part:
    if isinstance(source, str | os.PathLike):
        opened = stack.enter_context(open_raster(source, rules=rules))
        return _dataset(opened, shown(os.fspath(source)))
    if isinstance(source, rasterio.DatasetReader | WarpedVRT):
        return _dataset(source, redacted(str(source.name)))
    if isinstance(source, Raster):
        return ArrayPart(source, _ARRAY_NAME)
    if is_data_array(source):
        return ArrayPart(raster_of(source), _ARRAY_NAME)
    raise OptionError(
        f"scene: a {type(source).__name__} is not a scene; give a path, an open rasterio "
        "dataset, a rioxarray DataArray or a geodeforest.Raster"
    )


def _dataset(dataset: Any, path: str) -> DatasetPart:
    try:
        return DatasetPart(dataset, path)
    except GDAL_ERRORS as error:
        raise SceneUnreadable(
            path, f"its header is damaged ({cause(error)})", "download or copy it again"
        ) from error


def _numbered(parts: Sequence[Part]) -> tuple[Band, ...]:
    # All bands of all parts, counted through from 1 as --bands does.
    every = (band for part in parts for band in part.bands)
    return tuple(replace(band, index=index) for index, band in enumerate(every, 1))


def _with_file_name(part: Part) -> Part:
    # Of one band among several files the name often says which band it is.
    if len(part.bands) == 1:
        part.bands = (_named(part.bands[0], Path(part.path).stem),)
    return part


def _named(band: Band, stem: str) -> Band:
    if band.word in SPECTRAL:
        return band
    return replace(band, description=band_word(stem) or band.description or stem)
