"""Settings and factories that all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from geodeforest import testing

settings.register_profile("default", max_examples=40, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


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
