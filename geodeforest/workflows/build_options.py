"""What a user may choose for training records. Values only: no scene, no record."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from geodeforest.core.grid import ChipGrid
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import CLASSES, ClassDef, ModelSpec, SceneInput
from geodeforest.errors import OptionError
from geodeforest.geo.labels import LabelRule
from geodeforest.workflows.load_model import model_spec


@dataclass(frozen=True)
class BuildOptions:
    """What a caller may choose.

    ``class_map``, ``label_field``, ``background`` and ``crop`` are those of ``LabelRule``.
    ``groups`` names what must stay on one side of a split, one per pair; None takes each
    scene's file name. The groups of ``val_group`` are meant for validation. ``scale`` None
    is the dtype's default. ``bands`` are indices from 1 or descriptions. ``band_names`` is
    what the records and their models call the bands, by which they are also found.
    ``like`` names a model that the records shall fit: its bands, classes, scales and scene
    inputs are theirs.
    """

    chip: int = 512
    overlap: int = 0
    class_map: Mapping[int | str, int] | None = None
    label_field: str | None = None
    background: int | None = None
    crop: bool = False
    classes: tuple[ClassDef, ...] = CLASSES
    groups: tuple[str, ...] | None = None
    val_group: str | Sequence[str] = ()
    shards: int = 4
    scene_input: tuple[SceneInput, ...] = ()
    scale: tuple[float, float] | BandScale | None = None
    bands: tuple[int | str, ...] | None = None
    band_names: tuple[str, ...] | None = None
    like: str | os.PathLike[str] | ModelSpec | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        ChipGrid(1, 1, self.chip, self.overlap)  # refuses sizes that make no grid
        if self.shards < 1:
            raise OptionError(f"{self.shards} shards: records need at least one")
        _ = self.rule  # refuses unknown class ids
        _ = self.band_scale  # refuses LOW above HIGH

    @property
    def held(self) -> tuple[str, ...]:
        """The groups meant for validation."""
        return (self.val_group,) if isinstance(self.val_group, str) else tuple(self.val_group)

    @property
    def band_scale(self) -> BandScale | None:
        """The scale as a value; None where the dtype decides."""
        return BandScale(*self.scale) if isinstance(self.scale, tuple) else self.scale

    @property
    def scales(self) -> Mapping[str, BandScale] | None:
        """The scales by data type of the model that the records shall fit."""
        return self.like.scale if isinstance(self.like, ModelSpec) else None

    @property
    def rule(self) -> LabelRule:
        """How label values become class ids."""
        return LabelRule(self.classes, self.class_map, self.label_field, self.background, self.crop)


class BuildChoices(TypedDict, total=False):
    """The fields of ``BuildOptions`` as keywords."""

    chip: int
    overlap: int
    class_map: Mapping[int | str, int] | None
    label_field: str | None
    background: int | None
    crop: bool
    classes: tuple[ClassDef, ...]
    groups: tuple[str, ...] | None
    val_group: str | Sequence[str]
    shards: int
    scene_input: tuple[SceneInput, ...]
    scale: tuple[float, float] | BandScale | None
    bands: tuple[int | str, ...] | None
    band_names: tuple[str, ...] | None
    like: str | os.PathLike[str] | ModelSpec | None
    overwrite: bool


def like_model(options: BuildOptions) -> BuildOptions:
    """The options with what the model of ``like`` takes in their place.

    Raises:
        OptionError: scene inputs besides a model's.
        ModelError: there is no such model.
    """
    if options.like is None:
        return options
    if options.scene_input:
        raise OptionError("like takes the model's scene inputs; leave scene-input out")
    spec = options.like if isinstance(options.like, ModelSpec) else model_spec(options.like)
    return replace(
        options,
        like=spec,
        classes=spec.classes,
        band_names=spec.bands,
        scene_input=spec.scene_inputs,
    )
