"""Scenes and their labels become a set of training records.

Knows the order of things: check everything that can be wrong, then cut chips and write.
Labels are read twice, so that an unknown class stops the work before it begins.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.grid import ChipGrid, Window
from geodeforest.core.levels import SceneSample, scene_levels
from geodeforest.core.plausible import Levels
from geodeforest.core.ports import Progress
from geodeforest.core.reflectance import Reading
from geodeforest.core.spec import CLASSES, ClassDef
from geodeforest.errors import GeodeforestWarning, LabelMismatch, OptionError, RecordError
from geodeforest.geo.bands import SPECTRAL, Band
from geodeforest.geo.labels import IGNORED, Labels, open_labels
from geodeforest.geo.names import scene_stem
from geodeforest.geo.profile import SceneProfile, shifted
from geodeforest.geo.scene import Scene, open_scene
from geodeforest.scanning import MEDIAN
from geodeforest.workflows.build_options import BuildChoices, BuildOptions, like_model
from geodeforest.workflows.extras import need_training
from geodeforest.workflows.numbers import record_reading

if TYPE_CHECKING:
    from geodeforest.nn.example import Record
    from geodeforest.nn.index import RecordFormat, RecordIndex, SetFacts

Pair: TypeAlias = tuple[str | os.PathLike[str], str | os.PathLike[str]]
"""A scene and its labels."""

_SAME_GSD = 1.25
"""Scenes whose pixels differ by more than this factor do not look alike to a network."""

_CHIP_NAME = re.compile(r"_r\d{5,}_c\d{5,}$")
"""The end of the names that ``geodeforest chip`` gives: chips of one scene stay together."""


def build_records(
    pairs: Sequence[Pair],
    output: str | os.PathLike[str],
    options: BuildOptions | None = None,
    progress: Progress | None = None,
    **chosen: Unpack[BuildChoices],
) -> RecordIndex:
    """Cut scenes and labels into chips and write them as shards with an index.

    Chips that reach beyond a scene are padded, the image by reflection; padding and
    pixels that were not observed are invalid and ignored. Where nothing was observed the
    image holds the scene's median, as in a scan. Chips without a single labelled pixel
    are left out.

    Args:
        pairs: each a scene and its labels, a raster on its grid or polygons.
        output: the directory to write.
        options: what may be chosen, as a value.
        progress: called with the chips done and their total.
        chosen: the same as keywords, such as ``chip=256, class_map={1: 0, 2: 1}``; they
            have the names of the command line's options and go before ``options``.

    Raises:
        OptionError: no pair, or groups that do not fit the pairs.
        ModelError: there is no such model as ``like`` names.
        MissingExtra: TensorFlow is not installed.
        SceneError: a scene or its labels cannot be used.
        RecordError: scenes differ in dtype or bands, or nothing is labelled.
        OutputError: the directory exists or cannot be written.
    """
    options = like_model(replace(options or BuildOptions(), **chosen))
    directory = Path(output)
    groups = _groups(pairs, options)
    need_training("writing training records")
    from geodeforest.nn.shards import ShardWriter, refuse_output

    refuse_output(directory, overwrite=options.overwrite)
    scenes, classes = _inspect(pairs, options)
    form, facts = _describe(scenes, classes, options)
    total = sum(len(_grid(scene.profile, options)) for scene in scenes)
    with ShardWriter(directory, form, shards=options.shards, overwrite=options.overwrite) as writer:
        done = 0
        for pair, group, seen in zip(pairs, groups, scenes, strict=True):
            for record in _chips(pair, group, seen, options):
                if (record.labels != IGNORED).any():
                    writer.add(record)
                done += 1
                if progress is not None:
                    progress(done, total)
        index = writer.commit(facts)
    _warn_of_gaps(directory, index)
    return index


def _warn_of_gaps(directory: Path, index: RecordIndex) -> None:
    """Say what training will refuse or miss, while the labels are still at hand."""
    why = index.gap if index.unfit is None else "; ".join(index.unfit)
    if why is not None:
        warnings.warn(f"{directory}: {why}", GeodeforestWarning, stacklevel=3)


def class_id(name: str, classes: Sequence[ClassDef] = CLASSES) -> int:
    """The id of a class given by name or id; 255 for ``ignore``.

    Raises:
        OptionError: there is no such class.
    """
    ids = {"ignore": IGNORED, str(IGNORED): IGNORED}
    for known in classes:
        ids |= {known.name.casefold(): known.id, str(known.id): known.id}
    if (word := name.strip().casefold()) not in ids:
        listed = ", ".join(known.name for known in classes)
        raise OptionError(f"{name!r} is not a class; choose one of {listed} or ignore")
    return ids[word]


def group_of(scene: str | os.PathLike[str]) -> str:
    """The name under which a scene's chips stay together: its file name, without ending."""
    return _CHIP_NAME.sub("", scene_stem(scene))


