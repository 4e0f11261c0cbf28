"""Training from records to a model directory that ``scan`` can use.

Knows the order of things: whatever can be refused is refused before the first step, and a
finished model is replaced only by one that loads.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from geodeforest.core.metrics import Confusion
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import OptionError, OutputExists, OutputUnwritable, RecordsBroken
from geodeforest.geo.files import OutputSet, naming_faults
from geodeforest.runtime.model_dir import SPEC_FILE
from geodeforest.workflows.extras import need_training
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.model_card import model_card
from geodeforest.workflows.train_options import TrainChoices, TrainOptions
from geodeforest.workflows.train_setup import (
    check_records,
    data_of,
    fit_options,
    leads,
    spec_of,
    split_of,
)

if TYPE_CHECKING:
    import keras

    from geodeforest.nn.fit import Fitted, StepDone
    from geodeforest.nn.records import Paths

    Finish = Callable[[keras.Model, ModelSpec], ModelSpec]

STATE = "training"
"""Folder of a model directory that holds checkpoints, ``log.csv`` and TensorBoard files."""


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What came out: the model directory, and validation counts by group.

    With folds each group's counts are those of the model that had not seen it. ``written``
    is False where another worker writes the model.
    """

    directory: Path
    spec: ModelSpec
    steps: int
    confusion: Mapping[str, Confusion] = field(default_factory=dict)
    written: bool = True

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

    Checkpoints and logs go to ``output/training`` while it runs, or where ``checkpoints``
    says; the model's own files appear when it ends, and until then a former model stays as
    it is. Of several workers (``TF_CONFIG``) the first one writes. With ``folds=K``
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
        WorkerLost: one of several workers is gone.
    """
    options = replace(options or TrainOptions(), **chosen)
    directory, run = Path(output), Run(resume, overwrite, on_step)
    need_training("training")
    writes = leads(options)
    if options.folds is not None:
        from geodeforest.workflows.train_folds import train_folds

        return train_folds(records, directory, options, run)
    if writes:
        check_output(directory, run, kept=options.checkpoints)
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
    from geodeforest.nn.records import check_records as every_record
    from geodeforest.nn.records import open_records
    from geodeforest.nn.strategy import resolve_strategy
    from geodeforest.nn.workers import share_of

    strategy = resolve_strategy(options.strategy, options.tpu)
    opened = open_records(records)
    check_records(opened, strategy)
    split = split_of(opened, options)
    how = fit_options(opened, split, options, strategy.num_replicas_in_sync)
    spec = spec_of(opened, split, options, directory)
    data = data_of(opened, split, how, strategy)
    state = options.checkpoints or directory / STATE
    try:
        fitted = fit(data, how, strategy, state, resume=run.resume, on_step=run.on_step)
    except RecordsBroken:
        every_record(records)  # names the one at fault, which TensorFlow does not
        raise
    spec = replace(
        spec,
        training={**spec.training, "steps": fitted.steps},
        metrics=_metrics(fitted, spec, options),
    )
    writes = share_of(strategy).leads
    if writes:
        spec = _publish(fitted, spec if finish is None else finish(fitted.model, spec), directory)
    return TrainReport(directory, spec, fitted.steps, fitted.confusion, writes)


def check_output(directory: Path, run: Run, begun: str = STATE, *, kept: str | None = None) -> None:
    """Refuse a directory that may not be written; ``begun`` is what a training begins with.

    ``kept`` is where the checkpoints are, if not in there.

    Raises:
        OptionError: both to resume and to overwrite.
        OutputExists: there is a model, or something else.
        OutputUnwritable: it cannot be made, or holds an unfinished training.
    """
    if run.resume and run.overwrite:
        raise OptionError("resume goes on with a training, overwrite drops it; leave one out")
    if kept is not None and not (run.resume or run.overwrite):
        _refuse_begun(kept)
    if not directory.absolute().parent.is_dir():
        raise OutputUnwritable(directory, "its parent directory is missing", "create it first")
    if not os.path.lexists(directory):
        return
    if not directory.is_dir():
        raise OutputUnwritable(directory, "is not a directory", "name a model directory")
    with naming_faults(directory):
        inside = {entry.name for entry in directory.iterdir()}
    if not inside or run.overwrite or (run.resume and (kept is not None or begun in inside)):
        return
    if begun in inside and SPEC_FILE not in inside:
        raise _unfinished(directory)
    raise OutputExists(directory)


def _refuse_begun(checkpoints: str) -> None:
    from geodeforest.nn.state import BEGUN, StateFolder

    folder = StateFolder(checkpoints)
    with folder.writing():
        if folder.read(BEGUN) is not None:
            raise _unfinished(checkpoints)


def _unfinished(place: object) -> OutputUnwritable:
    remedy = "pass --resume to go on with it, or --overwrite"
    return OutputUnwritable(place, "holds an unfinished training", remedy)


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

    with naming_faults(directory):
        directory.mkdir(exist_ok=True)  # checkpoints may lie elsewhere
    with (
        naming_faults(directory),
        tempfile.TemporaryDirectory(prefix=".model.gdf-", dir=directory) as scratch,
    ):
        export_model(fitted.model, spec, Path(scratch), model_card(spec))
        written = load_model(scratch).spec
        names = sorted(os.listdir(scratch), key=lambda name: (name == SPEC_FILE, name))
        with OutputSet([directory / name for name in names], overwrite=True) as outputs:
            for name in names:
                Path(scratch, name).replace(outputs.scratch(directory / name))
    return written
