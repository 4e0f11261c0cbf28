"""What a model is: bands, scales, classes, chips and the shape of its network.

A spec is a value read from the text of ``model.json`` and refuses nonsense at birth.
It knows no path, no weights and no runtime.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal, cast, get_args

from geodeforest.core.pixels import BandScale
from geodeforest.errors import OptionError, SpecError, brief

SCHEMA = 1
NOT_ASSESSED = 255
"""The class id and stored score of a pixel that was not observed."""

_MOST_CLASSES = NOT_ASSESSED - 2  # a scan needs two ids of its own
_LEVELS = 32  # of lists and objects in a spec; ours have six

Role = Literal["forest", "deforestation", "other"]
Block = Literal["conv", "separable"]
Up = Literal["bilinear", "nearest", "transpose"]


@dataclass(frozen=True, slots=True)
class ClassDef:
    """A class of the model: its id in rasters and labels, its name and its role."""

    id: int
    name: str
    role: Role

    def __post_init__(self) -> None:
        if not 0 <= self.id < NOT_ASSESSED:
            raise SpecError("classes", f"has id {self.id}, outside 0..254")
        if self.role not in get_args(Role):
            raise SpecError("classes", f"has role {self.role!r}, not one of {get_args(Role)}")


CLASSES = (
    ClassDef(0, "forest", "forest"),
    ClassDef(1, "deforestation", "deforestation"),
    ClassDef(2, "other", "other"),
)
"""The classes that labels hold unless the caller names others; the seed's, too."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How high the level of one band may lie above that of another.

    The level of ``band`` is at most that of ``under`` minus ``gap``, or ``least`` where that
    is more; bands are indexes in the model's order, amounts are in the scaled units 0..1.
    """

    band: int
    under: int
    gap: float
    least: float

    def __post_init__(self) -> None:
        if self.band == self.under or min(self.band, self.under) < 0:
            raise SpecError("scene_inputs", "has a ceiling that does not name two bands")
        if not (0 <= self.gap <= 1 and 0 <= self.least <= 1):
            raise SpecError("scene_inputs", "has a ceiling whose amounts lie outside 0..1")


@dataclass(frozen=True, slots=True)
class SceneInput:
    """A statistic of the whole scene, one number per band, that the network also gets.

    The ``percentile`` (0..100) of the scaled valid pixels in at most ``windows`` x
    ``windows`` squares of ``window`` x ``window`` pixels, spread evenly over the scene. A
    ``ceiling`` keeps it where the darkest part of the scene is not what it is taken for.
    """

    name: str
    percentile: float
    windows: int = 16
    window: int = 32
    ceiling: Ceiling | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.percentile <= 100:
            raise SpecError("scene_inputs", f"has percentile {self.percentile}, outside 0..100")
        if self.windows < 1 or self.window < 1:
            raise SpecError("scene_inputs", "has an empty sampling grid")

    def check_bands(self, bands: int) -> None:
        """Refuse a ceiling of a band that a model of so many bands lacks."""
        if self.ceiling is not None and max(self.ceiling.band, self.ceiling.under) >= bands:
            raise SpecError("scene_inputs", f"has a ceiling of a band beyond the {bands} there are")

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> SceneInput:
        """The value that ``asdict`` made plain; a KeyError or TypeError tells what is wrong."""
        ceiling = facts.get("ceiling")
        return cls(**{**facts, "ceiling": None if ceiling is None else Ceiling(**ceiling)})


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of a U-Net; with bands and classes it is all that ``build_unet`` needs.

    ``filters`` go from the first level to the deepest one. ``stem`` is the stride of the
    first convolution (1 or 2; scores come back at full size). ``dense`` also carries each
    deep level up to every finer skip, as U-Net++ does.
    """

    filters: tuple[int, ...] = (16, 32, 64, 128, 256)
    block: Block = "conv"
    up: Up = "nearest"
    up_kernel: int = 2
    norm: bool = True
    stem: int = 1
    dense: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not self.filters or min(self.filters) < 1:
            raise OptionError(f"filters {self.filters} must be positive numbers")
        if self.block not in get_args(Block) or self.up not in get_args(Up):
            raise OptionError(f"block {self.block!r} or up {self.up!r} is unknown")
        if self.up_kernel not in range(1, 8):
            raise OptionError(f"up_kernel {self.up_kernel} must be in 1..7")
        if self.stem not in (1, 2):
            raise OptionError(f"stem {self.stem} must be 1 or 2")
        if not 0 <= self.dropout < 1:
            raise OptionError(f"dropout {self.dropout} must be in 0..1")

    @property
    def multiple(self) -> int:
        """Chip sides must be a multiple of this many pixels."""
        return int(self.stem * 2 ** (len(self.filters) - 1))

    def least_parameters(self, bands: int) -> int:
        """A lower bound of the parameters: one kernel of every level and of every step up."""
        down = 9 if self.block == "conv" else 1
        up = 1 if self.block == "separable" and self.up != "transpose" else self.up_kernel**2
        ups = sum(fine * deep for fine, deep in pairwise(self.filters))
        return down * (bands * self.filters[0] + ups) + up * ups

    @property
    def bytes_per_px(self) -> int:
        """Memory of one run per input pixel: eight maps of the first level, as measured.

        Six where no maps are joined (``nn/onnx_draft.py``). A dense network also carries every
        deeper level up to the full size.
        """
        maps = sum(self.filters) if self.dense else self.filters[0]
        held = 6 if self.block == "separable" else 8
        return held * 4 * maps // self.stem**2


