"""What becomes of a scan's rows: counted, and handed to the files that were asked for.

Knows sinks and sums; nothing of how the rows came about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodeforest.core.beside import Beside
from geodeforest.core.decide import other_class, outside_id
from geodeforest.core.options import WAITING_ROWS, ScanOptions
from geodeforest.core.spec import NOT_ASSESSED, ClassDef, ModelSpec
from geodeforest.core.threads import Crew, Threads
from geodeforest.geo.areas import PixelAreas
from geodeforest.geo.class_map import map_tags
from geodeforest.geo.files import OutputSet
from geodeforest.geo.legend import confidence_legend
from geodeforest.geo.origin import Origin, as_tags
from geodeforest.geo.polygons import PolygonContext
from geodeforest.geo.raster_sinks import ClassMapSink, ScoreMapSink
from geodeforest.geo.vectorise import Tally
from geodeforest.scanning import SettledRows
from geodeforest.workflows.open_inputs import Inputs
from geodeforest.workflows.scan_report import ClassArea, ScanReport, meaning
from geodeforest.workflows.scan_targets import Targets
from geodeforest.workflows.vector_work import PolygonFiles, VectorWork


class ScanWork:
    """Counts what passes and hands rows and regions to the sinks.

    ``origin`` is what each file tells of how it came about.
    """

    def __init__(
        self, inputs: Inputs, spec: ModelSpec, options: ScanOptions, origin: Origin
    ) -> None:
        self.origin = origin
        scene = inputs.scene
        self.scene, self.spec, self.options = scene, spec, options
        self.baseline = None if inputs.baseline is None else inputs.baseline.name
        self.classes = _classes(spec, with_baseline=inputs.baseline is not None)
        self.outside = None if options.aoi is None else outside_id(spec)
        self.areas = PixelAreas(
            scene.profile.transform, scene.profile.crs, scene.height, scene.width
        )
        self.found: dict[int, tuple[int, float]] = {}
        self.failed = (0, 0.0)
        self.tally = Tally()

    def run(
        self,
        rows: Iterable[SettledRows],
        targets: Targets,
        outputs: OutputSet,
        crew: Crew = Threads,
    ) -> Any:
        """Drive all rows through the sinks; returns the polygons' frame if it was kept.

        Maps and polygons are made by one of the ``crew`` each: in threads, so that the next rows
        come meanwhile.
        """
        with ExitStack() as stack:
            maps = stack.enter_context(ExitStack())
            rasters = [
                (maps.enter_context(sink), rows_of)
                for sink, rows_of in self._rasters(targets, outputs)
            ]
            vectors = stack.enter_context(self._vectors(targets, outputs))

            def take(settled: SettledRows) -> None:
                self._count(settled)
                for sink, rows_of in rasters:
                    sink.write(rows_of(settled))

            # Left before the sinks are: none is closed while it is at work.
            with Beside(WAITING_ROWS, crew) as mapping, Beside(WAITING_ROWS, crew) as outlining:
                for settled in rows:
                    mapping.do(take, settled)
                    outlining.do(vectors.feed, settled.classes, settled.scores)
                outlining.do(vectors.finish)
                mapping.wait()
                maps.close()  # in this thread, where an interrupt breaks it off
                outlining.wait()
            self.tally = vectors.tally
        return vectors.frame()

    def _rasters(
        self, targets: Targets, outputs: OutputSet
    ) -> Iterator[tuple[ClassMapSink | ScoreMapSink, Callable[[SettledRows], NDArray[np.uint8]]]]:
        profile, spec = self.scene.profile, self.spec
        tags = as_tags(self.origin) | map_tags(spec, profile, self.baseline)
        if targets.classes is not None:
            path = outputs.scratch(targets.classes)
            yield ClassMapSink(path, profile, self.classes, tags), self._stored_classes
        if targets.scores is not None:
            path = outputs.scratch(targets.scores)
            yield ScoreMapSink(path, profile, tags), attrgetter("scores")

    def _stored_classes(self, settled: SettledRows) -> NDArray[np.uint8]:
        """Class ids as files have them: what is outside is 255, too."""
        if self.outside is None:
            return settled.classes
        return np.where(settled.classes == self.outside, np.uint8(NOT_ASSESSED), settled.classes)

    def _vectors(self, targets: Targets, outputs: OutputSet) -> VectorWork:
        profile, spec = self.scene.profile, self.spec
        found = spec.classes[spec.deforestation]
        context = PolygonContext(
            transform=profile.transform,
            crs=profile.crs,
            width=profile.width,
            scene=profile.name,
            model=f"{spec.name} {spec.version}",
            date=profile.date,
            baseline=self.baseline,
            class_names={c.id: c.name for c in self.classes},
            confidence=spec.confidence,
            min_area_ha=self.options.min_area,
            outside=self.outside,
        )
        legend = confidence_legend(meaning(found.name, self.baseline), spec.confidence)
        files = PolygonFiles(targets.polygons, outputs, legend, targets.keep, self.origin)
        return VectorWork(context, {found.id}, self.options.vector, profile.height, files)

    def _count(self, settled: SettledRows) -> None:
        counted = self.areas.count_hectares(settled.first, settled.classes)
        for class_id, more in counted.items():
            self.found[class_id] = _sum(self.found.get(class_id, (0, 0.0)), more)
        if settled.failed is not None:
            failed = self.areas.count_hectares(settled.first, settled.failed.view(np.uint8))
            self.failed = _sum(self.failed, failed.get(1, (0, 0.0)))

    def report(
        self, record: Mapping[str, Any], targets: Targets, seconds: float, frame: Any
    ) -> ScanReport:
        """The finished report."""
        names = {c.id: c.name for c in self.classes}
        unseen_px, unseen_ha = self.found.get(NOT_ASSESSED, (0, 0.0))
        outside_px, outside_ha = (0, 0.0)
        if self.outside is not None:
            outside_px, outside_ha = self.found.get(self.outside, (0, 0.0))
        seen = [
            ClassArea(i, name, *self.found.get(i, (0, 0.0))) for i, name in sorted(names.items())
        ]
        return ScanReport(
            scene=self.scene.profile.name,
            model=f"{self.spec.name} {self.spec.version}",
            scene_px=self.scene.height * self.scene.width,
            assessed_px=sum(c.px for c in seen),
            not_assessed_px=unseen_px,
            assessed_ha=sum(c.ha for c in seen),
            not_assessed_ha=unseen_ha,
            deforested_ha=self.tally.hectares,
            polygon_count=self.tally.features,
            dropped_count=self.tally.dropped,
            outline_area_change=self.tally.area_change,
            classes=seen,
            outputs=targets.names(),
            seconds=seconds,
            record=record,
            outside_px=outside_px,
            outside_ha=outside_ha,
            failed_px=self.failed[0],
            failed_ha=self.failed[1],
            _frame=frame,
            _rasters=targets.places(),
            _scratch=targets.scratch,
        )


def _classes(spec: ModelSpec, *, with_baseline: bool) -> tuple[ClassDef, ...]:
    """The classes that a class map may hold."""
    other = other_class(spec)
    return spec.classes if not with_baseline or other in spec.classes else (*spec.classes, other)


def _sum(one: tuple[int, float], other: tuple[int, float]) -> tuple[int, float]:
    return one[0] + other[0], one[1] + other[1]
