"""``geodeforest train``: parse, call, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geodeforest.cli import emit, options, progress


def _filters(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not like 16,32,64,128,256") from None


@click.command(name="train")
@click.argument("records", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Model directory to write; checkpoints and logs go to DIR/training.",
)
@click.option(
    "--strategy",
    type=click.Choice(["auto", "cpu", "gpu", "tpu"]),
    default="auto",
    show_default=True,
    help="Where to train; auto takes the workers of TF_CONFIG, a TPU, all GPUs, else the CPU.",
)
@click.option(
    "--tpu",
    metavar="NAME|ADDRESS|local",
    help="Which TPU. [default: TPU_NAME of the environment, else local]",
)
@click.option(
    "--architecture",
    default="light",
    show_default=True,
    type=click.Choice(["light", "unet", "seed-unet", "seed-dense"]),
    help="Shape of the U-Net.",
)
@click.option(
    "--filters",
    metavar="N,N,...",
    callback=_filters,
    help="Filters from the finest level to the deepest, instead of the architecture's own.",
)
@click.option(
    "--loss",
    default="cross-entropy",
    show_default=True,
    type=click.Choice(["cross-entropy", "dice", "tversky", "hybrid", "seed-hybrid"]),
    help="What to minimise.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Training steps; each moves the weights once.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="Chips per step, on all devices together.",
)
@click.option(
    "--crop",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    metavar="PX",
    help="Side of the part of a chip that a step sees, at random; smaller chips are seen whole.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=3e-3,
    show_default=True,
    metavar="RATE",
    help="Highest learning rate: it is reached after a twelfth of the steps and falls to 0.",
)
@click.option(
    "--val-group",
    multiple=True,
    metavar="GROUP",
    help="Group to keep out of training and validate on; repeatable. "
    "[default: those the records name]",
)
@click.option(
    "--validate-every",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="Steps between validations; each leaves a line in the log and a checkpoint.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop after N validations without a better mean IoU, and keep the best weights.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    metavar="K",
    help="Cross-validate: train K models more, each without a K-th of the groups, which judge "
    "it; then calibrate the model of all groups by what they said.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Decides the first weights, the order of the chips and how each is changed.",
)
@click.option(
    "--checkpoints",
    metavar="DIR|ADDRESS",
    help="Where checkpoints and logs go, such as gs://BUCKET/run; several workers need one place "
    "that all of them reach. [default: DIR/training]",
)
@click.option("--name", metavar="NAME", help="Name of the model. [default: that of DIR]")
@click.option(
    "--halo",
    type=click.IntRange(min=0),
    default=64,
    show_default=True,
    metavar="PX",
    help="What the model's spec will say of the halo: chips of a scan overlap by twice as much. "
    "A quarter of the records' side at most.",
)
@options.spec_threshold
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from the last checkpoint in DIR, with the same records and options.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Start afresh where DIR holds a training; a model in it is replaced when the new one "
    "is ready. [default: refuse]",
)
@options.quiet
@options.progress
@options.json
@options.debug
def command(records: tuple[str, ...], output: Path, as_json: bool, **chosen: Any) -> None:
    """Train a U-Net on RECORDS (directories or shards) and write a model directory.

    Needs: pip install "geodeforest[train]"
    """
    from geodeforest.workflows.train_model import train
    from geodeforest.workflows.train_options import TrainOptions

    resume, overwrite = chosen.pop("resume"), chosen.pop("overwrite")
    quiet, show = chosen.pop("quiet"), chosen.pop("progress")
    settings = TrainOptions(val_group=chosen.pop("val_group") or None, **chosen)
    with progress("training", show=show, quiet=quiet) as bar:
        report = train(
            records,
            output,
            settings,
            resume=resume,
            overwrite=overwrite,
            on_step=lambda done, total, loss: bar(done, total),
        )
    if as_json:
        emit(json.dumps(report.to_dict()))
    elif not quiet:
        accuracy = report.spec.metrics.get("accuracy")
        kind = "validation" if settings.folds is None else "out-of-fold"
        shown = "" if accuracy is None else f", {kind} accuracy {accuracy:.4f}"
        where = report.directory if report.written else "the first worker's directory"
        emit(f"{report.steps} steps{shown} -> {where}")
