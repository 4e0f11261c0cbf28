"""Puts the provider into the toolbox, and takes it out again."""

from __future__ import annotations

from qgis.core import QgsApplication

from .provider import Provider


class Plugin:
    """What QGIS loads: in its window by ``initGui``, in qgis_process by ``initProcessing``."""

    def initProcessing(self) -> None:
        """Add the provider."""
        self._provider = Provider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:
        """Add the provider; it is all there is to see."""
        self.initProcessing()

    def unload(self) -> None:
        """Remove the provider, which QGIS deletes."""
        QgsApplication.processingRegistry().removeProvider(self._provider)
