"""A scene's statistics, taken while the program does something else.

Knows threads and how they are ended, and which scenes are worth a second thread; nothing of
statistics.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import TypeAlias

from geodeforest.core.addresses import is_remote
from geodeforest.core.grid import Window
from geodeforest.core.options import ScanOptions
from geodeforest.core.pixels import Pixels
from geodeforest.core.ports import SceneSource
from geodeforest.core.reflectance import Reading
from geodeforest.core.spec import ModelSpec
from geodeforest.geo.scene import Scene, Source
from geodeforest.scanning import Radiometry, radiometry
from geodeforest.workflows.open_inputs import Inputs, open_inputs

TWICE_PX = 2**24
"""From so many pixels on a scene is opened twice to be sampled; that takes some milliseconds."""

Waiting: TypeAlias = Callable[[], Radiometry | None]
"""Waits for a scene's statistics."""


@contextmanager
def sampled(scenes: Sequence[Scene], spec: ModelSpec, reading: Reading) -> Iterator[Waiting]:
    """Statistics of a scene; of one that was opened several times, by a thread for each.

    Nobody else may read it meanwhile. Leaving ends the sampling after the square at hand. One that
    was opened once is sampled when it is waited for, in the thread that waits.
    """
    if len(scenes) == 1:
        yield partial(radiometry, scenes[0], spec, reading)
        return
    over = Event()
    first, *twins = (_Passing(scene, over) for scene in scenes)
    with ThreadPoolExecutor(1) as thread:
        try:
            yield thread.submit(radiometry, first, spec, reading, twins).result
        finally:
            over.set()


@contextmanager
def opened_to_sample(
    inputs: Inputs, source: Source, options: ScanOptions, spec: ModelSpec
) -> Iterator[tuple[Scene, ...]]:
    """What is to be sampled, and the same once more where that spares time."""
    scene = inputs.sampled
    if not _is_worth_a_twin(scene, source, options):
        yield (scene,)
        return
    with open_inputs(source, options, spec) as again:
        yield scene, again.sampled


def _is_worth_a_twin(scene: Scene, source: Source, options: ScanOptions) -> bool:
    """Whether it is large, its small tiles are at hand, and nothing is laid over it."""
    if not isinstance(source, str | os.PathLike) or is_remote(os.fspath(source)):
        return False
    is_large = scene.height * scene.width >= TWICE_PX
    is_alone = not options.files and options.threads != 1
    return is_large and is_alone and scene.stored.tile_cols is not None


@dataclass(frozen=True, slots=True)
class _Passing:
    """A scene that is read until something is over."""

    scene: SceneSource
    over: Event

    @property
    def height(self) -> int:
        """Rows of the scene."""
        return self.scene.height

    @property
    def width(self) -> int:
        """Columns of the scene."""
        return self.scene.width

    def read(self, window: Window) -> Pixels:
        """The pixels of a window.

        Raises:
            CancelledError: it is over.
        """
        if self.over.is_set():
            raise CancelledError
        return self.scene.read(window)
