"""Odd, broken and hostile rasters of other projects, each through the whole command."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
import rasterio
from odd_rasters import (
    BETTER,
    CORPUS,
    FILES,
    PLACELESS,
    WORKER,
    fulfils,
    outcome,
    placed_copy,
    reason,
    worker,
)
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

pytestmark = pytest.mark.skipif(
    not (CORPUS / "MANIFEST.tsv").exists(), reason="the odd rasters are not on this machine"
)

SECONDS, PEAK_MB = 30, 600  # CPU time; the largest scene has 420 million pixels

# What is refused of strangers alone.
STRICTER = re.compile(r"has the side-car|is not a GeoTIFF, and|header is damaged|its header ")

# Files to which a library could fall in the worst ways, once by the installed command itself.
NASTIEST = (
    "huge_line.tif",  # one row, one block of 2.1 GB, in 370 bytes
    "libtiff_segfault.tif",  # 65,535 bands
    "excessive-memory-TIFFFillStrip2.tif",  # 65,535 bands, strips past the end
    "excessive-memory-TIFFFillTile.tif",  # a tile that claims 256 MB of bytes
    "data/corrupt.tif",  # the last of four tiles is cut short
    "byte_lerc.tif",  # an unusual codec
)


@pytest.fixture(scope="module")
def results(tmp_path_factory, tell_counts):
    found = worker({file: CORPUS / file for file in FILES}, tmp_path_factory.mktemp("corpus"))
    tell_counts("odd rasters by outcome", Counter(map(outcome, found.values())))
    return found


@pytest.fixture(scope="module")
def placed(tmp_path_factory, tell_counts):
    """The files without a place on Earth, with one in a side-car: now their pixels are read."""
    folder, copies = tmp_path_factory.mktemp("placed"), {}
    for number, file in enumerate(PLACELESS):
        copies[file] = placed_copy(file, folder / f"{number}.tif")
    found = worker(copies, tmp_path_factory.mktemp("placed_outputs"))
    tell_counts("those without a place, placed", Counter(map(outcome, found.values())))
    return found


def test_the_corpus_is_whole():
    assert len(FILES) == 314


@pytest.mark.parametrize("file", FILES)
def test_each_file_becomes_what_the_manifest_says_or_better(results, file):
    expected, became = FILES[file]["expected_geodeforest"], outcome(results[file])
    assert fulfils(expected, became) or reason(expected, became, file), results[file]["said"]


@pytest.mark.parametrize("file", FILES)
def test_each_file_gets_one_line_and_leaves_nothing(results, file):
    found = results[file]
    said = found["said"]
    if found["code"] == 0:
        assert all(
            line.startswith(("geodeforest: note: ", "geodeforest: warning: ")) for line in said
        )
        assert found["left"] == ["classes.tif", "polygons.geojson"]
        return
    assert found["code"] in (3, 8)
    assert [line for line in said if "error" in line.split(":")[1]] == said[-1:]
    assert said[-1].startswith(f"geodeforest: error: {CORPUS / file}: ") or ".aux" in said[-1]
    assert said[-1].isprintable()
    assert "; " in said[-1]
    assert found["left"] == []


@pytest.mark.parametrize("file", FILES)
def test_each_file_keeps_to_time_and_memory(results, file):
    assert results[file]["seconds"] < SECONDS
    assert results[file]["mb"] < PEAK_MB


@pytest.mark.parametrize("file", FILES)
def test_every_pixel_is_counted(results, file):
    counts = results[file].get("counts")
    if counts:
        parts = ("assessed_px", "not_assessed_px", "outside_px")
        assert sum(counts[part] for part in parts) == counts["scene_px"]


def test_every_reason_is_of_use(results):
    used = {
        reason(row["expected_geodeforest"], outcome(results[file]), file)
        for file, row in FILES.items()
        if not fulfils(row["expected_geodeforest"], outcome(results[file]))
    }
    assert used == set(BETTER)


@pytest.mark.parametrize("file", PLACELESS)
def test_pixels_that_cannot_be_read_are_an_error(placed, file):
    unreadable = FILES[file]["expected_geodeforest"].startswith("BLOCK_ERROR")
    became = outcome(placed[file])
    assert became in {"REFUSE_OPEN", "REFUSE_PALETTE", "BLOCK_ERROR", "REFUSE_SIZE"} or (
        not unreadable and became in {"OK", "OK_ALL_NODATA"}
    )
    assert placed[file]["mb"] < PEAK_MB
    assert placed[file]["seconds"] < SECONDS


def side_cars():
    if not (CORPUS / "SIDECARS.tsv").exists():
        return {}
    with (CORPUS / "SIDECARS.tsv").open(newline="", encoding="utf-8") as table:
        return {row["file"]: row["belongs_to"] for row in csv.DictReader(table, delimiter="\t")}


SIDE_CARS = side_cars()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The files that have side-cars, without them."""
    folder, copies = tmp_path_factory.mktemp("alone"), {}
    for number, file in enumerate(SIDE_CARS.values()):
        copies[file] = folder / f"{number}.tif"
        copies[file].write_bytes((CORPUS / file).read_bytes())
    return worker(copies, tmp_path_factory.mktemp("alone_outputs"))


