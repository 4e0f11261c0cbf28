"""Importing geodeforest and asking for help cost next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"geopandas", "numpy", "onnxruntime", "rasterio", "shapely", "tensorflow"}

IMPORT_SECONDS = 0.1

LOADED = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"

EVERY_HELP = """
import contextlib, io, json, sys
import click
from geodeforest.cli import main

def walk(command, path):
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), [*path, name])

loaded = {}
for path in walk(main, []):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        main.main([*path, "--help"], standalone_mode=False)
    assert said.getvalue().startswith("Usage: "), path
    loaded[" ".join(path)] = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps(loaded))
"""

EVERY_WORKFLOW = f"""
import importlib, pkgutil
import geodeforest.workflows
for module in pkgutil.iter_modules(geodeforest.workflows.__path__):
    importlib.import_module("geodeforest.workflows." + module.name)
{LOADED}
"""

GEOJSON_SCAN = f"""
import sys
import numpy as np
from geodeforest.cli import main
from geodeforest.testing import make_scene
make_scene(sys.argv[1] + "/scene.tif", np.full((3, 64, 64), 90, np.uint8))
outputs = ["-o", sys.argv[1] + "/p.geojson", "--classes", sys.argv[1] + "/c.tif"]
main.main(["scan", sys.argv[1] + "/scene.tif", *outputs, "-q"], standalone_mode=False)
{LOADED}
"""

SLOW = {"geopandas", "pandas", "pyarrow", "pyogrio"}
"""Tables and OGR: pyogrio loads the rest, in more time than a small scan takes."""

CLOCK = """
import time
begin = time.process_time()  # other programs may keep this one waiting
import geodeforest
print(time.process_time() - begin)
"""


def run(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_geodeforest_loads_nothing_heavy():
    assert not HEAVY & set(json.loads(run(f"import geodeforest; {LOADED}")))


def test_help_of_every_command_loads_nothing_heavy():
    loaded = json.loads(run(EVERY_HELP))
    assert {path: HEAVY & set(names) for path, names in loaded.items() if HEAVY & set(names)} == {}
    assert {"", "scan", "chip", "records build", "train", "model list"} <= set(loaded)


def test_workflows_load_the_training_stack_only_when_they_need_it():
    assert not {"keras", "onnx", "tensorflow"} & set(json.loads(run(EVERY_WORKFLOW)))


def test_a_scan_to_geojson_loads_neither_tables_nor_ogr(tmp_path):
    loaded = set(json.loads(run(GEOJSON_SCAN, str(tmp_path))))
    assert {"numpy", "rasterio", "onnxruntime"} <= loaded
    assert not SLOW & loaded


def test_importing_geodeforest_takes_less_than_a_tenth_of_a_second():
    assert min(float(run(CLOCK)) for _ in range(5)) < IMPORT_SECONDS


def test_every_public_name_is_there_and_documented():
    import geodeforest

    assert set(geodeforest.__all__) <= set(dir(geodeforest))
    for name in geodeforest.__all__:
        assert getattr(geodeforest, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    import geodeforest

    with pytest.raises(AttributeError, match="no attribute 'scam'"):
        geodeforest.scam  # noqa: B018
