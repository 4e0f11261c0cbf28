"""How values in label files become class ids.

Values and words only: no file, no pixel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from geodeforest.core.spec import CLASSES, NOT_ASSESSED, ClassDef
from geodeforest.errors import OptionError

IGNORED = NOT_ASSESSED
"""The class id of a pixel without a label."""


@dataclass(frozen=True)
class LabelRule:
    """How values in a label file become class ids.

    ``class_map`` takes values (numbers, or an attribute's words) to ids; id 255 leaves
    them out. Without it a value must be the id or the name of one of the ``classes``.
    For polygons ``field`` is the attribute that holds the value, and ``background`` the
    class of what no polygon covers, None = ignored. ``crop`` allows a raster without
    georeference to go on beyond the scene's last row and column.
    """

    classes: tuple[ClassDef, ...] = CLASSES
    class_map: Mapping[int | str, int] | None = None
    field: str | None = None
    background: int | None = None
    crop: bool = False

    def __post_init__(self) -> None:
        known = {c.id for c in self.classes} | {IGNORED}
        targets = set((self.class_map or {}).values())
        if self.background is not None:
            targets.add(self.background)
        if unknown := sorted(targets - known):
            raise OptionError(f"class id {unknown[0]} is not one of {sorted(known)}")

    @cached_property
    def ids(self) -> dict[str, int]:
        """The class id per value, the value written as ``canonical`` does."""
        if self.class_map is not None:
            return {canonical(value): i for value, i in self.class_map.items()}
        named = {c.name.casefold(): c.id for c in self.classes}
        return named | {str(c.id): c.id for c in self.classes} | {str(IGNORED): IGNORED}

    @property
    def numbers(self) -> dict[float, int]:
        """The class id per value that is a number."""
        return {float(v): i for v, i in self.ids.items() if _is_number(v)}

    @property
    def remedy(self) -> str:
        """How to name unknown values."""
        names = ", ".join(f"{c.id} {c.name}" for c in self.classes)
        return f"map them with --class-map VALUE=CLASS (classes: {names}; or ignore)"


def canonical(value: object) -> str:
    """A label value as text: 1, 1.0 and "1" are one value, words ignore case."""
    text = str(value).strip().casefold()
    if _is_number(text) and float(text).is_integer():
        return str(int(float(text)))
    return text


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
