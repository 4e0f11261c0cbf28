"""The model card: what a spec says, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geodeforest.core.spec import ModelSpec


def model_card(spec: ModelSpec, notes: str = "") -> str:
    """Markdown of a spec's facts; ``notes`` (data, protocol, limits) follow the heading."""
    classes = ", ".join(f"{c.id} {c.name} ({c.role})" for c in spec.classes)
    scales = ", ".join(f"{dtype} {s}" for dtype, s in spec.scale.items())
    levels = ", ".join(f"{s.name} (percentile {s.percentile:g})" for s in spec.scene_inputs)
    facts = {
        "Bands": ", ".join(spec.bands),
        "Stored numbers that become 0..1": scales,
        "Ground sample distance": "unknown" if spec.gsd_m is None else f"{spec.gsd_m:g} m",
        "Statistics of the whole scene": levels or "none",
        "Classes": classes,
        "Threshold": f"{spec.threshold:g}",
        "Confidence of a polygon": confidence_words(spec),
        "Chip, halo": f"{spec.chip} px, {spec.halo} px",
        "Licence": spec.licence or "not stated",
    }
    parts = [f"# {spec.name} {spec.version}", notes.strip(), _table(facts)]
    if spec.training:
        parts += ["## Training", _table(spec.training)]
    if spec.metrics:
        parts += ["## Accuracy", _table(spec.metrics)]
    return "\n\n".join(part for part in parts if part) + "\n"


def confidence_words(spec: ModelSpec) -> str:
    """The rule of the classes of confidence, and what each was worth out of fold, if known."""
    rule, known = spec.confidence, spec.metrics.get("confidence_precision")
    words = f"by its mean score: low below {rule.medium:g}, high from {rule.high:g}"
    if not isinstance(known, Mapping):
        return words
    return f"{words}; share of its area that was true, out of fold: {in_words(known)}"


def _table(facts: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    return "\n".join(["| fact | value |", "|---|---|", *rows])


def in_words(value: Any) -> str:
    """A fact in words: parts of a table or a list with commas."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {in_words(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(in_words(part) for part in value) or "-"
    return "-" if value is None else str(value)


def _cell(value: Any) -> str:
    return in_words(value).replace("|", "\\|")
