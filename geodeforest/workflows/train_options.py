"""What a user may choose for a training. Values only: no record, no network."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal, TypedDict

from geodeforest.core.spec import Architecture, architecture
from geodeforest.errors import OptionError

if TYPE_CHECKING:
    from geodeforest.nn.augment import Augmentation
    from geodeforest.nn.losses import LossName

Strategy = Literal["auto", "cpu", "gpu", "tpu"]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train. ``batch`` counts the chips of a step on all devices together.

    ``architecture`` is a name or a shape, ``filters`` replaces its filters. ``crop`` pixels
    of a record are used at a time in training (None: all of it); validation sees whole
    records. The groups of ``val_group`` are kept out of training; None takes those the
    records name. ``patience`` stops after so many validations without a better one.
    ``checkpoints`` is a directory, or an address such as ``gs://bucket/run``, for what a
    training needs to go on; without it that is in the model directory.
    ``folds`` trains that many models more, each judged by the groups kept from it.
    ``name`` is that of the directory unless given. ``halo`` and ``threshold`` are what the
    model's spec will say. ``augmentation`` replaces crop and turns.

    Raises:
        OptionError: a number out of range.
    """

    architecture: str | Architecture = "light"
    filters: Sequence[int] | None = None
    loss: LossName = "cross-entropy"
    steps: int = 1000
    batch: int = 8
    crop: int | None = 256
    learning_rate: float = 3e-3
    val_group: str | Sequence[str] | None = None
    validate_every: int = 100
    patience: int | None = None
    folds: int | None = None
    seed: int = 0
    strategy: Strategy = "auto"
    tpu: str | None = None
    checkpoints: str | None = None
    name: str | None = None
    halo: int = 64
    threshold: float = 0.5
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        _ = self.shape  # refuses unknown names and empty filters
        if not 0 < self.threshold <= 1:
            raise OptionError(f"threshold {self.threshold} must be above 0 and at most 1")
        if self.halo < 0 or (self.crop is not None and self.crop < 1):
            raise OptionError("halo must not be negative, and crop at least 1")
        if self.folds is not None:
            self._check_folds(self.folds)

    def _check_folds(self, folds: int) -> None:
        if folds < 2:
            raise OptionError(f"{folds} folds: a cross-validation needs at least 2")
        if self.val_group is not None:
            raise OptionError("with folds every group is held back in turn; leave val_group out")
        if self.patience is not None:
            raise OptionError(
                "patience would choose weights by the groups that judge the fold; leave it out"
            )

    @property
    def shape(self) -> Architecture:
        """The network's shape."""
        named = architecture(self.architecture)
        return named if self.filters is None else replace(named, filters=tuple(self.filters))

    @property
    def held(self) -> tuple[str, ...] | None:
        """The groups kept for validation, None where the records decide."""
        given = self.val_group
        return (given,) if isinstance(given, str) else given if given is None else tuple(given)

    @property
    def command(self) -> str:
        """The command line of such a training, as far as it can say what was chosen."""
        words = ["geodeforest train RECORDS -o DIR"]
        for choice in fields(self):
            value, name = getattr(self, choice.name), choice.name.replace("_", "-")
            if value == choice.default or choice.name in (
                "augmentation",
                "checkpoints",
                "name",
                "tpu",
            ):
                continue
            if choice.name == "filters":
                value = ",".join(map(str, value))
            values = value if isinstance(value, list | tuple) else (value,)
            words += [
                f"--{name} {shlex.quote(str(one))}"
                for one in values
                if isinstance(one, str | int | float)
            ]
        return " ".join(words)


class TrainChoices(TypedDict, total=False):
    """The fields of ``TrainOptions`` as keywords."""

    architecture: str | Architecture
    filters: Sequence[int] | None
    loss: LossName
    steps: int
    batch: int
    crop: int | None
    learning_rate: float
    val_group: str | Sequence[str] | None
    validate_every: int
    patience: int | None
    folds: int | None
    seed: int
    strategy: Strategy
    tpu: str | None
    checkpoints: str | None
    name: str | None
    halo: int
    threshold: float
    augmentation: Augmentation | None
