"""Draws the pictures of docs/vector-output.md: each shows one guarantee on a small made-up map.

    python docs/make_vector_pictures.py

Needs matplotlib. The polygons are those of ``geodeforest.polygonize`` and ``scan``'s writers;
where a picture shows how it goes wrong elsewhere, that is what rasterio and shapely alone give.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import rasterio
import shapely
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from PIL import Image
from rasterio.features import shapes as gdal_shapes
from shapely.geometry import shape

import geodeforest as gd
from geodeforest.core.options import VectorOptions
from geodeforest.workflows.polygonize_map import polygonize_to

HERE = Path(__file__).parent
CRS = "EPSG:32721"
PIXEL_M = 10.0
PLACE = rasterio.Affine(PIXEL_M, 0, 500_000, 0, -PIXEL_M, 9_300_000)
COLOURS = ("#cfe3cf", "#e8896b", "#8fb0d6", "#f2d48a")
LINE, WRONG, UNSEEN = "#333333", "#d0021b", "#9a9a9a"

ClassMap = NDArray[np.uint8]
Panel = tuple[str, Callable[[Axes], None]]


def blobs(height: int, width: int, grain: float, levels: Iterable[float], seed: int) -> ClassMap:
    """A class map with round borders: noise without its fine waves, cut at some levels."""
    waves = np.fft.fft2(np.random.default_rng(seed).standard_normal((height, width)))
    row, col = np.fft.fftfreq(height)[:, np.newaxis], np.fft.fftfreq(width)
    field = np.fft.ifft2(waves * np.exp(-((row**2 + col**2) * grain**2))).real
    return np.digitize(field / field.std(), list(levels)).astype(np.uint8)


def polygons(classes: ClassMap, **options: Any) -> Any:
    """All classes of a map as polygons in its CRS."""
    return gd.polygonize(classes, PLACE, CRS, **{"min_area": 0, "only": "all", **options})


def in_pixels(geometry: Any) -> Any:
    """A geometry of the map's CRS in columns and rows."""
    return shapely.transform(geometry, lambda points: abs(points - (PLACE.c, PLACE.f)) / PIXEL_M)


def draw(axes: Axes, geometry: Any, **look: Any) -> None:
    """A polygon, or several, in columns and rows."""
    for part in shapely.get_parts(geometry):
        if part.geom_type == "Polygon" and not part.is_empty:
            rings = [Outline(np.array(r.coords), closed=True) for r in shapely.get_rings(part)]
            axes.add_patch(PathPatch(Outline.make_compound_path(*rings), **look))


def draw_frame(axes: Axes, frame: Any, **look: Any) -> None:
    """All polygons of a frame in the colours of their classes."""
    for geometry, name in zip(frame.geometry, frame["class"], strict=True):
        colour = COLOURS[int(name) % len(COLOURS)]
        draw(axes, in_pixels(geometry), **{"fc": colour, "ec": LINE, "lw": 1.0, **look})


def draw_pixels(axes: Axes, classes: ClassMap, alpha: float = 1.0) -> None:
    """The class map itself."""
    known = np.ma.masked_equal(classes, 255)
    height, width = classes.shape
    colours = mpl.colors.ListedColormap(COLOURS)
    axes.imshow(
        known, colours, vmin=-0.5, vmax=3.5, extent=(0, width, height, 0), alpha=alpha, zorder=0
    )


def traced(classes: ClassMap, rows: int) -> list[tuple[Any, int]]:
    """Polygons and classes as GDAL traces them from bands of so many rows."""
    found = []
    for top in range(0, len(classes), rows):
        place = rasterio.Affine(PIXEL_M, 0, PLACE.c, 0, -PIXEL_M, PLACE.f - top * PIXEL_M)
        band = gdal_shapes(classes[top : top + rows], transform=place)
        found += [(shape(geometry), int(value)) for geometry, value in band]
    return found


def picture(name: str, *panels: Panel, size: tuple[int, int], unit: float = 0.12) -> None:
    """Panels of maps of ``size`` (rows, cols) side by side, each under its title."""
    rows, cols = size
    figure, every = plt.subplots(
        1, len(panels), figsize=(len(panels) * cols * unit, rows * unit + 0.4), dpi=100
    )
    for axes, (title, fill) in zip(np.atleast_1d(every), panels, strict=True):
        fill(axes)
        axes.set(xlim=(0, cols), ylim=(rows, 0), aspect="equal", xticks=[], yticks=[])
        axes.set_title(title, fontsize=9)
    figure.tight_layout(pad=0.4, w_pad=0.8)
    save(figure, name)


def save(figure: Any, name: str) -> None:
    """The figure as a small PNG."""
    path = HERE / "pictures" / f"vector-{name}.png"
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)


