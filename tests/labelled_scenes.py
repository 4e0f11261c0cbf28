"""A scene to put labels on, and what is read of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geodeforest.core.grid import Window
from geodeforest.errors import LabelMismatch
from geodeforest.geo.labels import LabelRule, open_labels

UTM = CRS.from_epsg(32721)
PLACE = Affine(10, 0, 600_000, 0, -10, 9_000_000)


@dataclass(frozen=True)
class Scene:
    """The grid of a scene: all that labels need to know of it."""

    height: int = 8
    width: int = 10
    transform: Affine = PLACE
    crs: CRS | None = UTM


SCENE = Scene()
BARE = Scene(transform=Affine.identity(), crs=None)
WHOLE = Window(0, 0, 8, 10)


def read(path: Path, scene=SCENE, window=WHOLE, **rule) -> np.ndarray:
    with open_labels(path, scene, LabelRule(**rule)) as labels:
        return labels.read(window)


def refusal(path: Path, scene=SCENE, **rule) -> str:
    with (
        pytest.raises(LabelMismatch) as caught,
        open_labels(path, scene, LabelRule(**rule)) as labels,
    ):
        labels.count()
    assert caught.value.exit_code == 7
    return str(caught.value).removeprefix(str(path))
