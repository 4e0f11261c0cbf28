"""From what a user names to the pixels that a scan reads; ``scan`` and ``plan`` share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TypeAlias

from geodeforest.core.options import ScanOptions
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import GeodeforestWarning, GsdMismatch, SceneLimited, SceneResampled
from geodeforest.geo.blocks import BlockwiseScene
from geodeforest.geo.limits import BaselineFile, Limits, open_limits
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.resampled import COARSEST, ResampledScene, Resizing
from geodeforest.geo.scene import Scene, Source, open_scene


@dataclass(frozen=True, slots=True)
class Inputs:
    """An open scene as it will be scanned.

    ``file`` is the scene as it was given, which may lie on another grid. ``notes`` tell what
    was done to it, each in one line. ``baseline`` tells where forest was. ``whole`` is the same
    scene where ``scene`` passes over what is far from the area of interest.
    """

    scene: Scene
    file: SceneProfile
    notes: tuple[GeodeforestWarning, ...] = ()
    baseline: BaselineFile | None = None
    whole: Scene | None = None

    @property
    def sampled(self) -> Scene:
        """What the scene's statistics are taken of."""
        return self.whole or self.scene


Refusing: TypeAlias = Callable[[], AbstractContextManager[None]]
"""What a step runs in that may refuse the scene: a plan notes refusals there and goes on."""


@contextmanager
def open_inputs(
    source: Source, options: ScanOptions, spec: ModelSpec, refusing: Refusing = nullcontext
) -> Iterator[Inputs]:
    """Open a scene as a scan by ``options`` with the model of ``spec`` reads it.

    Where ``refusing`` lets no error pass, the scene comes without the step that was refused.

    Raises:
        SceneError: it is missing, unreadable or does not fit the model.
        OptionError: an option does not fit the scene.
    """
    with ExitStack() as stack:
        given = open_scene(
            source,
            bands=options.bands,
            wanted=spec.bands,
            assign_crs=options.assign_crs,
            rules=options.rules,
        )
        file = BlockwiseScene(stack.enter_context(given), options.on_error)
        inputs = Inputs(file, file.profile)
        with refusing():
            inputs = _of_the_models_size(inputs, options, spec)
        with refusing():
            opened = open_limits(inputs.scene, options, options.chip or spec.chip)
            inputs = _limited(inputs, stack.enter_context(opened))
        yield inputs


def _of_the_models_size(inputs: Inputs, options: ScanOptions, spec: ModelSpec) -> Inputs:
    """The same, resampled if its pixels are too large or too small for the model."""
    profile = inputs.scene.profile
    resizing = Resizing.of(profile, spec.gsd_m)
    if resizing is None or not resizing.is_needed:
        return inputs
    has = f"the scene has {resizing.before} pixels but the model was trained on {spec.gsd_m:g} m"
    if resizing.is_too_coarse:
        most = f"{COARSEST * resizing.gsd_m:g} m"
        remedy = f"give a scene with pixels of {most} at most, or a model for coarse pixels"
        raise GsdMismatch(profile.path, f"{has}, too coarse to show what it finds", remedy)
    if not options.resample:
        remedy = "pass --resample (resample=True), or warp the scene first"
        raise GsdMismatch(profile.path, has, remedy)
    scene = ResampledScene(inputs.scene, resizing)
    note = SceneResampled(f"{profile.name}: {resizing}; maps and polygons lie on that grid")
    return replace(inputs, scene=scene, notes=(*inputs.notes, note))


def _limited(inputs: Inputs, limits: Limits) -> Inputs:
    notes = (SceneLimited(f"{inputs.file.name}: {note}") for note in limits.notes)
    return replace(
        inputs,
        scene=limits.scene,
        whole=limits.whole,
        notes=(*inputs.notes, *notes),
        baseline=limits.baseline,
    )
