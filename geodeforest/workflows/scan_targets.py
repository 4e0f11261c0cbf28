"""Where the results of a scan go, and whether they can go there.

Knows names and extensions; writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geodeforest.errors import OptionError
from geodeforest.geo.files import OutputSet
from geodeforest.geo.vector_sinks import style_path, vector_format

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Targets:
    """Where the results go. ``keep`` also holds the polygons in memory.

    Raises:
        OptionError: a file's extension is not that of its content.
    """

    polygons: tuple[Path, ...] = ()
    classes: Path | None = None
    scores: Path | None = None
    report: Path | None = None
    overwrite: bool = False
    keep: bool = False

    def __post_init__(self) -> None:
        for path in self.polygons:
            vector_format(path)
        for path in filter(None, (self.classes, self.scores)):
            _check_extension(path, "a GeoTIFF", ".tif", ".tiff")
        if self.report is not None:
            _check_extension(self.report, "JSON", ".json")

    def paths(self) -> list[Path]:
        """All files, in the order in which they appear under their names."""
        styles = map(style_path, self.polygons)
        single = (*styles, self.classes, self.scores, self.report)
        return [*self.polygons, *(path for path in single if path is not None)]


def check_outputs(scenes: Sequence[PathLike], targets: Sequence[Targets]) -> None:
    """Refuse, before any work, outputs of several scans that cannot all be written.

    Raises:
        OptionError: two outputs are one file, or an output is one of the scenes.
        OutputError: an output exists and may not be replaced, or has no place.
    """
    paths = [path for some in targets for path in some.paths()]
    OutputSet(paths, overwrite=all(some.overwrite for some in targets), inputs=scenes)


def _check_extension(path: Path, kind: str, *extensions: str) -> None:
    if path.suffix.lower() not in extensions:
        raise OptionError(
            f"{path.name}: the file will be {kind}; name it {' or '.join(extensions)}"
        )
