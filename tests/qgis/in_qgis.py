"""Run by the Python of QGIS, never by pytest: does one thing in QGIS and prints JSON.

``in_qgis.py NAME ARGUMENT...`` calls the function of that name below.
"""

import json
import os
import sys

sys.path.append("/usr/share/qgis/python/plugins")  # where Processing lies

from qgis.core import (
    QgsApplication,
    QgsDistanceArea,
    QgsGeometry,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize

KEPT = []
"""What Python must not forget while QGIS uses it."""


def layers(*sources):
    """What QGIS makes of files of polygons."""
    return [facts(QgsVectorLayer(source, "polygons", "ogr")) for source in sources]


def facts(layer):
    features = list(layer.getFeatures())
    return {
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "count": layer.featureCount(),
        "fields": [field.name() for field in layer.fields()],
        "kind": layer.wkbType() if features else None,
        "faults": sum(len(faults(feature.geometry())) for feature in features),
        "checked": checked(layer),
        "ids": [feature["id"] for feature in features],
        "areas": [[feature["area_ha"], hectares(layer, feature)] for feature in features],
        "style": style(layer),
    }


def faults(geometry):
    return [
        fault.what()
        for method in (QgsGeometry.ValidatorQgisInternal, QgsGeometry.ValidatorGeos)
        for fault in geometry.validateGeometry(method)
    ]


def checked(layer):
    """The counts of QGIS's own geometry checker, by the GEOS method."""
    import processing

    outputs = ("VALID_OUTPUT", "INVALID_OUTPUT", "ERROR_OUTPUT")
    asked = {"INPUT_LAYER": layer, "METHOD": 2, **dict.fromkeys(outputs, "memory:")}
    found = processing.run("qgis:checkvalidity", asked)
    return [found[name].featureCount() for name in outputs]


def hectares(layer, feature):
    """The area on the WGS 84 ellipsoid, by QGIS."""
    measure = QgsDistanceArea()
    measure.setSourceCrs(layer.crs(), QgsProject.instance().transformContext())
    measure.setEllipsoid("WGS84")
    return measure.measureArea(feature.geometry()) / 10_000


def style(layer):
    renderer = layer.renderer()
    if renderer is None:
        return None
    return {
        "type": renderer.type(),
        "attribute": getattr(renderer, "classAttribute", lambda: "")(),
        "values": [c.value() for c in getattr(renderer, "categories", list)()],
        "labels": [item.label() for item in renderer.legendSymbolItems()],
    }


def render(scene, polygons, picture):
    """Draw the polygons over the scene into a PNG."""
    below, above = QgsRasterLayer(scene, "scene"), QgsVectorLayer(polygons, "polygons", "ogr")
    settings = QgsMapSettings()
    settings.setLayers([above, below] if polygons else [below])
    settings.setDestinationCrs(below.crs())
    settings.setExtent(below.extent())
    settings.setOutputSize(QSize(600, 600))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    return {"saved": job.renderedImage().save(picture)}


def parameters(plugins):
    """Each algorithm's parameters: type, default value, and whether there is a help text."""
    with_provider(plugins)
    provider = QgsApplication.processingRegistry().providerById("geodeforest")
    return {
        algorithm.name(): {
            p.name(): [p.type(), p.defaultValue(), bool(p.help())]
            for p in algorithm.parameterDefinitions()
        }
        for algorithm in provider.algorithms()
    }


def with_provider(plugins):
    sys.path.insert(0, plugins)
    from geodeforest_provider.provider import Provider

    KEPT.append(Provider())
    QgsApplication.processingRegistry().addProvider(KEPT[0])


def load_results(plugins, executable, scene, polygons, class_map):
    """Scan as the toolbox does, with the executable from the setting, into the project."""
    with_provider(plugins)
    import processing
    from processing.core.ProcessingConfig import ProcessingConfig

    ProcessingConfig.setSettingValue("GEODEFOREST_EXECUTABLE", executable)
    asked = {"INPUT": scene, "OUTPUT": polygons, "CLASSES": class_map}
    processing.runAndLoadResults("geodeforest:scan", asked)
    project = QgsProject.instance()
    found = {layer.name(): layer.renderer().type() for layer in project.mapLayers().values()}
    project.removeAllMapLayers()
    return found


def cancel(plugins, executable, scene, polygons):
    """Scan, and cancel as soon as there is progress."""
    with_provider(plugins)
    os.environ["GEODEFOREST_EXECUTABLE"] = executable
    import processing

    feedback = QgsProcessingFeedback()
    seen = []

    def heed(percent):
        seen.append(percent)
        if percent > 0:
            feedback.cancel()

    feedback.progressChanged.connect(heed)
    result = processing.run(
        "geodeforest:scan", {"INPUT": scene, "OUTPUT": polygons}, feedback=feedback
    )
    return {"result": result, "last": seen[-1]}


def main(name, *arguments):
    application = QgsApplication([], False)
    application.initQgis()
    from processing.core.Processing import Processing

    Processing.initialize()
    found = globals()[name](*arguments)
    sys.stdout.write("\n" + json.dumps(found) + "\n")
    sys.stdout.flush()
    # Functions have returned, so no layer is left that would crash the exit.
    application.exitQgis()


if __name__ == "__main__":
    main(*sys.argv[1:])
