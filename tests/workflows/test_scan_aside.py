"""``untrusted=True`` from Python: the same report, by way of a process of its own."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import geodeforest as gd
from geodeforest.errors import BudgetExceeded, DiskFull, OptionError, ReaderLost, SceneUnreadable
from geodeforest.testing import ThresholdPredictor
from geodeforest.workflows import scan_aside, told_scan

pytestmark = pytest.mark.skipif(os.name != "posix", reason="refused where nothing is confined")


@pytest.fixture
def scene(make_scene):
    rng = np.random.default_rng(1)
    coarse = rng.integers(200, 2500, (3, 12, 15), np.uint16)
    return make_scene(coarse.repeat(10, 1).repeat(10, 2), nodata=0)


@pytest.mark.filterwarnings("ignore::geodeforest.errors.GeodeforestWarning")
def test_the_report_is_that_of_a_scan_in_this_process(scene, tmp_path):
    chosen = {
        "classes": True,
        "scores": True,
        "min_area": 0,
        "bands": (1, 2, 3),
        "scale": (0, 3000),
    }
    progress = []
    plain = gd.scan(scene, **chosen)
    aside = gd.scan(scene, **chosen, untrusted=True, progress=lambda *at: progress.append(at))
    assert len(plain.polygons) > 0
    assert aside.polygons.equals(plain.polygons)
    assert (aside.polygons.dtypes == plain.polygons.dtypes).all()
    assert aside.polygons.crs == plain.polygons.crs
    assert np.array_equal(aside.class_map(), plain.class_map())
    assert np.array_equal(aside.scores(), plain.scores(), equal_nan=True)
    there, here = ({**report.to_dict(), "seconds": 0} for report in (aside, plain))
    # What this process has loaded beside is told here only.
    assert there.pop("versions").items() <= here.pop("versions").items()
    assert there == here
    assert progress[-1] == (1, 1)
    assert list(tmp_path.iterdir()) == [scene]


def test_warnings_come_over(make_scene):
    dark = make_scene(np.zeros((3, 60, 60), np.uint16), nodata=0)
    with pytest.warns(gd.errors.NothingAssessed, match="no pixel was observed"):
        report = gd.scan(dark, untrusted=True)
    assert len(report.polygons) == 0
    assert report.polygons.crs is not None


def test_errors_come_over_with_what_they_know(scene, tmp_path):
    link = tmp_path / "link.tif"
    link.symlink_to(scene)
    with pytest.raises(SceneUnreadable, match=r"link\.tif: is a symbolic link") as caught:
        gd.scan(link, untrusted=True)
    assert (caught.value.exit_code, caught.value.path) == (3, str(link))
    with pytest.raises(BudgetExceeded) as caught:
        gd.scan(scene, untrusted=True, memory=10)
    assert caught.value.budget_bytes == 10 * 2**20


@pytest.mark.parametrize(
    "chosen",
    [
        {"scene": ["a.tif", "b.tif"]},
        {"model": ThresholdPredictor()},
        {"assign_crs": 32721},
        {"allow_vrt": True},
    ],
    ids=["scene", "model", "crs", "vrt"],
)
def test_what_cannot_be_handed_over_is_refused(scene, chosen):
    given = {"scene": scene, **chosen}
    with pytest.raises(OptionError, match="untrusted"):
        gd.scan(given.pop("scene"), untrusted=True, **given)


@pytest.mark.parametrize(
    "program",
    [
        "import os; os.abort()",
        "import sys; sys.exit(1)",
        """print('["report", {"scene": "s', end="")""",
    ],
    ids=["crash", "exit", "half a line"],
)
def test_a_process_that_dies_is_an_error_that_names_the_file(scene, monkeypatch, program):
    import subprocess
    import sys

    def start(*_):
        return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)

    monkeypatch.setattr(scan_aside, "start_aside", start)
    with pytest.raises(ReaderLost, match=r"scene\.tif: ") as caught:
        gd.scan(scene, untrusted=True)
    assert caught.value.exit_code == 8


def test_an_errors_notes_come_over_as_notes():
    full = DiskFull("p.geojson", 2**20)
    full.add_note("run the same command again to continue")
    come = scan_aside._error(*json.loads(json.dumps(told_scan._told(full))))
    assert (type(come), str(come), vars(come)) == (DiskFull, str(full), vars(full))
    come.add_note("a caller may add to them")


@pytest.mark.parametrize("name", ["annotations", "brief", "GeodeforestWarning", "no such name"])
def test_what_comes_over_names_no_class_but_an_error(name):
    error = scan_aside._error(name, "a.tif: is odd; warp it", [], {})
    assert type(error) is gd.errors.GeodeforestError
    assert str(error) == "a.tif: is odd; warp it"


def test_the_settings_of_the_caller_stay_as_they_are(scene):
    import rasterio

    before = dict(os.environ)
    gd.scan(scene, untrusted=True, output=scene.with_name("a.geojson"))
    assert dict(os.environ) == before
    with rasterio.Env() as environment:
        assert {"VRT", "JP2OpenJPEG"} <= set(environment.drivers())
