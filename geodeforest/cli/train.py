"""``geodeforest train``: parse, call, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geodeforest.cli import emit, options, progress


def _filters(
    _: click.Context, __: click.Parameter, text: str | None
) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not like 16,32,64,128,256") from None


@click.command(name="train")
@click.argument("records", nargs=-1, required=True)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
    help="Model directory to write; checkpoints and logs go to DIR/training.",
)
@click.option(
    "--strategy", type=click.Choice(["auto", "cpu", "gpu", "tpu"]), default="auto",
    show_default=True, help="Where to train: all GPUs or TPU cores found, or the CPU.",
)
@click.option("--tpu", metavar="NAME|ADDRESS|local", help="Which TPU, with --strategy tpu.")
@click.option(
    "--architecture", default="light", show_default=True,
    type=click.Choice(["light", "unet", "seed-unet", "seed-dense"]), help="Shape of the U-Net.",
)
@click.option(
    "--filters", metavar="N,N,...", callback=_filters,
    help="Filters from the first level to the deepest, instead of the architecture's own.",
)
@click.option(
    "--loss", default="cross-entropy", show_default=True,
    type=click.Choice(["cross-entropy", "dice", "tversky", "hybrid"]), help="What to minimise.",
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N",
    help="Training steps.",
)
@click.option(
    "--batch", type=click.IntRange(min=1), default=8, show_default=True, metavar="N",
    help="Chips per step, on all devices together.",
)
@click.option(
    "--crop", type=click.IntRange(min=1), default=256, show_default=True, metavar="PX",
    help="Side of the random part of a chip that a step sees.",
)
@click.option(
    "--learning-rate", type=click.FloatRange(min=0, min_open=True), default=3e-3,
    show_default=True, metavar="RATE", help="Highest rate of the schedule: warm-up, then cosine.",
)
@click.option(
    "--val-group", "val_groups", multiple=True, metavar="GROUP",
    help="Group to keep for validation; repeatable. [default: those the records name]",
)
@click.option(
    "--validate-every", type=click.IntRange(min=1), default=100, show_default=True,
    metavar="STEPS", help="Steps between validations; each leaves a checkpoint.",
)
@click.option(
    "--patience", type=click.IntRange(min=1), metavar="N",
    help="Stop after N validations without a better one, and keep the best weights.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--name", metavar="NAME", help="Name of the model. [default: that of DIR]")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in DIR.")
@options.overwrite
@options.quiet
@options.progress
@options.json
@options.debug
def command(
    records: tuple[str, ...],
    output: Path,
    filters: tuple[int, ...] | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Train a U-Net on RECORDS (directories or shards) and write a model directory.

    Needs: pip install "geodeforest[train]"
    """
    from dataclasses import replace

    from geodeforest.core.spec import architecture
    from geodeforest.workflows.train_model import TrainOptions, train

    shape = architecture(chosen.pop("architecture"))
    if filters is not None:
        shape = replace(shape, filters=filters)
    resume, overwrite = chosen.pop("resume"), chosen.pop("overwrite")
    quiet, show = chosen.pop("quiet"), chosen.pop("progress")
    val_groups = chosen.pop("val_groups") or None
    settings = TrainOptions(architecture=shape, val_groups=val_groups, **chosen)
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
        metrics = report.spec.metrics
        shown = f", validation accuracy {metrics['accuracy']:.4f}" if metrics else ""
        emit(f"{report.steps} steps{shown} -> {report.directory}")
