"""Draws the map that QGIS makes of a scan of the sample, with the style that the file brings.

    python docs/make_qgis_picture.py

Needs QGIS with its Python (Debian: qgis, python3-qgis), which is run by itself.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

import geodeforest as gd

HERE = Path(__file__).parent
SCENE = HERE.parent / "data" / "sample" / "hills.tif"
PICTURE = HERE / "pictures" / "qgis.png"

DRAW = """
import sys
from qgis.core import QgsApplication, QgsMapRendererParallelJob, QgsMapSettings
from qgis.core import QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QSize
scene, polygons, picture = sys.argv[1:]
app = QgsApplication([], False)
app.initQgis()
raster, vector = QgsRasterLayer(scene, "scene"), QgsVectorLayer(polygons, "clearings", "ogr")
look = raster.renderer()
look.setRedBand(3), look.setGreenBand(2), look.setBlueBand(1)
settings = QgsMapSettings()
settings.setLayers([vector, raster])
settings.setDestinationCrs(raster.crs())
settings.setExtent(raster.extent())
settings.setOutputSize(QSize(560, 560))
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
assert job.renderedImage().save(picture)
del job, settings, look, raster, vector
app.exitQgis()
"""


def main() -> None:
    """Scan the sample and let QGIS draw it."""
    with tempfile.TemporaryDirectory() as scratch:
        scene, polygons = Path(scratch, "scene.tif"), Path(scratch, "clearings.gpkg")
        scene.write_bytes(SCENE.read_bytes())  # QGIS leaves statistics beside what it opens
        gd.scan(scene, output=polygons)
        paths = {"PYTHONPATH", "PYTHONHOME", "GDAL_DATA", "PROJ_LIB"}
        clean = {name: value for name, value in os.environ.items() if name not in paths}
        subprocess.run(
            ["/usr/bin/python3", "-c", DRAW, str(scene), str(polygons), str(PICTURE)],
            check=True,
            env={**clean, "QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": scratch},
        )
    Image.open(PICTURE).convert("RGB").quantize(128).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