def _groups(pairs: Sequence[Pair], options: BuildOptions) -> tuple[str, ...]:
    if not pairs:
        raise OptionError("no scene was given; records need pairs of a scene and its labels")
    groups = options.groups or tuple(group_of(scene) for scene, _ in pairs)
    if len(groups) != len(pairs):
        raise OptionError(f"{len(groups)} groups for {len(pairs)} scenes: give one per scene")
    groups = tuple(_plain(group) for group in groups)
    if unknown := sorted(set(options.held) - set(groups)):
        have = ", ".join(sorted(set(groups)))
        raise OptionError(f"there is no group {unknown[0]!r} to validate on; groups: {have}")
    homes: dict[str, str] = {}
    for (scene, _), group in zip(pairs, groups, strict=True):
        if homes.setdefault(os.path.realpath(scene), group) != group:
            raise OptionError(f"{scene}: is in two groups, and would be on both sides of a split")
    return groups


def _plain(name: str) -> str:
    """A file's name as text that can be stored; what is no UTF-8 in it becomes ``?``."""
    return name.encode("utf-8", "replace").decode("utf-8")


@contextmanager
def _opened(pair: Pair, options: BuildOptions) -> Iterator[tuple[Scene, Labels]]:
    scene_path, labels_path = pair
    with ExitStack() as stack:
        scene = stack.enter_context(
            open_scene(
                scene_path, bands=options.bands, wanted=options.band_names, georeferenced=False
            )
        )
        labels = stack.enter_context(open_labels(labels_path, scene.profile, options.rule))
        yield scene, labels


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a scene after it was inspected.

    ``fill`` (bands,) are the stored numbers of what was not observed, ``levels``
    (scene inputs x bands,) the scene's own, ``dark`` (bands,) its 2nd percentiles, scaled.
    """

    profile: SceneProfile
    bands: tuple[Band, ...]
    reading: Reading
    fill: NDArray[np.generic]
    levels: NDArray[np.float32]
    dark: NDArray[np.float64]


def _inspect(
    pairs: Sequence[Pair], options: BuildOptions
) -> tuple[list[_Seen], tuple[ClassDef, ...]]:
    """Open every pair once: what the scenes are, and the classes of the set."""
    scenes, pixels = [], Counter[int]()
    for pair in pairs:
        with _opened(pair, options) as (scene, labels):
            scenes.append(_seen(scene, options))
            pixels.update(labels.count())
    if not set(pixels) - {IGNORED}:
        why = "no pixel is labelled"
        raise LabelMismatch(pairs[0][1], why, "check --class-map and where the polygons lie")
    named = set(pixels) if options.class_map is None else set(options.class_map.values())
    named |= set() if options.background is None else {options.background}
    return scenes, tuple(c for c in options.classes if c.id in named)


def _seen(scene: Scene, options: BuildOptions) -> _Seen:
    profile, inputs = scene.profile, options.scene_input
    reading = record_reading(scene, options.band_scale, options.scales)
    # The sample that a scan of the scene takes its median from.
    samples = SceneSample(scene.read, scene.height, scene.width)
    sample = samples(inputs[0] if inputs else MEDIAN)
    levels = scene_levels(samples, reading.scale, inputs)
    stored = sample.stored
    if stored.shape[1] == 0 or levels is None:
        raise RecordError(profile.path, "has no valid pixel", "leave the scene out")
    median = np.percentile(stored.astype(np.float64), MEDIAN.percentile, axis=1)
    fill = np.rint(median) if np.issubdtype(stored.dtype, np.integer) else median
    dark = Levels.of(sample).scaled(reading.scale).dark
    return _Seen(profile, scene.bands, reading, fill.astype(stored.dtype), levels.ravel(), dark)


def _describe(
    scenes: Sequence[_Seen], classes: tuple[ClassDef, ...], options: BuildOptions
) -> tuple[RecordFormat, SetFacts]:
    from geodeforest.nn.index import RecordFormat, SetFacts

    first = scenes[0].profile
    for other in (scene.profile for scene in scenes):
        if other.dtype != first.dtype:
            why = f"stores {other.dtype} and {first.name} {first.dtype}"
            raise RecordError(other.path, why, "convert one of them: a set has one data type")
    reading = _common_reading(scenes)
    dark = np.array([scene.dark for scene in scenes])
    bands = _band_names(scenes, options)
    levels = len(options.scene_input) * len(bands)
    return (
        RecordFormat(first.dtype, options.chip, options.chip, bands, classes, levels),
        SetFacts(
            scale=reading.scale,
            scene_inputs=options.scene_input,
            gsd_m=_common_gsd([scene.profile for scene in scenes]),
            val_groups=options.held,
            reflectance=not reading.guess and options.scale is None and options.scales is None,
            dark_levels=(_rounded(dark.min(axis=0)), _rounded(dark.max(axis=0))),
        ),
    )


def _rounded(levels: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(level), 4) for level in levels)


def _common_reading(scenes: Sequence[_Seen]) -> Reading:
    """How all scenes of a set are read."""
    first = scenes[0]
    for other in scenes[1:]:
        if other.reading.scale != first.reading.scale:
            why = (
                f"is read by {other.reading.scale} ({other.reading.source}) and "
                f"{first.profile.name} by {first.reading.scale} ({first.reading.source})"
            )
            raise RecordError(other.profile.path, why, "convert one of them, or pass --scale")
    return first.reading


def _common_gsd(profiles: Sequence[SceneProfile]) -> float | None:
    """The median ground sample distance in metres, None where no scene tells."""
    known = [(profile.gsd_m, profile) for profile in profiles if profile.gsd_m is not None]
    if not known:
        return None
    (low, fine), (high, coarse) = (pick(known, key=lambda k: k[0]) for pick in (min, max))
    if high > _SAME_GSD * low:
        why = f"has {high:.3g} m pixels and {fine.name} {low:.3g} m"
        raise RecordError(coarse.path, why, "warp one of them to the other's pixel size")
    return float(np.median([gsd_m for gsd_m, _ in known]))


def _band_names(scenes: Sequence[_Seen], options: BuildOptions) -> tuple[str, ...]:
    """The names of the set's bands, which must mean the same in every scene."""
    names = [options.band_names or tuple(map(_meaning, scene.bands)) for scene in scenes]
    for scene, found in zip(scenes, names, strict=True):
        if found != names[0] or len(found) != len(scene.bands):
            why = f"has bands {', '.join(found)}, and the set {', '.join(names[0])}"
            raise RecordError(scene.profile.path, why, "choose the same ones with --bands")
    return names[0]


