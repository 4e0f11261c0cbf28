"""The training loop: steps, validation by group, checkpoints that resume, logs.

Gets a strategy, a network's shape and batches; reads no scene and writes no model.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from geodeforest.core.metrics import Confusion
from geodeforest.core.spec import ARCHITECTURES, Architecture
from geodeforest.errors import OptionError, OutputError, TrainingError
from geodeforest.nn.augment import TURNS, Augmentation
from geodeforest.nn.losses import LOSSES, LossName
from geodeforest.nn.schedule import optimizer
from geodeforest.nn.steps import Learner
from geodeforest.nn.unet import build_unet

Batches = Callable[[int], tf.data.Dataset]
StepDone = Callable[[int, int, float], None]


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
        if min(self.steps, self.batch, self.validate_every) < 1:
            raise OptionError("steps, batch and validate_every must be at least 1")
        if not self.learning_rate > 0:
            raise OptionError(f"learning rate {self.learning_rate:g} must be above 0")
        if self.loss not in LOSSES:
            raise OptionError(f"loss {self.loss!r} is unknown; choose one of {', '.join(LOSSES)}")


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
    """What a training reads: batches from a step on, and one pass of validation batches."""

    bands: int
    classes: int
    scene_inputs: int
    training: Batches
    validation: tf.data.Dataset | None
    val_groups: Sequence[str] = ()


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

    Raises:
        TrainingError: the loss is not finite, or ``resume`` with other options.
    """
    _same_options(directory, options, resume)
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
            LOSSES[options.loss],
            options.batch,
        )
        learner.optimizer.build(learner.model.trainable_variables)
    return _Training(data, options, strategy, directory, learner).run(resume, on_step)


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
        checkpoint = tf.train.Checkpoint(
            model=learner.model,
            optimizer=learner.optimizer,
            step=self.step,
            best=self.best,
            waited=self.waited,
        )
        self.checkpoints = tf.train.CheckpointManager(
            checkpoint, str(directory / "checkpoints"), max_to_keep=2
        )
        self.best_weights = directory / "best.weights.h5"
        self.count = tf.function(learner.confusion_step)

    def run(self, resume: bool, on_step: StepDone | None) -> Fitted:
        if resume and self.checkpoints.latest_checkpoint:
            self.checkpoints.restore_or_initialize()
        done = int(self.step.numpy())
        batches = self.strategy.experimental_distribute_dataset(self.data.training(done))
        train = self._train_function()
        confusion: dict[str, Confusion] = {}
        losses: list[float] = []
        with _Log(self.directory, done) as log:
            for batch in batches if done < self.options.steps else ():
                losses.append(float(train(batch)))
                done += 1
                self._check(losses[-1], done)
                if on_step is not None:
                    on_step(done, self.options.steps, losses[-1])
                if done % self.options.validate_every and done < self.options.steps:
                    continue
                confusion = self.validate()
                log.write(done, float(np.mean(losses)), _pooled(confusion))
                losses.clear()
                stop = self._judge(_pooled(confusion))
                self.step.assign(done)
                self.checkpoints.save(done)
                if stop or done >= self.options.steps:
                    break
        return self._result(done, confusion)

    def validate(self) -> dict[str, Confusion]:
        """The confusion matrix of each validation group, by the best-scored class."""
        if self.data.validation is None:
            return {}
        totals: dict[str, Confusion] = {}
        for images, labels, levels, numbers in self.data.validation:
            for number, counts in zip(
                numbers.numpy(), self.count(images, labels, levels).numpy(), strict=True
            ):
                name = self.data.val_groups[number]
                seen = Confusion(counts)
                totals[name] = totals[name] + seen if name in totals else seen
        return totals

    def _train_function(self) -> Callable[[object], tf.Tensor]:
        @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no stubs
        def train(batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
            parts = self.strategy.run(self.learner.train_step, args=batch)
            return self.strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)

        return train  # type: ignore[no-any-return]

    def _check(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"{self.directory}: the loss is {loss} at step {step}; "
                "lower the learning rate or look for odd values in the records"
            )

    def _judge(self, pooled: Confusion | None) -> bool:
        """Remember the best validation; True when patience has run out."""
        if pooled is None or self.options.patience is None:
            return False
        if pooled.mean_iou > float(self.best.numpy()):
            self.best.assign(pooled.mean_iou)
            self.waited.assign(0)
            scratch = self.best_weights.with_name("scratch.weights.h5")
            self.learner.model.save_weights(scratch)
            scratch.replace(self.best_weights)
        else:
            self.waited.assign_add(1)
        return int(self.waited.numpy()) >= self.options.patience

    def _result(self, done: int, confusion: dict[str, Confusion]) -> Fitted:
        if self.options.patience is not None and self.best_weights.exists():
            self.learner.model.load_weights(self.best_weights)
            confusion = {}
        return Fitted(self.learner.model, done, confusion or self.validate())


_SCALARS = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
)
"""What ``tf.summary.scalar`` would write; that one needs the tensorboard package."""


class _Log:
    """``log.csv`` and TensorBoard summaries, one row per validation."""

    FIELDS = ("step", "loss", "val_accuracy", "val_mean_iou")

    def __init__(self, directory: Path, done: int) -> None:
        self._path = directory / "log.csv"
        kept = []
        if done and self._path.exists():
            with self._path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= done]
        with self._path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.FIELDS)
            writer.writeheader()
            writer.writerows(kept)
        self._board = tf.summary.create_file_writer(str(directory / "tensorboard"))

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._board.close()

    def write(self, step: int, loss: float, pooled: Confusion | None) -> None:
        row: dict[str, float] = {"loss": loss}
        if pooled is not None:
            row |= {"val_accuracy": pooled.accuracy, "val_mean_iou": pooled.mean_iou}
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self.FIELDS).writerow({"step": step, **row})
        with self._board.as_default(step=step):
            for name, value in row.items():
                tf.summary.write(name, np.float32(value), metadata=_SCALARS)
        self._board.flush()


def _same_options(directory: Path, options: FitOptions, resume: bool) -> None:
    """Write the options beside the checkpoints, or compare with those a resumed run began with."""
    path = directory / "options.json"
    text = json.dumps(asdict(options), indent=2)
    if resume and path.exists():
        if path.read_text() != text:
            raise TrainingError(
                f"{directory}: it was begun with other options; pass the same ones, "
                "or --overwrite without --resume to start afresh"
            )
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise OutputError(f"{directory}: {error.strerror}; choose another directory") from error


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
