"""Cuts a scene into georeferenced chips, with label chips beside them.

Opens, checks and commits; windows, pixels and files are the business of ``geo``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from geodeforest.core.grid import ChipGrid
from geodeforest.core.options import OpenRules
from geodeforest.geo.chips import Chip, read_chips, write_chip, write_labels
from geodeforest.geo.files import DirectoryOutput
from geodeforest.geo.names import scene_stem
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.scene import Source, open_scene
from geodeforest.workflows.confine import allow_work

if TYPE_CHECKING:
    from geodeforest.geo.labels import Labels

_OWN_FILES = "*_r[0-9][0-9][0-9][0-9][0-9]*_c[0-9][0-9][0-9][0-9][0-9]*.tif"


@dataclass(frozen=True)
class ChipsReport:
    """What ``cut_chips`` wrote."""

    scene: str
    directory: str
    chip: int
    overlap: int
    chips: int
    label_chips: int

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)


def chips(scene: Source, chip: int = 512, overlap: int = 0) -> Iterator[Chip]:
    """Yield the chips that cover a scene, row by row, all data bands as stored.

    A chip ends at the scene's edge: nothing is padded. ``overlap`` pixels are shared
    with the neighbours.

    Raises:
        SceneError: the scene cannot be used.
        OptionError: chip or overlap make no grid.
    """
    with open_scene(scene) as opened:
        yield from read_chips(opened, chip, overlap)


def cut_chips(
    scene: Source,
    output_dir: str | os.PathLike[str],
    *,
    chip: int = 512,
    overlap: int = 0,
    labels: str | os.PathLike[str] | None = None,
    untrusted: bool = False,
    overwrite: bool = False,
) -> ChipsReport:
    """Write a scene's chips as ``<stem>_r<row>_c<col>.tif`` into a new directory.

    With ``labels``, a raster on the scene's grid or polygons, each chip also gets
    ``<stem>_r<row>_c<col>_labels.tif`` with class ids, 255 = ignored. With ``untrusted``
    nothing but plain GeoTIFF files, and GeoJSON for labels, are read.

    Raises:
        SceneError: the scene or the labels cannot be used.
        OutputError: the directory exists or cannot be written.
        OptionError: chip or overlap make no grid.
    """
    place = DirectoryOutput(output_dir, overwrite, holds=(_OWN_FILES,), inputs=(scene, labels))
    count, rules = 0, OpenRules(untrusted=untrusted)
    with ExitStack() as stack:
        opened = stack.enter_context(open_scene(scene, rules=rules))
        profile = opened.profile
        truth = None
        if labels is not None:
            truth = stack.enter_context(_open_labels(labels, profile, rules))
        grid = ChipGrid(opened.height, opened.width, chip, overlap)
        allow_work(len(grid), opened.height * opened.width)
        directory = stack.enter_context(place)
        for piece in read_chips(opened, chip, overlap):
            count += 1
            name = f"{scene_stem(profile.name)}_r{piece.window.row:05}_c{piece.window.col:05}"
            tags = _tags(profile, piece)
            write_chip(directory / f"{name}.tif", piece, opened.bands, tags)
            if truth is not None:
                ids = truth.read(piece.window)
                write_labels(directory / f"{name}_labels.tif", ids, piece, tags)
    return ChipsReport(
        scene=profile.name,
        directory=os.fspath(output_dir),
        chip=chip,
        overlap=overlap,
        chips=count,
        label_chips=0 if labels is None else count,
    )


def _open_labels(
    path: str | os.PathLike[str], profile: SceneProfile, rules: OpenRules
) -> AbstractContextManager[Labels]:
    from geodeforest.geo.labels import LabelRule, open_labels  # loads geopandas

    return open_labels(path, profile, LabelRule(), rules)


def _tags(profile: SceneProfile, piece: Chip) -> dict[str, str]:
    # So that chips of one scene can be kept together, and their date is not lost.
    tags = {
        "SCENE": profile.name,
        "SCENE_ROW": str(piece.window.row),
        "SCENE_COL": str(piece.window.col),
    }
    return tags if profile.date is None else {**tags, "ACQUISITION_DATE": profile.date}
