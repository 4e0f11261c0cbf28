"""Features to write, and what is read of their files again."""

from __future__ import annotations

from itertools import islice

import geopandas
import shapely
from rasterio.crs import CRS

from geodeforest.core.spec import ConfidenceRule
from geodeforest.geo.legend import confidence_legend
from geodeforest.geo.polygons import COLUMNS, Feature
from geodeforest.geo.vector_sinks import open_vector_sink

UTM = CRS.from_epsg(32721)

LEGEND = confidence_legend("deforestation", ConfidenceRule(0.75, 0.9))

HOLED = shapely.Polygon(
    shapely.box(6e5, 9.7e6, 6e5 + 90, 9.7e6 + 90).exterior.coords,
    [shapely.box(6e5 + 30, 9.7e6 + 30, 6e5 + 60, 9.7e6 + 60).exterior.coords],
)


def feature(geometry=HOLED, number=1, **changes):
    facts = {
        "class_name": "deforestation",
        "area_ha": 0.72,
        "pixels": 72,
        "score_mean": 0.75,
        "score_min": 0.5,
        "confidence": "medium",
        "date": "2024-07-06",
        "scene": "Pará.tif",
        "model": "forest 1.0",
        "baseline": None,
        "touches_unobserved": False,
    }
    return Feature(geometry=geometry, id=number, **{**facts, **changes})


def attributes(feature):
    """The values of a feature by column."""
    return {name: getattr(feature, {"class": "class_name"}.get(name, name)) for name in COLUMNS}


def boxes(count, x=6e5, y=9.7e6):
    """Features in a row, 100 m apart."""
    return [
        feature(shapely.box(x + 100 * i, y, x + 100 * i + 90, y + 90), i + 1) for i in range(count)
    ]


def written(path, features, crs=UTM, at_once=100):
    coming = iter(features)
    with open_vector_sink(path, crs, LEGEND) as sink:
        while batch := list(islice(coming, at_once)):
            sink.write(batch)
    return path


def read(path):
    """The features of any format, by id."""
    if path.suffix == ".parquet":
        frame = geopandas.read_parquet(path)
    else:
        frame = geopandas.read_file(path, layer=0)
    return frame.sort_values("id", ignore_index=True) if len(frame) else frame
