"""The algorithm ``geodeforest:polygonize``."""

from __future__ import annotations

from qgis.core import QgsProcessingParameterDefinition

from .algorithm import ProgramAlgorithm
from .parameters import outlines, polygons, raster, text


class Polygonize(ProgramAlgorithm):
    """Class map to polygons."""

    COMMAND = "polygonize"
    TITLE = "Polygonize class map"
    ABOUT = (
        "Makes polygons of a class map, of geodeforest or any other program, with geodesic areas. "
        "Neighbours share their borders exactly, without gaps or overlaps."
    )
    REPEATED = ("ONLY",)

    def definitions(self) -> list[QgsProcessingParameterDefinition]:
        """Map, what to take of it, how to draw, what to write."""
        return [
            raster("INPUT", "Class map", "Raster of whole numbers, one for each class."),
            text(
                "ONLY",
                "Only these classes",
                "Names or numbers of classes with commas between them, or all. "
                "Empty: deforestation, which is 1 in a map without names.",
            ),
            raster(
                "SCORES",
                "Score map",
                "Scores of the same pixels, for the polygons' score attributes.",
                optional=True,
            ),
            *outlines(),
            polygons("Polygons"),
        ]
