"""Scans that are interrupted, killed, starved, or share their outputs or inputs with others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from faults.running import ENVIRONMENT, ROOT
from faults.worlds import check_words

SLOW = [20, "touch ../reached; sleep 60"]
"""Stop at the 20th chip, and let it be known."""

SOON = 5.0
"""Seconds in which a scan has to end on a machine that has other things to do as well."""


def reached(world):
    """Wait until a scan is in its middle."""
    mark = world.folder / "reached"
    until = time.monotonic() + 60
    while not mark.exists() and time.monotonic() < until:
        time.sleep(0.01)
    mark.unlink()


# --- signals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_at_any_moment(worlds, server, number, code, tell_counts):
    """Sent at moments spread over a whole scan, its commit and its end."""
    world = worlds("everything")
    begun = time.monotonic()
    world.run("--overwrite")
    whole = time.monotonic() - begun
    outcomes = []
    for share in (0.05, 0.4, 0.7, 0.85, 0.95):
        world.clear(old=True)
        started = server.start([*world.arguments, "--overwrite"], world.out)
        server.go(started)
        time.sleep(whole * share)
        os.kill(started.pid, number)
        sent = time.monotonic()
        ended = server.wait(started)
        assert time.monotonic() - sent < SOON + whole
        if ended.code == -number:  # so early that Python's own handler was still in place
            world.check_litter()
            continue
        outcomes.append(world.check(ended, (code,)))
    counts = {each: outcomes.count(each) for each in set(outcomes)}
    tell_counts(f"scans that got a {number.name}", counts)


def test_a_second_interrupt_ends_a_scan_that_does_not_end(worlds, server):
    """The first one waits for the chip at work, which may hang. One that comes a second later
    does not; sooner it is taken for the same keystroke, and the scan still ends in good order.
    """
    world = worlds("p.geojson")
    started = server.start(world.arguments, world.out, hook=[20, "touch ../reached; sleep 20"])
    server.go(started)
    reached(world)
    os.kill(started.pid, signal.SIGINT)
    time.sleep(1.2)
    os.kill(started.pid, signal.SIGINT)
    sent = time.monotonic()
    ended = server.wait(started)
    assert time.monotonic() - sent < SOON
    assert ended.code in (130, -signal.SIGINT)
    assert world.files() == {}
    world.check_litter()


def test_a_scan_that_is_killed_leaves_no_lock(worlds, server):
    world = worlds("p.geojson", old=True)
    started = server.start([*world.arguments, "--overwrite"], world.out, hook=SLOW)
    server.go(started)
    reached(world)
    os.kill(started.pid, signal.SIGKILL)
    assert server.wait(started).code == -signal.SIGKILL
    assert world.files() == world.before
    assert world.litter()
    world.check_litter()


# --- several at once --------------------------------------------------------------------------


@pytest.mark.parametrize("several", [2, 20])
def test_of_several_scans_to_one_output_one_wins(worlds, server, several):
    world = worlds("p.geojson")
    wait = "i=0; until [ -e ../others ] || [ $i -gt 600 ]; do sleep 0.1; i=$((i+1)); done"
    all_of_them = [server.start(world.arguments, world.out, hook=[5, wait]) for _ in range(several)]
    for started in all_of_them:
        server.go(started)
    ended, left = [], list(all_of_them)
    while len(left) > 1:  # the winner waits for the others
        for started in left[:]:
            if server.is_over(started):
                ended.append(server.wait(started))
                left.remove(started)
        time.sleep(0.02)
    (world.folder / "others").touch()
    ended.append(server.wait(left[0]))
    (world.folder / "others").unlink()
    codes = [each.code for each in ended]
    assert sorted(codes) == [0] + [75] * (several - 1)
    assert codes[-1] == 0
    for each in ended[:-1]:
        check_words(each)
        assert "p.geojson: the output is locked by another scan" in each.err
    world.check(ended[-1], ())


# --- inputs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "printf x >> ../scene.tif",
        "touch -d 2001-01-01 ../scene.tif",
        "rm ../scene.tif",
        "cp -p ../scene.tif ../copy && mv ../copy ../scene.tif",
        ": > ../scene.tif",
        "dd if=/dev/urandom of=../scene.tif bs=1000 count=100 conv=notrunc status=none",
    ],
    ids=["grows", "is dated back", "is removed", "is replaced", "is emptied", "is overwritten"],
)
@pytest.mark.parametrize("chip", [1, 60])
def test_a_scene_that_changes_is_refused(worlds, change, chip):
    world = worlds("p.geojson", old=True)
    content, facts = world.scene.read_bytes(), world.scene.stat()
    try:
        ended = world.run("--overwrite", hook=[chip, change])
    finally:
        world.scene.write_bytes(content)
        os.utime(world.scene, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert ended.code == 3
    assert "scene.tif: changed during the scan, so nothing was written" in ended.err
    world.check(ended, (3,))


# --- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("more_mb", [8, 20, 60])
def test_a_scan_without_enough_memory(worlds, more_mb, server):
    """Of the address space that the process has when it begins, and so much more.

    With 2 MB more it hung at its begin, twice in some dozens of runs; where is not known.
    """
    world = worlds("everything")
    world.check(starved(world, more_mb), (8, 5))


IN_C = {127, -signal.SIGSEGV, -signal.SIGABRT}
"""How libraries in C end a process where they find no memory and cannot tell: 127 is the loader."""


def test_a_scan_with_hardly_enough_memory(worlds, server):
    """Within a few MB of what it needs it may be a library in C that finds none (6 of 120 limits
    between 100 and 220 MB). Then nobody is told why; but names and what was done are safe.
    """
    world = worlds("everything")
    ended = starved(world, 150)
    if ended.code in IN_C:
        assert world.files() == world.before
        world.check_litter()
    else:
        world.check(ended, (8, 5))


def starved(world, more_mb):
    return world.run("--threads", "1", limits={"RLIMIT_AS": more_mb * 2**20}, relative=True)


# --- stdout and stderr ------------------------------------------------------------------------


def typed(world, *more, redirect=""):
    """The command as a shell runs it, in a process of its own."""
    script = str(ROOT / "tests" / "faults" / "typed.py")
    words = " ".join([sys.executable, script, *world.arguments, *more])
    return subprocess.run(
        ["bash", "-c", f"{words} {redirect}"],
        cwd=world.out,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("more", "redirect", "code"),
    [
        ("--json", ">/dev/full", 5),
        ("--json", ">&-", 5),
        ("--json", "| true; exit ${PIPESTATUS[0]}", 5),
        ("", ">/dev/full", 0),  # -q: there is nothing to print
        ("", "2>/dev/full", 0),
        ("", "2>&-", 0),
        ("", "<&- >&- 2>&-", 0),
        ("--threads 0", "2>&-", 2),
    ],
)
def test_streams_that_are_full_closed_or_broken(worlds, more, redirect, code):
    """The outputs were whole before; what failed is to print, and the exit code says so."""
    world = worlds("p.geojson")
    if code == 5 and "|" in redirect:
        more += " --progress 2>/dev/null"
    done = typed(world, *more.split(), redirect=redirect)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    if code == 5 and "|" not in redirect:
        (line,) = done.stderr.splitlines()
        assert line.startswith("geodeforest: error: stdout: ")
    if code != 2:
        world.same(world.files())
