"""The training recipe of the built-in model ``amazon-s2-rgb``, from scenes to package data.

    python recipes/amazon_s2_rgb.py records DATA WORK
    python recipes/amazon_s2_rgb.py fold WORK 0        # ... and 1 2 3 4, in any order
    python recipes/amazon_s2_rgb.py final WORK
    python recipes/amazon_s2_rgb.py publish WORK geodeforest/models/amazon-s2-rgb

DATA holds ``labelled/images/*.tiff`` and ``labelled/masks/*.png`` of Zenodo record 3233081.
``python recipes/amazon_s2_rgb.py levels DATA`` prints the scenes' dark levels.
Each step can be interrupted and started again; a fold or the final training goes on from
its last checkpoint. ``--threads 1`` in two processes is quicker than two threads in one.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from geodeforest.core.grid import Window
from geodeforest.core.pixels import BandScale
from geodeforest.core.plausible import DARK as DARK_PERCENT
from geodeforest.core.plausible import DARK_LEVELS
from geodeforest.core.spec import Ceiling, ModelSpec, SceneInput
from geodeforest.geo.scene import open_scene
from geodeforest.nn.augment import Augmentation, OwnLevel, Recolour, Water
from geodeforest.runtime.model_dir import read_spec
from geodeforest.workflows.build_records import BuildOptions, build_records
from geodeforest.workflows.model_card import model_card
from geodeforest.workflows.train_folds import Fold, Judged, judge
from geodeforest.workflows.train_model import Run, TrainReport, train_one
from geodeforest.workflows.train_options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geodeforest.nn.index import RecordIndex
    from geodeforest.workflows.train_model import Finish

FOLDS = 5
SEEDS_APART = 100
VERSION = "4"
COUNT = 1 / 255
"""One count of an 8-bit band, in the network's units."""

SCALE = {
    "uint8": BandScale(0, 255),
    "uint16": BandScale(0, 3558),
    "int16": BandScale(0, 3558),
    "float32": BandScale(0, 0.3558),
    "float64": BandScale(0, 0.3558),
}
"""ESA's true-colour image shows reflectance 0..0.3558 as 0..255; the model was trained on such."""

DARK = SceneInput("dark", 2, ceiling=Ceiling(band=0, under=2, gap=22 * COUNT, least=18 * COUNT))
"""The scene's dark level, by which haze is told from ground.

Green plants absorb red light, and air scatters blue light more than red: in the 29 scenes
with forest the red level lies 22 to 31 counts below the blue one. Where the darkest part
of a scene is not forest, as in the one without any, it does not, and the ceiling says how
dark forest would have looked there. Over clear ground, as in surface reflectance, 18
counts (a reflectance of 0.025) remain.
"""

OWN_LEVEL = OwnLevel(0.3, (DARK,), bare=1, bare_share=0.5, bare_lighter=8 * COUNT)

RECOLOUR = (
    # Dry red clearings become wet green pasture.
    Recolour(class_index=1, low=(0.15, 0.7, 0.3), high=(0.9, 1.5, 1.0)),
    # Dark rain forest becomes lighter, as other forests are; or else all that is light
    # and green, and all that is smooth, would pass for cleared or for water.
    Recolour(class_index=0, low=(0.8, 0.9, 0.8), high=(2.0, 2.5, 2.0)),
)

WATER = Water(1, (2 * COUNT, 3 * COUNT, 5 * COUNT), (15 * COUNT, 15 * COUNT, 18 * COUNT), 0.2)
"""Rivers and lakes a little brighter than forest, most of all in blue."""

OPTIONS = TrainOptions(
    architecture="light",
    loss="cross-entropy",
    steps=2000,
    batch=8,
    learning_rate=3e-3,
    validate_every=100,
    val_group=(),
    strategy="cpu",
    name="amazon-s2-rgb",
    halo=64,  # measured: benchmarks/halo.py
    augmentation=Augmentation(
        crop=256,
        haze=8 * COUNT,
        strong_haze=60 * COUNT,
        strong_haze_share=0.3,
        relief=0.4,
        exposure=0.25,
        contrast=0.2,
        level_error=2 * COUNT,
        own_level=OWN_LEVEL,
        blur=0.3,
        recolour=RECOLOUR,
        water=WATER,
    ),
)

