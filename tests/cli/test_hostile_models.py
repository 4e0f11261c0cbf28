"""Whatever ``--model`` is given, it is a model or is refused: soon, in one line, in little memory.

Each command runs in a child of its own, where an audit hook hears of code that is unpickled, of
processes and of the network.
"""

from __future__ import annotations

from collections import Counter

import hostile_models as hostile
import numpy as np
import pytest
from forked import Forks

SECONDS, PEAK_MB = 3, 300


@pytest.fixture(scope="module")
def forks():
    made = Forks()
    yield made
    made.close()


@pytest.fixture(scope="module")
def refusals(tell_counts):
    counts = Counter()
    tell_counts("hostile models refused, by command", counts)
    return counts


def refused(ending, folder) -> str:
    """The one line of a command that refused a model, cheaply, and left nothing."""
    assert ending.code == 6, ending
    assert ending.printed == ""
    assert len(ending.said) == 1
    (line,) = ending.said
    assert line.startswith("geodeforest: error: ")
    assert line.isprintable()
    assert len(line) < 1000
    assert ending.heard == []
    assert ending.seconds < SECONDS
    assert ending.peak_mb < PEAK_MB
    assert not list(folder.rglob(hostile.MARKER))
    return line


@pytest.fixture
def scene(make_scene):
    return make_scene(np.full((1, 64, 64), 200, np.uint8), "scene.tif")


@pytest.mark.parametrize("name", hostile.MODELS)
def test_a_scan_refuses_it_and_leaves_nothing(name, forks, tmp_path, scene, monkeypatch, refusals):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    model, work = hostile.MODELS[name](tmp_path / "given"), tmp_path / "work"
    work.mkdir()
    line = refused(forks.run("scan", "-m", model, scene, cwd=work), tmp_path)
    assert str(model) in line
    assert list(work.iterdir()) == []
    refusals["scan"] += 1


@pytest.mark.parametrize("name", hostile.MODELS)
def test_model_verify_refuses_it(name, forks, tmp_path, monkeypatch, refusals):
    monkeypatch.chdir(tmp_path)
    refused(forks.run("model", "verify", hostile.MODELS[name](tmp_path), cwd=tmp_path), tmp_path)
    refusals["model verify"] += 1


@pytest.mark.parametrize("name", [*hostile.NO_DIRECTORIES, *hostile.BAD_SPECS])
def test_model_show_refuses_a_bad_spec(name, forks, tmp_path, monkeypatch, refusals):
    monkeypatch.chdir(tmp_path)
    refused(forks.run("model", "show", hostile.MODELS[name](tmp_path), cwd=tmp_path), tmp_path)
    refusals["model show"] += 1


@pytest.mark.parametrize("name", hostile.BAD_NETWORKS)
def test_model_show_opens_no_network(name, forks, tmp_path, monkeypatch):
    # It shows what a spec says, of a model that is not there yet as well.
    monkeypatch.chdir(tmp_path)
    model = hostile.MODELS[name](tmp_path)
    for path in model.iterdir():
        if path.name != "model.json" and not path.is_dir():
            path.unlink()
    ending = forks.run("model", "show", model, cwd=tmp_path)
    assert (ending.code, ending.said, ending.heard) == (0, [], [])
    assert ending.printed.isprintable() or "\n" in ending.printed


def test_a_good_model_of_the_same_make_is_taken(forks, tmp_path, scene):
    model = hostile.write(tmp_path / "model")
    ending = forks.run("scan", "-q", "-m", model, scene, "-o", "o.geojson", cwd=tmp_path)
    assert ending.code == 0, ending
    assert (tmp_path / "o.geojson").exists()
