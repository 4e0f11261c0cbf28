"""The options that several commands share, each declared once.

Knows how an option is written and read, nothing of what it does. A decorator's parameter
has the option's name, but for ``--json``, which arrives as ``as_json``. ``--debug`` does
not arrive: the command line keeps it for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path, readable=False)
"""Any path. Whether it is there and can be read is for the library to say, with its exit code."""

SCENE = click.Path(path_type=str, readable=False)
"""A path as it was typed: what turns out to be an address must not lose a slash."""

_DEBUG = "geodeforest.debug"


def debugging(context: click.Context) -> bool:
    """Whether ``--debug`` was given to the command that ran under ``context``."""
    return _DEBUG in context.meta


def _remember_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.meta[_DEBUG] = True


def parse_bands(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """The value of an option like ``--bands``; the callback of a command with its own help."""
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise click.BadParameter(f"{text!r} has an empty band; write for example 3,2,1")
    if "0" in names:
        raise click.BadParameter(f"{text!r} counts from 0; the first band is 1")
    return names


def parse_scale(
    _: click.Context, __: click.Parameter, text: str | None
) -> tuple[float, float] | None:
    """The value of an option like ``--scale``."""
    if text is None:
        return None
    try:
        low, high = (float(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not two numbers; write for example 0,3558") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise click.BadParameter(f"{text!r}: LOW must be less than HIGH, both finite")
    return low, high


def _class_id(name: str) -> int:
    from geodeforest.workflows.build_records import class_id

    try:
        return class_id(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def parse_class_map(
    _: click.Context, __: click.Parameter, text: str | None
) -> dict[int | str, int] | None:
    """The value of an option like ``--class-map``."""
    if text is None:
        return None
    entries = [entry.rpartition("=") for entry in text.split(",")]
    if any(not value.strip() or not sign for value, sign, _ in entries):
        raise click.BadParameter(f"{text!r} is not like 1=forest,2=deforestation")
    return {value.strip(): _class_id(name) for value, _, name in entries}


def parse_class(_: click.Context, __: click.Parameter, name: str | None) -> int | None:
    """The value of an option that names a class."""
    return None if name is None else _class_id(name)


def polygon_files(default: str) -> Callable[[Any], Any]:
    """The option for files of polygons; ``default`` says what is written without it."""
    return click.option(
        "-o",
        "--output",
        "outputs",
        type=PATH,
        multiple=True,
        metavar="PATH",
        help="Polygons; the format by extension: .geojson, .gpkg, .fgb, .parquet; repeatable. "
        f"[default: {default} here]",
    )


bands = click.option(
    "--bands",
    metavar="R,G,B",
    callback=parse_bands,
    help="Bands to read, as numbers from 1 or as descriptions, in the model's order. "
    "[default: by description or colour, else the first ones]",
)

scale = click.option(
    "--scale",
    metavar="LOW,HIGH",
    callback=parse_scale,
    help="Stored numbers that become the model's 0 and 1. "
    "[default: by the product's metadata, tags or data type]",
)

chip = click.option(
    "--chip",
    type=click.IntRange(min=1),
    metavar="PX",
    help="Side of the square that the model sees at once, in pixels. [default: the model's]",
)

overlap = click.option(
    "--overlap",
    type=click.IntRange(min=0),
    metavar="PX",
    help="Pixels that neighbouring chips share. [default: the model's]",
)

min_area = click.option(
    "--min-area",
    type=click.FloatRange(min=0),
    default=0.5,
    show_default=True,
    metavar="HA",
    help="Drop polygons under this many hectares, judged whole; 0 keeps all.",
)

simplify = click.option(
    "--simplify",
    type=click.FloatRange(min=0),
    metavar="METERS",
    help="How far outlines may move; borders stay shared. 0 = the pixels' own outlines. "
    "[default: half a pixel's diagonal, and no pixel changes sides]",
)

smooth = click.option(
    "--smooth", is_flag=True, help="Round the pixels' outlines instead; no area changes."
)

merge_small = click.option(
    "--merge-small",
    is_flag=True,
    help="Give regions under --min-area to the neighbour with the longest shared border.",
)

threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="CPU threads for reading and for the model. [default: all]",
)

memory = click.option(
    "--memory",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    metavar="MB",
    help="Memory that the work has to fit in.",
)

allow_vrt = click.option(
    "--allow-vrt",
    is_flag=True,
    help="Open VRT files that only put plain local rasters together. [default: refuse]",
)

untrusted = click.option(
    "--untrusted",
    is_flag=True,
    help="For files of strangers: plain local GeoTIFF without side-cars, read by a process with "
    "limits and without network.",
)

max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=40_000_000_000,
    show_default=True,
    metavar="N",
    help="Refuse larger scenes, before anything of their size is held.",
)

overwrite = click.option(
    "--overwrite", is_flag=True, help="Replace outputs that exist. [default: refuse]"
)

resume = click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Continue an interrupted scan of the same inputs, model and options, or start afresh and "
    "keep nothing to continue from.",
)

quiet = click.option(
    "-q", "--quiet", is_flag=True, help="No progress bar and no summary; warnings stay."
)

progress = click.option(
    "--progress/--no-progress",
    default=None,
    help="Show a progress bar on stderr, or not. [default: on a terminal only]",
)

json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")

debug = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_remember_debug,
    help="Show the traceback of an error.",
)

model = click.option(
    "-m",
    "--model",
    metavar="NAME|DIR",
    help="Built-in model or a model directory. [default: the built-in model]",
)

engine = click.option(
    "--engine",
    type=click.Choice(["onnx", "tensorflow"]),
    default="onnx",
    show_default=True,
    help="What runs the model.",
)

device = click.option(
    "--device",
    type=click.Choice(["cpu", "gpu"]),
    default="cpu",
    show_default=True,
    help="Where the model runs; gpu needs CUDA.",
)

threshold = click.option(
    "--threshold",
    type=click.FloatRange(min=0, max=1, min_open=True),
    metavar="FLOAT",
    help="Score from which a pixel is deforestation. [default: the model's]",
)

spec_threshold = click.option(
    "--threshold",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=0.5,
    show_default=True,
    metavar="FLOAT",
    help="Score from which a pixel is deforestation, as the model's spec will say.",
)

resample = click.option(
    "--resample/--no-resample",
    default=True,
    show_default=True,
    help="Bring pixels to the model's size where it differs by more than 25 %, or refuse them.",
)

assign_crs = click.option(
    "--assign-crs",
    metavar="CRS",
    help="The CRS of a raster that has a geotransform but no CRS, such as EPSG:32721.",
)

baseline = click.option(
    "--baseline",
    type=PATH,
    metavar="FILE",
    help="Raster (not 0) or polygons of what was forest; deforestation elsewhere is dropped.",
)

mask = click.option(
    "--mask",
    type=PATH,
    metavar="FILE",
    help="Raster (not 0; SCL, QA_PIXEL and UDM2 are known) or polygons of clouds, shadows, "
    "anything not to assess.",
)

aoi = click.option(
    "--aoi",
    type=PATH,
    metavar="FILE",
    help="Polygons (or a raster) of the area of interest; all else is outside.",
)

on_error = click.option(
    "--on-error",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="What a block that cannot be read does. Skipped ones, and what is near them, are not "
    "assessed, and the exit code is 4.",
)


label_field = click.option(
    "--label-field", metavar="NAME", help="Attribute of label polygons that holds the class."
)

class_map = click.option(
    "--class-map",
    metavar="VALUE=CLASS,...",
    callback=parse_class_map,
    help="Classes of the values in the labels: forest, deforestation, other or ignore. "
    "[default: 0 forest, 1 deforestation, 2 other, or these names]",
)

background = click.option(
    "--background",
    metavar="CLASS",
    callback=parse_class,
    help="Class of what no label polygon covers. [default: ignored]",
)

classes = click.option(
    "--classes", type=PATH, metavar="PATH.tif", help="Class map, 255 = not assessed."
)

scores = click.option(
    "--scores", type=PATH, metavar="PATH.tif", help="Score of deforestation, in 1/250."
)

report = click.option("--report", type=PATH, metavar="PATH.json", help="Run record.")


def scan_outputs(command: Callable[..., Any]) -> Callable[..., Any]:
    """All options that name what a scan writes."""
    polygons = polygon_files("<scene>_deforestation.geojson")
    for option in (resume, overwrite, report, scores, classes, polygons):
        command = option(command)
    return command


def scan_choices(command: Callable[..., Any]) -> Callable[..., Any]:
    """All options that decide what a scan finds and needs, in the order of its help."""
    network = (model, engine, device, threshold)
    reading = (bands, scale, resample, assign_crs, allow_vrt, untrusted)
    polygons = (min_area, merge_small, simplify, smooth)
    limits = (baseline, mask, aoi, on_error)
    needs = (chip, overlap, threads, memory, max_pixels)
    for option in reversed((*network, *reading, *limits, *polygons, *needs)):
        command = option(command)
    return command
