"""A scene with its limits: what clouds hide, where the area of interest ends, what was forest.

Knows which numbers of the usual cloud masks hide the ground. How a file is laid over the
scene is in ``overlay``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.grid import Window
from geodeforest.core.options import OpenRules, PathLike, ScanOptions, Stored
from geodeforest.core.pixels import Pixels, uniform
from geodeforest.errors import LimitUnusable, SceneNotFound
from geodeforest.geo.bands import Band
from geodeforest.geo.blocks import cut
from geodeforest.geo.class_map import class_names, is_class_map
from geodeforest.geo.landsat import HIDDEN_BITS
from geodeforest.geo.overlay import Overlay, Yes, open_known_raster, open_overlay, plain
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.scene import Scene
from geodeforest.geo.sentinel2 import HIDDEN_CLASSES

MASKS: Mapping[str, Yes] = {
    "SCL": Yes(HIDDEN_CLASSES, name="SCL"),
    "QA_PIXEL": Yes((), bits=HIDDEN_BITS, name="QA_PIXEL"),
    "UDM2": Yes((0,), name="UDM2"),  # its first band is 1 where it is clear
}
"""Rasters that are known by their band's or file's name."""

_FOREST = "forest"
_LEAST_BLOCK, _WIDE = 64, (2**31, 512)  # rows of smaller blocks are read together
_WORK_BYTES = 24 * 2**20  # what an overlay takes while it is read, and what it reads at most


@dataclass(frozen=True, slots=True)
class BaselineFile:
    """The file that tells what was forest, and its ISO 8601 date if it has one."""

    name: str
    date: str | None


@dataclass(frozen=True, slots=True)
class Overlays:
    """What lies over a scene."""

    masks: Sequence[Overlay] = ()
    aoi: Overlay | None = None
    baseline: Overlay | None = None


class LimitedScene:
    """A scene of which only some pixels count. One thread at a time may read it.

    Blocks that masks hide, and those that no polygon of the area of interest comes as near as
    ``reach`` pixels, are not read, and not valid; with None the area leaves nothing unread.
    """

    def __init__(self, scene: Scene, overlays: Overlays, reach: int | None = None) -> None:
        self._scene, self._over, self._reach = scene, overlays, reach
        resampled = scene.stored.file_size is not None  # it has no blocks of its own
        small = resampled or min(scene.profile.block) < _LEAST_BLOCK
        self._block = _WIDE if small else scene.profile.block

    @property
    def height(self) -> int:
        """Rows of the scene."""
        return self._scene.height

    @property
    def width(self) -> int:
        """Columns of the scene."""
        return self._scene.width

    @property
    def profile(self) -> SceneProfile:
        """What is known of the scene beside its pixels."""
        return self._scene.profile

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands it reads, in reading order."""
        return self._scene.bands

    @property
    def tags(self) -> Mapping[str, str]:
        """What its file says in words."""
        return self._scene.tags

    @property
    def stored(self) -> Stored:
        """Its sizes, and what reading it takes: a byte a pixel for each kind of limit."""
        inner, over = self._scene.stored, self._over
        planes = bool(over.masks) + (over.aoi is not None) + (over.baseline is not None)
        return replace(
            inner,
            pixel_bytes=inner.pixel_bytes + planes,
            work_bytes=inner.work_bytes + _WORK_BYTES,
        )

    def read(self, window: Window) -> Pixels:
        """The pixels of a window, with what limits them.

        Raises:
            SceneUnreadable: a block of the scene, or of a file over it, is corrupt.
        """
        hidden: NDArray[np.bool_] = uniform(np.False_, (window.height, window.width))
        for mask in self._over.masks:
            hidden = hidden | (mask.read(window) == 1)
        pixels = self._read(window, hidden)
        if self._over.masks:
            pixels = replace(pixels, valid=pixels.valid & ~hidden)
        if self._over.aoi is not None:
            pixels = replace(pixels, outside=self._over.aoi.read(window) != 1)
        if self._over.baseline is not None:
            pixels = replace(pixels, before=self._over.baseline.read(window))
        return pixels

    def _read(self, window: Window, hidden: NDArray[np.bool_]) -> Pixels:
        """The pixels of a window; what is ``hidden``, or far from the area, may not be read."""
        parts = [
            (part, self._matters(part, hidden[part.inside(window)]))
            for part in cut(window, self._block)
        ]
        if all(matters for _, matters in parts):
            return self._scene.read(window)
        rows = []
        for _, row in groupby(parts, lambda part: part[0].row):
            runs = groupby(row, lambda part: part[1])
            found = [self._run([part for part, _ in run], matters) for matters, run in runs]
            rows.append(Pixels.joined(found, axis=1))
        return Pixels.joined(rows, axis=0)

    def _matters(self, part: Window, hidden: NDArray[np.bool_]) -> bool:
        if hidden.all():
            return False
        aoi, reach = self._over.aoi, self._reach
        return aoi is None or reach is None or aoi.may_hold(_grown(part, reach))

    def _run(self, parts: Sequence[Window], matters: bool) -> Pixels:
        """Parts of one row, side by side: read, or blank."""
        first, last = parts[0], parts[-1]
        run = replace(first, width=last.col + last.width - first.col)
        if matters:
            return self._scene.read(run)
        shape = (run.height, run.width)
        values = uniform(np.zeros((), self.profile.dtype), (len(self.bands), *shape))
        return Pixels(values, uniform(np.False_, shape))


