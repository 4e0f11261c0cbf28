"""The outputs of a scan: whole or not there, never an input, named where they cannot be written."""

import errno
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import rasterio
from square_scenes import scene_with_square

import geodeforest as gd
from geodeforest.errors import DiskFull, OptionError, OutputExists, OutputUnwritable
from geodeforest.geo.files import GO_ON
from geodeforest.testing import ThresholdPredictor
from geodeforest.workflows import scan_scene, scan_work


def test_no_file_is_written_unless_a_path_is_given(tmp_path, monkeypatch):
    scene = scene_with_square(tmp_path / "s.tif")
    empty = tmp_path / "cwd"
    empty.mkdir()
    monkeypatch.chdir(empty)
    gd.scan(scene, model=ThresholdPredictor())
    assert not list(empty.iterdir())


def test_a_scratch_file_is_no_output(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    report = gd.scan(scene, model=ThresholdPredictor(), classes=True, scores=tmp_path / "x.tif")
    assert report.to_dict()["outputs"] == {"polygons": [], "scores": "x.tif"}


def test_the_same_scan_gives_the_same_bytes(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    for folder, threads in (("a", 1), ("b", 3)):
        (tmp_path / folder).mkdir()
        gd.scan(
            scene,
            model=ThresholdPredictor(),
            output=tmp_path / folder / "p.geojson",
            classes=tmp_path / folder / "c.tif",
            scores=tmp_path / folder / "x.tif",
            threads=threads,
        )
    for name in ("p.geojson", "c.tif", "x.tif"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


class FailsLate(ThresholdPredictor):
    def predict(self, chips, scene_level=None):
        if chips.mean() > 0.05:
            raise RuntimeError("worker lost")
        return super().predict(chips)


def test_a_failure_leaves_old_outputs_and_no_scratch(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    out = tmp_path / "out"
    out.mkdir()
    (out / "p.geojson").write_text("old")
    with pytest.raises(RuntimeError):
        gd.scan(
            scene,
            model=FailsLate(),
            output=out / "p.geojson",
            classes=out / "c.tif",
            overwrite=True,
        )
    assert [p.name for p in out.iterdir()] == ["p.geojson"]
    assert (out / "p.geojson").read_text() == "old"


def test_an_existing_output_is_refused_before_any_work(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    (tmp_path / "p.geojson").write_text("old")
    with pytest.raises(OutputExists):
        gd.scan(scene, model=FailsLate(), output=tmp_path / "p.geojson")


def test_the_input_is_never_the_output(tmp_path):
    scene = scene_with_square(tmp_path / "s.tif")
    before = scene.read_bytes()
    with pytest.raises(OptionError):
        gd.scan(scene, model=ThresholdPredictor(), classes=scene, overwrite=True)
    assert scene.read_bytes() == before


def test_the_file_of_an_open_dataset_is_an_input_too(tmp_path):
    path = scene_with_square(tmp_path / "s.tif")
    with rasterio.open(path) as scene, pytest.raises(OptionError, match="the output is the input"):
        gd.scan(scene, model=ThresholdPredictor(), classes=path, overwrite=True)


def test_nobody_reads_a_scene_after_a_sink_has_failed(tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(scan_work.ScanWork, "_count", fail)
    with pytest.raises(ZeroDivisionError) as caught:  # the error keeps its frames alive
        gd.scan(scene_with_square(tmp_path / "s.tif"), model=ThresholdPredictor())
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name]
    assert caught.tb is not None


def test_rasters_are_found_again_from_another_directory(tmp_path, monkeypatch):
    scene = scene_with_square(tmp_path / "s.tif").absolute()
    monkeypatch.chdir(tmp_path)
    report = gd.scan(scene, model=ThresholdPredictor(), classes="c.tif")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert (report.class_map() == 1).sum() == 3000


def test_a_full_disk_is_told_with_what_it_has_and_what_the_scan_needs(tmp_path, monkeypatch):
    """The maps and the journal, as the plan says; of polygons nobody knows."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**20))
    monkeypatch.setattr(Path, "write_text", disk_full)
    scene, model = scene_with_square(tmp_path / "s.tif"), ThresholdPredictor()
    outputs = {"classes": tmp_path / "c.tif", "report": tmp_path / "r.json"}
    with pytest.raises(DiskFull) as caught:
        gd.scan(scene, model=model, **outputs)
    chip = model.spec.chip
    needed = 2 * 150 * 200 + 2 * 150 * 200 + chip * 200 * 4
    assert (caught.value.free_bytes, caught.value.needed_bytes) == (3 * 2**20, needed)
    told = f", with 3.0 MB free where the scan needs up to {needed / 2**20:.1f} MB beside its "
    assert f"r.json: the disk is full{told}polygons; free some space or " in str(caught.value)
    assert caught.value.__notes__ == [GO_ON]


def test_nothing_is_said_of_needs_that_are_not_known(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_text", disk_full)
    scene = scene_with_square(tmp_path / "s.tif")
    with pytest.raises(
        DiskFull, match=r"the disk is full, with [\d,.]+ MB free; free some"
    ) as caught:
        gd.scan(scene, model=ThresholdPredictor(), report=tmp_path / "r.json", resume=False)
    assert caught.value.needed_bytes is None


def disk_full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_record_that_cannot_be_written_names_its_file(tmp_path, monkeypatch):
    scene = scene_with_square(tmp_path / "s.tif")
    monkeypatch.setattr(Path, "write_text", disk_full)
    with pytest.raises(OutputUnwritable, match=r"r\.json: the disk is full"):
        gd.scan(
            scene,
            model=ThresholdPredictor(),
            output=tmp_path / "p.gpkg",
            report=tmp_path / "r.json",
        )
    # Rows are kept for the next scan to go on from; of outputs there are none.
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["s.tif"]


@pytest.mark.parametrize("wrong", [{"classes": "c.png"}, {"report": "r.txt"}, {"output": "p.shp"}])
def test_an_extension_that_is_not_the_contents_is_refused_before_any_work(wrong):
    with pytest.raises(OptionError, match="name"):
        gd.scan("missing.tif", model=ThresholdPredictor(), **wrong)


def in_two(monkeypatch, between):
    """Have settled rows come in two portions, and ``between`` called before the second."""
    real = scan_scene.scan_rows

    def portions(*args, **options):
        for settled in real(*args, **options):
            half = len(settled.classes) // 2
            parts = slice(None, half), slice(half, None)
            for part in parts:
                yield replace(
                    settled,
                    first=settled.first + (part.start or 0),
                    classes=settled.classes[part],
                    scores=settled.scores[part],
                )
                between()

    monkeypatch.setattr(scan_scene, "scan_rows", portions)


def test_outputs_are_made_while_the_next_rows_come(tmp_path, monkeypatch):
    came, real = threading.Event(), scan_work.ScoreMapSink.write

    def waiting(sink, rows):
        assert came.wait(20), "the next rows came only after these were written"
        real(sink, rows)

    in_two(monkeypatch, came.set)
    monkeypatch.setattr(scan_work.ScoreMapSink, "write", waiting)
    scene = scene_with_square(tmp_path / "s.tif")
    gd.scan(scene, model=ThresholdPredictor(), scores=tmp_path / "x.tif")
    assert (tmp_path / "x.tif").exists()


def test_an_interrupt_ends_the_outputs_thread_and_leaves_no_output(tmp_path, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    in_two(monkeypatch, interrupt)
    scene, before = scene_with_square(tmp_path / "s.tif"), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        gd.scan(
            scene,
            model=ThresholdPredictor(),
            classes=tmp_path / "c.tif",
            scores=tmp_path / "x.tif",
            output=tmp_path / "p.geojson",
        )
    # Rows may be kept for the next scan to go on from; of outputs there are none.
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["s.tif"]
    assert threading.active_count() <= before
