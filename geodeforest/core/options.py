"""What a user may choose for a scan, and the plan that follows from it."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from types import UnionType
from typing import Literal, TypeAlias, get_args

from geodeforest.core.decide import stitched_planes, threshold_step
from geodeforest.core.grid import ChipGrid
from geodeforest.core.pixels import BandScale
from geodeforest.core.program import PROGRAM_BYTES, program_bytes
from geodeforest.core.spec import ModelSpec
from geodeforest.core.stitch import SHARES
from geodeforest.core.threads import Crew, InPlace, Threads
from geodeforest.errors import OptionError


@dataclass(frozen=True, slots=True)
class VectorOptions:
    """How polygons are made of pixels.

    Polygons under ``min_area`` hectares are dropped. Outlines may move by ``simplify``
    metres; None is half a pixel's diagonal with every pixel's centre on its side, 0 none
    at all. ``smooth`` rounds the pixels' outlines instead. With ``merge_small`` regions
    under ``min_area`` are given to the neighbour with the longest shared border, and none
    is dropped.
    """

    min_area: float = 0.5
    simplify: float | None = None
    smooth: bool = False
    merge_small: bool = False

    def __post_init__(self) -> None:
        _refuse_types(Real, optional=False, min_area=self.min_area)
        _refuse_types(Real, simplify=self.simplify)
        if not 0 <= self.min_area < math.inf:
            raise OptionError(f"min_area {self.min_area:g} ha must be finite and not negative")
        if self.simplify is not None and not 0 <= self.simplify < math.inf:
            raise OptionError(f"simplify {self.simplify:g} m must be finite and not negative")
        if self.smooth and self.simplify:
            raise OptionError("smooth rounds the pixels' own outlines; leave simplify out")


OnError = Literal["fail", "skip"]
Device = Literal["cpu", "gpu"]
PathLike: TypeAlias = str | os.PathLike[str]


MAX_PIXELS = 40_000_000_000
"""The largest scene that is opened unasked: 200,000 x 200,000, a country at 10 m."""


@dataclass(frozen=True, slots=True)
class OpenRules:
    """What may be opened: VRT files, and scenes of at most ``max_pixels`` pixels.

    ``untrusted`` leaves nothing but plain GeoTIFF files, alone, and GeoJSON laid over them.
    """

    allow_vrt: bool = False
    max_pixels: int = MAX_PIXELS
    untrusted: bool = False

    def __post_init__(self) -> None:
        _refuse_types(Integral, optional=False, max_pixels=self.max_pixels)
        if self.allow_vrt and self.untrusted:
            raise OptionError("allow_vrt and untrusted contradict each other; give one of them")
        if self.max_pixels < 1:
            raise OptionError(f"max_pixels {self.max_pixels} must be at least 1")


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """A user's choices; None means the model's own.

    ``scale`` maps stored numbers to the model's 0 and 1. ``min_area``, ``simplify``,
    ``smooth`` and ``merge_small`` are those of ``VectorOptions``, ``allow_vrt``, ``untrusted``
    and ``max_pixels`` are those of ``OpenRules``. ``mask``, ``aoi`` and ``baseline`` name files,
    ``on_error`` says what becomes of blocks that cannot be read. ``memory`` is in MB, ``chip``
    and ``overlap`` in pixels. Pixels that are not of the model's size are made so, unless
    ``resample`` is False. ``assign_crs`` stands in for a CRS that the scene lacks. ``device``
    is where the network runs.
    """

    bands: Sequence[str] | None = None
    scale: BandScale | None = None
    threshold: float | None = None
    min_area: float = 0.5
    simplify: float | None = None
    smooth: bool = False
    merge_small: bool = False
    baseline: PathLike | None = None
    mask: PathLike | None = None
    aoi: PathLike | None = None
    on_error: OnError = "fail"
    chip: int | None = None
    overlap: int | None = None
    threads: int | None = None
    memory: int = 1024
    resample: bool = True
    assign_crs: object = None
    max_pixels: int = MAX_PIXELS
    allow_vrt: bool = False
    untrusted: bool = False
    device: Device = "cpu"

    def __post_init__(self) -> None:
        _refuse_types(Real, threshold=self.threshold)
        _refuse_types(Integral, chip=self.chip, overlap=self.overlap, threads=self.threads)
        _refuse_types(Integral, optional=False, memory=self.memory)
        _refuse_types(str | os.PathLike, baseline=self.baseline, mask=self.mask, aoi=self.aoi)
        if self.on_error not in get_args(OnError):
            raise OptionError(f"on_error {self.on_error!r} is not one of {get_args(OnError)}")
        if self.device not in get_args(Device):
            raise OptionError(f"device {self.device!r} is not one of {get_args(Device)}")
        if self.threshold is not None:
            threshold_step(self.threshold)
        _ = self.vector, self.rules
        if self.chip is not None and self.chip < 1:
            raise OptionError(f"chip {self.chip} px must be at least 1")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"threads {self.threads} must be at least 1")
        if self.memory < 1:
            raise OptionError(f"memory {self.memory} MB must be at least 1")
        self._make_plain()

    def _make_plain(self) -> None:
        """Keep numbers as Python's own: numpy's are no JSON, and 1 would not be 1.0 in a hash."""
        for kind, names in _PLAIN.items():
            for name in names:
                value = getattr(self, name)
                if value is not None:
                    object.__setattr__(self, name, kind(value))

    @property
    def vector(self) -> VectorOptions:
        """How polygons are made."""
        return VectorOptions(self.min_area, self.simplify, self.smooth, self.merge_small)

    @property
    def files(self) -> tuple[PathLike, ...]:
        """The files beside the scene, which no output may replace."""
        return tuple(path for path in (self.baseline, self.mask, self.aoi) if path is not None)

    @property
    def rules(self) -> OpenRules:
        """What may be opened."""
        return OpenRules(self.allow_vrt, self.max_pixels, self.untrusted)


_PLAIN: dict[type, tuple[str, ...]] = {
    float: ("threshold", "min_area", "simplify"),
    int: ("chip", "overlap", "threads", "memory", "max_pixels"),
    bool: ("smooth", "merge_small", "resample"),
}


def _refuse_types(kind: type | UnionType, *, optional: bool = True, **values: object) -> None:
    for name, value in values.items():
        if not (isinstance(value, kind) or (optional and value is None)):
            what = "whole number" if kind is Integral else "number" if kind is Real else "path"
            raise OptionError(f"{name}: {value!r} is not a {what}")


CACHE_BYTES = 64 * 2**20
"""The least that GDAL's block cache gets."""

