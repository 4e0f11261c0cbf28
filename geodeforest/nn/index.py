"""What a set of training records is: the format its records share, its shards and its counts.

Values, and the text of ``index.json``. Needs no TensorFlow and knows nothing of records' bytes.
"""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import NOT_ASSESSED, ClassDef, SceneInput
from geodeforest.errors import GeodeforestError, RecordError, brief

SCHEMA = 1
INDEX_NAME = "index.json"
DTYPES = ("uint8", "uint16", "int16", "int32", "float32", "float64")
"""Stored dtypes that a record can hold: those TensorFlow decodes from raw bytes."""

IGNORED = NOT_ASSESSED
"""The class id of a pixel that training leaves out."""

DEFAULT_SCALES = {
    "uint8": BandScale(0, 255),
    "uint16": BandScale(0, 10_000),
    "int16": BandScale(0, 10_000),
    "float32": BandScale(0, 1),
    "float64": BandScale(0, 1),
}
"""Stored numbers that become 0 and 1 where none are given."""

INDEX_LIMIT = 2**26
"""Characters of an index that are read; that of a million scenes has as many."""

_REBUILD = "build the records again"


@dataclass(frozen=True, slots=True)
class RecordFormat:
    """What all records of a set have in common, and each record says of itself.

    ``levels`` is the number of scene levels: scene inputs x bands.
    """

    dtype: str
    height: int
    width: int
    bands: tuple[str, ...]
    classes: tuple[ClassDef, ...]
    levels: int = 0

    @property
    def png(self) -> bool:
        """Whether images are stored as PNG, which has 8 or 16 bits and 1, 3 or 4 bands."""
        return self.dtype in ("uint8", "uint16") and len(self.bands) in (1, 3, 4)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image: (rows, cols, bands)."""
        return self.height, self.width, len(self.bands)

    @property
    def class_ids(self) -> tuple[int, ...]:
        """The ids that labels may hold besides 255."""
        return tuple(c.id for c in self.classes)


@dataclass(frozen=True, slots=True)
class SetFacts:
    """What is true of a set and not written into its records.

    ``scale`` takes stored numbers to the network's 0..1; these are reflectance 0 and 1 where
    ``reflectance`` says so, by metadata of the scenes. ``scene_inputs`` are the rules behind
    the scene levels. ``val_groups`` are meant for validation. ``dark_levels`` are the scenes'
    least and greatest 2nd percentile by band, scaled.
    """

    scale: BandScale
    scene_inputs: tuple[SceneInput, ...] = ()
    gsd_m: float | None = None
    val_groups: tuple[str, ...] = ()
    reflectance: bool = False
    dark_levels: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @property
    def decides(self) -> tuple[BandScale, tuple[SceneInput, ...], bool]:
        """What is the same in sets that can be trained on at once."""
        return self.scale, self.scene_inputs, self.reflectance

    def scales(self, dtype: str) -> dict[str, BandScale]:
        """The scales by data type of a model that is trained on the set."""
        if not self.reflectance:
            return {dtype: self.scale}
        return {name: scale for name, scale in DEFAULT_SCALES.items() if name != "uint8"}


def default_scale(dtype: str) -> BandScale | None:
    """The scale of stored numbers about which nothing else is known; int32 has no usual one."""
    return DEFAULT_SCALES.get(dtype)


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of a set, as its index vouches for it."""

    name: str
    records: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts over records: records per group, pixels per class id (255: ignored)."""

    groups: Mapping[str, int] = field(default_factory=dict)
    class_pixels: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordIndex:
    """All that can be known of a set without reading a record."""

    format: RecordFormat
    facts: SetFacts
    shards: tuple[Shard, ...]
    tally: Tally

    @property
    def records(self) -> int:
        """Number of records in all shards."""
        return sum(shard.records for shard in self.shards)

    @property
    def unfit(self) -> tuple[str, str] | None:
        """Why no model can come of the set, and what to do; None if one can."""
        classes = self.format.classes
        names = ", ".join(c.name for c in classes)
        if len(classes) < 2 or sum(c.role == "deforestation" for c in classes) != 1:
            why = f"the classes are {names}; a model needs deforestation and what it is told from"
            return why, "label both"
        if len(classes) - len(self._absent()) < 2:
            return f"of {names} only one has a pixel", "label the others too"
        return None

    @property
    def gap(self) -> str | None:
        """What a model of the set will not learn, though it can be trained."""
        absent = ", ".join(self._absent())
        return f"no pixel is {absent}, so the model will not learn what it is" if absent else None

    def _absent(self) -> list[str]:
        return [c.name for c in self.format.classes if not self.tally.class_pixels.get(c.id)]

    def fits(self, other: RecordIndex) -> bool:
        """Whether a network can be trained on both sets at once."""
        mine, theirs = ((i.format, i.facts.decides) for i in (self, other))
        return mine == theirs

    @classmethod
    def joined(cls, indexes: Sequence[RecordIndex]) -> RecordIndex:
        """The index of several sets taken as one; the first tells the pixel size."""
        groups, pixels = Counter[str](), Counter[int]()
        for index in indexes:
            groups.update(index.tally.groups)
            pixels.update(index.tally.class_pixels)
        held = {group for index in indexes for group in index.facts.val_groups}
        dark = _joined_levels([index.facts.dark_levels for index in indexes])
        return cls(
            indexes[0].format,
            replace(indexes[0].facts, val_groups=tuple(sorted(held)), dark_levels=dark),
            tuple(shard for index in indexes for shard in index.shards),
            Tally(groups, pixels),
        )

    def to_dict(self) -> dict[str, Any]:
        """What ``index.json`` holds."""
        counts = {str(i): n for i, n in sorted(self.tally.class_pixels.items())}
        return {
            "schema": SCHEMA,
            **asdict(self.format),
            **asdict(self.facts),
            "records": self.records,
            "shards": [asdict(shard) for shard in self.shards],
            "class_pixels": counts,
            "groups": dict(sorted(self.tally.groups.items())),
        }

    def to_json(self) -> str:
        """The text of ``index.json``."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, path: object = INDEX_NAME) -> RecordIndex:
        """Read and check the text of ``index.json``.

        Raises:
            RecordError: not JSON, another schema, or a field missing or wrong.
        """
        try:
            if len(text) > INDEX_LIMIT:
                raise RecordError(path, f"has more than {INDEX_LIMIT:,} characters", _REBUILD)
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecordError(path, "is not JSON", _REBUILD) from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise RecordError(path, f"field `schema` is not {SCHEMA}", _REBUILD)
        try:
            index = _index_from(found)
        except KeyError as error:
            raise RecordError(path, f"field `{error.args[0]}` is missing", _REBUILD) from error
        except (TypeError, ValueError, OverflowError, AttributeError, GeodeforestError) as error:
            raise RecordError(path, f"has a wrong field ({brief(error)})", _REBUILD) from error
        if why := _nonsense(index):
            raise RecordError(path, why, _REBUILD)
        return index


