"""What a scan's outputs cost beside the network, part by part, against GDAL's own tools.

    python benchmarks/output_cost.py [--side 4096] [--repeats 3]

The rows are those that the built-in model makes of a forest with clearings (``scenes.py``),
repeated as the forest is; no network is at work while anything is measured.
Figures are CPU seconds of the process per megapixel, the least of some repeats, since wall time
says nothing where others work. The baseline for maps is a tiled GeoTIFF per map that GDAL's
driver "COG" copies; for polygons it is ``rasterio.features.shapes`` and pyogrio's GeoJSON, which
know no areas, no scores and no simplification.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import geopandas
import numpy as np
import rasterio
import rasterio.features
import rasterio.shutil
from scenes import PERIOD, forest
from shapely.geometry import shape

import geodeforest
from geodeforest.core.decide import STEPS
from geodeforest.core.options import ScanOptions
from geodeforest.core.spec import NOT_ASSESSED
from geodeforest.core.trace import RegionTracer
from geodeforest.core.vertices import GridVertices
from geodeforest.geo.areas import PixelAreas
from geodeforest.geo.fingerprints import file_fingerprint
from geodeforest.geo.geojson import GeoJSONSink
from geodeforest.geo.polygons import PolygonContext
from geodeforest.geo.profile import grid_metric
from geodeforest.geo.raster_sinks import ClassMapSink, ScoreMapSink
from geodeforest.geo.vectorise import Vectoriser
from geodeforest.scanning import SettledRows
from geodeforest.workflows.load_model import load_model
from geodeforest.workflows.open_inputs import open_inputs
from geodeforest.workflows.scan_targets import chosen_targets
from geodeforest.workflows.scan_work import ScanWork

BORDER = 128  # px at the scene's edges, where chips see less
PORTION_PX = 2**20


@dataclass
class Work:
    """The rows to be written, and where."""

    folder: Path
    scene: Path
    classes: np.ndarray
    scores: np.ndarray

    @property
    def megapixels(self) -> float:
        """Pixels of the scene in millions."""
        return self.classes.size / 1e6

    def rows(self) -> Iterator[SettledRows]:
        """Portions as the scan loop gives them."""
        height, width = self.classes.shape
        some = max(1, PORTION_PX // width)
        for first in range(0, height, some):
            part = slice(first, first + some)
            yield SettledRows(first, self.classes[part], self.scores[part])


@click.command()
@click.option("--side", default=4096, show_default=True, help="Rows and columns of the scene.")
@click.option("--repeats", default=3, show_default=True, help="The least of these counts.")
def main(side: int, repeats: int) -> None:
    """Print CPU seconds per megapixel of each part, of all together, and of the baseline."""
    with tempfile.TemporaryDirectory() as folder:
        work = made_rows(Path(folder), side)
        figures = {
            name: min(seconds(part, work) for _ in range(repeats)) / work.megapixels
            for name, part in {**parts(work), **WHOLES, **BASELINES}.items()
        }
        sizes = {p.name: p.stat().st_size for p in sorted(Path(folder).glob("*.*"))}
    for name, figure in figures.items():
        click.echo(f"{name:<42}{figure:.4f} s/Mpx")
    ours, gdals = figures["all outputs, as a scan writes them"], sum(figures[b] for b in BASELINES)
    click.echo(f"{'all outputs / both baselines':<42}{ours / gdals:.2f}")
    click.echo(json.dumps({"side": side, "bytes": sizes}))


def seconds(part: Callable[[Work], object], work: Work) -> float:
    """CPU seconds of all threads of the process."""
    started = time.process_time()
    part(work)
    return time.process_time() - started


def made_rows(folder: Path, side: int) -> Work:
    """Class ids and scores of the built-in model, repeated."""
    one = PERIOD + 2 * BORDER
    report = geodeforest.scan(forest(one, one), classes=True, scores=True)
    at = BORDER + np.arange(side) % PERIOD
    stored = np.nan_to_num(np.rint(report.scores() * STEPS), nan=NOT_ASSESSED).astype(np.uint8)
    classes, scores = (
        np.ascontiguousarray(band[at][:, at]) for band in (report.class_map(), stored)
    )
    return Work(folder, forest(side, side), classes, scores)


def parts(work: Work) -> dict[str, Callable[[Work], object]]:
    """Each part alone, with what those before it found."""
    options, spec = ScanOptions(), load_model().spec
    with open_inputs(work.scene, options, spec) as inputs:
        profile = inputs.scene.profile
    height, width = work.classes.shape
    context = PolygonContext(
        transform=profile.transform, crs=profile.crs, width=width, scene="scene.tif",
        model=None, date=None, baseline=None, class_names={}, confidence=None,
        min_area_ha=options.min_area,
    )  # fmt: skip
    metric = grid_metric(profile.transform, profile.crs, height, width)
    found = []

    def counted(work: Work) -> None:
        areas = PixelAreas(profile.transform, profile.crs, height, width)
        for rows in work.rows():
            areas.count_hectares(rows.first, rows.classes)

    def class_map(work: Work) -> None:
        with ClassMapSink(work.folder / "c.tif", profile, spec.classes, {}) as sink:
            for rows in work.rows():
                sink.write(rows.classes)

    def score_map(work: Work) -> None:
        with ScoreMapSink(work.folder / "s.tif", profile, {}) as sink:
            for rows in work.rows():
                sink.write(rows.scores)

    def traced(work: Work) -> None:
        tracer = RegionTracer(width, {1}, GridVertices(width))
        for rows in work.rows():
            tracer.feed(rows.classes, rows.scores)
        tracer.finish()

    def polygons(work: Work) -> None:
        made = Vectoriser(context, {1}, options.vector, metric, height)
        found[:] = [made.feed(rows.classes, rows.scores) for rows in work.rows()]
        found.append(made.finish())

    def geojson(work: Work) -> None:
        with GeoJSONSink(work.folder / "p.geojson", profile.crs) as sink:
            for finished in found:
                sink.write(finished.features)

    def hashed(work: Work) -> None:
        for name in ("c.tif", "s.tif", "p.geojson"):
            file_fingerprint(work.folder / name)

    return {
        "pixels and hectares by class": counted,
        "class map, read back": class_map,
        "score map, read back": score_map,
        "regions traced": traced,
        "regions traced, simplified and measured": polygons,
        "GeoJSON of these": geojson,
        "SHA-256 of the outputs": hashed,
    }


def all_outputs(work: Work) -> None:
    """What a scan does with its rows, in the threads in which it does so."""
    options, spec = ScanOptions(), load_model().spec
    names = (work.folder / name for name in ("all.geojson", "all_c.tif", "all_s.tif"))
    targets = chosen_targets(*names, None, overwrite=True)
    with open_inputs(work.scene, options, spec) as inputs, targets.reserve([]) as outputs:
        ScanWork(inputs, spec, options, {}).run(work.rows(), targets, outputs)


def gdal_maps(work: Work) -> None:
    """Tiles as rows come, then a copy by the driver "COG"."""
    with rasterio.open(work.scene) as scene:
        profile = {"crs": scene.crs, "transform": scene.transform, "nodata": 255, "count": 1}
    height, width = work.classes.shape
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "DEFLATE"}
    for name, values, rule in (
        ("classes", work.classes, "NEAREST"),
        ("scores", work.scores, "AVERAGE"),
    ):
        plain, cog = work.folder / f"gdal_{name}_tiles.tif", work.folder / f"gdal_{name}.tif"
        with rasterio.open(
            plain, "w", driver="GTiff", height=height, width=width, dtype="uint8",
            zlevel=1, **tiles, **profile,
        ) as dataset:  # fmt: skip
            dataset.write(values, 1)
        rasterio.shutil.copy(
            plain, cog, driver="COG", compress="DEFLATE", predictor="YES", blocksize=512,
            overview_resampling=rule,
        )  # fmt: skip
        plain.unlink()


def gdal_polygons(work: Work) -> None:
    """Pixel outlines of the whole array at once."""
    with rasterio.open(work.scene) as scene:
        transform, crs = scene.transform, scene.crs
    found = rasterio.features.shapes(work.classes, work.classes == 1, transform=transform)
    frame = geopandas.GeoDataFrame(geometry=[shape(outline) for outline, _ in found], crs=crs)
    frame.to_file(work.folder / "gdal.geojson", driver="GeoJSON", RFC7946="YES")


WHOLES = {"all outputs, as a scan writes them": all_outputs}
BASELINES = {
    "baseline: GDAL's COGs of both maps": gdal_maps,
    "baseline: GDAL's shapes and GeoJSON": gdal_polygons,
}


if __name__ == "__main__":
    main()
