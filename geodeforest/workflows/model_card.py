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
        "Confidence of a polygon": (
            f"by its mean score: low below {spec.confidence.medium:g}, "
            f"high from {spec.confidence.high:g}"
        ),
        "Chip, halo": f"{spec.chip} px, {spec.halo} px",
        "Licence": spec.licence or "not stated",
    }
    parts = [f"# {spec.name} {spec.version}", notes.strip(), _table(facts)]
    if spec.training:
        parts += ["## Training", _table(spec.training)]
    if spec.metrics:
        parts += ["## Accuracy", _table(spec.metrics)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(facts: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    return "\n".join(["| fact | value |", "|---|---|", *rows])


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_cell(part)}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_cell(part) for part in value) or "-"
    return "-" if value is None else str(value).replace("|", "\\|")
