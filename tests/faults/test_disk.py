"""Disks that are full, too small, or forget what they took: all outputs appear whole, or none.

Each fault strikes a scan that writes every format at once. The long form strikes at every
single write: ``python tests/long_form/disk_full.py``.
"""

from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest
from faults.running import WRITES, faulty_file

POINTS = 16


@pytest.fixture(scope="module")
def writes(worlds, strace):
    """All writes of a thread of the scan: the system call, and the how many-th of its kind."""
    made = worlds("everything").injected(WRITES, "").calls
    assert sum(made.values()) > 100, "strace sees the writes"
    return [(call, number) for call, count in made.items() for number in range(1, count + 1)]


def strike(world, fault, call, when, codes=(5,)):
    """One fault at one call; checks what must hold then, and that the file at fault is named."""
    old = bool(when % 2)
    world.clear(old)
    ended = world.injected(call, f"{fault}:when={when}", *(["--overwrite"] if old else []))
    assert ended.injected, "the fault came"
    outcome = world.check(ended, codes)
    struck = faulty_file(ended, world.truth)
    if outcome == "refused" and struck is not None:
        assert ended.err.startswith(f"geodeforest: error: {struck}: "), (struck, ended.err)
    return ended


def test_a_full_disk_at_any_write(worlds, writes, tell_counts):
    """One write fails and all later ones succeed: whoever ignores one is found out."""
    world, spread = worlds("everything"), random.Random(len(writes))
    edges = [len(writes) * i // POINTS for i in range(POINTS + 1)]
    points = [writes[spread.randrange(a, b)] for a, b in pairwise(edges)]
    codes = [strike(world, "error=ENOSPC", *point).code for point in points]
    tell_counts("scans on a full disk", {"refused": codes.count(5), "whole": codes.count(0)})
    assert codes.count(5) >= POINTS * 2 // 3


@pytest.mark.parametrize("error", ["EIO", "EDQUOT", "EFBIG"])
def test_other_reasons_not_to_write_are_told(worlds, writes, error):
    # SQLite keeps the reason to itself, so a file that is written in Python is struck.
    ended = strike(worlds("p.geojson"), f"error={error}", "write", 1)
    words = {
        "EIO": "Input/output error",
        "EDQUOT": "the disk quota is used up",
        "EFBIG": "files may not grow so large here",
    }
    assert words[error] in ended.err


@pytest.mark.parametrize(
    ("calls", "fault", "codes"),
    [
        ("fsync,fdatasync", "error=EIO", (5,)),
        ("rename,renameat,renameat2", "error=EIO", (5,)),
        ("link,linkat", "error=EPERM", ()),  # a disk without hard links takes another way
        ("mkdir,mkdirat", "error=ENOSPC", (5,)),
    ],
)
def test_a_commit_that_fails_in_the_middle(worlds, strace, calls, fault, codes):
    world = worlds("everything", old=True)
    made = world.injected(calls, "", "--overwrite").calls
    for call, count in made.items():
        for when in sorted({1, count // 2, count} - {0}):
            world.clear(old=True)
            ended = world.injected(call, f"{fault}:when={when}", "--overwrite")
            assert ended.injected
            world.check(ended, codes)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.8, 0.95])
def test_a_disk_that_is_too_small(worlds, disk, share):
    """A real disk: it takes what it can of a write, and all later ones fail too."""
    world = worlds("everything")
    needed = 2 * sum(map(len, world.truth.values()))
    try:
        size = int(needed * share) // 4096 * 4096 + 4096
        disk(world.out, size)
        ended = world.run()
        disk(world.out, 100 * 2**20)
        world.check(ended, (5,))
        if ended.code:
            told = re.search(r"full, with ([\d,.]+) MB free where the scan needs up to ", ended.err)
            assert float(told[1]) <= size / 2**20
    finally:
        world.clear()


@pytest.mark.parametrize("share", [0.3, 0.99])
@pytest.mark.parametrize("name", ["p.geojson", "p.gpkg", "p.fgb", "p.parquet", "c.tif", "x.tif"])
def test_a_file_that_may_not_grow_takes_a_part_of_its_last_write(worlds, name, share):
    world = worlds(name)
    limit = int(len(world.truth[name]) * share)
    ended = world.run(limits={"RLIMIT_FSIZE": limit})
    assert ended.code == 5
    world.check(ended, (5,))


# --- what a disk loses in silence -------------------------------------------------------------

READ_BACK = {"geodeforest.geo.raster_sinks._MapSink._verify": "lambda *_: None"}
WALKED = {"geodeforest.geo.flatgeobuf.check_flatgeobuf": "lambda *_: None"}
CHECKED = {"geodeforest.geo.gpkg.check_geopackage": "lambda *_: None"}


def lied_to(world, name, when, **job):
    """The scan with a write that is said to have taken 100 bytes and took none."""
    home = (world.out / f".{name}.gdf-scratch").resolve()
    only = [home / name, *(home / f"{name}.{level}.blocks" for level in range(3))]
    world.clear()
    return world.injected("write", f"retval=100:when={when}", only=only, **job)


@pytest.mark.parametrize("name", ["c.tif", "x.tif"])
def test_a_map_that_the_disk_did_not_keep_is_found_by_reading_it_back(worlds, strace, name):
    world = worlds(name)
    made = lied_to(world, name, 1000).calls["write"]
    assert made >= 4
    for when in sorted({1, made // 3, 2 * made // 3, made}):
        ended = lied_to(world, name, when)
        assert ended.injected
        assert ended.code == 5
        world.check(ended, (5,))


@pytest.mark.parametrize("name", ["c.tif", "x.tif"])
def test_without_reading_back_a_broken_map_would_pass_for_whole(worlds, strace, name):
    """What the test before this one is worth: the same faults, the safeguard taken away."""
    world = worlds(name)
    ended = lied_to(world, name, 1, without=READ_BACK)
    assert ended.injected
    assert ended.code == 0
    assert world.files()[name] != world.truth[name]


def test_a_geopackage_without_its_index_is_found_by_checking_it(worlds, strace):
    """GDAL ends well where it could not write a spatial index: so it is looked for."""
    world = worlds("p.gpkg")
    count = world.injected("pwrite64", "").calls["pwrite64"]
    fault = f"error=ENOSPC:when={count * 2 // 5}"
    world.clear()
    ended = world.injected("pwrite64", fault)
    assert ended.code == 5
    world.check(ended, (5,))
    world.clear()
    ended = world.injected("pwrite64", fault, without=CHECKED)
    assert ended.code == 0
    assert world.files()["p.gpkg"] != world.truth["p.gpkg"]


def test_a_flatgeobuf_whose_end_gdal_could_not_write_is_found_by_walking_it(worlds, strace):
    """GDAL ends well where the last write fails, which comes when the file is closed."""
    world = worlds("p.fgb")
    only = [(world.out / ".p.fgb.gdf-scratch").resolve() / "p.fgb"]
    last = world.injected("write", "", only=only).calls["write"]
    for safeguard, code in (({}, 5), (WALKED, 0)):
        world.clear()
        fault = f"error=ENOSPC:when={last}"
        ended = world.injected("write", fault, only=only, without=safeguard)
        assert (ended.injected, ended.code) == (1, code)
        if code:
            assert ended.err.startswith("geodeforest: error: p.fgb: a part of it was not kept")
            world.check(ended, (5,))
        else:
            assert len(world.files()["p.fgb"]) < len(world.truth["p.fgb"])
