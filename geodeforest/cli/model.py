"""``geodeforest model``: which models there are, what they say, whether they are whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from geodeforest.cli import emit, one_line, options

if TYPE_CHECKING:
    from geodeforest.core.spec import ModelSpec


@click.group(name="model")
def command() -> None:
    """List, show and verify models."""


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
