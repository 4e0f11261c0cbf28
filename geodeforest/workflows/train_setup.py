"""What a training is made of: its records, split, data, options and the spec it will have.

Knows what can be refused before the first step; trains and writes nothing.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from geodeforest.core.plausible import DARK_LEVELS
from geodeforest.core.spec import ConfidenceRule, ModelSpec
from geodeforest.errors import GeodeforestWarning, ModelError, OptionError, RecordError
from geodeforest.runtime.model_dir import SPEC_FILE, read_spec
from geodeforest.workflows.build_records import group_of
from geodeforest.workflows.train_options import TrainOptions

if TYPE_CHECKING:
    import tensorflow as tf

    from geodeforest.nn.fit import Data, FitOptions
    from geodeforest.nn.index import RecordIndex
    from geodeforest.nn.records import RecordSet

_TELLING_SCENES = 10
"""From so many groups on their dark levels tell what a scene of the kind may look like."""

_VALIDATED_AT_ONCE = 4
"""Whole records that a device holds at a time in validation."""


def check_records(records: RecordSet, strategy: tf.distribute.Strategy) -> None:
    """Refuse records that no model can come of, or that the strategy cannot read.

    Raises:
        RecordError: for either reason.
    """
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


class Split(NamedTuple):
    """The groups to train on, and those held back to validate on."""

    training: list[str]
    held: list[str]


def leads(options: TrainOptions) -> bool:
    """Whether this program writes the outputs: of several workers the first one does.

    Raises:
        OptionError: folds by several workers.
        StrategyError: ``TF_CONFIG`` makes no sense.
    """
    from geodeforest.nn.workers import cluster

    found = cluster() if options.strategy == "auto" else None
    if found is not None and options.folds is not None:
        raise OptionError("folds are trained by one worker; unset TF_CONFIG or leave folds out")
    return found is None or found.share.leads


def split_of(records: RecordSet, options: TrainOptions) -> Split:
    """Which groups train and which validate; a scene on both sides is warned of.

    Raises:
        OptionError: a group that the records do not have.
        RecordError: nothing is left to train on.
    """
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
    if torn := _scenes(records, rest) & _scenes(records, held):
        why = f"scene {min(torn)} is in groups on both sides of the validation, which flatters it"
        warnings.warn(f"{records.files[0]}: {why}", GeodeforestWarning, stacklevel=4)
    return Split(rest, held)


def _scenes(records: RecordSet, groups: Sequence[str]) -> set[str]:
    return {group_of(scene) for group in groups for scene in records.scenes.get(group, ())}


def fit_options(
    records: RecordSet, split: Split, options: TrainOptions, replicas: int
) -> FitOptions:
    """How the network will be trained.

    Raises:
        OptionError: crop, batch and network do not fit the records and replicas.
    """
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


def data_of(
    records: RecordSet, split: Split, how: FitOptions, strategy: tf.distribute.Strategy
) -> Data:
    """What this program reads: its share of the batches of all replicas."""
    from geodeforest.nn.fit import Data
    from geodeforest.nn.pipeline import Feed, training_batches, validation_batches
    from geodeforest.nn.records import dataset
    from geodeforest.nn.workers import share_of

    form, facts, counts = records.format, records.index.facts, records.index.tally.groups
    feed = Feed(facts.scale, form.class_ids, how.batch, how.seed, share_of(strategy))
    replicas = strategy.num_replicas_in_sync
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


def spec_of(records: RecordSet, split: Split, options: TrainOptions, directory: Path) -> ModelSpec:
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
        (Path(scratch) / SPEC_FILE).write_text(spec.to_json(), "utf-8")
        try:
            read_spec(Path(scratch))
        except ModelError as error:
            raise OptionError(f"{directory}: the model's {error.why}; choose another") from error
