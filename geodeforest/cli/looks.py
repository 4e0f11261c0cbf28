"""What is known of a scene before it is scanned, in words. Knows plain facts only."""

from __future__ import annotations

from typing import Any


def first_look(facts: dict[str, Any]) -> str:
    """One line on a scene that is about to be scanned."""
    scene, grid = facts["scene"], facts["grid"]
    size = f"{size_of(scene)} in {scene['crs']}"
    if grid["resampled"]:
        size += f", as {size_of(grid)}"
    needs = f"{counted(facts['chips'], 'chip')}, {facts['memory_mb']} MB of memory"
    return f"{scene['name']}: {size}; {bands_of(facts)} ({scene['dtype']}); {needs}"


def bands_of(facts: dict[str, Any]) -> str:
    """Which band of the file is read as which of the model's; empty if that is unknown."""
    return ", ".join(f"{b['model']} is band {_band(b)}" for b in facts.get("bands", []))


def size_of(grid: dict[str, Any]) -> str:
    """Rows, columns and pixel size."""
    gsd = "unknown size" if grid["gsd_m"] is None else f"{grid['gsd_m']:.2f} m"
    return f"{grid['height']} x {grid['width']} px of {gsd}"


def counted(count: int, noun: str) -> str:
    """A number of things, such as "2 chips"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def _band(band: dict[str, Any]) -> str:
    number = str(band["index"])
    return number if band["file"] == number else f"{number} ({band['file']})"
