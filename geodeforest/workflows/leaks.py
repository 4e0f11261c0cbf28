"""Records of different groups that show the same thing: a split between them would leak.

Reads every record once; keeps of each where it lies and a hash of its pixels.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.errors import GeodeforestWarning, RecordError
from geodeforest.geo.footprints import Footprint, overlaps
from geodeforest.workflows.build_records import group_of

if TYPE_CHECKING:
    import shapely

    from geodeforest.nn.records import Paths, Record

_SEED_SCENE = re.compile(r".+:\d+$")
"""Records of the seed's schema have no scene; each is numbered by its shard."""


@dataclass(frozen=True, slots=True)
class _Chip:
    """What is kept of a record: its number in reading order, and what could be found again."""

    number: int
    scene: str
    group: str
    pixels: bytes | None
    ground: shapely.Polygon | None

    def __str__(self) -> str:
        return f"record {self.number} (scene {self.scene}, group {self.group})"


def labelled_by_group(paths: Paths) -> dict[str, int]:
    """Labelled pixels of each group, of a set in which no two groups share anything.

    Records without a georeference can only be compared by scene and pixels, which is said.

    Raises:
        RecordError: the records are refused, or two of different groups are of one scene,
            have the same pixels, or show the same ground; names both.
    """
    from geodeforest.nn.records import read_records

    labelled: Counter[str] = Counter()
    chips = []
    for number, record in enumerate(read_records(paths)):
        labelled[record.group] += int(np.count_nonzero(record.labels != NOT_ASSESSED))
        chips.append(_chip(number, record))
    where = str(paths) if isinstance(paths, str) or not isinstance(paths, Sequence) else paths[0]
    if leak := next(_leaks(chips), None):
        one, other, what = leak
        why = f"{one} and {other} {what}, so a fold would be judged by what it was trained on"
        raise RecordError(where, why, "build the records again with one group for both")
    if unplaced := sum(chip.ground is None for chip in chips):
        warnings.warn(
            f"{where}: {unplaced} of {len(chips)} records have no place on Earth; "
            "whether they show the same ground is known by their scenes and pixels only",
            GeodeforestWarning,
            stacklevel=4,
        )
    return dict(labelled)


def _chip(number: int, record: Record) -> _Chip:
    valid = record.valid
    rows, cols = (np.flatnonzero(valid.any(axis=axis)) for axis in (1, 0))
    ground = None
    if rows.size:
        sides = [(int(side[0]), int(side[-1]) + 1) for side in (rows, cols)]
        ground = Footprint(record.crs, record.transform, sides[0], sides[1]).polygon()
    seen = record.image[valid]
    # Chips of one colour, such as open water that saturates, are alike without being the same.
    plain = not seen.size or (seen == seen[0]).all()
    digest = None if plain else hashlib.blake2b(record.image.tobytes()).digest()
    return _Chip(number, record.scene, record.group, digest, ground)


def _leaks(chips: Sequence[_Chip]) -> Iterator[tuple[_Chip, _Chip, str]]:
    scenes = [None if _SEED_SCENE.match(c.scene) else group_of(c.scene) for c in chips]
    for one, other in _alike(chips, scenes):
        yield one, other, "are of one scene"
    for one, other in _alike(chips, [chip.pixels for chip in chips]):
        yield one, other, "have the same pixels"
    for first, second in overlaps([chip.ground for chip in chips]):
        if chips[first].group != chips[second].group:
            yield chips[first], chips[second], "show the same ground"


def _alike(
    chips: Sequence[_Chip], keys: Sequence[Hashable | None]
) -> Iterator[tuple[_Chip, _Chip]]:
    """Chips of different groups with equal keys; None is equal to nothing."""
    first: dict[Hashable, _Chip] = {}
    for chip, key in zip(chips, keys, strict=True):
        if key is not None and first.setdefault(key, chip).group != chip.group:
            yield first[key], chip
