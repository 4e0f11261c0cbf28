"""What a user may choose for a scan, and the plan that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geodeforest.core.decide import stitched_planes, threshold_step
from geodeforest.core.grid import ChipGrid
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import OptionError


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """A user's choices; None means the model's own.

    ``scale`` maps stored numbers to the model's 0 and 1. ``min_area`` is in hectares,
    ``memory`` in MB, ``chip`` and ``overlap`` in pixels.
    """

    bands: Sequence[str] | None = None
    scale: BandScale | None = None
    threshold: float | None = None
    min_area: float = 0.5
    chip: int | None = None
    overlap: int | None = None
    threads: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        if self.threshold is not None:
            threshold_step(self.threshold)
        if not self.min_area >= 0:
            raise OptionError(f"min_area {self.min_area:g} ha must not be negative")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"threads {self.threads} must be at least 1")
        if self.memory < 1:
            raise OptionError(f"memory {self.memory} MB must be at least 1")


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """What a scan of ``grid`` will do and hold. ``step`` is the threshold as a stored score."""

    grid: ChipGrid
    threads: int
    step: int
    planes: int
    bands: int
    itemsize: int

    @property
    def stride(self) -> int:
        """Rows between the tops of neighbouring chip rows."""
        return self.grid.chip - self.grid.overlap

    @property
    def bytes(self) -> int:
        """Estimate of the peak memory of the whole process.

        Two strips of stored rows (one is read ahead), the stitcher, the settled rows on
        their way out, the network at work in each thread, and the program itself.
        """
        chip, width = self.grid.chip, self.grid.width
        strips = 2 * chip * width * (self.bands * self.itemsize + 1)
        stitcher = (self.planes + 1) * chip * width * 4
        settled = chip * width * (4 * self.planes + 8)
        network = self.threads * chip * chip * NETWORK_BYTES_PER_PIXEL
        return strips + stitcher + settled + network + PROGRAM_BYTES


PROGRAM_BYTES = 280 * 2**20
"""Interpreter, numpy, GDAL with its block cache, geopandas and ONNX Runtime, measured."""

NETWORK_BYTES_PER_PIXEL = 400
"""Activations of one session run per input pixel, measured on the built-in model."""


def plan_scan(
    spec: ModelSpec,
    options: ScanOptions,
    *,
    shape: tuple[int, int],
    itemsize: int,
    threads: int,
) -> ScanPlan:
    """The plan for a scene of ``shape`` (rows, cols) whose bands take ``itemsize`` bytes.

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
    grid = ChipGrid(*shape, chip, overlap)
    smaller = -(-max(shape) // multiple) * multiple
    if smaller < chip:
        grid = ChipGrid(*shape, smaller, min(overlap, smaller - 1))
    return ScanPlan(
        grid=grid,
        threads=min(threads, len(grid)),
        step=threshold_step(spec.threshold if options.threshold is None else options.threshold),
        planes=len(stitched_planes(spec)),
        bands=len(spec.bands),
        itemsize=itemsize,
    )
