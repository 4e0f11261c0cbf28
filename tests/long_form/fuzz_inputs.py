"""The good inputs that the fuzzer changes: small, made here, one of each layout."""

from __future__ import annotations

import csv
import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from affine import Affine
from hostile_models import SPEC, vouch
from hostile_networks import graph
from onnx import helper

from geodeforest import testing
from geodeforest.core.pixels import BandScale
from geodeforest.core.spec import CLASSES, SceneInput
from geodeforest.nn.index import RecordFormat, RecordIndex, SetFacts, Shard, Tally

SIDE = 96
ODD_BYTES = 64 * 2**10


def pixels(dtype: str = "uint8", bands: int = 1) -> np.ndarray:
    draw = np.random.default_rng(1)
    blocks = draw.integers(0, 256, (bands, SIDE // 8, SIDE // 8))
    return blocks.repeat(8, 1).repeat(8, 2).astype(dtype)


TILES = {"tiled": True, "blockxsize": 32, "blockysize": 32}
LAYOUTS: dict[str, dict[str, object]] = {
    "strips.tif": {},
    "lzw.tif": {"compress": "lzw", "predictor": 2, "blockysize": 16},
    "packbits.tif": {"compress": "packbits"},
    "tiles.tif": {"compress": "deflate", **TILES},
    "zstd.tif": {"compress": "zstd", **TILES},
    "jpeg.tif": {"compress": "jpeg", **TILES},
    "big.tif": {"BIGTIFF": "YES", "compress": "deflate", **TILES},
    "motorola.tif": {"ENDIANNESS": "BIG", "compress": "lzw"},
    "nodata.tif": {"nodata": 0, "compress": "deflate", **TILES},
    "degrees.tif": {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, -60, 0, -1e-4, -5)},
    "tags.tif": {"tags": {"TIFFTAG_DATETIME": "2020:01:01 00:00:00", "cloud": "yes"}},
}


@cache
def scenes() -> dict[str, bytes]:
    """Georeferenced TIFFs."""
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, options in LAYOUTS.items():
            path = testing.make_scene(Path(folder) / name, pixels(), **options)
            made[name] = path.read_bytes()
        masked = pixels()[0] > 40
        path = Path(folder) / "masked.tif"
        made["masked.tif"] = testing.make_scene(path, pixels(), valid=masked, **TILES).read_bytes()
        path = Path(folder) / "float.tif"
        floats = pixels("float32") / 255
        floats[:, :3, :5] = np.nan
        made["float.tif"] = testing.make_scene(path, floats, compress="deflate").read_bytes()
        path = Path(folder) / "bands.tif"
        three = pixels("uint16", 3)
        made["bands.tif"] = testing.make_scene(path, three, interleave="band").read_bytes()
    return made


def plain_scene() -> bytes:
    return scenes()["tiles.tif"]


def odd_scenes(corpus: Path) -> dict[str, bytes]:
    """The small ones of a folder of other projects' TIFFs that its list calls good."""
    with (corpus / "MANIFEST.tsv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    good = [row["file"] for row in rows if row["expected_geodeforest"].startswith("OK")]
    small = [name for name in good if (corpus / name).stat().st_size < ODD_BYTES]
    return {name: (corpus / name).read_bytes() for name in small}


WEST, SOUTH = -57.0, -6.3405
RING = [[0, 0], [0.005, 0], [0.005, 0.004], [0.002, 0.007], [0, 0]]
HOLE = [[0.001, 0.0005], [0.002, 0.0005], [0.002, 0.001], [0.001, 0.0005]]


def ring(places: list[list[float]], by: float = 0.0) -> list[list[float]]:
    return [[round(WEST + x + by, 6), round(SOUTH + y, 6)] for x, y in places]


def collection(*geometries: dict[str, object], **more: object) -> bytes:
    features = [{"type": "Feature", "properties": {"n": 1}, "geometry": g} for g in geometries]
    return json.dumps({"type": "FeatureCollection", **more, "features": features}).encode()


@cache
def limits() -> dict[str, bytes]:
    """Polygons over ``plain_scene`` in several formats, and a raster."""
    polygon = {"type": "Polygon", "coordinates": [ring(RING), ring(HOLE)]}
    several = {"type": "MultiPolygon", "coordinates": [[ring(RING)], [ring(HOLE, 0.006)]]}
    metres = [[500_100, 9_299_900], [500_500, 9_299_900], [500_500, 9_299_400]]
    projected = {"type": "Polygon", "coordinates": [[*metres, metres[0]]]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32721"}}
    made = {
        "polygon.geojson": collection(polygon),
        "several.geojson": b"\xef\xbb\xbf" + collection(several, polygon),
        "projected.geojson": collection(projected, crs=crs),
        "bare.geojson": json.dumps(polygon).encode(),
    }
    with tempfile.TemporaryDirectory() as folder:
        import geopandas

        (Path(folder) / "source.geojson").write_bytes(made["projected.geojson"])
        frame = geopandas.read_file(Path(folder) / "source.geojson")
        for name, driver in (("a.gpkg", "GPKG"), ("a.fgb", "FlatGeobuf")):
            frame.to_file(Path(folder) / name, driver=driver)
            made[name] = (Path(folder) / name).read_bytes()
        raster = (pixels() > 90).astype(np.uint8)
        path = testing.make_scene(Path(folder) / "limit.tif", raster, compress="deflate")
        made["limit.tif"] = path.read_bytes()
    return made


@cache
def network() -> bytes:
    """More weights than structure."""
    kernel = np.random.default_rng(0).normal(0, 0.1, (2, 1, 7, 7)).astype(np.float32)
    model = graph(kernel=kernel)
    model.graph.node[1].attribute.append(helper.make_attribute("pads", [3, 3, 3, 3]))
    return model.SerializeToString()


def spec_of(data: bytes) -> bytes:
    """The spec of a directory that vouches for this network."""
    return json.dumps({**SPEC, "files": {"model.onnx": vouch(data)}}).encode()


@cache
def specs() -> dict[str, bytes]:
    """Specs of the small network, one of them with all that a spec can have."""
    dark = {"name": "dark", "percentile": 2, "windows": 16, "window": 32, "ceiling": None}
    more = {
        "gsd_m": 10,
        "licence": "Free for all, for ever, for whatever purpose, without any warranty at all",
        "scale": {"uint16": {"low": [0], "high": [3558]}},
        "training": {"scenes": ["a", "b"]},
        "metrics": {"iou": 0.5, "confidence_precision": {"low": 0.7, "high": None}},
    }
    full = json.loads(spec_of(network())) | more | {"scene_inputs": [dark]}
    return {"model.json": spec_of(network()), "full/model.json": json.dumps(full).encode()}


@cache
def index() -> bytes:
    """An index of training records; the shards that it names are not looked at."""
    form = RecordFormat("uint8", 32, 32, ("red", "green", "blue"), CLASSES[:2], levels=3)
    facts = SetFacts(BandScale(0, 255), (SceneInput("dark", 2),), 10.0, ("b",))
    shards = tuple(Shard(f"records-{n}.tfrecord.gz", 2, 999, 64 * "a") for n in range(2))
    made = RecordIndex(form, facts, shards, Tally({"a": 3, "b": 1}, {0: 4000, 1: 96}))
    return made.to_json().encode()
