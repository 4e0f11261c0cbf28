"""A scene is sampled beside other work, by two threads where that spares time."""

import threading
from concurrent.futures import CancelledError

import numpy as np
import pytest

import geodeforest as gd
from geodeforest.core.options import ScanOptions
from geodeforest.core.reflectance import Reading
from geodeforest.scanning import radiometry
from geodeforest.testing import ArraySource, ThresholdPredictor, make_scene, small_spec
from geodeforest.workflows import sampling
from geodeforest.workflows.open_inputs import open_inputs
from geodeforest.workflows.sampling import opened_to_sample, sampled

SPEC = small_spec()
READING = Reading(SPEC.scale["uint8"], "the test")
SIDE = 600
VALUES = np.random.default_rng(0).integers(0, 255, (3, SIDE, SIDE), np.uint8)


@pytest.fixture
def large(monkeypatch):
    """Scenes of this size count as large."""
    monkeypatch.setattr(sampling, "TWICE_PX", SIDE * SIDE)


@pytest.fixture
def tiled(tmp_path):
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    return make_scene(tmp_path / "tiled.tif", VALUES, **tiles)


def openings(source, options):
    with (
        open_inputs(source, options, SPEC) as inputs,
        opened_to_sample(inputs, source, options, SPEC) as scenes,
    ):
        return len(scenes)


def test_statistics_are_those_of_one_thread():
    scene = ArraySource(VALUES)
    with sampled((scene, scene), SPEC, READING) as waiting:
        found = waiting()
    alone = radiometry(scene, SPEC, READING)
    np.testing.assert_array_equal(found.fill, alone.fill)
    assert str((found.levels, found.reading)) == str((alone.levels, alone.reading))


def test_a_sampling_that_is_given_up_reads_no_further_square():
    begun, given_up, read = threading.Barrier(3), threading.Event(), []

    class Slow(ArraySource):
        def read(self, window):
            read.append(window)
            if not given_up.is_set():
                begun.wait(10)
            given_up.wait(10)
            return super().read(window)

    with sampled((Slow(VALUES), Slow(VALUES)), SPEC, READING) as waiting:
        begun.wait(10)
        threading.Timer(0.1, given_up.set).start()
    with pytest.raises(CancelledError):
        waiting()
    assert len(read) == 2  # one by each thread


@pytest.mark.parametrize("openings", [1, 2])
def test_an_error_comes_to_who_waits(openings):
    class Broken(ArraySource):
        def read(self, window):
            raise ValueError("broken")

    with (
        sampled((Broken(VALUES),) * openings, SPEC, READING) as waiting,
        pytest.raises(ValueError, match="br"),
    ):
        waiting()


def test_a_large_scene_in_tiles_is_opened_twice(large, tiled):
    assert openings(tiled, ScanOptions()) == 2
    assert openings(str(tiled), ScanOptions(threads=2)) == 2


@pytest.mark.parametrize("options", [{"threads": 1}, {"mask": "mask.tif"}])
def test_once_is_enough_where_that_would_not_help(large, tiled, tmp_path, options):
    mask = make_scene(tmp_path / "mask.tif", np.zeros((SIDE, SIDE), np.uint8))
    given = {name: mask if name == "mask" else value for name, value in options.items()}
    assert openings(tiled, ScanOptions(**given)) == 1


def test_small_scenes_and_arrays_are_opened_once(large, tiled, monkeypatch):
    with open_inputs(tiled, ScanOptions(), SPEC) as inputs:
        array = gd.Raster(VALUES, inputs.scene.profile.transform, inputs.scene.profile.crs)
    assert openings(array, ScanOptions()) == 1
    assert openings(tiled, ScanOptions()) == 2
    monkeypatch.setattr(sampling, "TWICE_PX", SIDE * SIDE + 1)
    assert openings(tiled, ScanOptions()) == 1


def test_addresses_are_opened_once(large, tiled):
    address, options = "https://example.com/scene.tif", ScanOptions()
    with (
        open_inputs(tiled, options, SPEC) as inputs,
        opened_to_sample(inputs, address, options, SPEC) as scenes,
    ):
        assert len(scenes) == 1


def test_a_scan_gives_the_same_bytes_either_way(large, tiled, tmp_path):
    outputs = []
    for threads in (1, 2):
        path = tmp_path / f"{threads}" / "p.geojson"
        path.parent.mkdir()
        gd.scan(tiled, output=path, model=ThresholdPredictor(), threads=threads)
        outputs.append(path.read_bytes())
    assert outputs[0] == outputs[1]
