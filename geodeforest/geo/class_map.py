"""Class maps of any origin: which classes they hold, and their rows with the scores beside them.

Knows the tags that ``scan`` writes into its maps; nothing of polygons.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.decide import STEPS, quantise
from geodeforest.core.grid import Window
from geodeforest.core.pixels import Pixels
from geodeforest.core.spec import NOT_ASSESSED, ConfidenceRule, ModelSpec
from geodeforest.errors import OptionError, SceneUnreadable, SpecError
from geodeforest.geo.profile import SceneProfile, same_grid
from geodeforest.geo.scene import Scene, Source, open_scene

_MODEL, _SCENE = "GEODEFOREST_MODEL", "GEODEFOREST_SCENE"
_DEFORESTATION, _CONFIDENCE = "GEODEFOREST_DEFORESTATION", "GEODEFOREST_CONFIDENCE"
_BASELINE = "GEODEFOREST_BASELINE"
_DATE, _NAME = "ACQUISITION_DATE", "CLASS_"

_BARE_DEFORESTATION = 1
_ROWS = 512
_CACHE_BYTES = 16 * 2**20


def map_tags(spec: ModelSpec, profile: SceneProfile, baseline: str | None) -> dict[str, str]:
    """What a map says of itself, so that its polygons are those of the scan."""
    rule = spec.confidence
    tags = {
        _MODEL: f"{spec.name} {spec.version}",
        _SCENE: profile.name,
        _DEFORESTATION: str(spec.classes[spec.deforestation].id),
        _CONFIDENCE: f"{rule.medium:g} {rule.high:g}",
    }
    if profile.date is not None:
        tags[_DATE] = profile.date
    return tags if baseline is None else {**tags, _BASELINE: baseline}


def is_class_map(tags: Mapping[str, str]) -> bool:
    """Whether a file's tags are those of a class map that a scan made."""
    return _DEFORESTATION in tags and bool(class_names(tags))


def class_names(tags: Mapping[str, str]) -> dict[int, str]:
    """The names of a map's classes by id, as far as its tags tell them."""
    found = {
        int(key.removeprefix(_NAME)): name
        for key, name in tags.items()
        if key.startswith(_NAME) and key.removeprefix(_NAME).isdecimal()
    }
    return {number: name for number, name in found.items() if number < NOT_ASSESSED}


@dataclass(frozen=True, slots=True)
class ClassMap:
    """An open class map. ``names`` are those of its classes, as far as it says."""

    scene: Scene
    scores: Scene | None
    tags: Mapping[str, str]

    @property
    def profile(self) -> SceneProfile:
        """Where it lies."""
        return self.scene.profile

    @property
    def names(self) -> dict[int, str]:
        """Class names by id."""
        return class_names(self.tags)

    @property
    def origin(self) -> str:
        """The scene that it is a map of."""
        return self.tags.get(_SCENE, self.profile.name)

    @property
    def model(self) -> str | None:
        """The model that made it."""
        return self.tags.get(_MODEL)

    @property
    def baseline(self) -> str | None:
        """The file that told what was forest before."""
        return self.tags.get(_BASELINE)

    @property
    def confidence(self) -> ConfidenceRule | None:
        """The model's rule, where the map tells it and there are scores."""
        if self.scores is None:
            return None
        try:
            medium, high = (float(word) for word in self.tags[_CONFIDENCE].split())
            return ConfidenceRule(medium, high)
        except (KeyError, ValueError, SpecError):
            return None

    @property
    def cache_bytes(self) -> int:
        """A block cache that holds a row of blocks of each map: more is read only once."""
        maps = [some.profile for some in (self.scene, self.scores) if some is not None]
        return _CACHE_BYTES + sum(
            profile.block[0] * profile.width * np.dtype(profile.dtype).itemsize for profile in maps
        )

    def targets(self, only: Collection[str | int]) -> set[int]:
        """The class ids meant by names or numbers; ``all`` is every class, none deforestation.

        Raises:
            OptionError: a name that the map does not know, or a number that is no class id.
        """
        if not only:
            told = self.tags.get(_DEFORESTATION, "")
            return {int(told) if _is_class_id(told) else _BARE_DEFORESTATION}
        found: set[int] = set()
        for word in map(str, only):
            if word == "all":
                return set(range(NOT_ASSESSED))
            named = {number for number, name in self.names.items() if name == word}
            if not named and not _is_class_id(word):
                known = ", ".join(self.names.values()) or "none by name"
                raise OptionError(
                    f"{self.profile.name}: class {word!r} is unknown; the map names {known}; "
                    f"an id is 0 to {NOT_ASSESSED - 1}"
                )
            found |= named or {int(word)}
        return found

    def rows(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8] | None]]:
        """Class ids (rows, cols), 255 = not assessed, and stored scores, from the first row on.

        Raises:
            SceneUnreadable: a block is broken, an id is out of range, or a score is missing.
        """
        height, width = self.profile.height, self.profile.width
        block = self.profile.block[0]
        step = _ROWS // block * block if block <= _ROWS else _ROWS
        for top in range(0, height, step):
            window = Window(top, 0, min(step, height - top), width)
            classes = _classes(self.scene.read(window), self.profile)
            if self.scores is None:
                yield classes, None
                continue
            scores = _stored_scores(self.scores.read(window), self.scores.profile)
            if ((scores == NOT_ASSESSED) & (classes != NOT_ASSESSED)).any():
                raise SceneUnreadable(
                    self.scores.profile.path,
                    f"lacks scores that the class map needs (rows {top} on)",
                    "give the score map that belongs to it",
                )
            yield classes, scores


