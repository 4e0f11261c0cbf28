"""A model's scores on training records, counted by group against the truth.

The model sees each record whole, as in validation, and its scores decide as in a scan.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.calibration import cooled
from geodeforest.core.decide import decide, stitched_planes, threshold_step
from geodeforest.core.pixels import BandScale, pad_reflect
from geodeforest.core.ports import Predictor
from geodeforest.core.reflectance import reflectance_range
from geodeforest.core.spec import NOT_ASSESSED, ModelSpec, SceneInput
from geodeforest.core.tally import Measure, Scorer, Tally
from geodeforest.errors import GeodeforestWarning, OptionError, RecordError
from geodeforest.geo.resampled import TOLERANCE
from geodeforest.workflows.extras import need_training

if TYPE_CHECKING:
    from geodeforest.nn.index import RecordIndex
    from geodeforest.nn.records import Paths, Record

Scores: TypeAlias = NDArray[np.float32]
"""Scores of a record: (rows, cols, classes)."""


def score_records(
    model: Predictor,
    records: Paths,
    groups: Collection[str] | None = None,
    measure: Measure | None = None,
) -> dict[str, Tally]:
    """Run a model over records and count what it finds, by group; all groups by default.

    For a fold of a cross-validation: the model trained without ``groups``, and the groups.
    Records of another scale or pixel size than the model's are judged as they are, which is said.

    Raises:
        MissingExtra: TensorFlow is not installed.
        OptionError: a group that the records do not have.
        RecordError: the records are refused, or do not fit the model.
    """
    need_training("reading training records")
    counted: dict[str, Tally] = {}
    for record, scores in scored(model, records, groups):
        found = _counted(record, scores, model.spec, measure or Measure())
        before = counted.get(record.group)
        counted[record.group] = found if before is None else before + found
    return dict(sorted(counted.items()))


def scored(
    model: Predictor, records: Paths, groups: Collection[str] | None = None
) -> Iterator[tuple[Record, Scores]]:
    """Each record of the groups with its scores, one at a time.

    Raises:
        OptionError: a group that the records do not have.
        RecordError: the records are refused, or do not fit the model.
    """
    from geodeforest.nn.records import index_of, read_records

    index, spec = index_of(records), model.spec
    if unknown := sorted(set(groups or ()) - set(index.tally.groups)):
        have = ", ".join(sorted(index.tally.groups))
        raise OptionError(f"the records have no group {unknown[0]!r}; groups: {have}")
    _check_fit(index, spec, records)
    for unlike in _unlike(index, spec):
        warnings.warn(f"{_first(records)}: {unlike}", GeodeforestWarning, stacklevel=3)
    for record in read_records(records):
        if groups is None or record.group in groups:
            yield record, _scores(model, record, index)


def class_indexes(labels: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.uint8]:
    """Class ids as indexes of the model's classes; 255 stays, ids it has not become it."""
    table = np.full(256, NOT_ASSESSED, np.uint8)
    table[[c.id for c in spec.classes]] = np.arange(len(spec.classes))
    return table[labels]


def _check_fit(index: RecordIndex, spec: ModelSpec, records: Paths) -> None:
    form, facts = index.format, index.facts
    held, wanted = (form.bands, facts.scene_inputs), (spec.bands, spec.scene_inputs)
    if held != wanted:
        have, want = (f"{', '.join(bands)} and {_named(rules)}" for bands, rules in (held, wanted))
        why = f"holds {have}, and the model takes {want}"
        raise RecordError(_first(records), why, "build them with --like and the model's name")
    known = {c.id for c in spec.classes}
    if strange := [c.name for c in form.classes if c.id not in known]:
        why = f"holds the class {strange[0]}, which the model does not know"
        raise RecordError(_first(records), why, "build records with the model's classes")


def _named(rules: Sequence[SceneInput]) -> str:
    """Scene inputs in words, with all that tells them apart."""
    told = [
        f"{rule.name} (percentile {rule.percentile:g}, {rule.windows} x {rule.windows} squares "
        f"of {rule.window} px{', limited' * (rule.ceiling is not None)})"
        for rule in rules
    ]
    return f"scene inputs {', '.join(told)}" if told else "no scene inputs"


def _unlike(index: RecordIndex, spec: ModelSpec) -> Iterator[str]:
    """In what the records' pixels differ from those that a scan would give the model."""
    from geodeforest.nn.index import default_scale

    facts, dtype = index.facts, index.format.dtype
    what, theirs, ours = dtype, facts.scale, spec.scale.get(dtype)
    if facts.reflectance:  # their scale is that of reflectance 0..1, whatever was stored
        what, theirs, ours = "reflectance", BandScale(0, 1), reflectance_range(spec.scale)
    elif theirs != default_scale(dtype):
        ours = None  # somebody chose it
    if ours is not None and ours != theirs:
        why = f"holds {what} {theirs} as 0..1, and the model was trained on {ours}"
        yield f"{why}; build the records with --like"
    sizes = facts.gsd_m, spec.gsd_m
    if sizes[0] and sizes[1] and abs(sizes[0] / sizes[1] - 1) > TOLERANCE:
        yield f"has pixels of {sizes[0]:.3g} m, and the model was trained on {sizes[1]:g} m"


def _first(records: Paths) -> str:
    return str(records) if isinstance(records, str | os.PathLike) else str(records[0])


def _scores(model: Predictor, record: Record, index: RecordIndex) -> Scores:
    """Scores of a record; a side that does not suit the network is grown by reflection."""
    rows, cols, multiple = *record.labels.shape, model.spec.multiple
    image = index.facts.scale(record.image)
    image = pad_reflect(image, -(-rows // multiple) * multiple, -(-cols // multiple) * multiple)
    level = record.scene_level[np.newaxis] if model.spec.scene_inputs else None
    return model.predict(image[np.newaxis], level)[0, :rows, :cols]


def _counted(record: Record, scores: Scores, spec: ModelSpec, measure: Measure) -> Tally:
    step = threshold_step(measure.threshold or spec.threshold)
    planes = cooled(scores, measure.temperature)[..., list(stitched_planes(spec))].transpose(
        2, 0, 1
    )
    found, stored = decide(planes, record.valid, spec, step)
    truth = np.where(record.valid, class_indexes(record.labels, spec), np.uint8(NOT_ASSESSED))
    scorer = Scorer(spec, truth.shape[1], measure)
    scorer.feed(truth, class_indexes(found, spec), stored, planes[0])
    return scorer.finish()
