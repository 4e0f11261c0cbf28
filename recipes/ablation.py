"""What each lever of the built-in model's recipe gives: the recipe with one thing changed.

    python recipes/ablation.py DATA WORK VARIANT...    # names, or `all`
    python recipes/ablation.py --table DATA WORK

Every variant trains ``STEPS`` steps with one fold held out and the fold's number as seed.
DATA and WORK are those of ``amazon_s2_rgb.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import amazon_s2_rgb as recipe
import click
import numpy as np
from pseudo_labels import pairs

from geodeforest.core.metrics import Confusion
from geodeforest.core.spec import SceneInput
from geodeforest.nn.augment import Augmentation
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.train_options import TrainOptions

STEPS = 500
ODD = {1: "Amazon_1377.tiff_12", 2: "Amazon_511.tiff_35", 3: "Amazon_970.tiff_1"}
"""Scenes unlike the rest: a flood plain in haze, a large river, no forest at all."""

NO_CEILING = "no ceiling of the red level"
PSEUDO = "labels that the recipe's own model gives 14 more scenes"

Pairs = Sequence[tuple[Path, Path]]
Change = Callable[[TrainOptions], TrainOptions]


def _augmented(**changes: object) -> Change:
    def change(options: TrainOptions) -> TrainOptions:
        how = options.augmentation or Augmentation()
        return replace(options, augmentation=replace(how, **changes))  # type: ignore[arg-type]

    return change


VARIANTS: Mapping[str, Change] = {
    "recipe": lambda options: options,
    "recipe, a second seed": lambda options: replace(options, seed=options.seed + 100),
    "recipe, a third seed": lambda options: replace(options, seed=options.seed + 200),
    NO_CEILING: lambda options: options,
    "no recolouring of cleared land": _augmented(recolour=recipe.RECOLOUR[1:]),
    "no recolouring of forest": _augmented(recolour=recipe.RECOLOUR[:1]),
    "no rivers and lakes": _augmented(water=None),
    "no blur": _augmented(blur=0.0),
    "no haze": _augmented(haze=0.0, strong_haze=0.0),
    "no strong haze": _augmented(strong_haze_share=0.0),
    "no relief": _augmented(relief=0.0),
    "no exposure, contrast, level error": _augmented(exposure=0.0, contrast=0.0, level_error=0.0),
    "no chips with levels of their own": _augmented(own_level=None),
    PSEUDO: lambda options: options,
    "hybrid loss of the seed": lambda options: replace(options, loss="hybrid"),
    "wider, 32 to 192 filters": lambda options: replace(options, filters=(32, 64, 128, 192)),
    "twice the steps": lambda options: replace(options, steps=2 * STEPS),
}


@click.command()
@click.option("--table", is_flag=True, help="Print what is trained so far as a table.")
@click.option("--fold", default=3, show_default=True, type=click.IntRange(0, 4))
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.argument("work", type=click.Path(path_type=Path))
@click.argument("variants", nargs=-1)
def main(data: Path, work: Path, fold: int, variants: tuple[str, ...], table: bool) -> None:
    """Train variants of the recipe, one fold each."""
    recipe.limit_threads(1)
    for name in VARIANTS if variants == ("all",) else variants:
        if not _result(work, name, fold).exists():
            train_variant(data, work, name, fold)
    if table:
        odd = ODD.get(fold, "none")
        click.echo(f"| change | fold {fold} | its other scenes | {odd} |\n|---|---|---|---|")
        for name in VARIANTS:
            if (result := _result(work, name, fold)).exists():
                click.echo(f"| {name} | {' | '.join(figures(result))} |")


def train_variant(data: Path, work: Path, name: str, fold: int) -> None:
    """Train one variant and keep its confusion by scene."""
    options, plain, dark = replace(recipe.OPTIONS, steps=STEPS), work / "plain", recipe.DARK
    _build(data, plain, dark)
    held, place = recipe.held_out(plain, fold), plain
    if name == NO_CEILING:
        dark, place = replace(dark, ceiling=None), work / "no-ceiling"
        _build(data, place, dark)
        own = replace(recipe.OWN_LEVEL, inputs=(dark,))
        options = _augmented(own_level=own)(options)
    elif name == PSEUDO:
        place = work / f"pseudo-{fold}"
        teacher = load_model(plain / f"recipe-{fold}")
        _build(data, place, dark, pairs(data, teacher, place / "labels"))
    changed = VARIANTS[name](replace(options, val_group=held, seed=fold))
    report = recipe.train_on(place, f"{_plain(name)}-{fold}", changed)
    counts = {group: c.counts.tolist() for group, c in report.confusion.items()}
    _result(work, name, fold).write_text(json.dumps(counts, indent=2))


def _build(data: Path, place: Path, dark: SceneInput, more: Pairs = ()) -> None:
    if not (place / "records").exists():
        recipe.build(data, place, dark, more)


def figures(result: Path) -> list[str]:
    """Accuracy of the fold, of the fold without its odd scene, and of that scene."""
    counts = {g: np.array(c, np.int64) for g, c in json.loads(result.read_text()).items()}
    odd = [c for group, c in counts.items() if group in ODD.values()]
    others = [c for group, c in counts.items() if group not in ODD.values()]
    pools = [np.sum(some, axis=0) for some in (list(counts.values()), others, odd) if some]
    return [f"{Confusion(pool).accuracy:.4f}" for pool in pools]


def _result(work: Path, name: str, fold: int) -> Path:
    return work / f"{_plain(name)}-{fold}.json"


def _plain(name: str) -> str:
    return name.replace(" ", "-").replace(",", "")


if __name__ == "__main__":
    main()