# What is said or found without the side-car, where that differs from what is with it.
WITHOUT = {
    "RGB2.byte.tif.msk": '"not_assessed_px": 0',
    "3376.aux": "no CRS that can be placed on Earth",
    "input_contour_rotated_pole.tif.aux.xml": "no CRS;",
    "grey.wld": "no geotransform;",
    "rgb.wld": "no geotransform;",
    "rgba.wld": "no geotransform;",
    "toronto.tfw": "no geotransform;",
    "toronto.tif.aux.xml": "no geotransform;",
}


@pytest.mark.parametrize("side_car", SIDE_CARS)
def test_a_side_car_says_what_only_it_can_say(results, alone, side_car):
    with_it, without = results[SIDE_CARS[side_car]], alone[SIDE_CARS[side_car]]
    told = WITHOUT.get(side_car.rpartition("/")[2])
    if told is None:
        assert (outcome(with_it), with_it["counts"]) == (outcome(without), without["counts"])
    else:
        assert told not in json.dumps(with_it)
        assert told in json.dumps(without)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory, tell_counts):
    """What becomes of the files, and of those that were given a place inside, with --untrusted."""
    if os.name != "posix":
        pytest.skip("processes are confined on POSIX systems")
    paths = {file: CORPUS / file for file in FILES}
    found = worker(paths, tmp_path_factory.mktemp("strangers"), "--untrusted")
    tell_counts("odd rasters with --untrusted", Counter(one["code"] for one in found.values()))
    return found


@pytest.mark.parametrize("file", FILES)
def test_a_confined_process_survives_each_file(strangers, file):
    found = strangers[file]
    assert found["code"] in (0, 3, 8), found["said"]
    assert len([line for line in found["said"] if " error: " in line]) == (found["code"] != 0)
    assert "Traceback" not in " ".join(found["said"])
    assert found["left"] == ([] if found["code"] else ["classes.tif", "polygons.geojson"])
    assert found["mb"] < PEAK_MB
    assert found["seconds"] < SECONDS


@pytest.mark.parametrize("file", FILES)
def test_what_a_confined_process_reads_it_reads_as_any_other(results, strangers, file):
    if strangers[file]["code"] == 0:
        assert strangers[file]["counts"] == results[file]["counts"]
    else:
        assert results[file]["code"] != 0 or STRICTER.search(strangers[file]["said"][-1])


WATCHER = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
lines = done.stderr.splitlines()
print(json.dumps([done.returncode, lines, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


@pytest.mark.parametrize("name", NASTIEST)
def test_the_command_itself_stays_small_and_quick(name, tmp_path):
    (file,) = (file for file in FILES if file.endswith(name))
    command = [sys.executable, "-m", "geodeforest", "scan", str(CORPUS / file), "-o", "o.geojson"]
    environment = {**os.environ, "PYTHONPATH": str(WORKER.parents[2])}
    begun = time.perf_counter()
    # A child's peak begins with the memory of the process that forked it: a small one.
    watched = subprocess.run(
        [sys.executable, "-c", WATCHER, *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    code, said, seconds, peak_kb = json.loads(watched.stdout)
    assert code == 3, said
    assert len(said) == 1
    assert seconds < 4  # of which 1 s is the program's start
    assert time.perf_counter() - begun < 60
    assert peak_kb < 300 * 1024
    assert list(tmp_path.iterdir()) == []


BROKEN = [file for file in PLACELESS if FILES[file]["expected_geodeforest"].startswith("BLOCK")]


def unreadable(path):
    """The pixels of blocks that rasterio cannot read in one of the bands that are scanned."""
    with rasterio.open(path) as dataset:
        found = np.zeros(dataset.shape, bool)
        bands = [1, 2, 3] if dataset.count >= 3 else [1]
        for _, window in dataset.block_windows(1):
            try:
                dataset.read(bands, window=window)
                dataset.read_masks(1, window=window)
            except (RasterioError, CPLE_BaseError):
                found[window.toslices()] = True
    return found


@pytest.fixture(scope="module")
def skipping(tmp_path_factory):
    """The broken ones with a place, and what becomes of them with --on-error skip."""
    folder = tmp_path_factory.mktemp("broken")
    copies = {file: placed_copy(file, folder / f"{i}.tif") for i, file in enumerate(BROKEN)}
    outputs = tmp_path_factory.mktemp("broken_outputs")
    return copies, worker(copies, outputs, "--on-error", "skip")


@pytest.mark.parametrize("file", BROKEN)
def test_what_cannot_be_read_is_not_assessed_where_it_is_skipped(placed, skipping, file):
    copies, results = skipping
    found = results[file]
    if outcome(placed[file]) != "BLOCK_ERROR":  # its header is refused, skipping or not
        assert found["code"] == placed[file]["code"] != 0
        return
    counts, failed = found["counts"], unreadable(copies[file])
    assert found["code"] == 4
    assert counts["failed_px"] >= failed.sum() > 0
    assert counts["assessed_px"] + counts["not_assessed_px"] == failed.size
    assert counts["assessed_px"] <= (~failed).sum()
    assert found["mb"] < PEAK_MB
    assert found["seconds"] < SECONDS
