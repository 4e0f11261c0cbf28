"""Human truth on a scene's pixel grid: class ids from a raster or from polygons.

Knows files, CRS and attributes of labels. Nothing of chips or records; the scene is known
only by its grid.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.features import rasterize

from geodeforest.core.grid import Window
from geodeforest.core.options import OpenRules
from geodeforest.errors import LabelMismatch, SceneUnreadable
from geodeforest.geo.label_polygons import Polygons, read_polygons
from geodeforest.geo.label_rule import IGNORED, LabelRule, canonical
from geodeforest.geo.lone_files import open_lone
from geodeforest.geo.opening import GDAL_ERRORS, LABEL_DRIVERS, RULES, cause, open_raster
from geodeforest.geo.overlay import is_raster
from geodeforest.geo.parts import to_rasterio
from geodeforest.geo.places import bounds
from geodeforest.geo.profile import Grid, same_grid, shifted

__all__ = ["IGNORED", "Grid", "LabelRule", "Labels", "open_labels"]

_STRIP_ROWS = 512


class Labels(Protocol):
    """Labels of one scene, by window."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids (rows, cols) of a window inside the scene, 255 = ignored."""
        ...

    def count(self) -> Counter[int]:
        """Pixels of the scene per class id, 255 included.

        Raises:
            LabelMismatch: values that are no known class; lists them all with their pixels.
        """
        ...


@contextmanager
def open_labels(
    path: str | os.PathLike[str], grid: Grid, rule: LabelRule, rules: OpenRules = RULES
) -> Iterator[Labels]:
    """Open labels of a scene: GeoTIFF, JPEG 2000 or PNG, or polygons in any CRS.

    A raster with a georeference must lie on the scene's grid; one without must have the
    scene's size. Its nodata and masked pixels are ignored, palette numbers are values.
    Polygons are burnt where they hold a pixel's centre; of overlapping ones the last wins.

    Raises:
        SceneNotFound: there is no such file.
        SceneUnreadable: not a raster or vector file, or damaged.
        LabelMismatch: another grid, no usable attribute, or unknown classes.
    """
    if rules.untrusted:
        open_lone(os.fspath(path)).close()
    if not is_raster(Path(path)):
        yield PolygonLabels(path, grid, rule, rules)
        return
    with open_raster(path, LABEL_DRIVERS, rules) as dataset:
        yield RasterLabels(path, dataset, grid, rule)