@dataclass(frozen=True, slots=True)
class Limits:
    """An open scene with its limits, the baseline, and one-line remarks.

    ``whole`` is the same, but with nothing left unread: what statistics are taken of.
    """

    scene: Scene
    whole: Scene
    baseline: BaselineFile | None
    notes: tuple[str, ...]


@contextmanager
def open_limits(scene: Scene, options: ScanOptions, reach: int) -> Iterator[Limits]:
    """Lay over a scene what its product and the options name.

    Pixels may matter that are at most ``reach`` from the area of interest.

    Raises:
        SceneError: a file is missing, damaged, or cannot be laid over the scene.
    """
    grid, rules = scene.profile, OpenRules(untrusted=options.untrusted)
    with ExitStack() as stack:
        own, note = _own_mask(grid, stack)
        masks = [] if own is None else [own]
        # Who names a mask need not be told that the product has none.
        notes = [] if note is None or (own is None and options.mask is not None) else [note]
        opened = {
            what: stack.enter_context(open_overlay(path, grid, what, kind, rules))
            for what, path, kind in (
                ("mask", options.mask, _mask_kind),
                ("aoi", options.aoi, plain),
                ("baseline", options.baseline, _baseline_kind),
            )
            if path is not None
        }
        masks += [opened["mask"]] if "mask" in opened else []
        notes += [note for overlay in opened.values() for note in overlay.notes]
        aoi, before = opened.get("aoi"), opened.get("baseline")
        baseline = None
        if before is not None:
            baseline = BaselineFile(Path(options.baseline or "").name, before.date)
        if not (masks or opened):
            yield Limits(scene, scene, None, tuple(notes))
            return
        over = Overlays(masks, aoi, before)
        limited, whole = LimitedScene(scene, over, reach), LimitedScene(scene, over)
        yield Limits(limited, whole, baseline, tuple(notes))


def _grown(window: Window, reach: int) -> Window:
    return Window(
        window.row - reach,
        window.col - reach,
        window.height + 2 * reach,
        window.width + 2 * reach,
    )


def _own_mask(grid: SceneProfile, stack: ExitStack) -> tuple[Overlay | None, str | None]:
    """The mask of a product that has one, and what to say of it or of its absence."""
    product = grid.product
    if product is None:
        return None, None
    mask = product.mask
    if mask is None:
        return None, f"clouds are not masked: this {product.kind} has no mask that is known"
    hides = Yes(mask.hidden_values, mask.hidden_bits, mask.name, mask.bands)
    try:
        opened = stack.enter_context(open_known_raster(mask.path, grid, "mask", hides))
    except SceneNotFound:
        return None, f"clouds are not masked: {mask.name} is named, but it is not there"
    return opened, f"what {mask.name} calls cloud or shadow is not assessed"


def _mask_kind(path: PathLike, dataset: Any) -> Yes:
    """One of the known masks if the band's or the file's name says so, else any number but 0."""
    described = next(iter(dataset.descriptions), None) or ""
    for name, yes in MASKS.items():
        if any(_holds_word(text, name) for text in (described, Path(path).stem)):
            return yes
    return Yes()


def _holds_word(text: str, word: str) -> bool:
    return re.search(rf"(?<![A-Z0-9]){word}(?![A-Z0-9])", text.upper()) is not None


def _baseline_kind(path: PathLike, dataset: Any) -> Yes:
    """The class named forest of a class map that a scan made, else any number but 0."""
    tags = dataset.tags()
    if not is_class_map(tags):
        return Yes()
    forest = tuple(i for i, name in class_names(tags).items() if name.casefold() == _FOREST)
    if not forest:
        why = f"is a class map without a class named {_FOREST}"
        raise LimitUnusable(path, why, "make a raster of it in which forest is 1 and all else 0")
    return Yes(forest, name=f"a class map, class {_FOREST}")
