"""The algorithm ``geodeforest:scan``."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterDestination,
)

from .algorithm import ProgramAlgorithm
from .parameters import (
    advanced,
    count,
    file,
    helped,
    number,
    outlines,
    polygons,
    raster,
    text,
    ticked,
)


class Scan(ProgramAlgorithm):
    """Scene to polygons."""

    COMMAND = "scan"
    TITLE = "Scan for deforestation"
    ABOUT = (
        "Finds deforestation in a satellite scene and writes it as polygons with area, score and "
        "confidence. On a single date the built-in model finds whatever is not forest: water, "
        "roads and towns too. Pixels without data are not assessed; they never count as "
        "forest that still stands."
    )

    def definitions(self) -> list[QgsProcessingParameterDefinition]:
        """Scene and model, how to read it, how to draw, how to work, what to write."""
        parts = (_scene(), _limits(), outlines(), _work(), _rasters())
        return [*(one for part in parts for one in part), polygons("Deforestation")]


def _scene() -> list[QgsProcessingParameterDefinition]:
    return [
        raster("INPUT", "Scene", "Satellite scene: a georeferenced raster in a file."),
        helped(
            "Folder of a model, or the name of a built-in one. Empty: the built-in model.",
            QgsProcessingParameterFile(
                "MODEL", "Model", QgsProcessingParameterFile.Folder, optional=True
            ),
        ),
        text(
            "BANDS",
            "Bands",
            "Bands to read in the model's order, as numbers from 1 or as descriptions: 3,2,1. "
            "Empty: by description or colour, else the first ones.",
        ),
        text(
            "SCALE",
            "Scale",
            "Two stored numbers that become the model's 0 and 1: 0,3558. "
            "Empty: the model's, by data type.",
        ),
        number(
            "THRESHOLD",
            "Threshold",
            "Score, above 0 and up to 1, from which a pixel is deforestation. Empty: the model's.",
            most=1,
        ),
    ]


def _limits() -> list[QgsProcessingParameterDefinition]:
    return [
        file(
            "BASELINE",
            "Baseline forest",
            "Raster (not 0) or polygons of what was forest before; deforestation outside of it is "
            "dropped.",
        ),
        file(
            "MASK",
            "Mask",
            "Raster (not 0) or polygons of clouds, shadows and anything else not to assess.",
        ),
        file(
            "AOI",
            "Area of interest",
            "Polygons; outside of them nothing is looked at, and nothing is said.",
        ),
        advanced(
            text(
                "ASSIGN_CRS",
                "CRS of a scene without one",
                "For a raster that has a geotransform but no CRS: EPSG:32721.",
            )
        ),
        advanced(
            ticked(
                "ALLOW_VRT",
                "Allow VRT files",
                "Open VRT files that only put plain local rasters together.",
            )
        ),
    ]


def _work() -> list[QgsProcessingParameterDefinition]:
    return [
        advanced(
            count(
                "CHIP",
                "Chip (pixels)",
                "Side of the square that the model sees at once. Empty: the model's.",
            )
        ),
        advanced(
            count(
                "OVERLAP",
                "Overlap (pixels)",
                "Pixels that neighbouring chips share. Empty: the model's.",
                least=0,
            )
        ),
        advanced(
            count("THREADS", "Threads", "CPU threads for reading and for the model. Empty: all.")
        ),
        advanced(count("MEMORY", "Memory (MB)", "Memory that the work has to fit in.", 1024)),
    ]


def _rasters() -> list[QgsProcessingParameterDefinition]:
    return [
        helped(
            "GeoTIFF of the class of every pixel; 255 is not assessed. It replaces a file of that "
            "name.",
            QgsProcessingParameterRasterDestination("CLASSES", "Class map", None, True, False),
        ),
        helped(
            "GeoTIFF of the score of deforestation, in steps of 1/250. It replaces a file of that "
            "name.",
            QgsProcessingParameterRasterDestination("SCORES", "Score map", None, True, False),
        ),
        helped(
            "Run record: what was read, chosen, found and not assessed. It replaces a file of "
            "that name.",
            QgsProcessingParameterFileDestination(
                "REPORT", "Run record", "JSON (*.json)", None, True, False
            ),
        ),
    ]
