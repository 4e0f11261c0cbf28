"""The training loop: steps, validation by group, checkpoints that resume.

Gets a strategy, a network's shape and batches; reads no scene and writes no model.
"""

from __future__ import annotations

import contextlib
import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from geodeforest.core.metrics import Confusion
from geodeforest.core.spec import ARCHITECTURES, Architecture
from geodeforest.errors import GeodeforestWarning, OptionError, RecordsBroken, TrainingError
from geodeforest.nn.augment import TURNS, Augmentation
from geodeforest.nn.log import Log
from geodeforest.nn.losses import LOSSES, LossName, loss_named
from geodeforest.nn.replicas import Replicas
from geodeforest.nn.schedule import optimizer
from geodeforest.nn.state import BEGUN, BEST, StateFolder, brief
from geodeforest.nn.steps import Learner
from geodeforest.nn.unet import build_unet
from geodeforest.nn.workers import lost, noticing, share_of

Batches = Callable[[int], tf.data.Dataset]
StepDone = Callable[[int, int, float], None]

# What TensorFlow's reader says of a file that is cut short, damaged or of another network.
_UNREADABLE = (tf.errors.OpError, AssertionError, LookupError, RuntimeError, ValueError)


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How a network is trained. ``batch`` is global; ``patience`` counts validations.

    With ``patience`` the weights of the best validation are kept and training stops after
    so many without a better one; without, the last weights are.
    """

    architecture: Architecture = ARCHITECTURES["light"]
    loss: LossName = "cross-entropy"
    augmentation: Augmentation = TURNS
    steps: int = 1000
    batch: int = 8
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    validate_every: int = 100
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        patience = 1 if self.patience is None else self.patience
        if min(self.steps, self.batch, self.validate_every, patience) < 1:
            raise OptionError("steps, batch, validate_every and patience must be at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise OptionError(f"learning rate {self.learning_rate:g} must be above 0 and finite")
        if self.loss not in LOSSES:
            raise OptionError(f"loss {self.loss!r} is unknown; choose one of {', '.join(LOSSES)}")
        if not 0 <= self.seed < 2**32:
            raise OptionError(f"seed {self.seed} must be in 0..{2**32 - 1}")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network and its confusion matrix per validation group (empty without any)."""

    model: keras.Model
    steps: int
    confusion: Mapping[str, Confusion] = field(default_factory=dict)

    @property
    def pooled(self) -> Confusion | None:
        """All validation pixels together."""
        return _pooled(self.confusion)


@dataclass(frozen=True, slots=True)
class Data:
    """What a training reads: batches from a step on, and one pass of validation batches.

    With several workers they are this one's part of each batch.
    ``deforestation`` is the index of that class. ``identity`` tells these data from others,
    in values that JSON can hold: a training is resumed on the data it began with.
    """

    bands: int
    classes: int
    scene_inputs: int
    training: Batches
    validation: tf.data.Dataset | None
    val_groups: Sequence[str] = ()
    deforestation: int = 1
    identity: Mapping[str, Any] = field(default_factory=dict)


def fit(
    data: Data,
    options: FitOptions,
    strategy: tf.distribute.Strategy,
    directory: str | Path,
    *,
    resume: bool = False,
    on_step: StepDone | None = None,
) -> Fitted:
    """Train, leaving checkpoints, ``log.csv`` and TensorBoard summaries in ``directory``.

    That may also be an address such as ``gs://bucket/training``. Without ``resume`` what a
    former training left there is removed first. Of several workers the first writes.

    Raises:
        OptionError: patience without groups to validate on.
        TrainingError: the loss is not finite, memory is short, or ``resume`` with other
            options or data, or with checkpoints that cannot be read.
        RecordsBroken: records cannot be read.
        OutputUnwritable: the disk is full or read-only, or ``directory`` holds other things
            than a training's.
        WorkerLost: one of several workers is gone.
    """
    if options.patience is not None and data.validation is None:
        raise OptionError("patience needs groups to validate on: name some with --val-group")
    folder = StateFolder(directory)
    _begin(folder, options, data, resume, leads=share_of(strategy).leads)
    keras.utils.set_random_seed(options.seed)
    with strategy.scope(), _precision(strategy):
        learner = Learner(
            build_unet(
                bands=data.bands,
                classes=data.classes,
                architecture=options.architecture,
                scene_inputs=data.scene_inputs,
            ),
            optimizer(options.steps, options.learning_rate, options.weight_decay),
            loss_named(options.loss, data.classes, data.deforestation),
            options.batch,
        )
        learner.optimizer.build(learner.model.trainable_variables)
    with noticing(share_of(strategy)):
        return _Training(data, options, strategy, folder, learner).run(resume, on_step)


