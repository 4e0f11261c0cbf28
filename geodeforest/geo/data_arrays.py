"""A rioxarray DataArray as a ``Raster``: its numbers, its place, and what it says of its bands.

Knows names and attributes as rioxarray gives them; xarray itself is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from geodeforest.geo.parts import Raster


def is_data_array(source: Any) -> bool:
    """Whether it is a DataArray, with rioxarray loaded."""
    return hasattr(source, "rio") and hasattr(source, "data")


def raster_of(source: Any) -> Raster:
    """The pixels of a DataArray, bands first.

    Raises:
        OptionError: it has other dimensions than bands, rows and columns.
    """
    rio, tags = source.rio, getattr(source, "attrs", {})
    ordered = source.transpose(..., rio.y_dim, rio.x_dim)
    data = ordered.data if ordered.data.ndim == 3 else ordered.data[np.newaxis]
    labels = _labels(ordered)
    # One number for all bands and one for each have different names; those that rioxarray has
    # applied itself are gone from here.
    scales, offsets = (
        _of_bands(tags[each], labels)
        if each in tags
        else [tags[one]] * len(data)
        if one in tags
        else None
        for one, each in (("scale_factor", "scales"), ("add_offset", "offsets"))
    )
    return Raster(
        data,
        # The geotransform that rioxarray keeps is not that of an array with every other row.
        rio.transform(recalc=True),
        rio.crs,
        rio.nodata,
        scales=scales,
        offsets=offsets,
        descriptions=_descriptions(tags.get("long_name"), labels, len(data)),
        tags={name: text for name, text in tags.items() if isinstance(text, str)},
    )


def _labels(ordered: Any) -> list[Any]:
    """What the coordinate of the bands says of each: its number in the file, or its name."""
    axis = ordered.dims[0] if len(ordered.dims) == 3 else "band"
    coordinates = getattr(ordered, "coords", {})
    return np.atleast_1d(coordinates[axis].values).tolist() if axis in coordinates else []


def _descriptions(
    told: str | Sequence[str] | None, labels: list[Any], count: int
) -> Sequence[str] | None:
    if labels and all(isinstance(label, str) for label in labels):
        return labels
    if told is None:
        return None
    found = _of_bands([told] if isinstance(told, str) else told, labels)
    return found if len(found) == count else None  # it is the name of them all together


def _of_bands(told: Sequence[Any], labels: list[Any]) -> list[Any]:
    """What was told of each band of a file, for those that the array has, in its order.

    An array of some bands keeps the attributes of its file.
    """
    numbers = range(1, len(told) + 1)
    known = bool(labels) and all(isinstance(n, int) and n in numbers for n in labels)
    return [told[label - 1] for label in labels] if known else list(told)
