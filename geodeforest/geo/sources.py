"""Whatever a user names as a scene becomes the open rasters that it consists of.

Knows paths, lists of files, open datasets and arrays. Which bands of them are read, and
whether they fit together, is for ``scene`` to say.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import rasterio
from rasterio.vrt import WarpedVRT

from geodeforest.core.addresses import redacted, shown
from geodeforest.core.options import OpenRules
from geodeforest.errors import OptionError, SceneUnreadable
from geodeforest.geo.bands import SPECTRAL, Band, band_word, canonical
from geodeforest.geo.names import scene_name, split_names
from geodeforest.geo.opening import GDAL_ERRORS, RULES, cause, open_raster
from geodeforest.geo.parts import ArrayPart, DatasetPart, Part, Raster

_ARRAY_NAME = "array"

Source: TypeAlias = str | os.PathLike[str] | Raster | Sequence[Any] | Any
"""What can be opened as a scene: a path or several with commas, a ``Raster``, an open rasterio
dataset, a rioxarray DataArray, or a sequence of paths or datasets on one grid.
"""


@dataclass(frozen=True, slots=True)
class OpenSource:
    """The rasters of a scene, all of them open. ``path`` is what messages call it."""

    parts: tuple[Part, ...]
    path: str
    name: str


def open_source(source: Source, stack: ExitStack, rules: OpenRules = RULES) -> OpenSource:
    """Open what a user named; ``stack`` closes what was opened here.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: not a raster, or damaged.
        SceneTooLarge: it has more pixels than the ``rules`` allow.
        OptionError: it is nothing that can be a scene.
    """
    if isinstance(source, str | os.PathLike):
        source = split_names(os.fspath(source))
    if not isinstance(source, list | tuple):
        part = _part(source, stack, rules)
        return OpenSource((part,), part.path, Path(part.path).name)
    if not source:
        raise OptionError("scene: no file is named; give one at least")
    parts = tuple(_part(each, stack, rules) for each in source)
    paths = [part.path for part in parts]
    if len(parts) > 1:
        parts = tuple(map(_with_file_name, parts))
    return OpenSource(parts, paths[0], scene_name(paths))


def _part(source: Any, stack: ExitStack, rules: OpenRules) -> Part:
    if isinstance(source, str | os.PathLike):
        opened = stack.enter_context(open_raster(source, rules=rules))
        return _dataset(opened, shown(os.fspath(source)))
    if isinstance(source, rasterio.DatasetReader | WarpedVRT):
        return _dataset(source, redacted(str(source.name)))
    if isinstance(source, Raster):
        return ArrayPart(source, _ARRAY_NAME)
    if hasattr(source, "rio") and hasattr(source, "data"):  # a DataArray, rioxarray loaded
        return ArrayPart(_from_data_array(source), _ARRAY_NAME)
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


def _with_file_name(part: Part) -> Part:
    # Of one band among several files the name often says which band it is.
    if len(part.bands) == 1:
        part.bands = (_named(part.bands[0], Path(part.path).stem),)
    return part


def _named(band: Band, stem: str) -> Band:
    if canonical(band.description or "") in SPECTRAL:
        return band
    return replace(band, description=band_word(stem) or band.description or stem)


def _from_data_array(source: Any) -> Raster:
    rio = source.rio
    data = source.transpose(..., rio.y_dim, rio.x_dim).data
    # The geotransform that rioxarray keeps is not that of an array with every other row.
    place = rio.transform(recalc=True)
    data = data if data.ndim == 3 else data[np.newaxis]
    tags = getattr(source, "attrs", {})
    # One number for all bands and one for each have different names; those that rioxarray has
    # applied itself are gone from here.
    scales, offsets = (
        tags[each] if each in tags else [tags[one]] * len(data) if one in tags else None
        for one, each in (("scale_factor", "scales"), ("add_offset", "offsets"))
    )
    return Raster(data, place, rio.crs, rio.nodata, scales=scales, offsets=offsets)
