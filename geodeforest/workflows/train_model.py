"""Training from records to a model directory that ``scan`` can use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from geodeforest.core.metrics import Confusion
from geodeforest.core.spec import (
    Architecture,
    ConfidenceRule,
    ModelSpec,
    architecture,
)
from geodeforest.errors import OptionError, OutputExists, RecordError
from geodeforest.workflows.extras import need_training
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.model_card import model_card

if TYPE_CHECKING:
    from geodeforest.nn.augment import Augmentation
    from geodeforest.nn.fit import Data, FitOptions, Fitted, StepDone
    from geodeforest.nn.losses import LossName
    from geodeforest.nn.records import RecordSet

STATE = "training"
"""Folder of a model directory that holds checkpoints, ``log.csv`` and TensorBoard files."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train. ``batch`` counts the chips of a step on all devices together.

    ``crop`` pixels of a record are used at a time in training (None: all of it);
    validation sees whole records. ``val_groups`` default to those the records name.
    ``patience`` stops after so many validations without a better one. ``halo`` is what
    the model's spec will say. ``augmentation`` replaces crop and turns.
    """

    architecture: str | Architecture = "light"
    loss: LossName = "cross-entropy"
    steps: int = 1000
    batch: int = 8
    crop: int | None = 256
    learning_rate: float = 3e-3
    validate_every: int = 100
    patience: int | None = None
    seed: int = 0
    val_groups: Sequence[str] | None = None
    strategy: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    tpu: str | None = None
    name: str | None = None
    halo: int = 64
    threshold: float = 0.5
    augmentation: Augmentation | None = None


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What came out: the model directory, and validation counts by group."""

    directory: Path
    spec: ModelSpec
    steps: int
    confusion: Mapping[str, Confusion] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "directory": str(self.directory),
            "model": self.spec.name,
            "steps": self.steps,
            "metrics": dict(self.spec.metrics),
        }


def train(
    records: str | Path | Sequence[str | Path],
    output: str | Path,
    options: TrainOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_step: StepDone | None = None,
) -> TrainReport:
    """Train a U-Net on TFRecords and write a model directory.

    Checkpoints and logs go to ``output/training`` while it runs; the model's own files
    appear when it ends. ``resume`` goes on from the last checkpoint.

    Raises:
        MissingExtra: TensorFlow is not installed.
        RecordError: the records are refused.
        StrategyError: the accelerator asked for does not answer.
        OutputExists: ``output`` holds a model or a training, and neither ``resume`` nor
            ``overwrite`` is given.
    """
    need_training("training")
    from geodeforest.nn.fit import fit
    from geodeforest.nn.records import open_records
    from geodeforest.nn.strategy import resolve_strategy

    chosen = options or TrainOptions()
    directory = Path(output)
    _make_room(directory, resume=resume, overwrite=overwrite)
    opened = open_records(records)
    strategy = resolve_strategy(chosen.strategy, chosen.tpu)
    fitted = fit(
        _data(opened, chosen),
        _fit_options(opened, chosen, strategy.num_replicas_in_sync),
        strategy,
        directory / STATE,
        resume=resume,
        on_step=on_step,
    )
    spec = _export(fitted, _spec(opened, chosen, fitted, directory), directory)
    return TrainReport(directory, spec, fitted.steps, fitted.confusion)


def _make_room(directory: Path, *, resume: bool, overwrite: bool) -> None:
    if resume or not directory.exists():
        return
    if any(directory.iterdir()) and not overwrite:
        raise OutputExists(directory)
    if overwrite and (directory / STATE).exists():
        import shutil

        shutil.rmtree(directory / STATE)


def _split(records: RecordSet, chosen: TrainOptions) -> tuple[list[str], list[str]]:
    groups = sorted(records.index.tally.groups)
    wanted = chosen.val_groups
    held = sorted(set(records.index.facts.val_groups if wanted is None else wanted))
    if unknown := sorted(set(held) - set(groups)):
        raise OptionError(f"the records have no group {', '.join(unknown)}")
    rest = [group for group in groups if group not in held]
    if not rest:
        raise RecordError(
            records.files[0], "all groups are held for validation", "leave some for training"
        )
    return rest, held


