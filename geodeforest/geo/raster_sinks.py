"""Class maps and score maps: rows go in, a Cloud Optimized GeoTIFF comes out.

Knows what each kind of map tells of itself, and whether a disk kept it. Nothing of scores or
thresholds: the rows are final. No path and no clock enter a file, so equal rows give equal
bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray

from geodeforest.core.decide import STEPS
from geodeforest.core.spec import NOT_ASSESSED, ClassDef, Role
from geodeforest.errors import OutputUnwritable
from geodeforest.geo.cog import BLOCK_PX, Level, described, write_cog
from geodeforest.geo.deflate import crc32
from geodeforest.geo.files import final_name, naming_faults
from geodeforest.geo.opening import GDAL_ERRORS
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.pyramid import Coding, Pyramid, averaged, sampled

ROLE_COLOURS: Mapping[Role, tuple[int, int, int]] = {
    "forest": (27, 120, 55),
    "deforestation": (215, 48, 39),
    "other": (150, 150, 150),
}

# A sample keeps the share of each class; the most frequent one would wash away small
# clearings, and a mean of class ids means nothing. Ids come in runs, so differences only cost.
_OF_CLASSES = Coding(sampled)
_OF_SCORES = Coding(averaged, predictor=True)


@dataclass(frozen=True)
class _Layout:
    """What tells one kind of map from another."""

    description: str
    coding: Coding
    tags: Mapping[str, str]
    colours: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    scale: float = 1.0


class _MapSink:
    """A ``RowSink`` that compresses blocks as rows come and checks that they were kept.

    Holds one row of blocks of the map and of each overview: ``1024 * width`` bytes in all.
    A full disk may lose in silence what it took, so the checksum of every block is compared
    with what the finished file holds where its directory says.
    """

    def __init__(
        self, path: str | os.PathLike[str], profile: SceneProfile, layout: _Layout
    ) -> None:
        self._path = Path(path)
        self._height, self._width = profile.height, profile.width
        placed = {"crs": profile.crs, "transform": profile.transform, "nodata": NOT_ASSESSED}
        told = {
            "tags": layout.tags,
            "description": layout.description,
            "colours": layout.colours,
            "scale": layout.scale,
        }
        with naming_faults(self._path, *GDAL_ERRORS):
            self._told = described(placed, told, predictor=layout.coding.predictor)
            self._pyramid = Pyramid(self._path, self._height, self._width, layout.coding)

    def write(self, rows: NDArray[np.uint8]) -> None:
        """Append rows of shape (rows, width), as many or few as there are.

        Raises:
            OutputUnwritable: the disk is full.
        """
        last = self._pyramid.rows + len(rows)
        if rows.dtype != np.uint8 or rows.shape[1:] != (self._width,):
            raise ValueError(f"rows are {rows.dtype} {rows.shape}, not uint8 (n, {self._width})")
        if last > self._height:
            raise ValueError(f"row {last} of a map of {self._height}")
        with naming_faults(self._path):
            self._pyramid.add(rows)

    def close(self) -> None:
        """Make the map of the rows, and read it back.

        Raises:
            OutputUnwritable: it does not read back as it was written.
        """
        try:
            if self._pyramid.rows != self._height:
                raise ValueError(f"{self._pyramid.rows} rows of {self._height} were written")
            with naming_faults(self._path, *GDAL_ERRORS):
                levels = self._pyramid.levels()
                write_cog(self._path, self._told, levels)
                self._verify(levels)
        finally:
            self._pyramid.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._pyramid.discard()

    def _verify(self, levels: Sequence[Level]) -> None:
        """Read every block where GDAL finds it, and compare its checksum."""
        with rasterio.open(self._path, driver="GTiff") as dataset, self._path.open("rb") as file:
            for number, (level, checksums) in enumerate(
                zip(levels, self._pyramid.checksums(), strict=True)
            ):
                across = -(-level.width // BLOCK_PX)
                for block, checksum in enumerate(checksums):
                    row, col = divmod(block, across)
                    if crc32(_stored(dataset, file, number, (row, col))) != checksum:
                        raise self._lost(row * BLOCK_PX, level, number)

    def _lost(self, row: int, level: Level, number: int) -> OutputUnwritable:
        of = f" of overview {number}" if number else ""
        last = min(row + BLOCK_PX, level.height) - 1
        return OutputUnwritable(
            final_name(self._path),
            f"rows {row}..{last}{of} do not read back as written",
            "check that the disk is not full and write again",
        )


def _stored(dataset: Any, file: Any, level: int, block: tuple[int, int]) -> bytes:
    """The bytes of a block (row, col), found through the file's own directory."""
    name = f"{block[1]}_{block[0]}"
    overview = level - 1 if level else None
    offset, size = (
        int(dataset.get_tag_item(f"BLOCK_{what}_{name}", "TIFF", bidx=1, ovr=overview) or 0)
        for what in ("OFFSET", "SIZE")
    )
    file.seek(offset)
    found: bytes = file.read(size)
    return found


