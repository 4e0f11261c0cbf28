"""Training from records to a model directory that ``scan`` can use.

Knows the order of things: whatever can be refused is refused before the first step, and a
finished model is replaced only by one that loads.
"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from geodeforest.core.metrics import Confusion
from geodeforest.core.plausible import DARK_LEVELS
from geodeforest.core.spec import ConfidenceRule, ModelSpec
from geodeforest.errors import (
    GeodeforestWarning,
    ModelError,
    OptionError,
    OutputExists,
    OutputUnwritable,
    RecordError,
)
from geodeforest.geo.files import OutputSet, naming_faults
from geodeforest.runtime.model_dir import read_spec
from geodeforest.workflows.extras import need_training
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.model_card import model_card
from geodeforest.workflows.train_options import TrainChoices, TrainOptions

if TYPE_CHECKING:
    import keras

    from geodeforest.nn.fit import Data, FitOptions, Fitted, StepDone
    from geodeforest.nn.index import RecordIndex
    from geodeforest.nn.records import Paths, RecordSet

    Finish = Callable[[keras.Model, ModelSpec], ModelSpec]

STATE = "training"
"""Folder of a model directory that holds checkpoints, ``log.csv`` and TensorBoard files."""

_SPEC_FILE = "model.json"
_TELLING_SCENES = 10
"""From so many groups on their dark levels tell what a scene of the kind may look like."""

_VALIDATED_AT_ONCE = 4
"""Whole records that a device holds at a time in validation."""


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What came out: the model directory, and validation counts by group.

    With folds each group's counts are those of the model that had not seen it.
    """

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


class Run(NamedTuple):
    """How a training is run: whether it goes on, whether it replaces, and whom it tells."""

    resume: bool = False
    overwrite: bool = False
    on_step: StepDone | None = None


def train(
    records: str | Path | Sequence[str | Path],
    output: str | Path,
    options: TrainOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_step: StepDone | None = None,
    **chosen: Unpack[TrainChoices],
) -> TrainReport:
    """Train a U-Net on TFRecords and write a model directory.

    Checkpoints and logs go to ``output/training`` while it runs; the model's own files
    appear when it ends, and until then a former model stays as it is. With ``folds=K``
    models of K folds come first, in ``output/fold-0`` and so on: each group is judged by the
    one that has not seen it, ``output/folds.json`` says how, and the model of all groups is
    calibrated by it.

    Args:
        records: a directory of records or shards; one or several.
        output: the model directory to write.
        options: how to train, as a value.
        resume: go on from the last checkpoint in ``output``, if there is one.
        overwrite: start afresh where ``output`` holds a model or a training.
        on_step: called with the steps done, their total and the step's loss.
        chosen: the same as ``options`` in keywords, such as ``steps=500, strategy="cpu"``;
            they have the names of the command line's options and go before ``options``.

    Raises:
        MissingExtra: TensorFlow is not installed.
        OptionError: options out of range, or that do not fit the records.
        RecordError: the records are refused, or with folds two groups share ground.
        StrategyError: the accelerator asked for does not answer.
        TrainingError: the loss is not finite, or the training to resume was another one.
        OutputExists: ``output`` holds a model, and neither ``resume`` nor ``overwrite`` is
            given.
        OutputUnwritable: ``output`` holds an unfinished training, or cannot be written.
    """
    options = replace(options or TrainOptions(), **chosen)
    directory, run = Path(output), Run(resume, overwrite, on_step)
    need_training("training")
    if options.folds is not None:
        from geodeforest.workflows.train_folds import train_folds

        return train_folds(records, directory, options, run)
    check_output(directory, run)
    return train_one(records, directory, options, run)


def train_one(
    records: Paths,
    directory: Path,
    options: TrainOptions,
    run: Run,
    finish: Finish | None = None,
) -> TrainReport:
    """Train one model into a directory that was checked; ``finish`` has the last word on it.

    Raises:
        GeodeforestError: as ``train``, except for what ``check_output`` finds.
    """
    from geodeforest.nn.fit import fit
    from geodeforest.nn.records import open_records
    from geodeforest.nn.strategy import resolve_strategy

    strategy = resolve_strategy(options.strategy, options.tpu)
    opened = open_records(records)
    _check_records(opened, strategy)
    split, replicas = _split(opened, options), strategy.num_replicas_in_sync
    how = _fit_options(opened, split, options, replicas)
    spec = _spec(opened, split, options, directory)
    data = _data(opened, split, how, replicas)
    state = directory / STATE
    fitted = fit(data, how, strategy, state, resume=run.resume, on_step=run.on_step)
    spec = replace(
        spec,
        training={**spec.training, "steps": fitted.steps},
        metrics=_metrics(fitted, spec, options),
    )
    if finish is not None:
        spec = finish(fitted.model, spec)
    return TrainReport(directory, _publish(fitted, spec, directory), fitted.steps, fitted.confusion)