def _data(records: RecordSet, chosen: TrainOptions) -> Data:
    from geodeforest.nn.fit import Data
    from geodeforest.nn.pipeline import Feed, training_batches, validation_batches
    from geodeforest.nn.records import dataset

    training, held = _split(records, chosen)
    form, facts, counts = records.format, records.index.facts, records.index.tally.groups
    feed = Feed(facts.scale, form.class_ids, chosen.batch, chosen.seed)
    augmentation = _augmentation(records, chosen)
    seen = dataset(records, training)
    validation = None
    if held:
        small = replace(feed, batch=min(chosen.batch, 4))
        validation = validation_batches(
            dataset(records, held), small, held, count=sum(counts[g] for g in held)
        )
    return Data(
        bands=len(form.bands),
        classes=len(form.classes),
        scene_inputs=len(facts.scene_inputs),
        training=lambda start: training_batches(
            seen, feed, augmentation, count=sum(counts[g] for g in training), start=start
        ),
        validation=validation,
        val_groups=held,
    )


def _augmentation(records: RecordSet, chosen: TrainOptions) -> Augmentation:
    from geodeforest.nn.augment import Augmentation

    if chosen.augmentation is not None:
        return chosen.augmentation
    crop = chosen.crop
    smaller = crop is None or crop >= min(records.format.height, records.format.width)
    return Augmentation(crop=None if smaller else crop)


def _fit_options(records: RecordSet, chosen: TrainOptions, replicas: int) -> FitOptions:
    from geodeforest.nn.fit import FitOptions

    shape = architecture(chosen.architecture)
    augmentation = _augmentation(records, chosen)
    sides = (augmentation.crop,) if augmentation.crop else records.format.shape[:2]
    for side in sides:
        if side % shape.multiple:
            raise OptionError(f"{side} px is not a multiple of the network's {shape.multiple}")
    if chosen.batch % replicas:
        raise OptionError(f"batch {chosen.batch} must be a multiple of the {replicas} replicas")
    return FitOptions(
        architecture=shape,
        loss=chosen.loss,
        augmentation=augmentation,
        steps=chosen.steps,
        batch=chosen.batch,
        learning_rate=chosen.learning_rate,
        validate_every=chosen.validate_every,
        patience=chosen.patience,
        seed=chosen.seed,
    )


def _spec(
    records: RecordSet, chosen: TrainOptions, fitted: Fitted, directory: Path
) -> ModelSpec:
    form, facts = records.format, records.index.facts
    shape = architecture(chosen.architecture)
    side = min(form.height, form.width) // shape.multiple * shape.multiple
    return ModelSpec(
        name=chosen.name or directory.name,
        version="1",
        bands=form.bands,
        scale={form.dtype: facts.scale},
        gsd_m=facts.gsd_m,
        chip=side,
        halo=min(chosen.halo, max(side // 4, 1)),
        classes=form.classes,
        threshold=chosen.threshold,
        confidence=ConfidenceRule(medium=0.75, high=0.9),
        architecture=shape,
        scene_inputs=facts.scene_inputs,
        training={
            "groups": len(records.index.tally.groups),
            "records": records.index.records,
            "steps": fitted.steps,
            "batch": chosen.batch,
            "loss": chosen.loss,
            "seed": chosen.seed,
        },
        metrics=_metrics(fitted, form.class_ids),
    )


def _metrics(fitted: Fitted, class_ids: Sequence[int]) -> dict[str, Any]:
    pooled = fitted.pooled
    if pooled is None:
        return {}
    return {
        "protocol": "validation groups kept out of training, hard classes, pooled counts",
        "accuracy": round(pooled.accuracy, 4),
        "mean_iou": round(pooled.mean_iou, 4),
        "iou": {str(i): round(float(v), 4) for i, v in zip(class_ids, pooled.iou, strict=True)},
        "f1": {str(i): round(float(v), 4) for i, v in zip(class_ids, pooled.f1, strict=True)},
        "groups": {
            group: round(counts.accuracy, 4) for group, counts in sorted(fitted.confusion.items())
        },
    }


def _export(fitted: Fitted, spec: ModelSpec, directory: Path) -> ModelSpec:
    """Write the model's files in scratch, move them in, ``model.json`` last, and load them."""
    import tempfile

    from geodeforest.nn.export import export_model

    with tempfile.TemporaryDirectory(prefix=".model.gdf-", dir=directory) as scratch:
        export_model(fitted.model, spec, Path(scratch), model_card(spec))
        files = sorted(Path(scratch).iterdir(), key=lambda path: path.name == "model.json")
        for path in files:
            path.replace(directory / path.name)
    return load_model(directory).spec
