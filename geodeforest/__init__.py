"""Finds deforestation in satellite scenes and writes it as georeferenced polygons.

The public names of the package. Each is loaded when it is first used, so that importing
geodeforest costs next to nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from geodeforest import errors

if TYPE_CHECKING:
    from geodeforest.geo.scene import Raster
    from geodeforest.workflows.build_records import build_records
    from geodeforest.workflows.cut_chips import chips
    from geodeforest.workflows.evaluate_model import evaluate
    from geodeforest.workflows.evaluation import Evaluation
    from geodeforest.workflows.export_model import export_model
    from geodeforest.workflows.import_model import import_model
    from geodeforest.workflows.load_model import load_model
    from geodeforest.workflows.network import build_unet
    from geodeforest.workflows.polygonize_map import polygonize
    from geodeforest.workflows.scan_report import ScanReport
    from geodeforest.workflows.scan_scene import scan
    from geodeforest.workflows.train_model import train
    from geodeforest.workflows.verify_run import verify

__version__ = "0.1.0"

# ONNX Runtime keeps an identifier of the device in the user's cache and reports its use over
# the network, unless it is told not to before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Evaluation",
    "Raster",
    "ScanReport",
    "build_records",
    "build_unet",
    "chips",
    "errors",
    "evaluate",
    "export_model",
    "import_model",
    "load_model",
    "polygonize",
    "scan",
    "train",
    "verify",
]

_HOMES = {
    "Evaluation": "geodeforest.workflows.evaluation",
    "Raster": "geodeforest.geo.scene",
    "ScanReport": "geodeforest.workflows.scan_report",
    "build_records": "geodeforest.workflows.build_records",
    "build_unet": "geodeforest.workflows.network",
    "chips": "geodeforest.workflows.cut_chips",
    "evaluate": "geodeforest.workflows.evaluate_model",
    "export_model": "geodeforest.workflows.export_model",
    "import_model": "geodeforest.workflows.import_model",
    "load_model": "geodeforest.workflows.load_model",
    "polygonize": "geodeforest.workflows.polygonize_map",
    "scan": "geodeforest.workflows.scan_scene",
    "train": "geodeforest.workflows.train_model",
    "verify": "geodeforest.workflows.verify_run",
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})
