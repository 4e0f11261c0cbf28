"""Where the results of a scan go, and whether they can go there.

Knows names and extensions; writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from geodeforest.errors import NotGeoreferenced, OptionError
from geodeforest.geo.files import OutputSet, forget
from geodeforest.geo.ground import is_on_earth
from geodeforest.geo.names import scene_stem, split_names
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.vector_sinks import new_styles, vector_format
from geodeforest.workflows.scan_report import Scratch

__all__ = ["PathLike", "Targets", "check_outputs", "chosen_targets", "scene_stem"]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Targets:
    """Where the results go. ``keep`` also holds the polygons in memory.

    ``scratch`` is the folder of rasters that nobody named. ``resume`` goes on where the same scan
    was broken off. With ``lingers`` a finished scan is not done again until ``forget`` is called.
    ``in_turn`` is around the wait for the disk, when nothing remains after it but to tell of the
    results and to give them their names; leaving it may wait until they are due.

    Raises:
        OptionError: a file's extension is not that of its content.
    """

    polygons: tuple[Path, ...] = ()
    classes: Path | None = None
    scores: Path | None = None
    report: Path | None = None
    overwrite: bool = False
    keep: bool = False
    scratch: Scratch | None = None
    resume: bool = True
    lingers: bool = False
    in_turn: Callable[[], AbstractContextManager[None]] = nullcontext

    def __post_init__(self) -> None:
        for path in self.polygons:
            vector_format(path)
        for path in filter(None, (self.classes, self.scores)):
            _check_extension(path, "a GeoTIFF", ".tif", ".tiff")
        if self.report is not None:
            _check_extension(self.report, "JSON", ".json")

    def paths(self) -> list[Path]:
        """All files, in the order in which they appear under their names."""
        single = (self.classes, self.scores, self.report)
        return [*self.polygons, *self.styles(), *(path for path in single if path is not None)]

    def styles(self) -> list[Path]:
        """The style files that go with polygons; not those of the user's own."""
        return new_styles(self.polygons)

    def rasters(self) -> dict[str, Path]:
        """Class map and score map, as far as there are any."""
        found = {"classes": self.classes, "scores": self.scores}
        return {name: path for name, path in found.items() if path is not None}

    def places(self) -> dict[str, Path]:
        """The rasters, to be found from any directory."""
        return {name: path.absolute() for name, path in self.rasters().items()}

    def named(self) -> list[Path]:
        """``paths``, without those in the scratch."""
        hidden = None if self.scratch is None else self.scratch.path
        return [path for path in self.paths() if path.parent != hidden]

    def names(self) -> dict[str, str | list[str]]:
        """The outputs as the run record lists them: file names only, none of the scratch's."""
        kept = self.named()
        named = {name: path.name for name, path in self.rasters().items() if path in kept}
        styles = [path.name for path in self.styles()]
        return {
            "polygons": [path.name for path in self.polygons],
            **({"styles": styles} if styles else {}),
            **named,
            **({} if self.report is None else {"report": self.report.name}),
        }

    def loads(self) -> set[str]:
        """The packages that these outputs make the program load, and others do not."""
        kept = {"pyarrow", "geopandas"} if self.keep else set()
        return kept.union(*(vector_format(path).loads for path in self.polygons))

    def check_crs(self, profile: SceneProfile) -> None:
        """Refuse a scene whose CRS one of the formats cannot hold.

        Raises:
            NotGeoreferenced: GeoJSON of a scene that is not on Earth.
        """
        on_earth = profile.crs is None or is_on_earth(profile.crs)  # without one: refused anyway
        for path in self.polygons:
            if vector_format(path).on_earth and not on_earth:
                missing = f"CRS on Earth, which {path.name} needs"
                raise NotGeoreferenced(profile.path, missing, "write a .gpkg instead")

    def reserve(self, inputs: Sequence[object]) -> OutputSet:
        """The files as a set, of which a style may always be replaced."""
        return OutputSet(
            self.paths(),
            overwrite=self.overwrite,
            inputs=inputs,
            replaceable=self.styles(),
            home=self.home(),
            lingers=self.lingers,
        )

    def home(self) -> Path | None:
        """The output beside which lies what a later scan goes on from; None without any."""
        return next(iter(self.named()), None)

    def forget(self) -> None:
        """Forget that the scan is finished; an output of that name is then one that exists."""
        home = self.home()
        if home is not None and self.lingers:
            forget(home)


def chosen_targets(
    output: PathLike | Sequence[PathLike],
    classes: PathLike | bool,
    scores: PathLike | bool,
    report: PathLike | None,
    *,
    overwrite: bool,
    resume: bool = True,
) -> Targets:
    """The targets that arguments of ``scan`` name; True is a file in a scratch folder.

    Raises:
        OptionError: an argument is no path.
    """
    scratch = Scratch() if classes is True or scores is True else None
    several = [output] if isinstance(output, str | os.PathLike) else output
    if not isinstance(several, Sequence):
        raise OptionError(f"output: {several!r} is not a path, nor several")
    return Targets(
        polygons=tuple(_path("output", path) for path in several),
        classes=_raster_path("classes", classes, scratch),
        scores=_raster_path("scores", scores, scratch),
        report=None if report is None else _path("report", report),
        overwrite=overwrite,
        resume=resume,
        keep=True,
        scratch=scratch,
    )


def check_outputs(
    scenes: Sequence[PathLike], targets: Sequence[Targets], beside: Sequence[PathLike] = ()
) -> None:
    """Refuse, before any work, outputs of several scans that cannot all be written.

    ``beside`` are files that are read with all of them.

    Raises:
        OptionError: two outputs are one file, or an output is one of the inputs.
        OutputError: an output exists and may not be replaced, or has no place.
    """
    inputs = [name for scene in scenes for name in split_names(os.fspath(scene))]
    paths = [path for some in targets for path in some.paths()]
    OutputSet(paths, overwrite=True, inputs=[*inputs, *beside])
    for some in targets:
        some.reserve(())


def _path(name: str, asked: object) -> Path:
    if not isinstance(asked, str | os.PathLike):
        raise OptionError(f"{name}: {asked!r} is not a path")
    return Path(asked)


def _raster_path(name: str, asked: PathLike | bool, scratch: Scratch | None) -> Path | None:
    if isinstance(asked, bool):
        return scratch.path / f"{name}.tif" if asked and scratch is not None else None
    return _path(name, asked)


def _check_extension(path: Path, kind: str, *extensions: str) -> None:
    if path.suffix.lower() not in extensions:
        raise OptionError(
            f"{path.name}: the file will be {kind}; name it {' or '.join(extensions)}"
        )
