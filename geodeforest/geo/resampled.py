"""A scene seen with pixels of another size, on a grid that has its CRS, corner and orientation.

The grid differs from the scene's by the length of its pixel sides alone, so nothing is
reprojected: rows stay rows and columns stay columns. Knows metres and geotransforms;
``core/resample.py`` has the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine

from geodeforest.core.grid import Window
from geodeforest.core.options import Stored
from geodeforest.core.pixels import Pixels
from geodeforest.core.resample import Axis, resample
from geodeforest.core.simplify import PixelMetric
from geodeforest.errors import GsdMismatch
from geodeforest.geo.bands import Band
from geodeforest.geo.georeference import scene_gsd
from geodeforest.geo.profile import SceneProfile, pixel_metric
from geodeforest.geo.scene import Scene

TOLERANCE = 0.25
"""The sides of a scene's pixels may differ from the model's by this share."""

COARSEST = 8
"""How many times as long as the model's pixels those of a scene may be, on either side."""

_WORK_PX = 2**18  # worked on at a time: enough to hide numpy's overhead, few enough for the cache

_KEPT_ROWS = 2  # as many as two pixels of the new grid, one below the other, can share


@dataclass(frozen=True, slots=True)
class Resizing:
    """From pixels with the sides of ``metric`` to pixels of ``gsd_m`` metres."""

    metric: PixelMetric
    gsd_m: float

    @classmethod
    def of(cls, profile: SceneProfile, gsd_m: float | None) -> Resizing | None:
        """From a scene's pixels to a model's; None where one of the sizes is not known."""
        if gsd_m is None or profile.crs is None or profile.gsd_m is None:
            return None
        metric = pixel_metric(profile.transform, profile.crs, profile.height, profile.width)
        return None if metric is None else cls(metric, gsd_m)

    @property
    def is_needed(self) -> bool:
        """Whether a side of the pixels is too far from the model's."""
        return not all(1 - TOLERANCE <= ratio <= 1 + TOLERANCE for ratio in self._ratios)

    @property
    def is_too_coarse(self) -> bool:
        """Whether the scene cannot show what the model finds."""
        return max(self._ratios) > COARSEST

    @property
    def before(self) -> str:
        """The scene's pixels, such as "30 m" or, if not square, "10 x 30 m" (rows first)."""
        row, col = self.metric.row, self.metric.col
        square = abs(row - col) < 0.05 * max(row, col)
        return f"{(row + col) / 2:.3g} m" if square else f"{row:.3g} x {col:.3g} m"

    @property
    def _ratios(self) -> tuple[float, float]:
        return self.metric.row / self.gsd_m, self.metric.col / self.gsd_m

    def __str__(self) -> str:
        rows, cols = ("bilinear" if ratio > 1 else "area average" for ratio in self._ratios)
        how = rows if rows == cols else f"rows {rows}, columns {cols}"
        return f"{self.before} pixels are resampled to {self.gsd_m:g} m ({how})"


