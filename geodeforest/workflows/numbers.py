"""What a scene's stored numbers mean to a model, said and looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from geodeforest.core.options import ScanOptions
from geodeforest.core.pixels import BandScale
from geodeforest.core.plausible import Trained
from geodeforest.core.reflectance import (
    Calibration,
    Numbers,
    Reading,
    read_numbers,
    reflectance_range,
    stored_range,
    tag_calibration,
)
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import OptionError, RecordError, SceneUnreadable
from geodeforest.geo.bands import Band
from geodeforest.geo.scene import Scene
from geodeforest.scanning import Radiometry


def reading_of(scene: Scene, spec: ModelSpec, options: ScanOptions) -> Reading:
    """The stored numbers that become the model's 0 and 1, by all that is said of them.

    Raises:
        SceneUnreadable: the model knows none for the scene's data type.
    """
    profile = scene.profile
    reading = read_numbers(numbers_of(scene), spec.scale, options.scale)
    if reading is None:
        raise SceneUnreadable(
            profile.path,
            f"the model {spec.name} knows no scale for {profile.dtype} numbers",
            f"pass --scale LOW,HIGH, the numbers that stand for its 0 and 1{_such_as(spec)}",
        )
    return reading


def numbers_of(scene: Scene) -> Numbers:
    """What the scene says of its numbers."""
    profile = scene.profile
    tags = tag_calibration([b.gain for b in scene.bands], [b.offset for b in scene.bands])
    return Numbers(profile.dtype, profile.product, tags)


def record_reading(
    scene: Scene, asked: BandScale | None, scales: Mapping[str, BandScale] | None = None
) -> Reading:
    """The stored numbers that become 0 and 1 in training records; ``scales`` None: the usual.

    Raises:
        RecordError: records cannot hold the scene's data type.
        OptionError: it has no usual scale.
    """
    from geodeforest.nn.index import DEFAULT_SCALES, DTYPES

    profile = scene.profile
    if profile.dtype not in DTYPES:
        why = f"stores {profile.dtype}, and records hold {', '.join(DTYPES)}"
        raise RecordError(profile.path, why, "convert the scene first")
    reading = read_numbers(numbers_of(scene), scales or DEFAULT_SCALES, asked)
    if reading is None:
        why = f"{profile.path}: {profile.dtype} numbers have no usual scale"
        raise OptionError(f"{why}; pass --scale LOW,HIGH, the numbers that become 0 and 1")
    return reading


def _such_as(spec: ModelSpec) -> str:
    target = reflectance_range(spec.scale)
    if target is None or target.bands is not None:
        return ""
    times = stored_range(target, Calibration((1e-4,), (0.0,), ""))
    low, high = times.numbers
    return f" (for reflectance x 10,000 they are {low:g},{high:g})"


def doubts_of(scene: Scene, spec: ModelSpec, how: Radiometry | None) -> list[str]:
    """What speaks against the bands and numbers that the model gets; ``how`` None: it gets none."""
    return [*_repeated(scene.bands, spec.bands), *(() if how is None else how.doubts)]


def _repeated(bands: Sequence[Band], names: Sequence[str]) -> Iterator[str]:
    """A sentence for each band that stands for several of the model's ``names``."""
    meant: dict[int, list[str]] = {}
    for band, name in zip(bands, names, strict=True):
        meant.setdefault(band.index, []).append(name)
    for index, (*others, last) in meant.items():
        if others:
            yield (
                f"band {index} is read as {', '.join(others)} and {last}, which the model was "
                "trained to tell apart; name a band for each with --bands"
            )


def number_facts(how: Radiometry, spec: ModelSpec) -> list[dict[str, Any]]:
    """By band, what a sample of a scene holds beside what the model was trained on.

    ``stored`` are the 2nd and 98th percentile of the numbers, ``model`` the same in the
    model's units, ``trained_dark`` the range of its training scenes' 2nd percentiles.
    """
    trained, scaled = Trained.of(spec), how.levels.scaled(how.scale)
    return [
        {
            "band": name,
            "stored": _pair(how.levels.dark[i], how.levels.bright[i]),
            "model": _pair(scaled.dark[i], scaled.bright[i]),
            "trained_dark": None if trained is None else _pair(trained.least[i], trained.most[i]),
        }
        for i, name in enumerate(spec.bands)
    ]


def _pair(*numbers: float) -> list[float]:
    return [float(f"{number:.6g}") for number in numbers]
