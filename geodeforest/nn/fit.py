"""The training loop: steps, validation by group, checkpoints that resume.

Gets a strategy, a network's shape and batches; reads no scene and writes no model.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
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
from geodeforest.errors import GeodeforestWarning, OptionError, OutputUnwritable, TrainingError
from geodeforest.nn.augment import TURNS, Augmentation
from geodeforest.nn.log import HERE, Log
from geodeforest.nn.losses import LOSSES, LossName, loss_named
from geodeforest.nn.schedule import optimizer
from geodeforest.nn.steps import Learner
from geodeforest.nn.unet import build_unet

Batches = Callable[[int], tf.data.Dataset]
StepDone = Callable[[int, int, float], None]

_BEGUN, _BEST, _CHECKPOINTS = "options.json", "best.weights.h5", "checkpoints"
_OWN = {_BEGUN, _BEST, _CHECKPOINTS, "tensorboard", "log.csv", "scratch.weights.h5"}

# Without it the files of a checkpoint would land on the machine of a remote TPU.
_TO_DISK = tf.train.CheckpointOptions(experimental_io_device=HERE)

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
    directory: Path,
    *,
    resume: bool = False,
    on_step: StepDone | None = None,
) -> Fitted:
    """Train, leaving checkpoints, ``log.csv`` and TensorBoard summaries in ``directory``.

    Without ``resume`` what a former training left there is removed first.

    Raises:
        OptionError: patience without groups to validate on.
        TrainingError: the loss is not finite, memory is short, or ``resume`` with other
            options or data, or with checkpoints or records that cannot be read.
        OutputUnwritable: the disk is full or read-only, or ``directory`` holds other things
            than a training's.
    """
    if options.patience is not None and data.validation is None:
        raise OptionError("patience needs groups to validate on: name some with --val-group")
    _begin(directory, options, data, resume)
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
    return _Training(data, options, strategy, directory, learner).run(resume, on_step)


def clear(directory: Path) -> None:
    """Remove what a former training left.

    Raises:
        OutputUnwritable: the directory holds other things too, or cannot be removed.
    """
    with _writing(directory):
        if not directory.exists():
            return
        if foreign := sorted({entry.name for entry in directory.iterdir()} - _OWN):
            why = f"holds {foreign[0]}, which no training left there"
            raise OutputUnwritable(directory, why, "name another directory")
        shutil.rmtree(directory)


class _Training:
    """One run of the loop: what it holds between steps."""

    def __init__(
        self,
        data: Data,
        options: FitOptions,
        strategy: tf.distribute.Strategy,
        directory: Path,
        learner: Learner,
    ) -> None:
        self.data, self.options, self.strategy = data, options, strategy
        self.directory, self.learner = directory, learner
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
        self.checkpoints = tf.train.CheckpointManager(
            self.checkpoint, str(directory / _CHECKPOINTS), max_to_keep=2
        )
        self.best_weights = directory / _BEST
        self.train, self.count = self._compiled()
        self.held = None
        if data.validation is not None:
            self.held = strategy.experimental_distribute_dataset(data.validation)

    def run(self, resume: bool, on_step: StepDone | None) -> Fitted:
        done = self._restore() if resume else 0
        confusion: dict[str, Confusion] = {}
        losses: list[float] = []
        with contextlib.ExitStack() as stack:
            with _writing(self.directory):
                log = stack.enter_context(Log(self.directory, done))
            for batch in self._read(self._batches(done)):
                losses.append(self._step(batch, done + 1))
                done += 1
                if on_step is not None:
                    on_step(done, self.options.steps, losses[-1])
                if done % self.options.validate_every and done < self.options.steps:
                    continue
                confusion = self.validate()
                with _writing(self.directory):
                    log.write(done, float(np.mean(losses)), _pooled(confusion))
                    self._judge(_pooled(confusion))
                    self.step.assign(done)
                    self.checkpoints.save(done, options=_TO_DISK)
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
            parts = (self.strategy.experimental_local_results(p) for p in self.count(batch))
            for counts, groups in zip(*parts, strict=True):
                np.add.at(totals, groups.numpy(), counts.numpy())
        return {group: Confusion(t) for group, t in zip(self.data.val_groups, totals, strict=True)}

    def _compiled(self) -> tuple[Callable[..., tf.Tensor], Callable[..., Any]]:
        """A step of training and one of validation, on all replicas."""

        @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no stubs
        def train(batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
            parts = self.strategy.run(self.learner.train_step, args=batch)
            return self.strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)

        @tf.function  # type: ignore[untyped-decorator]
        def count(batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
            *examples, groups = batch
            return self.strategy.run(self.learner.confusion_step, args=tuple(examples)), groups

        return train, count

    def _batches(self, done: int) -> Any:
        """The batches still to train on; none where the training has come to its end."""
        if done >= self.options.steps or self._out_of_patience():
            return ()
        return self.strategy.experimental_distribute_dataset(self.data.training(done))

    def _read(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The batches; records that fail meanwhile become one line."""
        try:
            yield from batches
        except tf.errors.OpError as error:
            why = f"the records cannot be read ({_brief(error)})"
            remedy = "check them with: geodeforest records verify"
            raise TrainingError(f"{self.directory}: {why}; {remedy}") from error

    def _step(self, batch: object, number: int) -> float:
        try:
            loss = float(self.train(batch))
        except tf.errors.ResourceExhaustedError as error:
            why = "the device has too little memory for a step; lower the batch or the crop"
            raise TrainingError(f"{self.directory}: {why}") from error
        if not math.isfinite(loss):
            raise TrainingError(
                f"{self.directory}: the loss is {loss} at step {number}; "
                "lower the learning rate or look for odd values in the records"
            )
        return loss

    def _restore(self) -> int:
        """Go back to the newest checkpoint that can be read; gives its step."""
        paths = self.checkpoints.checkpoints
        for path in reversed(paths):
            try:
                self.checkpoint.restore(path, _TO_DISK).assert_existing_objects_matched()
                return int(self.step.numpy())
            except _UNREADABLE:
                message = f"{path}: this checkpoint cannot be read; going back to the one before"
                warnings.warn(message, GeodeforestWarning, stacklevel=2)
        if paths:
            why = "no checkpoint in it can be read; pass --overwrite to start afresh"
            raise TrainingError(f"{self.directory}: {why}")
        return 0

    def _judge(self, pooled: Confusion | None) -> None:
        """Remember the best validation."""
        if pooled is None or self.options.patience is None:
            return
        if not pooled.mean_iou > float(self.best.numpy()):
            self.waited.assign_add(1)
            return
        self.best.assign(pooled.mean_iou)
        self.waited.assign(0)
        scratch = self.directory / "scratch.weights.h5"
        self.learner.model.save_weights(scratch)
        scratch.replace(self.best_weights)

    def _out_of_patience(self) -> bool:
        patience = self.options.patience
        return patience is not None and int(self.waited.numpy()) >= patience

    def _result(self, done: int, confusion: dict[str, Confusion]) -> Fitted:
        if self.options.patience is not None and self.best_weights.exists():
            self.learner.model.load_weights(self.best_weights)
            confusion = {}
        return Fitted(self.learner.model, done, confusion or self.validate())


def _begin(directory: Path, options: FitOptions, data: Data, resume: bool) -> None:
    """Write down what the training begins with, or compare with what a resumed one began with."""
    path = directory / _BEGUN
    text = json.dumps({"options": asdict(options), "data": dict(data.identity)}, indent=2)
    with _writing(directory):
        if resume and path.exists():
            if path.read_text("utf-8", "replace") != text:
                raise TrainingError(
                    f"{directory}: it was begun with other options or records; pass the same "
                    "ones, or --overwrite without --resume to start afresh"
                )
            return
        if not resume:
            clear(directory)
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


@contextlib.contextmanager
def _writing(directory: Path) -> Iterator[None]:
    """Turn what the disk or TensorFlow's writers say inside into one line."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        if isinstance(error, OutputUnwritable):
            raise
        why = f"cannot be written ({_brief(error)})"
        raise OutputUnwritable(directory, why, "free some space or write elsewhere") from error


def _brief(error: Exception) -> str:
    words = getattr(error, "strerror", None) or str(error)
    return (words.splitlines() or [type(error).__name__])[0][:120]


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