def check_output(directory: Path, run: Run, begun: str = STATE) -> None:
    """Refuse a directory that may not be written; ``begun`` is what a training begins with.

    Raises:
        OptionError: both to resume and to overwrite.
        OutputExists: there is a model, or something else.
        OutputUnwritable: it cannot be made, or holds an unfinished training.
    """
    if run.resume and run.overwrite:
        raise OptionError("resume goes on with a training, overwrite drops it; leave one out")
    if not directory.absolute().parent.is_dir():
        raise OutputUnwritable(directory, "its parent directory is missing", "create it first")
    if not os.path.lexists(directory):
        return
    if not directory.is_dir():
        raise OutputUnwritable(directory, "is not a directory", "name a model directory")
    with naming_faults(directory):
        inside = {entry.name for entry in directory.iterdir()}
    if not inside or run.overwrite or (run.resume and begun in inside):
        return
    if begun in inside and _SPEC_FILE not in inside:
        why = "holds an unfinished training"
        raise OutputUnwritable(directory, why, "pass --resume to go on with it, or --overwrite")
    raise OutputExists(directory)


def _check_records(records: RecordSet, strategy: Any) -> None:
    """Refuse records that no model can come of, or that the strategy cannot read."""
    from geodeforest.nn.addresses import is_remote
    from geodeforest.nn.strategy import reads_elsewhere

    first, index = records.files[0], records.index
    local = [file for file in records.files if not is_remote(file)]
    if local and reads_elsewhere(strategy):
        why = "lies on this machine, where a remote TPU cannot read it"
        raise RecordError(local[0], why, "put the records on gs://")
    if index.unfit is not None:
        raise RecordError(first, *index.unfit)
    if index.gap is not None:
        warnings.warn(f"{first}: {index.gap}", GeodeforestWarning, stacklevel=3)


class _Split(NamedTuple):
    """The groups to train on, and those held back to validate on."""

    training: list[str]
    held: list[str]


def _split(records: RecordSet, options: TrainOptions) -> _Split:
    groups = sorted(records.index.tally.groups)
    wanted = options.held
    held = sorted(set(records.index.facts.val_groups if wanted is None else wanted))
    if unknown := sorted(set(held) - set(groups)):
        have = ", ".join(groups)
        raise OptionError(f"there is no group {unknown[0]!r} to validate on; groups: {have}")
    rest = [group for group in groups if group not in held]
    if not rest:
        raise RecordError(
            records.files[0], "all groups are held for validation", "leave some for training"
        )
    return _Split(rest, held)


def _fit_options(
    records: RecordSet, split: _Split, options: TrainOptions, replicas: int
) -> FitOptions:
    from geodeforest.nn.augment import Augmentation
    from geodeforest.nn.fit import FitOptions

    rows, cols, _ = records.format.shape
    smaller = options.crop is None or options.crop >= min(rows, cols)
    augmentation = options.augmentation or Augmentation(crop=None if smaller else options.crop)
    crop, multiple = augmentation.crop, options.shape.multiple
    if crop is not None and crop > min(rows, cols):
        raise OptionError(f"crop {crop} px is larger than the records' {rows} x {cols}")
    sides = {crop} if crop is not None else {rows, cols}
    for side in sorted(sides | ({rows, cols} if split.held else set())):
        if side % multiple:
            raise OptionError(
                f"the network takes multiples of {multiple} px, not {side}; choose another crop, "
                "fewer filters, or build the records with another chip"
            )
    if options.batch % replicas:
        raise OptionError(f"batch {options.batch} must be a multiple of the {replicas} replicas")
    return FitOptions(
        architecture=options.shape,
        loss=options.loss,
        augmentation=augmentation,
        steps=options.steps,
        batch=options.batch,
        learning_rate=options.learning_rate,
        validate_every=options.validate_every,
        patience=options.patience,
        seed=options.seed,
    )


def _dark_levels(index: RecordIndex) -> dict[str, dict[str, list[float]]]:
    """What a scan compares scenes with; of a few scenes it would tell next to nothing."""
    told = index.facts.dark_levels
    if told is None or len(index.tally.groups) < _TELLING_SCENES:
        return {}
    return {DARK_LEVELS: {"least": list(told[0]), "most": list(told[1])}}