ARCHITECTURES: Mapping[str, Architecture] = {
    "light": Architecture((24, 48, 96, 128), block="separable", up="bilinear", stem=2),
    "unet": Architecture(),
    "seed-unet": Architecture((32, 64, 128, 256, 512, 1024, 2048), norm=False),
    "seed-dense": Architecture((16, 32, 64, 128, 512), norm=False, dense=True),
}
"""Shapes by name. ``light`` is the built-in model's: a tenth of ``unet``'s arithmetic.

The last two are the seed system's: its published network (124,424,995 parameters for 3
bands and 3 classes) and its last, U-Net++-like experiment (15,369,395).
"""


def architecture(named: str | Architecture) -> Architecture:
    """The shape of a name; a shape is returned as it is.

    Raises:
        OptionError: the name is unknown.
    """
    if isinstance(named, Architecture):
        return named
    if named not in ARCHITECTURES:
        raise OptionError(f"architecture {named!r} is unknown; choose {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[named]


@dataclass(frozen=True, slots=True)
class ConfidenceRule:
    """Classes of a polygon's mean score: below ``medium`` it is low, from ``high`` it is high."""

    medium: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.medium <= self.high <= 1:
            raise SpecError("confidence", "needs 0 <= medium <= high <= 1")

    def __call__(self, score_mean: float) -> Literal["low", "medium", "high"]:
        """The confidence of a polygon with this mean score."""
        if score_mean >= self.high:
            return "high"
        return "medium" if score_mean >= self.medium else "low"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of the model directory, as its spec vouches for it."""

    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        if not (isinstance(self.bytes, int) and isinstance(self.sha256, str)):
            raise SpecError("files", "needs a text `sha256` and a whole number of `bytes` each")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything about a model but its weights.

    ``scale`` maps a stored dtype name (``uint8``, ``uint16``, ...) to the numbers that
    become 0 and 1. ``gsd_m`` is the ground sample distance it was trained on, None where
    unknown. ``halo`` is the number of pixels at a chip's side whose scores may differ
    from those of a larger chip. ``training`` and ``metrics`` are free facts for people.
    """

    name: str
    version: str
    bands: tuple[str, ...]
    scale: Mapping[str, BandScale]
    gsd_m: float | None
    chip: int
    halo: int
    classes: tuple[ClassDef, ...]
    threshold: float
    confidence: ConfidenceRule
    architecture: Architecture
    scene_inputs: tuple[SceneInput, ...] = ()
    licence: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, ModelFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.bands:
            raise SpecError("bands", "is empty")
        if any(scale.bands not in (None, len(self.bands)) for scale in self.scale.values()):
            raise SpecError("scale", f"needs one number or {len(self.bands)}, one for each band")
        for wanted in self.scene_inputs:
            wanted.check_bands(len(self.bands))
        if self.chip < 1 or self.chip % self.multiple:
            raise SpecError("chip", f"is {self.chip}, not a multiple of {self.multiple}")
        if not 0 <= 2 * self.halo < self.chip:
            raise SpecError("halo", f"is {self.halo}, not in 0..{self.chip // 2 - 1}")
        ids = [c.id for c in self.classes]
        if len(set(ids)) != len(ids) or len(ids) < 2:
            raise SpecError("classes", "needs at least two classes with different ids")
        if len({c.name for c in self.classes}) != len(ids):
            raise SpecError("classes", "has two classes of one name")
        if len(ids) > _MOST_CLASSES:
            raise SpecError("classes", f"holds {len(ids)}, more than {_MOST_CLASSES}")
        if sum(c.role == "deforestation" for c in self.classes) != 1:
            raise SpecError("classes", "needs exactly one class with the role deforestation")
        if not 0 < self.threshold <= 1:
            raise SpecError("threshold", f"is {self.threshold}, not in 0..1")

    @property
    def multiple(self) -> int:
        """Chip sides must be a multiple of this many pixels."""
        return self.architecture.multiple

    @property
    def overlap(self) -> int:
        """Pixels that neighbouring chips share by default."""
        return 2 * self.halo

    @property
    def deforestation(self) -> int:
        """Index (not id) of the class with the deforestation role."""
        return next(i for i, c in enumerate(self.classes) if c.role == "deforestation")

    def to_json(self) -> str:
        """The text of ``model.json``."""
        facts = {"schema": SCHEMA, **asdict(self), "multiple": self.multiple}
        return json.dumps(facts, indent=2, sort_keys=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Read and check the text of ``model.json``.

        Raises:
            SpecError: not JSON, another schema, or a field missing or wrong.
        """
        try:
            facts = _shallow(json.loads(text, object_pairs_hook=_each_once))
        except (ValueError, RecursionError) as error:
            why = f"cannot be read, the text is not JSON ({brief(error)})"
            raise SpecError("schema", why) from error
        if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
            raise SpecError("schema", f"is not {SCHEMA}")
        return _spec_from(cast("dict[str, Any]", facts))


def _spec_from(facts: dict[str, Any]) -> ModelSpec:
    current = "name"

    def take(name: str) -> Any:
        nonlocal current
        current = name
        return facts[name]

    try:
        gsd = take("gsd_m")
        return ModelSpec(
            name=str(take("name")),
            version=str(take("version")),
            bands=tuple(str(b) for b in take("bands")),
            scale={str(k): BandScale(**v) for k, v in take("scale").items()},
            gsd_m=None if gsd is None else float(gsd),
            chip=int(take("chip")),
            halo=int(take("halo")),
            classes=tuple(ClassDef(**c) for c in take("classes")),
            threshold=float(take("threshold")),
            confidence=ConfidenceRule(**take("confidence")),
            architecture=_architecture(take("architecture")),
            scene_inputs=tuple(SceneInput.from_facts(s) for s in take("scene_inputs")),
            licence=str(take("licence")),
            training=dict(take("training")),
            metrics=dict(take("metrics")),
            files={str(k): ModelFile(**v) for k, v in take("files").items()},
        )
    except KeyError as error:
        raise SpecError(str(error.args[0]), "is missing") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(current, f"is wrong ({brief(error)})") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two values under one key readers take different ones.
    facts = dict(pairs)
    if len(facts) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return facts


def _shallow(value: Any, levels: int = _LEVELS) -> Any:
    """The value, unless it is nested so deeply that walking it could end the program."""
    if not levels:
        raise ValueError(f"it is nested deeper than {_LEVELS} levels")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        _shallow(part, levels - 1)
    return value


def _architecture(facts: dict[str, Any]) -> Architecture:
    return Architecture(**{**facts, "filters": tuple(int(f) for f in facts["filters"])})
