"""Parameters as both algorithms write them: name, label, and a help text each."""

from __future__ import annotations

from typing import TypeVar

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

Definition = TypeVar("Definition", bound=QgsProcessingParameterDefinition)


def helped(about: str, definition: Definition) -> Definition:
    """The parameter with a help text."""
    definition.setHelp(about)
    return definition


def advanced(definition: Definition) -> Definition:
    """The parameter in the part of the dialog that is closed at first."""
    definition.setFlags(definition.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
    return definition


def raster(
    name: str, label: str, about: str, *, optional: bool = False
) -> QgsProcessingParameterRasterLayer:
    """A raster that lies in a file."""
    return helped(about, QgsProcessingParameterRasterLayer(name, label, None, optional))


def text(name: str, label: str, about: str) -> QgsProcessingParameterString:
    """A text that may be left empty."""
    return helped(about, QgsProcessingParameterString(name, label, None, False, True))


def file(name: str, label: str, about: str) -> QgsProcessingParameterFile:
    """A file that may be left empty."""
    kind = QgsProcessingParameterFile.File
    return helped(about, QgsProcessingParameterFile(name, label, kind, optional=True))


def ticked(name: str, label: str, about: str) -> QgsProcessingParameterBoolean:
    """A box, not ticked at first."""
    return helped(about, QgsProcessingParameterBoolean(name, label, False))


def number(
    name: str, label: str, about: str, default: float | None = None, *, most: float = 1e9
) -> QgsProcessingParameterNumber:
    """A number from 0 on, which without a default may be left empty."""
    kind, optional = QgsProcessingParameterNumber.Double, default is None
    return helped(
        about,
        QgsProcessingParameterNumber(name, label, kind, default, optional, 0, most),
    )


def count(
    name: str, label: str, about: str, default: int | None = None, *, least: int = 1
) -> QgsProcessingParameterNumber:
    """A whole number, which without a default may be left empty."""
    kind, optional = QgsProcessingParameterNumber.Integer, default is None
    return helped(about, QgsProcessingParameterNumber(name, label, kind, default, optional, least))


def outlines() -> list[QgsProcessingParameterDefinition]:
    """How polygons are made of pixels."""
    return [
        number(
            "MIN_AREA",
            "Minimum area (hectares)",
            "Polygons under this many hectares are dropped, judged whole; 0 keeps all.",
            0.5,
        ),
        ticked(
            "MERGE_SMALL",
            "Merge small polygons",
            "Give what is under the minimum area to the neighbour with the longest shared border, "
            "instead of dropping it.",
        ),
        number(
            "SIMPLIFY",
            "Simplify outlines by (metres)",
            "How far outlines may move; neighbours go on sharing their borders. 0 gives the "
            "pixels' own outlines. Empty: half a pixel's diagonal, and no pixel changes sides.",
        ),
        ticked(
            "SMOOTH",
            "Smooth outlines",
            "Round the pixels' outlines instead of simplifying them; no area changes.",
        ),
    ]


def polygons(label: str) -> QgsProcessingParameterVectorDestination:
    """The file of polygons, which comes last."""
    return helped(
        "GeoPackage (.gpkg, with its style), GeoJSON (.geojson, in longitude and latitude) or "
        "FlatGeobuf (.fgb). A file of that name is replaced.",
        QgsProcessingParameterVectorDestination("OUTPUT", label, QgsProcessing.TypeVectorPolygon),
    )
