"""The extra ``train``: what loading it must not break, in processes that have loaded nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec

import pytest

if find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed", allow_module_level=True)

SCAN = """
import numpy as np
import geodeforest as gd
from geodeforest.testing import ThresholdPredictor, make_scene

scene = make_scene("scene.tif", np.tile(np.uint8([[40, 200]]), (3, 64, 32)))
gd.scan(scene, model=ThresholdPredictor(), min_area=0, output={output!r})
"""


def after(folder, first, output):
    program = first + SCAN.format(output=output)
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("output", ["p.gpkg", "p.fgb"])
def test_polygons_are_written_after_tensorflow_was_needed(tmp_path, output):
    """Its SQLite knows no R*Trees, and would be GDAL's too if it came first."""
    first = "from geodeforest.workflows.extras import need_training\nneed_training('a test')\n"
    done = after(tmp_path, first, output)
    assert done.returncode == 0, done.stderr
    if output == "p.gpkg":
        with closing(sqlite3.connect(tmp_path / output)) as file:
            query = "SELECT count(*) FROM rtree_deforestation_geom"
            assert file.execute(query).fetchone() == (32,)


def test_a_geopackage_without_an_index_is_refused_with_its_cause(tmp_path):
    done = after(tmp_path, "import tensorflow\n", "p.gpkg")
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert any(
        line.endswith(
            "p.gpkg: the spatial index was not kept as written; load pyogrio before TensorFlow, "
            "whose SQLite makes no such index"
        )
        for line in said
    ), said[-3:]
    assert not (tmp_path / "p.gpkg").exists()
