"""What a scan found, as values and as the run record."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geodeforest.core.grid import Window
from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.errors import OptionError

if TYPE_CHECKING:
    import geopandas
    import numpy as np
    from numpy.typing import NDArray
    from rasterio.windows import Window as RasterioWindow

NO_BASELINE = "non-forest on one date, no baseline"
NOT_ADJUSTED = "mapped area, not an error-adjusted estimate"


def meaning(found: str, baseline: str | None) -> str:
    """What polygons of the class ``found`` are, given the file that tells what was forest."""
    return f"{found} ({NO_BASELINE})" if baseline is None else f"{found} of {baseline}"


_PARTLY_UNREAD = 4  # an exit code


class Scratch:
    """A folder for rasters that nobody named; it goes with the report that reads them.

    One ``given`` by another process is left to that.
    """

    def __init__(self, given: Path | None = None) -> None:
        if given is not None:
            self.path = given
            return
        self.path = Path(tempfile.mkdtemp(prefix="geodeforest-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class ClassArea:
    """Pixels of a class in the class map, and their geodesic area in hectares."""

    id: int
    name: str
    px: int
    ha: float


@dataclass(frozen=True, slots=True, eq=False)
class ScanReport:
    """The outcome of one scan.

    ``assessed_px + not_assessed_px + outside_px`` is the scene. Hectares are geodesic, on
    the WGS 84 ellipsoid. ``deforested_ha`` is the area of the reported polygons, of which
    ``polygon_count`` were written and ``dropped_count`` were under the minimum area;
    ``outline_area_change`` is the share by which simplified outlines changed it.
    ``failed_px`` of those not assessed could not be read, or lie too near to what could not.
    ``record`` holds what else the run record says: scene, model, options.
    """

    scene: str
    model: str
    scene_px: int
    assessed_px: int
    not_assessed_px: int
    assessed_ha: float
    not_assessed_ha: float
    deforested_ha: float
    polygon_count: int
    dropped_count: int
    classes: Sequence[ClassArea]
    outputs: Mapping[str, str | Sequence[str]]
    seconds: float
    outline_area_change: float = 0.0
    record: Mapping[str, Any] = field(default_factory=dict)
    outside_px: int = 0
    outside_ha: float = 0.0
    failed_px: int = 0
    failed_ha: float = 0.0
    _frame: geopandas.GeoDataFrame | None = field(default=None, repr=False)
    _rasters: Mapping[str, Path] = field(default_factory=dict, repr=False)
    _scratch: Scratch | None = field(default=None, repr=False)

    @property
    def exit_code(self) -> int:
        """What the command line ends with: 4 where blocks could not be read, else 0."""
        return _PARTLY_UNREAD if self.failed_px else 0

    @property
    def polygons(self) -> geopandas.GeoDataFrame:
        """The polygons in the scene's CRS, one row each."""
        if self._frame is None:
            raise OptionError("the polygons were not kept in memory; read them from the output")
        return self._frame

    def class_map(self, window: Window | RasterioWindow | None = None) -> NDArray[np.uint8]:
        """Class ids (rows, cols), 255 = not assessed; of the whole scene or a window.

        Raises:
            OptionError: the scan was called without ``classes``, or the window leaves the map.
        """
        return self._read("classes", window)

    def scores(self, window: Window | RasterioWindow | None = None) -> NDArray[np.float32]:
        """Deforestation scores 0..1 (rows, cols), NaN = not assessed.

        Raises:
            OptionError: the scan was called without ``scores``, or the window leaves the map.
        """
        import numpy as np

        from geodeforest.core.decide import STEPS

        stored = self._read("scores", window)
        scores = stored.astype(np.float32) / np.float32(STEPS)
        scores[stored == NOT_ASSESSED] = np.nan
        return scores

    def to_dict(self) -> dict[str, Any]:
        """The run record: plain values, ready for JSON."""
        return {
            **self.record,
            "counts": {
                "scene_px": self.scene_px,
                "assessed_px": self.assessed_px,
                "not_assessed_px": self.not_assessed_px,
                "outside_px": self.outside_px,
                "failed_px": self.failed_px,
                "polygons": self.polygon_count,
                "polygons_under_min_area": self.dropped_count,
            },
            "hectares": {
                "assessed": round(self.assessed_ha, 4),
                "not_assessed": round(self.not_assessed_ha, 4),
                "outside": round(self.outside_ha, 4),
                "failed": round(self.failed_ha, 4),
                "deforested": round(self.deforested_ha, 4),
            },
            "outline_area_change": round(self.outline_area_change, 6),
            "classes": [
                {"id": c.id, "name": c.name, "px": c.px, "ha": round(c.ha, 4)} for c in self.classes
            ],
            "outputs": dict(self.outputs),
            "seconds": round(self.seconds, 3),
        }

    def _read(self, name: str, window: Window | RasterioWindow | None) -> NDArray[np.uint8]:
        from geodeforest.geo.parts import asked_window
        from geodeforest.geo.scene import open_scene

        if name not in self._rasters:
            raise OptionError(f"the scan kept no {name}; call it with {name}=True or a path")
        with open_scene(self._rasters[name], georeferenced=False, palette=True) as raster:
            height, width = raster.height, raster.width
            whole = Window(0, 0, height, width)
            part = whole if window is None else asked_window(window, height, width)
            values: NDArray[np.uint8] = raster.read(part).values[0]
        return values


_TOLD = ("counts", "hectares", "outline_area_change", "classes", "outputs", "seconds")


def report_of(record: Mapping[str, Any], rasters: Mapping[str, Path]) -> ScanReport:
    """The report of a scan that was finished before, from its run record."""
    counts, hectares, model = record["counts"], record["hectares"], record["model"]
    return ScanReport(
        scene=record["scene"]["name"],
        model=f"{model['name']} {model['version']}",
        scene_px=counts["scene_px"],
        assessed_px=counts["assessed_px"],
        not_assessed_px=counts["not_assessed_px"],
        assessed_ha=hectares["assessed"],
        not_assessed_ha=hectares["not_assessed"],
        deforested_ha=hectares["deforested"],
        polygon_count=counts["polygons"],
        dropped_count=counts["polygons_under_min_area"],
        classes=[ClassArea(**each) for each in record["classes"]],
        outputs=record["outputs"],
        seconds=record["seconds"],
        outline_area_change=record["outline_area_change"],
        record={name: value for name, value in record.items() if name not in _TOLD},
        outside_px=counts["outside_px"],
        outside_ha=hectares["outside"],
        failed_px=counts["failed_px"],
        failed_ha=hectares["failed"],
        _rasters=rasters,
    )
