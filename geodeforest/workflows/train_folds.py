"""Cross-validation: a model per fold, judged by the groups it has not seen, and one of all.

Knows the order of things: leaks are refused first, folds are trained one after the other
and each can be resumed, and what they say calibrates the model that is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodeforest.core.calibration import Calibration, ScoreHistogram, calibrate
from geodeforest.core.folds import deal
from geodeforest.core.spec import ModelSpec
from geodeforest.core.tally import Measure, Tally, figures, nested
from geodeforest.errors import OutputUnwritable
from geodeforest.geo.files import OutputSet, naming_faults
from geodeforest.workflows.evaluation import Evaluation
from geodeforest.workflows.leaks import labelled_by_group
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.score_records import score_records
from geodeforest.workflows.train_model import Run, TrainReport, check_output, train_one
from geodeforest.workflows.train_options import TrainOptions

if TYPE_CHECKING:
    import keras

    from geodeforest.nn.records import Paths

FOLDS_FILE = "folds.json"
SCHEMA = 1

_FOLD = re.compile(r"fold-(\d+)")


@dataclass(frozen=True, slots=True)
class Fold:
    """A trained fold: its model's directory, and the groups it has not seen."""

    directory: Path
    held: Sequence[str]
    spec: ModelSpec
    steps: int


def train_folds(records: Paths, directory: Path, options: TrainOptions, run: Run) -> TrainReport:
    """Train the folds, write ``folds.json``, and train the model of all groups.

    A fold that is finished is not trained again with ``run.resume``. The report counts each
    group as the model that has not seen it found it.

    Raises:
        RecordError: two groups share a scene, pixels or ground; names both records.
        GeodeforestError: as ``train``.
    """
    count = options.folds or 0
    check_output(directory, run, begun="fold-0")
    _refuse_other_folds(directory, count)
    dealt = deal(labelled_by_group(records), count, options.seed)
    with naming_faults(directory):
        directory.mkdir(exist_ok=True)
    folds = [
        _trained(records, directory / f"fold-{number}", held, options, _part(run, number, count))
        for number, held in enumerate(dealt)
    ]
    judged = judge(records, folds, options)
    _write(directory / FOLDS_FILE, judged.facts)
    everything = replace(
        options, folds=None, val_group=(), checkpoints=_below(options.checkpoints, "all")
    )
    report = train_one(records, directory, everything, _part(run, count, count), judged.finish)
    confusion = {group: tally.classes for group, tally in judged.evaluation.groups.items()}
    return replace(report, confusion=confusion)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the folds of a training are worth together; ``facts`` is what ``folds.json`` holds."""

    facts: Mapping[str, Any]
    evaluation: Evaluation
    calibration: Calibration

    def finish(self, model: keras.Model, spec: ModelSpec) -> ModelSpec:
        """Calibrate the model of all groups, and let its spec say what the folds were worth."""
        from geodeforest.nn.calibrate import divide_logits

        divide_logits(model, self.calibration.temperature)
        training = {**spec.training, "folds": len(self.facts["folds"])}
        metrics = _metrics(self.facts, self.evaluation, self.calibration)
        return replace(spec, training=training, metrics=metrics)


def judge(records: Paths, folds: Sequence[Fold], options: TrainOptions) -> Judged:
    """Score every group with the model that has not seen it, and calibrate by that.

    Raises:
        ModelError: a fold's model is refused.
        RecordError: the records are refused, or do not fit the models.
    """
    spec = folds[0].spec
    before = _scored(records, folds, Measure())
    histogram = sum((t.histogram for t in before.values()), start=ScoreHistogram.empty())
    found = calibrate(histogram, spec.confidence, spec.threshold)
    after = before
    if found.temperature != 1:
        after = _scored(records, folds, Measure(temperature=found.temperature))
    evaluation = Evaluation(spec, after, seed=options.seed)
    return Judged(_facts(folds, evaluation, found, options), evaluation, found)


def _refuse_other_folds(directory: Path, count: int) -> None:
    """Refuse what is left of a training of more folds: it would pass for one of these."""
    if not directory.is_dir():
        return
    with naming_faults(directory):
        names = sorted(entry.name for entry in directory.iterdir())
    for name in names:
        if (match := _FOLD.fullmatch(name)) and int(match[1]) >= count:
            why = f"holds {name}, which is of a training of more folds"
            raise OutputUnwritable(directory, why, "name another directory")


def _trained(
    records: Paths, directory: Path, held: Sequence[str], options: TrainOptions, run: Run
) -> Fold:
    name = None if options.name is None else f"{options.name}-{directory.name}"
    choices = replace(
        options,
        folds=None,
        val_group=tuple(held),
        name=name,
        checkpoints=_below(options.checkpoints, directory.name),
    )
    report = train_one(records, directory, choices, run)
    return Fold(directory, held, report.spec, report.steps)


def _below(checkpoints: str | None, name: str) -> str | None:
    """A folder of its own for each training's checkpoints."""
    return None if checkpoints is None else f"{checkpoints.rstrip('/')}/{name}"