class ResampledScene:
    """A scene with pixels whose sides are ``resizing.gsd_m`` metres on the ground, at its centre.

    ``core/resample.py`` tells how values and masks come about. Stored numbers keep their
    dtype, so that what is known of their scale holds on. One thread at a time may read it.

    Raises:
        GsdMismatch: the scene is smaller than half such a pixel.
    """

    def __init__(self, scene: Scene, resizing: Resizing) -> None:
        before, metric = scene.profile, resizing.metric
        self._scene = scene
        self._kept: tuple[Window, Pixels] | None = None
        self._rows = Axis(before.height, resizing.gsd_m / metric.row)
        self._cols = Axis(before.width, resizing.gsd_m / metric.col)
        if min(before.height / self._rows.step, before.width / self._cols.step) < 0.5:
            raise GsdMismatch(
                before.path,
                f"is smaller than one of the model's {resizing.gsd_m:g} m pixels",
                "give a larger scene",
            )
        self.profile = _profile(before, self._rows, self._cols)

    @property
    def height(self) -> int:
        """Rows of the new grid."""
        return self._rows.target

    @property
    def width(self) -> int:
        """Columns of the new grid."""
        return self._cols.target

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands it reads, in reading order."""
        return self._scene.bands

    @property
    def tags(self) -> Mapping[str, str]:
        """What the scene's file says in words."""
        return self._scene.tags

    @property
    def stored(self) -> Stored:
        """Its sizes, and what reading it takes."""
        before = self._scene.stored
        rows, px = self._piece(before.width, self.width)
        source_px = (rows * self._rows.step + 2) * before.width
        sums = 5 * (len(self.bands) + 1) * np.result_type(self.profile.dtype, np.float32).itemsize
        return replace(
            before,
            height=self.height,
            width=self.width,
            file_size=before.file_size or (before.height, before.width),
            tile_cols=None,
            busy_cols=None,
            work_bytes=before.work_bytes
            + round(2 * source_px * (before.pixel_bytes + 1) + rows * px * sums),
        )

    def read(self, window: Window) -> Pixels:
        """The pixels of a window that lies inside the new grid.

        Raises:
            SceneUnreadable: a block is corrupt or cut short.
        """
        if window.within(self.height, self.width) != window:
            raise ValueError(f"{window} leaves the scene of {self.height} x {self.width} px")
        shape = window.height, window.width
        values = np.empty((len(self.bands), *shape), self.profile.dtype)
        valid, failed = np.empty(shape, bool), None
        for rows, part in self._parts(window):
            values[:, rows], valid[rows] = part.values, part.valid
            if part.failed is not None:
                failed = np.zeros(shape, bool) if failed is None else failed
                failed[rows] = part.failed
        return Pixels(values, valid, failed=failed)

    def _parts(self, window: Window) -> Iterator[tuple[slice, Pixels]]:
        """A few rows of a window at a time, with their place in it."""
        by_col = self._cols.taps(window.col, window.col + window.width)
        source_width = by_col.source.stop - by_col.source.start
        some, _ = self._piece(source_width, window.width)
        for top in range(0, window.height, some):
            bottom = min(top + some, window.height)
            by_row = self._rows.taps(window.row + top, window.row + bottom)
            pixels = self._source(by_row.source, by_col.source)
            yield slice(top, bottom), resample(pixels, by_row, by_col)

    def _source(self, rows: slice, cols: slice) -> Pixels:
        """Pixels of the scene, of which the last rows of the read before are still known.

        Two reads that both need rows on either side of a block's edge would otherwise take
        turns in pushing each other's blocks out of the cache.
        """
        wanted = Window(rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start)
        pixels = self._continued(wanted) or self._scene.read(wanted)
        last = min(_KEPT_ROWS, wanted.height)
        tail = pixels.crop(slice(wanted.height - last, None), slice(None))
        self._kept = Window(rows.stop - last, cols.start, last, wanted.width), tail.copy()
        return pixels

    def _continued(self, wanted: Window) -> Pixels | None:
        """The pixels of a window that begins in the rows that were kept."""
        if self._kept is None:
            return None
        place, kept = self._kept
        fresh = wanted.row + wanted.height - (place.row + place.height)
        begins = place.row <= wanted.row < place.row + place.height
        if not begins or place.cols != wanted.cols or fresh < 0:
            return None
        known = kept.crop(slice(wanted.row - place.row, None), slice(None))
        if fresh == 0:
            return known
        below = Window(place.row + place.height, wanted.col, fresh, wanted.width)
        return Pixels.joined([known, self._scene.read(below)], axis=0)

    def _piece(self, source_width: int, width: int) -> tuple[int, int]:
        """How many rows are made at a time, and the most pixels that each takes on the way."""
        px = max(source_width, width)
        return max(1, int(_WORK_PX / (px * max(1.0, self._rows.step)))), px


def _profile(before: SceneProfile, rows: Axis, cols: Axis) -> SceneProfile:
    was = before.transform
    place = Affine(
        was.a * cols.step, was.b * rows.step, was.c, was.d * cols.step, was.e * rows.step, was.f
    )
    return replace(
        before,
        height=rows.target,
        width=cols.target,
        transform=place,
        gsd_m=scene_gsd(place, before.crs, rows.target, cols.target),
    )