NOTES = Path(__file__).with_name("amazon_s2_rgb.md")


@click.group()
def recipe() -> None:
    """Train the built-in model."""


@recipe.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.argument("work", type=click.Path(path_type=Path))
def records(data: Path, work: Path) -> None:
    """Build the training records of the 30 labelled scenes."""
    index = build(data, work, DARK)
    click.echo(f"{index.records} records of {len(index.tally.groups)} scenes")


@recipe.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
def levels(data: Path) -> None:
    """Print each scene's 2nd percentiles in counts, and how far red lies under blue."""
    for path in sorted((data / "labelled" / "images").glob("*.tiff")):
        with open_scene(path) as scene:
            counts = scene.read(Window(0, 0, scene.height, scene.width)).values.reshape(3, -1)
        red, green, blue = np.percentile(counts, DARK.percentile, axis=1)
        click.echo(f"{path.stem:22s} {red:4.0f} {green:4.0f} {blue:4.0f}   {blue - red:4.0f}")


def build(
    data: Path, work: Path, dark: SceneInput, more: Sequence[tuple[Path, Path]] = ()
) -> RecordIndex:
    """Records of the labelled scenes and of ``more``, with the scene input ``dark``."""
    scenes = sorted((data / "labelled" / "images").glob("*.tiff"))
    masks = [data / "labelled" / "masks" / f"{scene.stem}.png" for scene in scenes]
    options = BuildOptions(
        class_map={1: 0, 2: 1},
        # One mask is three columns wider than its scene.
        crop=True,
        shards=2,
        band_names=("red", "green", "blue"),
        scene_input=(dark,),
    )
    work.mkdir(parents=True, exist_ok=True)
    return build_records([*zip(scenes, masks, strict=True), *more], work / "records", options)


def held_out(work: Path, fold: int) -> list[str]:
    """The scenes of a fold: every fifth of a fixed shuffle of all names."""
    groups = sorted(json.loads((work / "records" / "index.json").read_text())["groups"])
    order = np.random.default_rng(0).permutation(len(groups))
    return [groups[i] for i in order[fold::FOLDS]]


@recipe.command()
@click.argument("work", type=click.Path(path_type=Path, exists=True))
@click.argument("fold", type=click.IntRange(0, FOLDS - 1))
@click.option("--threads", type=int, default=None, help="TensorFlow threads; default: all.")
@click.option("--draw", type=int, default=0, help="Another draw of all that is random.")
def fold(work: Path, fold: int, threads: int | None, draw: int) -> None:
    """Train with one fold of scenes held out, and count its pixels."""
    limit_threads(threads)
    options = replace(OPTIONS, val_group=held_out(work, fold), seed=fold + draw * SEEDS_APART)
    report = train_on(work, _fold_name(fold, draw), options)
    click.echo(json.dumps(report.to_dict(), indent=2))


@recipe.command()
@click.argument("work", type=click.Path(path_type=Path, exists=True))
@click.option("--threads", type=int, default=None, help="TensorFlow threads; default: all.")
def final(work: Path, threads: int | None) -> None:
    """Train on all scenes, calibrated by the folds: the weights that ship."""
    limit_threads(threads)
    judged = judged_folds(work)
    (work / "folds.json").write_text(json.dumps(judged.facts, indent=2))
    report = train_on(work, "final", replace(OPTIONS, seed=FOLDS), judged.finish)
    click.echo(json.dumps(report.to_dict()))


@recipe.command()
@click.argument("work", type=click.Path(path_type=Path, exists=True))
@click.argument("draw", type=int)
def worth(work: Path, draw: int) -> None:
    """Print what the five folds of one draw are worth together."""
    found = judged_folds(work, draw)
    figures = {name: found.evaluation.figures[name] for name in ("accuracy", "mean_iou", "ece")}
    median = {"median_scene": found.evaluation.medians}
    click.echo(json.dumps({**figures, **median, "spread": found.facts["spread"]}, indent=2))