class RasterLabels:
    """Labels in a raster on the scene's grid."""

    def __init__(
        self, path: str | os.PathLike[str], dataset: Any, grid: Grid, rule: LabelRule
    ) -> None:
        if dataset.count != 1:
            why = f"has {dataset.count} bands; labels are one band of class values"
            raise LabelMismatch(path, why, "give the raster of classes, not a picture of it")
        _check_grid(path, dataset, grid, crop=rule.crop)
        if dataset.nodata is not None and rule.class_map and dataset.nodata in rule.numbers:
            why = f"declares {dataset.nodata:g} as nodata, which --class-map names as a class"
            raise LabelMismatch(path, why, "take it off with rio edit-info LABELS --unset-nodata")
        self._path, self._dataset, self._grid, self._rule = path, dataset, grid, rule

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids (rows, cols) of a window inside the scene, 255 = ignored.

        Raises:
            LabelMismatch: values in it that are no known class.
            SceneUnreadable: a block is corrupt or cut short.
        """
        ids, unknown = self._recode(window)
        self._refuse(unknown)
        return ids

    def count(self) -> Counter[int]:
        """Pixels of the scene per class id, 255 included.

        Raises:
            LabelMismatch: values that are no known class; lists them all with their pixels.
            SceneUnreadable: a block is corrupt or cut short.
        """
        pixels: Counter[int] = Counter()
        unknown: Counter[float] = Counter()
        for window in _strips(self._grid):
            ids, strange = self._recode(window)
            pixels.update(_counted(ids))
            unknown.update(strange)
        self._refuse(unknown)
        return pixels

    def _recode(self, window: Window) -> tuple[NDArray[np.uint8], dict[float, int]]:
        try:
            values = self._dataset.read(1, window=to_rasterio(window))
            settled = self._dataset.read_masks(1, window=to_rasterio(window)) == 0
        except GDAL_ERRORS as error:
            why = f"a block cannot be read ({cause(error)})"
            raise SceneUnreadable(self._path, why, "download or copy the file again") from error
        settled |= values != values  # NaN
        ids = np.full(values.shape, IGNORED, np.uint8)
        for value, class_id in self._rule.numbers.items():
            hit = ~settled & (values == value)
            ids[hit] = class_id
            settled |= hit
        return ids, _counted(values[~settled & (values != IGNORED)])

    def _refuse(self, unknown: Mapping[float, int]) -> None:
        if unknown:
            listed = _listed((f"{value:g}", n) for value, n in sorted(unknown.items()))
            why = f"holds unknown classes: {listed} px"
            raise LabelMismatch(self._path, why, self._rule.remedy)


class PolygonLabels:
    """Labels drawn as polygons, burnt window by window."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        grid: Grid,
        rule: LabelRule,
        rules: OpenRules = RULES,
    ) -> None:
        polygons = read_polygons(path, grid, rule.field, rules)
        self._ids = np.array(_ids_of(path, polygons, rule), np.uint8)
        self._shapes, self._tree = polygons.shapes, shapely.STRtree(polygons.shapes)
        self._grid = grid
        self._fill = IGNORED if rule.background is None else rule.background

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids (rows, cols) of a window inside the scene, 255 = ignored."""
        transform = shifted(self._grid.transform, window.row, window.col)
        frame = shapely.box(*bounds(transform, window.height, window.width))
        near = np.sort(self._tree.query(frame))  # in file order: the last one wins
        if not near.size:
            return np.full((window.height, window.width), self._fill, np.uint8)
        burnt: NDArray[np.uint8] = rasterize(
            [(self._shapes[i], int(self._ids[i])) for i in near],
            out_shape=(window.height, window.width),
            fill=self._fill,
            transform=transform,
            dtype="uint8",
        )
        return burnt

    def count(self) -> Counter[int]:
        """Pixels of the scene per class id, 255 included."""
        pixels: Counter[int] = Counter()
        for window in _strips(self._grid):
            pixels.update(_counted(self.read(window)))
        return pixels


def _ids_of(path: object, polygons: Polygons, rule: LabelRule) -> list[int]:
    values = [canonical(value) for value in polygons.values]
    if unknown := Counter(value for value in values if value not in rule.ids):
        why = f"attribute {rule.field!r} holds unknown classes: {_listed(unknown.items())} polygons"
        raise LabelMismatch(path, why, rule.remedy)
    return [rule.ids[value] for value in values]


def _check_grid(path: object, dataset: Any, grid: Grid, *, crop: bool) -> None:
    size, wanted = (dataset.height, dataset.width), (grid.height, grid.width)
    if dataset.crs is None and dataset.transform.is_identity:
        larger = size[0] >= wanted[0] and size[1] >= wanted[1]
        if size != wanted and not (crop and larger):
            why = f"has {size[0]} x {size[1]} pixels and the scene {wanted[0]} x {wanted[1]}"
            raise LabelMismatch(path, why, "cut or draw the labels to the scene's size")
        return
    if not same_grid(dataset, grid):
        raise LabelMismatch(path, _difference(dataset, grid), _warp_remedy(dataset, grid))


def _difference(dataset: Any, grid: Grid) -> str:
    if dataset.crs != grid.crs:
        return f"is in {_crs_name(dataset.crs)} and the scene in {_crs_name(grid.crs)}"
    size = f"{dataset.height} x {dataset.width} pixels"
    return f"has {size} on another grid than the scene's {grid.height} x {grid.width}"


def _warp_remedy(dataset: Any, grid: Grid) -> str:
    if grid.crs is None:
        return "give labels without georeference, or a scene with one"
    # Else what lies outside the labels would become 0, which is a class.
    ignored = f" --src-nodata {IGNORED} --dst-nodata {IGNORED}" * (dataset.nodata is None)
    return f"warp them to the scene's grid: rio warp LABELS OUT.tif --like SCENE{ignored}"


def _crs_name(crs: CRS | None) -> str:
    if crs is None:
        return "no CRS"
    authority = crs.to_authority()
    return ":".join(authority) if authority else "a CRS of its own"


def _strips(grid: Grid) -> Iterator[Window]:
    for row in range(0, grid.height, _STRIP_ROWS):
        yield Window(row, 0, min(_STRIP_ROWS, grid.height - row), grid.width)


def _counted(values: NDArray[Any]) -> dict[Any, int]:
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    entries: Sequence[str] = [f"{value} ({n})" for value, n in counts]
    return ", ".join(entries[:20]) + (f" and {len(entries) - 20} more," * (len(entries) > 20))