def _data(records: RecordSet, split: _Split, how: FitOptions, replicas: int) -> Data:
    from geodeforest.nn.fit import Data
    from geodeforest.nn.pipeline import Feed, training_batches, validation_batches
    from geodeforest.nn.records import dataset

    form, facts, counts = records.format, records.index.facts, records.index.tally.groups
    feed = Feed(facts.scale, form.class_ids, how.batch, how.seed)
    seen, count = dataset(records, split.training), sum(counts[g] for g in split.training)
    validation = None
    if split.held:
        at_once = replicas * min(how.batch // replicas, _VALIDATED_AT_ONCE)
        validation = validation_batches(
            dataset(records, split.held),
            replace(feed, batch=at_once),
            split.held,
            count=sum(counts[g] for g in split.held),
        )
    return Data(
        bands=len(form.bands),
        classes=len(form.classes),
        scene_inputs=len(facts.scene_inputs),
        training=lambda start: training_batches(
            seen, feed, how.augmentation, count=count, start=start
        ),
        validation=validation,
        val_groups=split.held,
        deforestation=[c.role for c in form.classes].index("deforestation"),
        identity={
            "shards": [shard.sha256 for shard in records.index.shards],
            "val_groups": split.held,
        },
    )


def _spec(records: RecordSet, split: _Split, options: TrainOptions, directory: Path) -> ModelSpec:
    """What the model will be, without its steps and metrics."""
    form, facts, shape = records.format, records.index.facts, options.shape
    side = min(form.height, form.width) // shape.multiple * shape.multiple
    spec = ModelSpec(
        name=options.name or directory.absolute().name,
        version="1",
        bands=form.bands,
        scale=facts.scales(form.dtype),
        gsd_m=facts.gsd_m,
        chip=side,
        halo=min(options.halo, side // 4),
        classes=form.classes,
        threshold=options.threshold,
        confidence=ConfidenceRule(medium=0.75, high=0.9),
        architecture=shape,
        scene_inputs=facts.scene_inputs,
        training={
            "groups": len(records.index.tally.groups),
            "validation_groups": split.held,
            "records": records.index.records,
            "batch": options.batch,
            "loss": options.loss,
            "learning_rate": options.learning_rate,
            "seed": options.seed,
            **_dark_levels(records.index),
        },
    )
    _refuse_unreadable(spec, directory)
    return spec


def _refuse_unreadable(spec: ModelSpec, directory: Path) -> None:
    """Refuse now what loading the finished model would refuse, such as a name of no letters."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / _SPEC_FILE).write_text(spec.to_json(), "utf-8")
        try:
            read_spec(Path(scratch))
        except ModelError as error:
            raise OptionError(f"{directory}: the model's {error.why}; choose another") from error


def _metrics(fitted: Fitted, spec: ModelSpec, options: TrainOptions) -> dict[str, Any]:
    pooled = fitted.pooled
    if pooled is None:
        return {}
    ids = [str(c.id) for c in spec.classes]
    return {
        "protocol": "validation groups kept out of training, hard classes, pooled counts",
        "command": options.command,
        "accuracy": _rounded(pooled.accuracy),
        "mean_iou": _rounded(pooled.mean_iou),
        "iou": {i: _rounded(v) for i, v in zip(ids, pooled.iou, strict=True)},
        "f1": {i: _rounded(v) for i, v in zip(ids, pooled.f1, strict=True)},
        "groups": {
            group: _rounded(counts.accuracy) for group, counts in sorted(fitted.confusion.items())
        },
    }


def _rounded(share: float) -> float | None:
    """Four decimals; None for a class or a group of which nothing was seen, as JSON has no NaN."""
    return None if math.isnan(share) else round(float(share), 4)


def _publish(fitted: Fitted, spec: ModelSpec, directory: Path) -> ModelSpec:
    """Write the model's files in scratch, load them, and only then move them to their names."""
    from geodeforest.nn.export import export_model

    with (
        naming_faults(directory),
        tempfile.TemporaryDirectory(prefix=".model.gdf-", dir=directory) as scratch,
    ):
        export_model(fitted.model, spec, Path(scratch), model_card(spec))
        written = load_model(scratch).spec
        names = sorted(os.listdir(scratch), key=lambda name: (name == _SPEC_FILE, name))
        with OutputSet([directory / name for name in names], overwrite=True) as outputs:
            for name in names:
                Path(scratch, name).replace(outputs.scratch(directory / name))
    return written
