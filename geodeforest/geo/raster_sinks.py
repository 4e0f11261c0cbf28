"""Class maps and score maps: rows go in, a Cloud Optimized GeoTIFF comes out.

Knows GDAL's block writing and how it can lose data. Nothing of scores or thresholds: the
rows are final. No path and no clock enter a file, so equal rows give equal bytes.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray

from geodeforest.core.decide import STEPS
from geodeforest.core.grid import Window
from geodeforest.core.spec import NOT_ASSESSED, ClassDef, Role
from geodeforest.errors import OutputUnwritable
from geodeforest.geo.files import final_name, naming_faults
from geodeforest.geo.opening import GDAL_ERRORS
from geodeforest.geo.parts import to_rasterio
from geodeforest.geo.profile import SceneProfile

BLOCK_PX = 512
ROLE_COLOURS: Mapping[Role, tuple[int, int, int]] = {
    "forest": (27, 120, 55),
    "deforestation": (215, 48, 39),
    "other": (150, 150, 150),
}

_CACHE_BYTES = 64 * 2**20

# DEFLATE, since every reader of TIFF has it; ZSTD saves under a megabyte on a class map and
# is missing from some builds. The predictor makes both kinds of map smaller.
_COG = {
    "driver": "COG",
    "compress": "DEFLATE",
    "predictor": "YES",
    "blocksize": BLOCK_PX,
    "BIGTIFF": "IF_SAFER",
}
# The scratch file is read once and deleted: quick compression is enough.
_TILES = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": BLOCK_PX,
    "blockysize": BLOCK_PX,
    "compress": "DEFLATE",
    "zlevel": 1,
    "BIGTIFF": "IF_SAFER",
}


@dataclass(frozen=True)
class _Layout:
    """What tells one kind of map from another."""

    description: str
    overviews: str
    tags: Mapping[str, str]
    colours: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    scale: float = 1.0


class _MapSink:
    """A ``RowSink`` that writes whole rows of blocks and checks that they were kept.

    Holds one row of blocks: ``512 * width`` bytes, beside GDAL's cache. A block written in
    parts would wait in that cache, and what fails when the file is closed is lost without
    an error; hence whole blocks only, and checksums that are compared at the end.
    """

    def __init__(
        self, path: str | os.PathLike[str], profile: SceneProfile, layout: _Layout
    ) -> None:
        self._path = Path(path)
        self._tiles = self._path.with_name(self._path.name + ".tiles.tif")
        self._height, self._width = profile.height, profile.width
        self._layout = layout
        self._rows = np.empty((BLOCK_PX, self._width), np.uint8)
        self._held = 0  # rows that wait for their block to be full
        self._flushed = 0
        self._checksums: list[int] = []
        with self._writing():
            self._dataset = self._create(profile)

    def write(self, rows: NDArray[np.uint8]) -> None:
        """Append rows of shape (rows, width), as many or few as there are.

        Raises:
            OutputUnwritable: the disk is full.
        """
        done = self._flushed + self._held
        if rows.dtype != np.uint8 or rows.shape[1:] != (self._width,):
            raise ValueError(f"rows are {rows.dtype} {rows.shape}, not uint8 (n, {self._width})")
        if done + len(rows) > self._height:
            raise ValueError(f"row {done + len(rows)} of a map of {self._height}")
        while len(rows):
            part, rows = np.split(rows, [BLOCK_PX - self._held])
            self._rows[self._held : self._held + len(part)] = part
            self._held += len(part)
            if self._held == BLOCK_PX or self._flushed + self._held == self._height:
                self._flush()

    def close(self) -> None:
        """Make the map of the rows, and read it back.

        Raises:
            OutputUnwritable: it does not read back as it was written.
        """
        options = {**_COG, "overview_resampling": self._layout.overviews}
        try:
            with self._writing():
                self._dataset.close()
                if self._flushed != self._height:
                    raise ValueError(f"{self._flushed} rows of {self._height} were written")
                rasterio.shutil.copy(str(self._tiles), str(self._path), **options)
                self._verify()
        finally:
            self._tiles.unlink(missing_ok=True)

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
            return
        try:
            self._dataset.close()
        except GDAL_ERRORS:
            pass  # the error under way is the one to tell
        finally:
            self._tiles.unlink(missing_ok=True)

    def _create(self, profile: SceneProfile) -> Any:
        dataset = rasterio.open(
            self._tiles,
            "w",
            height=self._height,
            width=self._width,
            count=1,
            dtype="uint8",
            nodata=NOT_ASSESSED,
            crs=profile.crs,
            transform=profile.transform,
            **_TILES,
        )
        dataset.update_tags(**self._layout.tags)
        dataset.set_band_description(1, self._layout.description)
        if self._layout.colours:
            dataset.write_colormap(1, self._layout.colours)
        if self._layout.scale != 1:
            dataset.scales, dataset.offsets = (self._layout.scale,), (0.0,)
        return dataset

    def _flush(self) -> None:
        rows = self._rows[: self._held]
        window = Window(self._flushed, 0, self._held, self._width)
        with self._writing():
            self._dataset.write(rows, 1, window=to_rasterio(window))
        self._checksums.append(zlib.crc32(rows.data))
        self._flushed += self._held
        self._held = 0

    def _verify(self) -> None:
        with rasterio.open(self._path, driver="GTiff") as dataset:
            for row, checksum in zip(
                range(0, self._height, BLOCK_PX), self._checksums, strict=True
            ):
                window = Window(row, 0, min(BLOCK_PX, self._height - row), self._width)
                rows = dataset.read(1, window=to_rasterio(window))
                if zlib.crc32(rows.data) != checksum:
                    raise OutputUnwritable(
                        final_name(self._path),
                        f"rows {row}..{row + window.height - 1} do not read back as written",
                        "check that the disk is not full and write again",
                    )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        # In bytes. With less than two rows of blocks GDAL would write blocks in parts; and
        # to lower what someone has set would throw away blocks that are read again.
        already = rasterio.env.getenv().get("GDAL_CACHEMAX") if rasterio.env.hasenv() else None
        wanted = max(_CACHE_BYTES, 2 * BLOCK_PX * self._width)
        cache_bytes = max(already, wanted) if isinstance(already, int) else wanted
        with naming_faults(self._path, *GDAL_ERRORS), rasterio.Env(GDAL_CACHEMAX=cache_bytes):
            yield


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
            # A sample keeps the share of each class; the most frequent one would wash
            # away small clearings, and a mean of class ids means nothing.
            overviews="NEAREST",
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
            overviews="AVERAGE",
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
            overviews="NEAREST",
            tags={**tags, **{f"CLASS_{i}": name for i, name in names.items()}},
            colours={code: (*colour, 255) for code, (_, colour) in CONFUSION.items()}
            | {NOT_ASSESSED: (0, 0, 0, 0)},
        )
        super().__init__(path, profile, layout)
