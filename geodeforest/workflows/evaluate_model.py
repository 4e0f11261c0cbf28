"""How right a model is, on records or on scenes with labels.

Knows the order of things: models and outputs are checked first, then each scene is scanned
into scratch and its map compared with the labels, rows at a time.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from itertools import repeat
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, Unpack, cast

from geodeforest.core.grid import Window
from geodeforest.core.options import ScanOptions
from geodeforest.core.pixels import BandScale
from geodeforest.core.ports import Predictor, Progress
from geodeforest.core.spec import ModelSpec
from geodeforest.core.tally import Measure, Scorer, Tally
from geodeforest.errors import OptionError
from geodeforest.geo.class_map import ClassMap, open_class_map
from geodeforest.geo.files import OutputSet, naming_faults
from geodeforest.geo.labels import LabelRule, open_labels
from geodeforest.geo.names import scene_stem
from geodeforest.geo.raster_sinks import ConfusionMapSink, confusion_codes
from geodeforest.geo.scene import block_cache
from geodeforest.workflows.build_records import group_of
from geodeforest.workflows.evaluation import Evaluation, counted
from geodeforest.workflows.evaluation_page import page
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.scan_scene import Engine, scan_to
from geodeforest.workflows.scan_targets import Targets
from geodeforest.workflows.score_records import class_indexes, score_records

PathLike: TypeAlias = str | os.PathLike[str]
Pair: TypeAlias = tuple[PathLike, PathLike]
"""A scene and its labels."""


@dataclass(frozen=True)
class EvaluateOptions:
    """How to evaluate; None means the model's own.

    ``tolerance`` and ``min_object`` are pixels, as in ``Measure``. Intervals come of
    ``draws`` draws from ``seed``. ``class_map``, ``label_field`` and ``background`` are those
    of ``LabelRule``; ``groups`` names what belongs together, one per scene. The labels' and
    the scan's choices are for scenes only.
    """

    threshold: float | None = None
    tolerance: int = 2
    min_object: int | None = None
    draws: int = 1000
    seed: int = 0
    class_map: Mapping[int | str, int] | None = None
    label_field: str | None = None
    background: int | None = None
    groups: tuple[str, ...] | None = None
    bands: Sequence[int | str] | None = None
    scale: tuple[float, float] | None = None
    chip: int | None = None
    overlap: int | None = None
    threads: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        _ = self.measure, self.scanning  # refuse what is out of range
        if self.draws < 1 or self.seed < 0:
            raise OptionError("draws must be at least 1, and seed not negative")

    @property
    def measure(self) -> Measure:
        """How what was found is judged."""
        return Measure(self.tolerance, self.min_object, self.threshold)

    @property
    def scanning(self) -> ScanOptions:
        """The choices that are those of a scan."""
        return ScanOptions(
            bands=None if self.bands is None else tuple(map(str, self.bands)),
            scale=None if self.scale is None else BandScale(*self.scale),
            threshold=self.threshold,
            chip=self.chip,
            overlap=self.overlap,
            threads=self.threads,
            memory=self.memory,
        )


class EvaluateChoices(TypedDict, total=False):
    """The fields of ``EvaluateOptions`` as keywords."""

    threshold: float | None
    tolerance: int
    min_object: int | None
    draws: int
    seed: int
    class_map: Mapping[int | str, int] | None
    label_field: str | None
    background: int | None
    groups: tuple[str, ...] | None
    bands: Sequence[int | str] | None
    scale: tuple[float, float] | None
    chip: int | None
    overlap: int | None
    threads: int | None
    memory: int


@dataclass(frozen=True)
class EvaluationFiles:
    """What to write: JSON, a page, and a folder of confusion maps."""

    report: Path | None = None
    html: Path | None = None
    maps: Path | None = None

    def __post_init__(self) -> None:
        for path, ending in ((self.report, ".json"), (self.html, ".html")):
            if path is not None and path.suffix.lower() != ending:
                raise OptionError(f"{path.name}: the file will be {ending[1:]}; name it {ending}")

    def paths(self, pairs: Sequence[Pair]) -> list[Path]:
        """All files, maps first."""
        singles = (self.html, self.report)
        return [*self.maps_of(pairs), *(path for path in singles if path is not None)]

    def maps_of(self, pairs: Sequence[Pair]) -> list[Path]:
        """The confusion map of each scene; none without a folder."""
        if self.maps is None:
            return []
        return [self.maps / f"{scene_stem(scene)}_confusion.tif" for scene, _ in pairs]


def evaluate(
    data: PathLike | Sequence[PathLike] | Sequence[Pair],
    options: EvaluateOptions | None = None,
    *,
    model: PathLike | Predictor | None = None,
    engine: Engine = "onnx",
    report: PathLike | None = None,
    html: PathLike | None = None,
    maps: PathLike | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **chosen: Unpack[EvaluateChoices],
) -> Evaluation:
    """Compare what a model finds with the truth. Writes no file unless a path is given.

    Args:
        data: training records (a directory, shards), or pairs of a scene and its labels: a
            raster on the scene's grid, or polygons.
        options: how to evaluate, as a value.
        model: name of a built-in model, a model directory, or a loaded model.
        engine: ``onnx`` or ``tensorflow``; records need the extra ``train`` with either.
        report: all figures and counts (.json).
        html: the same as a page (.html).
        maps: a folder for a confusion map of each scene.
        overwrite: replace outputs that exist.
        progress: called with the chips done and their total, scene by scene.
        chosen: the same as ``options`` in keywords, such as ``tolerance=3``.

    Raises:
        OptionError: an argument is out of range, or not for such data.
        ModelError: the model is refused.
        SceneError: a scene or its labels cannot be used.
        RecordError: records are refused, or nothing is labelled.
        OutputError: an output exists or cannot be written.
        MissingExtra: records are given, and TensorFlow is not installed.
    """
    options = replace(options or EvaluateOptions(), **chosen)
    files = EvaluationFiles(*(None if p is None else Path(p) for p in (report, html, maps)))
    pairs = pairs_of(data)
    if not pairs:
        _refuse_for_records(options, files)
    names = _groups([scene for scene, _ in pairs], options)
    if model is None or isinstance(model, str | os.PathLike):
        model = load_model(model, engine)
    with _reserved(files, pairs, overwrite=overwrite) as outputs:
        if pairs:
            targets = map(outputs.scratch, files.maps_of(pairs)) if files.maps else repeat(None)
            jobs = zip(pairs, names, targets, strict=False)
            groups = _scene_groups(model, jobs, options, progress)
        else:
            groups = score_records(model, _listed(data), measure=options.measure)
        where = pairs[0][1] if pairs else _listed(data)[0]
        settings = _settings(options, model.spec)
        found = Evaluation(
            model.spec, counted(groups, where), settings, options.draws, options.seed
        )
        _write(found, files, outputs)
    return found


@contextmanager
def _reserved(
    files: EvaluationFiles, pairs: Sequence[Pair], *, overwrite: bool
) -> Iterator[OutputSet]:
    """The outputs, in a folder for maps that goes again where nothing comes of them."""
    made = files.maps is not None and not files.maps.exists()
    if made and files.maps is not None:
        with naming_faults(files.maps):
            files.maps.mkdir()
    inputs = [path for pair in pairs for path in pair]
    try:
        with OutputSet(files.paths(pairs), overwrite=overwrite, inputs=inputs) as outputs:
            yield outputs
    except BaseException:
        if made and files.maps is not None:
            with suppress(OSError):
                files.maps.rmdir()
        raise


def pairs_of(data: PathLike | Sequence[PathLike] | Sequence[Pair]) -> list[Pair]:
    """The pairs of a scene and its labels; none where the data are training records.

    Raises:
        OptionError: neither, or a scene without labels.
    """
    listed = _listed(data)
    if listed and all(isinstance(one, tuple | list) and len(one) == 2 for one in listed):
        return [cast("Pair", tuple(one)) for one in cast("list[Pair]", listed)]
    if not listed:
        raise OptionError("nothing to evaluate on; give records, or scenes with their labels")
    if are_records(listed):
        return []
    if len(listed) % 2:
        why = "is no set of training records, nor a scene with labels after it"
        raise OptionError(f"{listed[-1]}: {why}; give scenes and labels in pairs")
    return list(zip(listed[::2], listed[1::2], strict=True))


def are_records(paths: Sequence[PathLike]) -> bool:
    """Whether all paths are directories of training records, shards, or addresses of such."""

    def is_one(path: PathLike) -> bool:
        name = os.fspath(path)
        if name.startswith("gs://") or ".tfrec" in os.path.basename(name):
            return True
        try:
            inside = os.listdir(name)
        except OSError:  # no directory, or one that whoever opens it will name
            return False
        return "index.json" in inside or any(".tfrec" in entry for entry in inside)

    return all(is_one(path) for path in paths)


def _listed(data: Any) -> list[PathLike]:
    return [data] if isinstance(data, str | os.PathLike) else list(data)


def _refuse_for_records(options: EvaluateOptions, files: EvaluationFiles) -> None:
    """Records hold pixels, labels, scale and groups already."""
    of_scenes = {"class_map", "label_field", "background", "groups"}
    of_scenes |= {"bands", "scale", "chip", "overlap"}
    given = [f.name for f in fields(options) if getattr(options, f.name) != f.default]
    wrong = [name for name in given if name in of_scenes] + ["maps"] * (files.maps is not None)
    if wrong:
        raise OptionError(f"{wrong[0].replace('_', '-')} is for scenes; leave it out for records")


def _groups(scenes: Sequence[PathLike], options: EvaluateOptions) -> list[str]:
    if options.groups is None:
        return [group_of(scene) for scene in scenes]
    if len(options.groups) != len(scenes):
        raise OptionError(f"{len(options.groups)} groups for {len(scenes)} scenes: one per scene")
    return list(options.groups)


def _scene_groups(
    model: Predictor,
    jobs: Iterable[tuple[Pair, str, Path | None]],
    options: EvaluateOptions,
    progress: Progress | None,
) -> dict[str, Tally]:
    groups: dict[str, Tally] = {}
    for pair, group, target in jobs:
        found = _scene(model, pair, target, options, progress)
        groups[group] = groups[group] + found if group in groups else found
    return dict(sorted(groups.items()))


def _scene(
    model: Predictor,
    pair: Pair,
    target: Path | None,
    options: EvaluateOptions,
    progress: Progress | None,
) -> Tally:
    """Scan a scene into scratch, and compare its map with the labels."""
    scene, labels_path = pair
    spec = model.spec
    rule = LabelRule(spec.classes, options.class_map, options.label_field, options.background)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="geodeforest-")))
        classes, scores = scratch / "classes.tif", scratch / "scores.tif"
        targets = Targets(classes=classes, scores=scores, resume=False)
        scan_to(os.fspath(scene), targets, options.scanning, model, progress)
        found = stack.enter_context(open_class_map(classes, scores))
        labels = stack.enter_context(open_labels(labels_path, found.profile, rule))
        stack.enter_context(block_cache(found.cache_bytes))
        scorer = Scorer(spec, found.profile.width, options.measure)
        sink = None
        if target is not None:
            tags = {"GEODEFOREST_MODEL": str(found.model), "GEODEFOREST_SCENE": found.origin}
            sink = stack.enter_context(ConfusionMapSink(target, found.profile, tags))
        for truth, ids, stored in _rows(found, labels, spec):
            scorer.feed(truth, ids, stored)
            if sink is not None:
                sink.write(confusion_codes(truth, ids, spec.deforestation))
    return scorer.finish()


def _rows(found: ClassMap, labels: Any, spec: ModelSpec) -> Iterator[Any]:
    """Rows of the truth and of what was found, as class indexes, with the stored scores."""
    top = 0
    for ids, stored in found.rows():
        window = Window(top, 0, *ids.shape)
        yield class_indexes(labels.read(window), spec), class_indexes(ids, spec), stored
        top += len(ids)


def _settings(options: EvaluateOptions, spec: ModelSpec) -> dict[str, Any]:
    """The choices that decide the figures, without the machine's."""
    chosen = asdict(options)
    hidden = ("draws", "seed", "threads", "memory")
    facts = {name: value for name, value in chosen.items() if name not in hidden}
    facts["threshold"] = options.threshold or spec.threshold
    facts["min_object"] = options.measure.least_object(spec)
    if options.class_map is not None:
        facts["class_map"] = {str(value): number for value, number in options.class_map.items()}
    return facts


def _write(found: Evaluation, files: EvaluationFiles, outputs: OutputSet) -> None:
    texts = {}
    if files.report is not None:
        texts[files.report] = json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n"
    if files.html is not None:
        texts[files.html] = page(found.to_dict())
    for path, text in texts.items():
        with naming_faults(path):
            outputs.scratch(path).write_text(text, "utf-8")