class _Training:
    """One run of the loop: what it holds between steps."""

    def __init__(
        self,
        data: Data,
        options: FitOptions,
        strategy: tf.distribute.Strategy,
        folder: StateFolder,
        learner: Learner,
    ) -> None:
        self.data, self.options = data, options
        self.folder, self.learner = folder, learner
        self.replicas = Replicas(strategy)
        self.to_disk = tf.train.CheckpointOptions(experimental_io_device=self.replicas.here)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.best = tf.Variable(-1.0, dtype=tf.float64, trainable=False)
        self.waited = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.checkpoint = tf.train.Checkpoint(
            model=learner.model,
            optimizer=learner.optimizer,
            step=self.step,
            best=self.best,
            waited=self.waited,
        )
        self.train = self.replicas.summed(learner.train_step)
        self.count = self.replicas.summed(self._counts)
        self.held = None if data.validation is None else self.replicas.spread(data.validation)

    def run(self, resume: bool, on_step: StepDone | None) -> Fitted:
        done = self._restore() if resume else 0
        self._agree(done)
        confusion: dict[str, Confusion] = {}
        losses: list[float] = []
        with contextlib.ExitStack() as stack:
            log = None
            if self.replicas.share.leads:
                log = stack.enter_context(Log(self.folder, done, self.replicas.here))
            for batch in self._read(self._batches(done)):
                losses.append(self._step(batch, done + 1))
                done += 1
                if on_step is not None:
                    on_step(done, self.options.steps, losses[-1])
                if done % self.options.validate_every and done < self.options.steps:
                    continue
                confusion = self.validate()
                better = self._judge(_pooled(confusion))
                if log is not None:
                    log.write(done, float(np.mean(losses)), _pooled(confusion))
                    self._save(done, better)
                self._agree(done)
                losses.clear()
                if done >= self.options.steps or self._out_of_patience():
                    break
        return self._result(done, confusion)

    def validate(self) -> dict[str, Confusion]:
        """The confusion matrix of each validation group, by the best-scored class."""
        if self.held is None:
            return {}
        classes = self.data.classes
        totals = np.zeros((len(self.data.val_groups), classes, classes), np.int64)
        for batch in self._read(self.held):
            totals += self.count(batch).numpy()
        return {group: Confusion(t) for group, t in zip(self.data.val_groups, totals, strict=True)}

    def _counts(self, *batch: tf.Tensor) -> tf.Tensor:
        """Confusion counts of a replica's examples, summed by group."""
        *examples, groups = batch
        counts = self.learner.confusion_step(*examples)
        return tf.math.unsorted_segment_sum(counts, groups, len(self.data.val_groups))

    def _agree(self, done: int) -> None:
        """Wait for all workers, and see to it that they are at the same step.

        Raises:
            TrainingError: they are not, as they do not read the same checkpoints.
        """
        if not self.replicas.agree(done):
            raise TrainingError(
                f"{self.folder}: the workers go on from different steps; give all of them one "
                "directory for checkpoints, such as --checkpoints gs://..."
            )

    def _batches(self, done: int) -> Any:
        """The batches still to train on; none where the training has come to its end."""
        if done >= self.options.steps or self._out_of_patience():
            return ()
        return self.replicas.spread(self.data.training(done))

    def _read(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The batches; records that fail meanwhile become one line."""
        try:
            yield from batches
        except tf.errors.OpError as error:
            if gone := lost(error, self.replicas.share):
                raise gone from error
            why = f"the records cannot be read ({brief(error)})"
            remedy = "check them with: geodeforest records verify"
            raise RecordsBroken(f"{self.folder}: {why}; {remedy}") from error

    def _step(self, batch: tuple[Any, ...], number: int) -> float:
        try:
            loss = float(self.train(batch))
        except tf.errors.ResourceExhaustedError as error:
            why = "the device has too little memory for a step; lower the batch or the crop"
            raise TrainingError(f"{self.folder}: {why}") from error
        if not math.isfinite(loss):
            raise TrainingError(
                f"{self.folder}: the loss is {loss} at step {number}; "
                "lower the learning rate or look for odd values in the records"
            )
        return loss

    def _restore(self) -> int:
        """Go back to the newest checkpoint that can be read; gives its step."""
        paths = self.folder.checkpoints()
        for path in reversed(paths):
            try:
                self.checkpoint.read(path, self.to_disk).assert_existing_objects_matched()
                return int(self.step.numpy())
            except _UNREADABLE:
                message = f"{path}: this checkpoint cannot be read; going back to the one before"
                warnings.warn(message, GeodeforestWarning, stacklevel=2)
        if paths:
            why = "no checkpoint in it can be read; pass --overwrite to start afresh"
            raise TrainingError(f"{self.folder}: {why}")
        return 0

    def _judge(self, pooled: Confusion | None) -> bool:
        """Whether this validation is the best so far, where that matters."""
        if pooled is None or self.options.patience is None:
            return False
        if not pooled.mean_iou > float(self.best.numpy()):
            self.waited.assign_add(1)
            return False
        self.best.assign(pooled.mean_iou)
        self.waited.assign(0)
        return True

    def _save(self, done: int, better: bool) -> None:
        """Leave a checkpoint, and the weights where they are the best so far."""
        if better:
            self.folder.keep(BEST, self.learner.model.save_weights)
        self.step.assign(done)
        with self.folder.writing():
            self.checkpoint.write(self.folder.checkpoint(done), self.to_disk)
        self.folder.prune()

    def _out_of_patience(self) -> bool:
        patience = self.options.patience
        return patience is not None and int(self.waited.numpy()) >= patience

    def _result(self, done: int, confusion: dict[str, Confusion]) -> Fitted:
        if self.options.patience is not None:
            with self.folder.fetched(BEST) as best:
                if best is not None:
                    self.learner.model.load_weights(best)
                    confusion = {}
        return Fitted(self.learner.model, done, confusion or self.validate())


def _begin(
    folder: StateFolder, options: FitOptions, data: Data, resume: bool, *, leads: bool
) -> None:
    """Write down what the training begins with, or compare with what a resumed one began with."""
    text = json.dumps({"options": asdict(options), "data": dict(data.identity)}, indent=2)
    with folder.writing():
        begun = folder.read(BEGUN) if resume else None
    if begun is not None and begun != text:
        raise TrainingError(
            f"{folder}: it was begun with other options or records; pass the same "
            "ones, or --overwrite without --resume to start afresh"
        )
    if not leads or begun is not None:
        return
    if not resume:
        folder.clear()
    folder.write(BEGUN, text)


@contextlib.contextmanager
def _precision(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Mixed bfloat16 while the network is built for a TPU, whose matrix units want it."""
    before = keras.config.dtype_policy()
    if isinstance(strategy, tf.distribute.TPUStrategy):
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _pooled(groups: Mapping[str, Confusion]) -> Confusion | None:
    if not groups:
        return None
    first, *rest = groups.values()
    return sum(rest, start=first)
