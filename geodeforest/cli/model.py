"""``geodeforest model``: which models there are, what they say, and their ways in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geodeforest.cli import emit, one_line, options, say

if TYPE_CHECKING:
    from geodeforest.core.spec import ModelSpec


@click.group(name="model", no_args_is_help=False)
def command() -> None:
    """List, show, verify, import and export models."""


@command.command(name="list")
@options.json
@options.debug
def list_models(as_json: bool) -> None:
    """List the models that come with geodeforest."""
    from geodeforest.workflows.load_model import builtin_models

    specs = builtin_models()
    if as_json:
        emit(json.dumps([_facts(spec) for spec in specs]))
        return
    for spec in specs:
        emit(f"{spec.name} {spec.version}: {_bands(spec)}, {_gsd(spec)}")


@command.command(name="show")
@click.argument("model", metavar="NAME|DIR")
@options.json
@options.debug
def show_model(model: str, as_json: bool) -> None:
    """Show what a model says of itself: a built-in name or a model directory."""
    from geodeforest.workflows.load_model import model_spec

    spec = model_spec(model)
    emit(json.dumps(_facts(spec)) if as_json else "\n".join(_lines(spec)))


@command.command(name="verify")
@click.argument("model", metavar="NAME|DIR")
@options.debug
def verify_model(model: str) -> None:
    """Check a model: spec, hashes, graph, and one small chip."""
    from geodeforest.workflows.load_model import load_model

    spec = load_model(model).spec
    emit(f"{spec.name} {spec.version}: {len(spec.files)} files are whole, the network runs")


def _parse_classes(
    _: click.Context, __: click.Parameter, text: str | None
) -> dict[str, str] | None:
    """The value of ``--classes``: names and roles, in the network's order."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    named = {name.strip(): role.strip() for name, _, role in pairs}
    if not all(named) or not all(named.values()) or len(named) < len(pairs):
        raise click.BadParameter(
            f"{text!r} is not like closed=forest,cut=deforestation,water=other"
        )
    return named


@command.command(name="import")
@click.argument("weights", metavar="FILE", type=options.PATH)
@click.option(
    "-o", "--output", required=True, type=options.PATH, metavar="DIR", help="Model directory."
)
@click.option(
    "--concat",
    type=click.Choice(["up-first", "skip-first"]),
    help="How the network joins what was upsampled and the skip. [default: as the seed's code: "
    "up-first, skip-first in its dense network]",
)
@click.option(
    "--bands",
    metavar="R,G,B",
    callback=options.parse_bands,
    help="Names of the network's bands, in its order. [default of three: red,green,blue]",
)
@click.option(
    "--classes",
    metavar="NAME=ROLE,...",
    callback=_parse_classes,
    help="Names of the network's classes, in its order, and what each is: forest, deforestation "
    "or other. [default of three: these]",
)
@click.option(
    "--scale",
    default="0,255",
    show_default=True,
    metavar="LOW,HIGH",
    callback=options.parse_scale,
    help="Stored numbers that become the network's 0 and 1.",
)
@click.option(
    "--dtype",
    type=click.Choice(["uint8", "uint16", "int16", "int32", "float32", "float64"]),
    default="uint8",
    show_default=True,
    help="Data type of the scenes that the scale is for.",
)
@click.option(
    "--gsd",
    type=click.FloatRange(min=0, min_open=True),
    metavar="METERS",
    help="Pixel size that it was trained on. [default: unknown, and never checked]",
)
@options.spec_threshold
@click.option("--name", metavar="NAME", help="Name of the model. [default: that of DIR]")
@click.option("--licence", default="", metavar="TEXT", help="Licence of the weights.")
@options.overwrite
@options.debug
def import_weights(weights: Path, output: Path, overwrite: bool, **chosen: Any) -> None:
    """Make a model directory of the seed system's weights: FILE.h5, as Keras 2 saved it.

    The network is told by the shapes of its weights; nothing in the file is run.

    Needs: pip install "geodeforest[train]"
    """
    from geodeforest.workflows.import_model import import_model

    spec = import_model(weights, output, overwrite=overwrite, **chosen)
    filters = "-".join(str(number) for number in spec.architecture.filters)
    emit(one_line(f"{spec.name} {spec.version}: filters {filters}, {_bands(spec)} -> {output}"))


def _parse_levels(
    _: click.Context, __: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not like 0.08,0.13,0.17") from None


@command.command(name="export")
@click.argument("model", metavar="NAME|DIR")
@click.option(
    "--to",
    required=True,
    type=click.Choice(["onnx", "onnx-qgis", "savedmodel", "weights"]),
    help="Form: the model's own ONNX or weights file, one for the plug-ins Deepness and GeoDeep "
    "of QGIS, or TensorFlow's SavedModel.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=options.PATH,
    metavar="PATH",
    help="File to write; a directory for savedmodel.",
)
@options.chip
@click.option(
    "--scene-level",
    metavar="N,N,...",
    callback=_parse_levels,
    help="For onnx-qgis: what stands for the scene's statistics, scaled to 0..1, by band; a run "
    "record tells a scene's. [default: the middle of the training scenes']",
)
@options.overwrite
@options.quiet
@options.debug
def export_to(model: str, output: Path, quiet: bool, **chosen: Any) -> None:
    """Write a model's network in another form, for other programs.

    onnx-qgis, savedmodel need: pip install "geodeforest[train]"
    """
    from geodeforest.workflows.export_model import export_model

    written = export_model(model, output=output, **chosen)
    if not quiet:
        for note in written.notes:
            say(f"note: {note}")
        emit(one_line(f"{model} as {chosen['to']} -> {written.path}"))


def _facts(spec: ModelSpec) -> dict[str, object]:
    facts: dict[str, object] = json.loads(spec.to_json())
    return facts


def _lines(spec: ModelSpec) -> list[str]:
    """The spec for people, one fact a line; what its author wrote cannot steer a terminal."""
    from geodeforest.workflows.model_card import confidence_words, in_words

    facts = {
        "model": f"{spec.name} {spec.version}",
        "bands": _bands(spec),
        "pixel size": _gsd(spec),
        "scale": ", ".join(f"{d} {s}" for d, s in spec.scale.items()),
        "classes": ", ".join(f"{c.id} {c.name} ({c.role})" for c in spec.classes),
        "threshold": f"{spec.threshold:g}",
        "confidence": confidence_words(spec),
        "chip": f"{spec.chip} px, halo {spec.halo} px, sides a multiple of {spec.multiple} px",
        "scene inputs": ", ".join(i.name for i in spec.scene_inputs) or "none",
        "licence": spec.licence or "not stated",
        **{f"training {name}": in_words(value) for name, value in spec.training.items()},
        **{f"metric {name}": in_words(value) for name, value in spec.metrics.items()},
        **{f"file {name}": f"{f.bytes} bytes, sha256 {f.sha256}" for name, f in spec.files.items()},
    }
    return [one_line(f"{name}: {value}") for name, value in facts.items()]


def _bands(spec: ModelSpec) -> str:
    return f"{len(spec.bands)} bands ({', '.join(spec.bands)})"


def _gsd(spec: ModelSpec) -> str:
    return "unknown pixel size" if spec.gsd_m is None else f"{spec.gsd_m:g} m"
