"""``geodeforest records``: build, describe and verify training records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geodeforest.cli import emit, one_line, options, progress

if TYPE_CHECKING:
    from geodeforest.core.spec import SceneInput
    from geodeforest.nn.index import RecordIndex


def _parse_scene_inputs(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> tuple[SceneInput, ...]:
    if not texts:
        return ()
    from geodeforest.core.spec import SceneInput
    from geodeforest.errors import SpecError

    try:
        pairs = [text.rpartition(":") for text in texts]
        return tuple(SceneInput(name, float(number)) for name, _, number in pairs)
    except (ValueError, SpecError):
        raise click.BadParameter(f"{', '.join(texts)} is not like dark:2") from None


@click.group(no_args_is_help=False)
def command() -> None:
    """Build, describe and verify training records."""


@command.command()
@click.argument("pairs", nargs=-1, required=True, metavar="SCENE LABELS ...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory to write the shards and index.json to.",
)
@options.label_field
@options.class_map
@options.background
@click.option(
    "--chip",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    metavar="PX",
    help="Side of a record's image in pixels; networks want a multiple of 16, seed-unet of 64.",
)
@click.option(
    "--overlap",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="PX",
    help="Pixels that neighbouring chips share.",
)
@click.option(
    "--val-group",
    multiple=True,
    metavar="GROUP",
    help="Scene to validate on, by its file name without extension; repeatable. "
    "Chips named by `geodeforest chip` belong to their scene.",
)
@click.option(
    "--shards",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="Files to deal the records to; at least one per training replica.",
)
@click.option(
    "--scene-input",
    multiple=True,
    metavar="NAME:PERCENTILE",
    callback=_parse_scene_inputs,
    help="A percentile of the whole scene that the network will also get, per band, "
    "such as dark:2; repeatable.",
)
@click.option(
    "--scale",
    metavar="LOW,HIGH",
    callback=options.parse_scale,
    help="Stored numbers that become the network's 0 and 1, written into the model's spec. "
    "[default: 0,255 for uint8, 0,10000 for 16 bits, 0,1 for floats]",
)
@click.option(
    "--bands",
    metavar="B,B,...",
    callback=options.parse_bands,
    help="Bands to take, as numbers from 1 or as descriptions; their order becomes the "
    "model's. [default: all but alpha]",
)
@click.option(
    "--like",
    metavar="NAME|DIR",
    help="A model that the records shall fit, to evaluate it on them: its bands, classes, scale "
    "and scene inputs.",
)
@options.overwrite
@options.quiet
@options.progress
@options.json
@options.debug
def build(pairs: tuple[str, ...], output: Path, as_json: bool, **chosen: Any) -> None:
    """Cut scenes and their labels into TFRecord shards.

    SCENE and LABELS come in pairs. Labels are a raster on the scene's grid (GeoTIFF, PNG)
    or polygons in any CRS.

    Needs: pip install "geodeforest[train]"
    """
    if len(pairs) % 2:
        raise click.UsageError(f"{pairs[-1]} has no labels: give SCENE LABELS in pairs")
    from geodeforest.workflows.build_options import BuildOptions
    from geodeforest.workflows.build_records import build_records

    quiet, show = chosen.pop("quiet"), chosen.pop("progress")
    settings = BuildOptions(**chosen)
    with progress("records", show=show, quiet=quiet) as bar:
        index = build_records(
            list(zip(pairs[::2], pairs[1::2], strict=True)), output, settings, bar
        )
    _tell(index, f"-> {output}", as_json=as_json, quiet=quiet)


@command.command()
@click.argument("shards", nargs=-1, required=True)
@options.json
@options.debug
def info(shards: tuple[str, ...], as_json: bool) -> None:
    """Describe SHARDS: a directory of records, or files.

    Counts come from index.json; without one every record is read.
    """
    from geodeforest.workflows.check_records import describe_records

    index = describe_records(shards)
    emit(json.dumps(index.to_dict()) if as_json else "\n".join(map(one_line, _lines(index))))


@command.command(short_help="Check every record of SHARDS.")
@click.argument("shards", nargs=-1, required=True)
@options.quiet
@options.json
@options.debug
def verify(shards: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Check SHARDS, a directory of records or files, to the last pixel.

    Hashes and framing of the files, keys, shapes and class ids of each record, and all
    counts of index.json.
    """
    from geodeforest.workflows.check_records import check_records

    _tell(check_records(shards), "all whole", as_json=as_json, quiet=quiet)


def _tell(index: RecordIndex, end: str, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        emit(json.dumps(index.to_dict()))
    elif not quiet:
        emit(f"{_size(index)}, {end}")


def _size(index: RecordIndex) -> str:
    megabytes = sum(shard.bytes for shard in index.shards) / 1e6
    records, shards = index.records, len(index.shards)
    return (
        f"{records} record{'s' * (records != 1)} in {shards} shard{'s' * (shards != 1)}, "
        f"{megabytes:.1f} MB"
    )


def _lines(index: RecordIndex) -> list[str]:
    form, facts, tally = index.format, index.facts, index.tally
    names = {c.id: c.name for c in form.classes} | {255: "ignored"}
    pixels = sum(tally.class_pixels.values())
    shares = [f"{names[i]} {n / pixels:.1%}" for i, n in sorted(tally.class_pixels.items())]
    groups = ", ".join(f"{group} {count}" for group, count in sorted(tally.groups.items()))
    held = ", ".join(facts.val_groups) or "none"
    inputs = [f"{s.name} (percentile {s.percentile:g})" for s in facts.scene_inputs]
    gsd = "unknown" if facts.gsd_m is None else f"{facts.gsd_m:.3g} m"
    return [
        _size(index),
        f"images        {form.height} x {form.width} px, {form.dtype}: {', '.join(form.bands)}",
        f"pixel size    {gsd}",
        f"scale         {facts.scale}",
        f"classes       {', '.join(shares)}",
        f"scene inputs  {', '.join(inputs) or ('unknown' if form.levels else 'none')}",
        f"groups        {len(tally.groups)}: {groups}",
        f"to validate   {held}",
    ]