def judged_folds(work: Path, draw: int = 0) -> Judged:
    """The folds of a draw, each judged by its held-out scenes."""
    directories = [work / _fold_name(number, draw) for number in range(FOLDS)]
    folds = [
        Fold(directory, held_out(work, number), read_spec(directory), OPTIONS.steps)
        for number, directory in enumerate(directories)
    ]
    return judge(work / "records", folds, OPTIONS)


def _fold_name(number: int, draw: int) -> str:
    return f"fold-{number}" if draw == 0 else f"fold-{number}-draw-{draw}"


@recipe.command()
@click.argument("work", type=click.Path(path_type=Path, exists=True))
@click.argument("model", type=click.Path(path_type=Path))
def publish(work: Path, model: Path) -> None:
    """Write the model directory: the final weights, their facts and the model card."""
    spec = ModelSpec.from_json((work / "final" / "model.json").read_text())
    facts = {
        **spec.training,
        "scenes": "30 Sentinel-2 true-colour scenes of the Brazilian Legal Amazon, 512 x 512 px",
        DARK_LEVELS: _dark_levels(work / "records"),
        "source": "Bragagnolo, da Silva, Grzybowski 2019, Zenodo record 3233081; "
        "contains modified Copernicus Sentinel data",
    }
    metrics = {
        **spec.metrics,
        "command": "python recipes/amazon_s2_rgb.py records DATA WORK; fold WORK 0 to 4; "
        "final WORK; publish WORK MODEL",
    }
    spec = replace(
        spec,
        version=VERSION,
        scale=SCALE,
        gsd_m=10.0,  # the scenes' own is 9.98 m, the median of their degrees
        metrics=metrics,
        training=facts,
        licence="Apache-2.0",
    )
    model.mkdir(parents=True, exist_ok=True)
    card = model_card(spec, NOTES.read_text())
    for name in spec.files:
        (model / name).write_bytes((work / "final" / name).read_bytes())
    _publish_card(spec, model, card)
    click.echo(json.dumps(spec.metrics, indent=2))


def limit_threads(threads: int | None) -> None:
    """Have TensorFlow use so many threads; has to come before anything of it runs."""
    import tensorflow as tf

    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def train_on(
    work: Path,
    name: str,
    options: TrainOptions,
    finish: Finish | None = None,
) -> TrainReport:
    """Train ``name`` on the records of ``work``, going on where a former run was interrupted."""

    def say(step: int, steps: int, loss: float) -> None:
        if step % 20 == 0:
            click.echo(f"{name}: step {step} of {steps}, loss {loss:.4f}", err=True)

    run = Run(resume=True, overwrite=False, on_step=say)
    return train_one(work / "records", work / name, options, run, finish)


def _dark_levels(records: Path) -> dict[str, list[float]]:
    """The range of the training scenes' dark levels, by which a scan knows odd numbers."""
    from geodeforest.nn.records import read_records

    # Not the scene's inputs: those have a ceiling, and scenes are compared as they are.
    stored = (record.image[record.valid].T for record in read_records(records))
    levels = np.array(
        [np.percentile(SCALE["uint8"](sample), DARK_PERCENT, axis=1) for sample in stored]
    )
    return {
        "least": np.round(levels.min(axis=0).astype(float), 4).tolist(),
        "most": np.round(levels.max(axis=0).astype(float), 4).tolist(),
    }


def _publish_card(spec: ModelSpec, model: Path, card: str) -> None:
    import hashlib

    from geodeforest.core.spec import ModelFile

    raw = card.encode()
    (model / "MODEL_CARD.md").write_bytes(raw)
    files = {**spec.files}
    if "MODEL_CARD.md" in files:
        files["MODEL_CARD.md"] = ModelFile(hashlib.sha256(raw).hexdigest(), len(raw))
    (model / "model.json").write_text(replace(spec, files=files).to_json())


if __name__ == "__main__":
    recipe()