@contextmanager
def open_class_map(source: Source, scores: Source | None = None) -> Iterator[ClassMap]:
    """Open a class map, and the score map on the same grid.

    Raises:
        SceneError: a file is missing, unreadable, not of whole numbers, or has no place on Earth;
            or the scores lie on another grid.
    """
    with ExitStack() as stack:
        scene = stack.enter_context(open_scene(source, palette=True))
        kind = np.dtype(scene.profile.dtype).kind
        if kind not in "iu" or len(scene.profile.bands) != 1:
            raise SceneUnreadable(
                scene.profile.path,
                f"is no class map (bands: {len(scene.profile.bands)} of {scene.profile.dtype})",
                "give one band of whole numbers, 0 to 254",
            )
        beside = None if scores is None else stack.enter_context(open_scene(scores))
        if beside is not None:
            _check_scores(beside.profile, scene.profile)
        yield ClassMap(scene, beside, scene.tags)


def _is_class_id(word: str) -> bool:
    return word.isdecimal() and int(word) < NOT_ASSESSED


def _classes(pixels: Pixels, profile: SceneProfile) -> NDArray[np.uint8]:
    values = pixels.values[0]
    wrong = pixels.valid & ((values < 0) | (values > NOT_ASSESSED))
    if wrong.any():
        raise SceneUnreadable(
            profile.path,
            f"holds {values[wrong][0]}, which is no class id",
            f"number the classes 0 to {NOT_ASSESSED - 1}; {NOT_ASSESSED} is not assessed",
        )
    return np.where(pixels.valid, values, NOT_ASSESSED).astype(np.uint8)


def _stored_scores(pixels: Pixels, profile: SceneProfile) -> NDArray[np.uint8]:
    values: NDArray[Any] = pixels.values[0]
    floats = np.issubdtype(values.dtype, np.floating)
    most = 1 if floats else STEPS
    wrong = pixels.valid & ((values < 0) | (values > most))
    if wrong.any():
        raise SceneUnreadable(
            profile.path,
            f"holds {values[wrong][0]}, which is no score",
            f"give scores of 0..1 as floats, or steps of 1/{STEPS} as integers",
        )
    known = np.where(pixels.valid, values, 0)
    stored = quantise(known.astype(np.float32)) if floats else known.astype(np.uint8)
    return np.where(pixels.valid, stored, NOT_ASSESSED).astype(np.uint8)


def _check_scores(scores: SceneProfile, classes: SceneProfile) -> None:
    if len(scores.bands) != 1:
        raise SceneUnreadable(
            scores.path,
            f"is no score map (bands: {len(scores.bands)} of {scores.dtype})",
            "give one band, the scores of the class",
        )
    if not same_grid(scores, classes):
        raise SceneUnreadable(
            scores.path,
            f"does not lie on the grid of {classes.name}",
            "give the score map that belongs to it",
        )