def exact() -> None:
    """Traced per chip and traced in one stream."""
    classes = blobs(36, 40, 11, [0.2], seed=4)

    def per_chip(axes: Axes) -> None:
        for geometry, value in traced(classes, 12):
            draw(axes, in_pixels(geometry), fc=COLOURS[value], ec=LINE, lw=1)
        for row in (12, 24):
            axes.axhline(row, color=WRONG, lw=1.5)

    picture(
        "exact",
        (f"traced per band: {len(traced(classes, 12))} pieces", per_chip),
        (
            f"geodeforest: {len(polygons(classes))} polygons, pixel for pixel",
            lambda axes: draw_frame(axes, polygons(classes, simplify=0)),
        ),
        size=classes.shape,
    )


def borders() -> None:
    """Simplified polygon by polygon, and arc by arc."""
    classes, metres = blobs(36, 40, 9, [-0.5, 0.5], seed=8), 15.0
    ours = polygons(classes, simplify=metres)
    alone = [
        (shapely.simplify(geometry, metres), value)
        for geometry, value in traced(classes, len(classes))
    ]
    whole = shapely.box(0, 0, *classes.shape[::-1])

    def one_by_one(axes: Axes) -> None:
        shapes = [in_pixels(geometry) for geometry, _ in alone]
        for geometry, (_, value) in zip(shapes, alone, strict=True):
            draw(axes, geometry, fc=COLOURS[value], ec="none")
        gaps = whole.difference(shapely.union_all(shapes))
        draw(axes, gaps, fc=WRONG, ec="none")
        for i, one in enumerate(shapes):
            for other in shapes[i + 1 :]:
                draw(axes, one.intersection(other), fc="#6a0dad", ec="none")

    picture(
        "borders",
        ("each polygon by itself: gaps red, overlaps violet", one_by_one),
        ("geodeforest: shared arcs", lambda axes: draw_frame(axes, ours)),
        size=classes.shape,
    )


def centres() -> None:
    """Outlines of the default among the centres of pixels."""
    classes = blobs(18, 24, 6, [0.1], seed=11)

    def dots(axes: Axes) -> None:
        draw_pixels(axes, classes, alpha=0.55)
        draw_frame(axes, polygons(classes), fc="none", lw=1.8)
        row, col = np.indices(classes.shape) + 0.5
        colours = np.where(classes.ravel(), "#b5391b", "#2c6e2c")
        axes.scatter(col.ravel(), row.ravel(), s=5, c=colours)

    def stairs(axes: Axes) -> None:
        draw_pixels(axes, classes, alpha=0.55)
        draw_frame(axes, polygons(classes, simplify=0), fc="none", lw=1.8)

    picture(
        "centres",
        ("--simplify 0: the pixels' own outlines", stairs),
        ("default: every centre on its side", dots),
        size=classes.shape,
        unit=0.2,
    )


def area() -> None:
    """How far areas change, polygon by polygon."""
    classes = blobs(500, 500, 14, [0.6], seed=2)
    ours = polygons(classes, only=1)
    exactly = polygons(classes, only=1, simplify=0)
    metres = PIXEL_M / 2**0.5
    alone = shapely.area(shapely.simplify(exactly.geometry.values, metres))
    figure, axes = plt.subplots(figsize=(6, 3), dpi=100)
    for areas, colour, label in (
        (alone, WRONG, "each polygon by itself, same tolerance"),
        (shapely.area(ours.geometry.values), "#2c6e2c", "geodeforest, default"),
    ):
        pixels = areas / PIXEL_M**2
        change = 100 * (pixels / exactly["pixels"] - 1)
        axes.scatter(exactly["pixels"], change, 9, colour, alpha=0.7)
        whole = 100 * (pixels.sum() / exactly["pixels"].sum() - 1)
        typical = (change**2).mean() ** 0.5
        axes.plot(
            [], [], "o", color=colour, label=f"{label}: all {whole:+.1f} %, each {typical:.1f} %"
        )
    axes.set(xscale="log", xlabel="pixels of the polygon", ylabel="change of its area, %")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.tight_layout(pad=0.4)
    save(figure, "area")


def min_area() -> None:
    """A clearing across three bands of rows, judged in pieces and whole."""
    classes = np.zeros((30, 40), np.uint8)
    row, col = np.indices(classes.shape)
    classes[abs(col - 8 - row * 0.8) < 1.6] = 1
    classes[22:25, 5:8] = 1

    def per_band(axes: Axes) -> None:
        draw_pixels(axes, np.zeros_like(classes))
        for geometry, value in traced(classes, 10):
            if value and geometry.area >= 5_000:
                draw(axes, in_pixels(geometry), fc=COLOURS[1], ec=LINE, lw=1)
            elif value:
                draw(axes, in_pixels(geometry), fc="none", ec=WRONG, lw=1.2, ls="--")
        for line in (10, 20):
            axes.axhline(line, color=WRONG, lw=1)

    def whole(axes: Axes) -> None:
        draw_pixels(axes, np.zeros_like(classes))
        draw_frame(axes, polygons(classes, only=1, min_area=0.5))

    picture(
        "min-area",
        ("judged in each band: the clearing is lost", per_band),
        ("geodeforest: judged whole, 0.5 ha", whole),
        size=classes.shape,
    )


