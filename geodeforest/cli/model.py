"""``geodeforest model``: which models there are, what they say, and their ways in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geodeforest.cli import emit, one_line, options

if TYPE_CHECKING:
    from geodeforest.core.spec import ModelSpec


@click.group(name="model")
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
@click.option(
    "--threshold",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=0.5,
    show_default=True,
    metavar="FLOAT",
    help="Score from which a pixel is deforestation.",
)
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


def _facts(spec: ModelSpec) -> dict[str, object]:
    facts: dict[str, object] = json.loads(spec.to_json())
    return facts


def _lines(spec: ModelSpec) -> list[str]:
    """The spec for people, one fact a line; what its author wrote cannot steer a terminal."""
    facts = {
        "model": f"{spec.name} {spec.version}",
        "bands": _bands(spec),
        "pixel size": _gsd(spec),
        "scale": ", ".join(f"{d} {s}" for d, s in spec.scale.items()),
        "classes": ", ".join(f"{c.id} {c.name} ({c.role})" for c in spec.classes),
        "threshold": f"{spec.threshold:g}",
        "chip": f"{spec.chip} px, halo {spec.halo} px, sides a multiple of {spec.multiple} px",
        "scene inputs": ", ".join(i.name for i in spec.scene_inputs) or "none",
        "licence": spec.licence or "not stated",
        **{f"training {name}": _plain(value) for name, value in spec.training.items()},
        **{f"metric {name}": _plain(value) for name, value in spec.metrics.items()},
        **{f"file {name}": f"{f.bytes} bytes, sha256 {f.sha256}" for name, f in spec.files.items()},
    }
    return [one_line(f"{name}: {value}") for name, value in facts.items()]


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _bands(spec: ModelSpec) -> str:
    return f"{len(spec.bands)} bands ({', '.join(spec.bands)})"


def _gsd(spec: ModelSpec) -> str:
    return "unknown pixel size" if spec.gsd_m is None else f"{spec.gsd_m:g} m"