def _part(run: Run, number: int, count: int) -> Run:
    """The run of one of ``count`` folds, or of the model after them, told as a part of all."""
    told = run.on_step
    if told is None:
        return run

    def on_step(done: int, steps: int, loss: float) -> None:
        told(number * steps + done, (count + 1) * steps, loss)

    return run._replace(on_step=on_step)


def _scored(records: Paths, folds: Sequence[Fold], measure: Measure) -> dict[str, Tally]:
    """Each group as the model that has not seen it finds it."""
    found: dict[str, Tally] = {}
    for fold in folds:
        found |= score_records(load_model(fold.directory), records, fold.held, measure)
    return dict(sorted(found.items()))


def _facts(
    folds: Sequence[Fold], judged: Evaluation, found: Calibration, options: TrainOptions
) -> dict[str, Any]:
    """What ``folds.json`` holds."""
    each = [_fold_facts(fold, judged) for fold in folds]
    shares = {
        key: [fold[key] for fold in each if fold[key] is not None]
        for key in ("accuracy", "mean_iou")
    }
    return {
        "schema": SCHEMA,
        "command": options.command,
        "protocol": f"{len(folds)}-fold cross-validation, {len(judged.groups)} groups, each in "
        "one fold and judged by the model that has not seen it; hard classes, pooled counts",
        "folds": each,
        "spread": {
            name: {
                "mean": round(float(np.mean(values)), 4),
                "sd": round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else None,
            }
            for name, values in shares.items()
        },
        "calibration": found.to_dict(),
        "evaluation": {**judged.to_dict(), "model": "the folds' models, calibrated together"},
    }


def _fold_facts(fold: Fold, judged: Evaluation) -> dict[str, Any]:
    first, *rest = (judged.groups[group] for group in fold.held)
    total = sum(rest, start=first)
    return {
        "model": fold.directory.name,
        "groups": list(fold.held),
        "steps": fold.steps,
        "pixels": total.classes.pixels,
        "confusion": total.confusion.tolist(),
        **nested(figures(total, judged.names)),
    }


def _metrics(facts: Mapping[str, Any], judged: Evaluation, found: Calibration) -> dict[str, Any]:
    """The out-of-fold figures that go into the spec, by class id as those of a validation."""
    shares, intervals = judged.figures, judged.intervals
    ids = {c.name: str(c.id) for c in judged.spec.classes}
    by_class = {
        key: {number: shares["classes"][name][key] for name, number in ids.items()}
        for key in ("iou", "f1", "boundary_f1")
    }
    return {
        "protocol": facts["protocol"],
        "command": facts["command"],
        "accuracy": shares["accuracy"],
        "accuracy_95": intervals["accuracy"],
        "mean_iou": shares["mean_iou"],
        "mean_iou_95": intervals["mean_iou"],
        "median_group_accuracy": judged.medians["accuracy"],
        **by_class,
        "objects": shares["objects"],
        "fold_accuracy": [fold["accuracy"] for fold in facts["folds"]],
        "fold_accuracy_sd": facts["spread"]["accuracy"]["sd"],
        **calibration_metrics(found, judged.total),
        "groups": {
            name: nested(figures(tally, judged.names))["accuracy"]
            for name, tally in judged.groups.items()
        },
    }


def calibration_metrics(found: Calibration, calibrated: Tally) -> dict[str, Any]:
    """What a spec's metrics say of calibration: the temperature, the errors, and confidence.

    ``calibrated`` counts out of fold with the temperature, as ``score_records`` does with a
    ``Measure`` of it. Precision is by polygons: of the pixels of those with a confidence, the
    share that is deforestation.
    """
    return {
        "calibration": {
            "temperature": round(found.temperature, 4),
            "ece_before": round(found.ece_before, 4),
            "ece": round(calibrated.reliability.error, 4),
        },
        "confidence_precision": {
            name: one["precision"] for name, one in calibrated.confidences().items()
        },
        "confidence_polygons": {
            name: one["polygons"] for name, one in calibrated.confidences().items()
        },
    }


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
    with OutputSet([path], overwrite=True) as outputs, naming_faults(path):
        outputs.scratch(path).write_text(text, "utf-8")
