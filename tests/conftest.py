"""Settings and factories that all tests share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyogrio  # noqa: F401 - before TensorFlow, as workflows/extras.py says
import pytest
from hypothesis import HealthCheck, settings

from geodeforest import testing

# Neither deadlines nor the check for slow draws: both read the clock on the wall, and so tell of
# whatever else the machine does.
UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=40, derandomize=True, **UNTIMED)
settings.register_profile("thorough", max_examples=1000, **UNTIMED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts what runs in the background so, and programs under test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make_scene(tmp_path):
    """Writes a GeoTIFF from an array; the options are those of ``testing.make_scene``."""

    def make(values, name="scene.tif", **options):
        return testing.make_scene(tmp_path / name, values, **options)

    return make


COUNTS = pytest.StashKey[dict]()


@pytest.fixture(scope="session")
def tell_counts(request):
    """Has counts written under the tests' results: ``tell_counts(what, {outcome: count})``."""
    return request.config.stash.setdefault(COUNTS, {}).__setitem__


def pytest_terminal_summary(terminalreporter, config):
    for what, counts in config.stash.get(COUNTS, {}).items():
        told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        terminalreporter.write_line(f"{what}: {told}")


@pytest.fixture
def strace(tmp_path):
    """Runs Python in ``tmp_path`` and returns its system calls of one class, one per line."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not on this machine")

    def run(kind, *arguments):
        log = tmp_path / "strace.log"
        command = ["strace", "-f", "-e", f"trace={kind}", "-o", str(log), sys.executable]
        environment = {**os.environ, "PYTHONPATH": str(Path(testing.__file__).parents[1])}
        subprocess.run([*command, *arguments], cwd=tmp_path, env=environment, check=True)
        return log.read_text(errors="replace").splitlines()

    return run