_MODEL_COPIES = 3
"""The file's bytes, ONNX Runtime's reading of them, and the weights: held at once as it loads."""

_AHEAD = 4
"""Chips that each thread may be ahead: enough to be busy while a chip row is written."""

_TOGETHER_PX = 2048
"""Columns read together of a scene in tiles: many of them at a time, and few bytes."""

SINK_ROWS = 1024
"""Rows that each of the two raster outputs holds until its blocks, and its overviews', are full."""

_OUTLINE_BYTES, _OUTLINES_PX = 40 * 2**20, 2**26
"""What open outlines and their polygons take, and in how many pixels there are that many."""

_COLUMN_BYTES = 500
"""What is known of each column beside its pixels, as of its chips and areas; measured."""

WAITING_ROWS = 4
"""Portions of rows that may wait for the outputs: as many as a chip row of a wide scene gives."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A scene's sizes in pixels, bytes per pixel of the bands to read, and what reading takes.

    ``block_rows`` are those of its file's blocks, ``file_size`` are that file's rows and columns
    where the scene is made of another grid. ``work_bytes`` are held while a window is read.
    ``cached_px_bytes`` are those of a pixel in the block cache, with the masks, and with the
    bands that are not read but lie in the same blocks; by default ``pixel_bytes``.
    ``tile_cols`` are the columns of its blocks where these are small tiles; None where rows are
    best read whole. ``busy_cols`` are the columns that these tiles hold something of, where
    some were never written.
    """

    height: int
    width: int
    pixel_bytes: int
    block_rows: int
    file_size: tuple[int, int] | None = None
    work_bytes: int = 0
    cached_px_bytes: int | None = None
    tile_cols: int | None = None
    busy_cols: int | None = None

    @property
    def cache_bytes(self) -> int:
        """A block cache in which one row of the file's blocks and a quarter fit.

        Chip rows begin in the middle of blocks; without it each block would be decoded twice.
        Tiles are read whole, some columns at a time.
        """
        _, width = self.file_size or (self.height, self.width)
        if self.tile_cols is not None:
            width = min(width, 2 * _TOGETHER_PX)
        row = self.block_rows * width * (self.cached_px_bytes or self.pixel_bytes)
        return max(CACHE_BYTES, row + row // 4)

    @property
    def cached_bytes(self) -> int:
        """How much of that cache a scan fills: no more than the file."""
        height, width = self.file_size or (self.height, self.width)
        pixel_bytes = self.cached_px_bytes or self.pixel_bytes
        return min(self.cache_bytes, height * width * pixel_bytes)


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """What a scan of ``grid`` will do and hold. ``step`` is the threshold as a stored score.

    ``together`` chips of a row are read at a time, down to the end of the ``tile_rows`` that they
    reach; no more than ``busy_cols`` columns of a chip row hold something. Within ``reach``
    pixels of what cannot be read nothing is assessed. ``crew`` makes its threads.
    """

    grid: ChipGrid
    threads: int
    step: int
    planes: int
    px_bytes: int
    cache_bytes: int
    cached_bytes: int
    work_bytes: int
    network_bytes: int
    together: int
    busy_cols: int
    tile_rows: int = 1
    reach: int = 0
    model_bytes: int = 0
    program_bytes: int = PROGRAM_BYTES
    crew: Crew = Threads

    @property
    def rows_below(self) -> int:
        """Rows to be read below a chip row, so that its settled rows know what fails near them."""
        return max(0, self.reach - self.grid.overlap)

    @property
    def bytes(self) -> int:
        """Estimate of the peak memory of the whole process.

        Stored rows, GDAL's block cache, what resampling holds, the scores that chip rows share,
        the settled rows of one that is filled and one that waits for the outputs, the rows in
        them, outlines, a network run per thread, the scores that wait, the model, and the
        program itself with what the outputs make it load.
        """
        grid, width = self.grid, self.grid.width
        shared = 2 * grid.most_shared + grid.overlap  # twice, as they are handed on too
        blended = (self.planes * shared * self.busy_cols + SHARES * grid.chip**2) * 4
        settled = 2 * 2 * min(grid.height, grid.chip) * width
        outputs = (2 * SINK_ROWS + _COLUMN_BYTES) * width
        threads = self.threads * self._thread_bytes
        read = self._read_bytes + self.cached_bytes + self.work_bytes
        held = read + blended + settled + outputs
        held += _OUTLINE_BYTES * min(grid.height * width, _OUTLINES_PX) // _OUTLINES_PX
        return held + threads + self.model_bytes + self.program_bytes

    @property
    def _read_bytes(self) -> int:
        """The rows that chip rows share, and four groups of chips: two are joined, two are used."""
        grid = self.grid
        tall = min(grid.height, grid.chip + self.rows_below + self.tile_rows - 1)
        kept = min(tall, max(grid.most_shared, grid.overlap) + self.rows_below + self.tile_rows - 1)
        wide = min(grid.width, self.together * (grid.chip - grid.overlap) + grid.overlap)
        return (kept * self.busy_cols + 4 * tall * wide) * self.px_bytes

    @property
    def journal_bytes(self) -> int:
        """The most that goes to disk for a later scan to go on from.

        A class and a score of each pixel, if nothing can be compressed, and the rows that are
        blended but not final after a chip row.
        """
        chip, width = self.grid.chip, self.grid.width
        return 2 * self.grid.height * width + self.planes * chip * width * 4

    @property
    def chips_ahead(self) -> int:
        """How many chips may be done or at work beyond the one that is stitched."""
        return _AHEAD * self.threads

    @property
    def _thread_bytes(self) -> int:
        """A network at work, and the scores that it has made ahead."""
        return self.network_bytes + _AHEAD * self.planes * self.grid.chip**2 * 4

    def within(self, budget_bytes: int) -> ScanPlan:
        """The plan with no more threads than fit in a budget, but one at least."""
        spare = budget_bytes - self.bytes + self.threads * self._thread_bytes
        return replace(self, threads=max(1, min(self.threads, spare // self._thread_bytes)))

    def in_place(self) -> ScanPlan:
        """The plan with all of it done by the thread that scans."""
        return replace(self, threads=1, crew=InPlace)


def plan_scan(
    spec: ModelSpec,
    options: ScanOptions,
    stored: Stored,
    threads: int,
    loads: Collection[str] = (),
) -> ScanPlan:
    """The plan for a scene with the model of ``spec``, on at most ``threads`` threads.

    ``loads`` names packages that the scan loads and others do not, as ``program_bytes`` does.
    A scene smaller than a chip gets a chip just large enough for the network.

    Raises:
        OptionError: chip or overlap do not fit the model.
    """
    multiple = spec.multiple
    chip = options.chip or spec.chip
    if chip % multiple:
        raise OptionError(f"chip {chip} px must be a multiple of the model's {multiple}")
    overlap = spec.overlap if options.overlap is None else options.overlap
    if options.overlap is None and overlap >= chip:
        overlap = chip // 2
    grid = ChipGrid(stored.height, stored.width, chip, overlap)
    smaller = -(-max(stored.height, stored.width) // multiple) * multiple
    if smaller < chip:
        grid = ChipGrid(stored.height, stored.width, smaller, min(overlap, smaller - 1))
    reach = spec.halo if options.on_error == "skip" else 0
    together, tile_rows = grid.chips_per_row, 1
    if stored.tile_cols is not None:
        together = max(1, _TOGETHER_PX // (grid.chip - grid.overlap))
        tile_rows = stored.block_rows
    return ScanPlan(
        grid=grid,
        threads=min(threads, len(grid)),
        step=threshold_step(spec.threshold if options.threshold is None else options.threshold),
        planes=len(stitched_planes(spec)),
        px_bytes=stored.pixel_bytes + 1,
        cache_bytes=stored.cache_bytes,
        cached_bytes=stored.cached_bytes,
        work_bytes=stored.work_bytes,
        network_bytes=grid.chip**2 * spec.architecture.bytes_per_px,
        together=min(together, grid.chips_per_row),
        busy_cols=_busy_cols(stored, grid),
        tile_rows=tile_rows,
        reach=reach,
        model_bytes=_MODEL_COPIES * max((f.bytes for f in spec.files.values()), default=0),
        program_bytes=program_bytes(loads),
    )


def _busy_cols(stored: Stored, grid: ChipGrid) -> int:
    """The columns of chips that touch a tile with something in it."""
    if stored.tile_cols is None or stored.busy_cols is None:
        return grid.width
    tiles = -(-stored.busy_cols // stored.tile_cols)
    return min(grid.width, tiles * (stored.tile_cols + 2 * grid.chip))