def class_pixels(labels: NDArray[np.uint8]) -> dict[int, int]:
    """Pixels per class id in labels, 255 included."""
    counts = np.bincount(labels.ravel(), minlength=256)
    return {int(i): int(counts[i]) for i in np.flatnonzero(counts)}


def _joined_levels(
    told: Sequence[tuple[tuple[float, ...], tuple[float, ...]] | None],
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The range of several ranges; None where one is not told."""
    known = [levels for levels in told if levels is not None]
    if len(known) < len(told):
        return None
    least, most = zip(*known, strict=True)
    return tuple(map(min, zip(*least, strict=True))), tuple(map(max, zip(*most, strict=True)))


def _index_from(found: Mapping[str, Any]) -> RecordIndex:
    gsd, dark = found["gsd_m"], found.get("dark_levels")
    return RecordIndex(
        RecordFormat(
            dtype=str(found["dtype"]),
            height=int(found["height"]),
            width=int(found["width"]),
            bands=tuple(str(band) for band in found["bands"]),
            classes=tuple(_class_from(c) for c in found["classes"]),
            levels=int(found["levels"]),
        ),
        SetFacts(
            scale=BandScale(**found["scale"]),
            scene_inputs=tuple(SceneInput.from_facts(s) for s in found["scene_inputs"]),
            gsd_m=None if gsd is None else float(gsd),
            val_groups=tuple(str(group) for group in found["val_groups"]),
            reflectance=bool(found.get("reflectance", False)),
            dark_levels=None if dark is None else _levels_from(dark),
        ),
        tuple(
            Shard(str(s["name"]), int(s["records"]), int(s["bytes"]), str(s["sha256"]))
            for s in found["shards"]
        ),
        Tally(
            groups={str(k): int(v) for k, v in found["groups"].items()},
            class_pixels={int(k): int(v) for k, v in found["class_pixels"].items()},
        ),
    )


def _levels_from(told: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    least, most = (tuple(map(float, levels)) for levels in told)
    return least, most


def _class_from(facts: Mapping[str, Any]) -> ClassDef:
    return ClassDef(**{**facts, "id": operator.index(facts["id"]), "name": str(facts["name"])})


def _nonsense(index: RecordIndex) -> str | None:
    form = index.format
    if form.dtype not in DTYPES:
        return f"field `dtype` is {form.dtype!r}, not one of {', '.join(DTYPES)}"
    if form.height < 1 or form.width < 1 or not form.bands or not form.classes:
        return "describes records without pixels, bands or classes"
    if len(set(form.class_ids)) != len(form.classes):
        return "has two classes with one id"
    if form.levels != len(index.facts.scene_inputs) * len(form.bands):
        return f"has {form.levels} levels for {len(index.facts.scene_inputs)} scene inputs"
    for shard in index.shards:
        # A name with a path in it, of any system, would lead out of the set's directory.
        if PureWindowsPath(shard.name).name != shard.name or shard.name in ("", ".."):
            return f"names a shard {shard.name!r}, which is not a plain file name"
    if not index.shards:
        return "names no shard"
    return _miscount(index)


def _miscount(index: RecordIndex) -> str | None:
    tally = index.tally
    if min([*tally.groups.values(), *tally.class_pixels.values()], default=1) < 1:
        return "counts a group without a record, or a class without a pixel"
    if unknown := sorted(set(tally.class_pixels) - {*index.format.class_ids, IGNORED}):
        return f"counts pixels of class {unknown[0]}, which is not one of its classes"
    if (grouped := sum(tally.groups.values())) != index.records:
        return f"has groups of {grouped} records and shards of {index.records}"
    return None
