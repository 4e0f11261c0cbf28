"""A scan that was broken off goes on, and ends with the bytes of one that was not."""

import json
import re
import warnings
from dataclasses import dataclass, field

import numpy as np
import pytest

import geodeforest as gd
from geodeforest.errors import OutputExists, ScanResumed
from geodeforest.testing import ThresholdPredictor, make_scene

ROWS, COLS = 330, 150


@dataclass(frozen=True)
class Flaky(ThresholdPredictor):
    """Scores of many values; interrupts the scan at the call ``until``."""

    until: int = 10**9
    calls: list = field(default_factory=list, repr=False)

    def __repr__(self):
        return "Flaky"

    def predict(self, chips, scene_level=None):
        self.calls.append(1)
        if len(self.calls) > self.until:
            raise KeyboardInterrupt
        rows, cols = np.indices(chips.shape[1:3], np.float32)
        score = ((rows * 7 + cols * 3) % 101 / 101)[np.newaxis] * chips[..., 0]
        return np.stack([1 - score, score], axis=-1).astype(np.float32)


@pytest.fixture
def scene(tmp_path):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (3, ROWS // 10, COLS // 10)).repeat(10, 1).repeat(10, 2)
    valid = rng.random((ROWS, COLS)) < 0.98
    return make_scene(tmp_path / "scene.tif", coarse.astype(np.uint8), valid=valid)


def scan(scene, out, model, name="p", **options):
    """All outputs; what they hold, the warnings of the resume, and how often the model ran."""
    out.mkdir(exist_ok=True)
    files = {
        "output": [out / f"{name}.geojson", out / f"{name}.gpkg"],
        "classes": out / f"{name}_c.tif",
        "scores": out / f"{name}_s.tif",
        "report": out / f"{name}.json",
    }
    options = {"threads": 1, "min_area": 0, "overlap": 40, **options}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        report = gd.scan(scene, model=model, **files, **options)
    lines = [str(line.message) for line in said if issubclass(line.category, ScanResumed)]
    return report, lines


def content(out):
    found = {
        path.name: path.read_bytes()
        for path in out.iterdir()
        if path.suffix in (".tif", ".geojson")
    }
    record = json.loads((out / "p.json").read_text())
    for changing in ("seconds", "files"):
        record.pop(changing)
    return found, record


def interrupted(scene, out, stop, **options):
    model = Flaky(until=stop)
    with pytest.raises(KeyboardInterrupt) as caught:
        scan(scene, out, model, **options)
    return caught.value


CHIPS = len(range(0, 330 - 64 + 23, 24)) * len(range(0, 150 - 64 + 23, 24))


def names(out):
    return sorted(path.name for path in out.iterdir())


@pytest.mark.parametrize("options", [{}, {"merge_small": True, "min_area": 3}, {"smooth": True}])
def test_a_scan_goes_on_where_it_was_broken_off(scene, tmp_path, options):
    whole = Flaky()
    scan(scene, tmp_path / "whole", whole, **options)
    assert len(whole.calls) == CHIPS
    error = interrupted(scene, tmp_path / "out", CHIPS * 4 // 5, **options)
    assert error.__notes__ == ["run the same command again to continue"]
    assert names(tmp_path / "out") == [".p.geojson.gdf-scratch"]
    again = Flaky()
    _, said = scan(scene, tmp_path / "out", again, **options)
    assert len(again.calls) < CHIPS * 0.4
    (line,) = said
    assert line.startswith("scene.tif: continuing at row ")
    assert line.endswith(" of 330")
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert names(tmp_path / "out") == names(tmp_path / "whole")


def test_nothing_that_is_finished_is_computed_again(scene, tmp_path):
    interrupted(scene, tmp_path / "out", 35)
    per_row, again = 5, Flaky()
    _, (line,) = scan(scene, tmp_path / "out", again)
    done = int(line.split()[4])  # each chip row settles 24 rows
    assert done >= 24 * (35 // per_row - 2)  # workers are some chips ahead
    assert len(again.calls) == CHIPS - done // 24 * per_row


@pytest.mark.parametrize("stops", [(7, 9, 11, 13, 60)])
def test_a_scan_may_be_broken_off_many_times(scene, tmp_path, stops):
    scan(scene, tmp_path / "whole", Flaky())
    for stop in stops:
        model = Flaky(until=stop)
        try:
            scan(scene, tmp_path / "out", model, threads=2)
        except KeyboardInterrupt:
            assert len(model.calls) > stop
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_limits_and_another_pixel_size_go_on_too(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, (3, 140, 70)).repeat(2, 1).repeat(2, 2).astype(np.uint8)
    fine = make_scene(tmp_path / "fine.tif", values, gsd_m=5)
    limits = {
        name: make_scene(
            tmp_path / f"{name}.tif", (rng.random((28, 14)) < share).astype(np.uint8), gsd_m=50
        )
        for name, share in (("mask", 0.1), ("aoi", 0.8), ("baseline", 0.7))
    }
    options = {**limits, "overlap": 16}
    scan(fine, tmp_path / "whole", Flaky(), **options)
    interrupted(fine, tmp_path / "out", 5, **options)
    scan(fine, tmp_path / "out", Flaky(), **options)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.mark.parametrize("overlap", [4, 40])
def test_what_cannot_be_read_is_remembered(tmp_path, overlap):
    values = np.random.default_rng(2).integers(0, 256, (3, 330, 150), np.uint8)
    layout = {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "pixel"}
    path = make_scene(tmp_path / "hurt.tif", values, compress="deflate", **layout)
    spoil(path, 3, 33, 120, 199)
    options = {"on_error": "skip", "overlap": overlap}
    report, _ = scan(path, tmp_path / "whole", Flaky(), **options)
    assert report.failed_px > 1000
    interrupted(path, tmp_path / "out", 11, **options)
    again, _ = scan(path, tmp_path / "out", Flaky(), **options)
    assert (again.failed_px, again.failed_ha) == (report.failed_px, report.failed_ha)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def spoil(path, *blocks):
    """Overwrites compressed blocks of a GeoTIFF with zeros."""
    import rasterio

    with rasterio.open(path) as dataset:
        across = -(-dataset.width // 16)
        places = [
            [
                int(dataset.get_tag_item(f"{what}_{n % across}_{n // across}", "TIFF", bidx=1))
                for what in ("BLOCK_OFFSET", "BLOCK_SIZE")
            ]
            for n in blocks
        ]
    with path.open("r+b") as file:
        for offset, size in places:
            file.seek(offset)
            file.write(bytes(size))


OTHERS = [
    {"threshold": 0.7},
    {"overlap": 16},
    {"on_error": "skip"},
    {"min_area": 0.1},
]


@pytest.mark.parametrize("options", OTHERS)
def test_other_options_start_afresh(scene, tmp_path, options):
    interrupted(scene, tmp_path / "out", 40)
    again = Flaky()
    _, (line,) = scan(scene, tmp_path / "out", again, **options)
    assert "starting afresh" in line
    scan(scene, tmp_path / "whole", Flaky(), **options)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_another_scene_starts_afresh(scene, tmp_path):
    interrupted(scene, tmp_path / "out", 40)
    values = np.full((3, ROWS, COLS), 90, np.uint8)
    make_scene(scene, values)
    again = Flaky()
    _, (line,) = scan(scene, tmp_path / "out", again)
    assert "starting afresh" in line
    assert len(again.calls) == CHIPS


def test_another_model_starts_afresh(scene, tmp_path):
    interrupted(scene, tmp_path / "out", 40)
    _, (line,) = scan(scene, tmp_path / "out", ThresholdPredictor(0.4))
    assert "starting afresh" in line


@dataclass(frozen=True, repr=False)
class OnDevice(Flaky):
    """A model that may run on a GPU, where scores are others."""

    device: str = "cpu"


@pytest.mark.parametrize(("then", "calls"), [("cpu", 45), ("gpu", CHIPS)])
def test_another_device_starts_afresh(scene, tmp_path, then, calls):
    with pytest.raises(KeyboardInterrupt):
        scan(scene, tmp_path / "out", OnDevice(until=40))
    again = OnDevice(device=then)
    _, (line,) = scan(scene, tmp_path / "out", again)
    assert ("afresh" in line) == (then == "gpu")
    assert len(again.calls) <= calls


def test_without_resume_nothing_is_kept_nor_used(scene, tmp_path):
    interrupted(scene, tmp_path / "out", 40, resume=False)
    assert names(tmp_path / "out") == []
    interrupted(scene, tmp_path / "out", 40)
    again = Flaky()
    assert scan(scene, tmp_path / "out", again, resume=False)[1] == []
    assert len(again.calls) == CHIPS


def test_a_scan_that_is_finished_leaves_nothing(scene, tmp_path):
    scan(scene, tmp_path / "out", Flaky())
    assert not [name for name in names(tmp_path / "out") if name.startswith(".")]
    with pytest.raises(OutputExists):
        scan(scene, tmp_path / "out", Flaky())


def test_a_scene_that_is_refused_leaves_nothing(tmp_path):
    values = np.random.default_rng(2).integers(0, 256, (3, 330, 150), np.uint8)
    layout = {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "pixel"}
    path = make_scene(tmp_path / "hurt.tif", values, compress="deflate", **layout)
    spoil(path, 190)
    with pytest.raises(gd.errors.SceneUnreadable):
        scan(path, tmp_path / "out", Flaky())
    assert names(tmp_path / "out") == []


def test_what_is_only_in_memory_is_not_resumed_where_it_cannot_be_told(scene, tmp_path):
    import rasterio
    from rasterio.io import MemoryFile

    with MemoryFile(scene.read_bytes()) as file, file.open() as dataset:
        error = interrupted(dataset, tmp_path / "out", 40)
    assert not getattr(error, "__notes__", [])
    assert names(tmp_path / "out") == []
    with rasterio.open(scene) as dataset:
        interrupted(dataset, tmp_path / "out", 40)
    assert names(tmp_path / "out") == [".p.geojson.gdf-scratch"]


def journal(out):
    return out / ".p.geojson.gdf-scratch" / "journal"


@pytest.mark.parametrize("part", ["first", "middle", "last", "carried"])
def test_an_altered_journal_costs_the_rows_that_it_covered(scene, tmp_path, part):
    scan(scene, tmp_path / "whole", Flaky())
    interrupted(scene, tmp_path / "out", 50)
    path = journal(tmp_path / "out")
    path = path.with_name("carried") if part == "carried" else path
    altered = bytearray(path.read_bytes())
    at = {"first": 50, "middle": len(altered) // 2, "last": -10, "carried": 500}[part]
    altered[at] ^= 4
    path.write_bytes(altered)
    again = Flaky()
    scan(scene, tmp_path / "out", again)
    rest = CHIPS - 50 + 10
    assert len(again.calls) <= rest + 3 * 5  # the row itself, and two that it overlaps with
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def without(path, *numbers):
    """Alters some entries of a journal, counted from 0."""
    altered = bytearray(path.read_bytes())
    starts = [found.start() for found in re.finditer(b"gdfK", altered)]
    for number in numbers:
        altered[starts[number] + 5] ^= 4
    path.write_bytes(altered)


def test_what_rows_done_once_more_leave_is_not_gone_on_from(scene, tmp_path):
    scan(scene, tmp_path / "whole", Flaky())
    interrupted(scene, tmp_path / "out", 50)
    path = journal(tmp_path / "out")
    without(path, 5)
    path.with_name("carried").unlink()
    interrupted(scene, tmp_path / "out", 8)  # in the second of two rows before the lost one
    without(path, 4)
    scan(scene, tmp_path / "out", Flaky())
    assert content(tmp_path / "out") == content(tmp_path / "whole")
