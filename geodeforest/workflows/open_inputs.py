"""From what a user names to the pixels that a scan reads; ``scan`` and ``plan`` share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from geodeforest.core.options import ScanOptions
from geodeforest.core.spec import ModelSpec
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.scene import Scene, Source, open_scene


@dataclass(frozen=True, slots=True)
class Inputs:
    """An open scene as it will be scanned.

    ``file`` is the scene as it was given, which may lie on another grid. ``notes`` are one-line
    remarks on what was done to it.
    """

    scene: Scene
    file: SceneProfile
    notes: tuple[str, ...] = ()


@contextmanager
def open_inputs(source: Source, options: ScanOptions, spec: ModelSpec) -> Iterator[Inputs]:
    """Open a scene as a scan by ``options`` with the model of ``spec`` reads it.

    Raises:
        SceneError: it is missing, unreadable or does not fit the model.
        OptionError: an option does not fit the scene.
    """
    with ExitStack() as stack:
        given = open_scene(source, bands=options.bands, wanted=spec.bands)
        scene = stack.enter_context(given)
        yield Inputs(scene, scene.profile)
