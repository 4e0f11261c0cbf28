"""Adds geodeforest to the Processing toolbox of QGIS.

Everything here runs on the Python 3.9 that QGIS 3.22 brings on Windows.
"""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """The plugin, as QGIS asks for it; ``iface`` is None where there is no window."""
    from .plugin import Plugin

    return Plugin()
