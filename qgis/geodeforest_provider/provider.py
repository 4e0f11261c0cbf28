"""The provider ``geodeforest`` of QGIS Processing: its algorithms, files and one setting."""

from __future__ import annotations

from pathlib import Path

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .polygonize import Polygonize
from .program import EXECUTABLE
from .scan import Scan


class Provider(QgsProcessingProvider):
    """geodeforest's commands that have a place on a map."""

    def id(self) -> str:
        """The word before the colon in ``geodeforest:scan``."""
        return "geodeforest"

    def name(self) -> str:
        """The name in the toolbox."""
        return "geodeforest"

    def icon(self) -> QIcon:
        """A clearing in a forest."""
        return QIcon(str(Path(__file__).with_name("icon.svg")))

    def load(self) -> bool:
        """Declare the setting, then the algorithms."""
        ProcessingConfig.settingIcons[self.name()] = self.icon()
        says = "Executable of geodeforest (empty: as found on the PATH)"
        ProcessingConfig.addSetting(
            Setting(self.name(), EXECUTABLE, says, "", valuetype=Setting.FILE)
        )
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """Take the setting back."""
        ProcessingConfig.removeSetting(EXECUTABLE)

    def loadAlgorithms(self) -> None:
        """Add one algorithm for each command."""
        for algorithm in (Scan, Polygonize):
            self.addAlgorithm(algorithm())

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        """The formats that both geodeforest writes and every QGIS reads; the first by default."""
        return ["gpkg", "geojson", "fgb"]

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """The class and score maps are GeoTIFFs."""
        return ["tif"]

    def supportsNonFileBasedOutput(self) -> bool:
        """The program writes files, not databases or layers in memory."""
        return False