def _meaning(band: Band) -> str:
    # Writers put anything into descriptions, so only those that name a spectral band count
    # for more than the colour.
    return band.word if band.word in SPECTRAL else replace(band, description=None).name


def _chips(pair: Pair, group: str, seen: _Seen, options: BuildOptions) -> Iterator[Record]:
    with _opened(pair, options) as (scene, labels):
        for window in _grid(scene.profile, options):
            yield replace(_chip(scene, labels, window, seen), group=group)


def _grid(profile: SceneProfile, options: BuildOptions) -> ChipGrid:
    return ChipGrid(profile.height, profile.width, options.chip, options.overlap)


def _chip(scene: Scene, labels: Labels, window: Window, seen: _Seen) -> Record:
    """The record of one window, without a group yet."""
    from geodeforest.nn.example import Record

    inside = window.within(scene.height, scene.width)
    pixels = scene.read(inside)
    beyond = ((0, window.height - inside.height), (0, window.width - inside.width))
    # No nodata value gets into an image, where it would look dark or bright to a network.
    image = np.where(pixels.valid, pixels.values, seen.fill[:, np.newaxis, np.newaxis])
    truth = np.where(pixels.valid, labels.read(inside), np.uint8(IGNORED))
    profile = scene.profile
    transform: Any = shifted(profile.transform, window.row, window.col)
    return Record(
        image=np.pad(image.transpose(1, 2, 0), (*beyond, (0, 0)), mode="reflect"),
        labels=np.pad(truth, beyond, constant_values=IGNORED),
        valid=np.pad(pixels.valid, beyond, constant_values=False),
        scene=_plain(profile.name),
        group="",
        crs="" if profile.crs is None else _crs_text(profile.crs),
        transform=tuple(float(number) for number in tuple(transform)[:6]),
        scene_level=seen.levels,
    )


def _crs_text(crs: Any) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.to_wkt())
