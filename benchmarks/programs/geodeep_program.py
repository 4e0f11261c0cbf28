"""GeoDeep as its own documentation calls it: one ONNX file, a mask of classes.

python geodeep_program.py SCENE MODEL.onnx
"""

from __future__ import annotations

import time

import geodeep
import rasterio
import windows


def main() -> None:
    """Scan the scene."""
    chosen = windows.arguments(__doc__)
    started = time.perf_counter()
    classes = geodeep.segment(str(chosen.scene), str(chosen.model))
    with rasterio.open(chosen.scene) as scene:
        windows.write(classes.astype("uint8"), None, scene.profile)
    windows.tell(work_seconds=time.perf_counter() - started)


if __name__ == "__main__":
    main()