class ClassMapSink(_MapSink):
    """Rows of class ids become a class map with a colour table, 255 = not assessed."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        profile: SceneProfile,
        classes: Sequence[ClassDef],
        tags: Mapping[str, str],
    ) -> None:
        names = {str(c.id): c.name for c in classes} | {str(NOT_ASSESSED): "not assessed"}
        colours = {c.id: (*ROLE_COLOURS[c.role], 255) for c in classes}
        layout = _Layout(
            description="class: " + ", ".join(f"{i} {name}" for i, name in names.items()),
            coding=_OF_CLASSES,
            tags={**tags, **{f"CLASS_{i}": name for i, name in names.items()}},
            colours={**colours, NOT_ASSESSED: (0, 0, 0, 0)},
        )
        super().__init__(path, profile, layout)


class ScoreMapSink(_MapSink):
    """Rows of stored scores become a map that readers see as 0..1, 255 = not assessed."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        profile: SceneProfile,
        tags: Mapping[str, str],
        *,
        of: str = "deforestation",
    ) -> None:
        layout = _Layout(
            description=f"score of {of}",
            coding=_OF_SCORES,
            tags=tags,
            scale=1 / STEPS,
        )
        super().__init__(path, profile, layout)


CONFUSION = {
    0: ("true negative", (222, 222, 222)),
    1: ("true positive", (27, 120, 55)),
    2: ("false positive", (215, 48, 39)),
    3: ("false negative", (69, 117, 180)),
}
"""The codes of a confusion map: what they mean for deforestation, and their colours."""


def confusion_codes(
    truth: NDArray[np.uint8], found: NDArray[np.uint8], target: int
) -> NDArray[np.uint8]:
    """The codes of class indexes (rows, cols), 255 where truth or result is 255."""
    codes = np.array([[0, 2], [3, 1]], np.uint8)
    both: NDArray[np.uint8] = codes[(truth == target).astype(int), (found == target).astype(int)]
    both[(truth == NOT_ASSESSED) | (found == NOT_ASSESSED)] = NOT_ASSESSED
    return both


class ConfusionMapSink(_MapSink):
    """Rows of ``confusion_codes`` become a map with a colour table, 255 = nothing to compare."""

    def __init__(
        self, path: str | os.PathLike[str], profile: SceneProfile, tags: Mapping[str, str]
    ) -> None:
        names = {str(code): name for code, (name, _) in CONFUSION.items()}
        layout = _Layout(
            description="deforestation: " + ", ".join(f"{i} {n}" for i, n in names.items()),
            coding=_OF_CLASSES,
            tags={**tags, **{f"CLASS_{i}": name for i, name in names.items()}},
            colours={code: (*colour, 255) for code, (_, colour) in CONFUSION.items()}
            | {NOT_ASSESSED: (0, 0, 0, 0)},
        )
        super().__init__(path, profile, layout)
