"""QGIS without a window, and the plugin in it.

QGIS has a Python, numpy and GDAL of its own, so that it runs in processes of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"
PROCESS = "qgis_process.bin"  # Debian's qgis_process is a wrapper with an option it does not know


@cache
def why_not() -> str | None:
    """What of QGIS is missing on this machine."""
    if shutil.which(PROCESS) is None:
        return f"QGIS is not installed: there is no {PROCESS}"
    done = subprocess.run([PYTHON, "-c", "import qgis.core"], env=clean(), capture_output=True)
    return f"{PYTHON} has no qgis" if done.returncode else None


def clean(**more: str) -> dict[str, str]:
    """An environment in which QGIS finds its own things, and no window."""
    ours = ("PYTHON", "GDAL_", "PROJ_", "GEODEFOREST_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    return {**kept, "QT_QPA_PLATFORM": "offscreen", **more}


class Qgis:
    """QGIS with a profile that is thrown away."""

    def __init__(self, folder: Path) -> None:
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        self.plugins = folder / "plugins"
        self.executable = shutil.which("geodeforest", path=str(Path(sys.executable).parent))
        self.environment = clean(
            XDG_RUNTIME_DIR=str(runtime),
            QGIS_CUSTOM_CONFIG_PATH=str(folder / "profile"),
            QGIS_PLUGINPATH=str(self.plugins),
        )

    def ask(self, question, *arguments):
        """The answer of a function of ``in_qgis.py``."""
        script = Path(__file__).with_name("in_qgis.py")
        command = [PYTHON, str(script), question, *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def process(self, *arguments, **environment):
        """Run qgis_process; the finished process, its text in ``stdout`` and ``stderr``."""
        settings = {"GEODEFOREST_EXECUTABLE": str(self.executable), **environment}
        return subprocess.run(
            [PROCESS, *map(str, arguments)],
            env={**self.environment, **settings},
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="session")
def qgis(tmp_path_factory):
    """QGIS with an empty profile."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    return Qgis(tmp_path_factory.mktemp("qgis"))


@pytest.fixture(scope="session")
def plugged(qgis, plugin_zip):
    """QGIS with the plugin installed from its zip and enabled."""
    with ZipFile(plugin_zip) as archive:
        archive.extractall(qgis.plugins)
    assert "geodeforest" in qgis.process("plugins", "enable", "geodeforest_provider").stdout
    return qgis


@pytest.fixture(scope="session")
def plugin_zip(load, tmp_path_factory):
    """The plugin's zip."""
    return load("build_plugin.py").build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def load():
    """Loads a module that lies in the folder ``qgis`` of the project, by its path there."""

    def module_at(path):
        spec = spec_from_file_location(Path(path).stem, ROOT / "qgis" / path)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return module_at