def merge_small() -> None:
    """Small regions dropped, and given to a neighbour."""
    classes = blobs(36, 40, 7, [-0.2, 0.9], seed=21)
    speckled = classes.copy()
    rng = np.random.default_rng(1)
    for row, col in rng.integers(0, 34, (14, 2)):
        speckled[row : row + 2, col : col + 2] = rng.integers(0, 3)
    picture(
        "merge-small",
        (
            "--min-area 0.5: small ones leave holes",
            lambda axes: draw_frame(axes, polygons(speckled, min_area=0.5)),
        ),
        (
            "with --merge-small: no hole",
            lambda axes: draw_frame(axes, polygons(speckled, min_area=0.5, merge_small=True)),
        ),
        size=classes.shape,
    )


def smooth() -> None:
    """Outlines rounded without changing an area."""
    classes = blobs(24, 28, 8, [-0.4, 0.6], seed=30)

    def rounded(axes: Axes) -> None:
        frame = polygons(classes, smooth=True)
        draw_frame(axes, frame, lw=1.4)
        change = shapely.area(frame.geometry.values) / (frame["pixels"] * PIXEL_M**2) - 1
        axes.set_xlabel(f"greatest change of an area: {abs(change).max():.0e}", fontsize=8)

    def stairs(axes: Axes) -> None:
        draw_frame(axes, polygons(classes, simplify=0), lw=1.4)
        axes.set_xlabel("the pixels' own outlines", fontsize=8)

    picture("smooth", ("--simplify 0", stairs), ("--smooth", rounded), size=(24, 28), unit=0.18)


def not_assessed() -> None:
    """What nothing is known of has polygons of its own."""
    classes = blobs(30, 40, 8, [0.4], seed=41)
    row, col = np.indices(classes.shape)
    classes[(row - 12) ** 2 / 40 + (col - 26) ** 2 / 90 < 1] = 255
    frame = polygons(classes, only=1)
    unseen = polygons(np.where(classes == 255, 1, 0).astype(np.uint8), only=1)

    def layers(axes: Axes) -> None:
        axes.set_facecolor(COLOURS[0])
        draw_frame(axes, frame[~frame["touches_unobserved"]])
        draw_frame(axes, frame[frame["touches_unobserved"]], lw=2, ls=":")
        for geometry in unseen.geometry:
            draw(axes, in_pixels(geometry), fc="#d9d9d9", ec=UNSEEN, hatch="////", lw=1)

    picture(
        "not-assessed",
        ("the class map, white = 255", lambda axes: draw_pixels(axes, classes)),
        ("the layers; dotted: touches_unobserved", layers),
        size=classes.shape,
    )


def rfc_7946() -> None:
    """A polygon across the antimeridian."""
    classes = np.ones((30, 60), np.uint8)
    place = rasterio.Affine(1_000, 0, 803_000, 0, -1_000, 115_000)
    raster = gd.Raster(classes[np.newaxis], place, "EPSG:32660")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fiji.geojson"
        polygonize_to(raster, [path], VectorOptions(0))
        written = json.loads(path.read_text("utf-8"))
    split = shape(written["features"][0]["geometry"])
    longitudes = shapely.get_coordinates(split)[:, 0]
    latitudes = shapely.get_coordinates(split)[:, 1]
    naive = shapely.box(
        longitudes[longitudes < 0].max(),
        latitudes.min(),
        longitudes[longitudes > 0].min(),
        latitudes.max(),
    )
    figure, axes = plt.subplots(2, 1, figsize=(6, 3), dpi=100, sharex=True)
    for one, geometry, colour, title in (
        (axes[0], naive, WRONG, "plain corners: around the whole Earth"),
        (axes[1], split, "#2c6e2c", f"geodeforest: bbox {written['bbox']}"),
    ):
        for part in shapely.get_parts(geometry):
            west, south, east, north = part.bounds
            one.add_patch(
                mpl.patches.Rectangle(
                    (west, south), east - west, north - south, fc=colour, ec=colour, lw=3
                )
            )
        one.set(xlim=(-185, 185), ylim=(0.3, 1.5), yticks=[], xticks=[-180, -90, 0, 90, 180])
        one.set_title(title, fontsize=9)
    axes[1].set_xlabel("longitude", fontsize=8)
    figure.tight_layout(pad=0.4)
    save(figure, "rfc-7946")


def main() -> None:
    """Draw all of them."""
    mpl.use("Agg")
    for make in (
        exact,
        borders,
        centres,
        area,
        min_area,
        merge_small,
        smooth,
        not_assessed,
        rfc_7946,
    ):
        make()


if __name__ == "__main__":
    main()
