"""Scans that are killed go on, and end with the bytes of one that nobody disturbed.

The long form kills 500 times, and at every system call: ``tests/long_form/kills.py``.
"""

from __future__ import annotations

from collections import Counter

import kills
import pytest


@pytest.fixture(scope="module")
def killing(server, tmp_path_factory):
    """A world to kill scans in, and a tally."""

    def made(kind):
        return kills.make_world(server, tmp_path_factory.mktemp("kills") / "world", kind)

    return made


@pytest.mark.parametrize("kind", ["everything", "merged"])
def test_kills_at_random_moments(killing, kind, tell_counts):
    tally = Counter()
    kills.random_kills(killing(kind), 10, 7, tally)
    assert tally["kills"] == 10
    assert tally["continuing at"] + tally["continuing after"] > 0
    tell_counts(f"scans killed at random, {kind}", tally)


def test_kills_at_every_rename(killing, strace, tell_counts):
    """Each rename of a commit, with old files there and without."""
    tally = Counter()
    kills.kills_at_calls(killing("everything"), 1, 0, tally, "rename,renameat,renameat2")
    assert tally["kills"] >= 8
    assert tally["between renames"] >= 5
    assert tally["finished before"] >= 5
    tell_counts("scans killed at a rename", tally)


@pytest.mark.parametrize("call", ["unlink", "rmdir"])
def test_a_kill_at_the_last_call_of_all_leaves_no_empty_scratch(killing, strace, call):
    """All is done then: the same command says that the outputs exist, and tidies up."""
    world = killing("everything")
    last = world.injected(call, "").calls[call]
    assert kills.killed_at(world, call, last, old=False) == "scans, kills, was done"


def test_kills_at_calls_that_change_the_disk(killing, strace, tell_counts):
    tally = Counter()
    kills.kills_at_calls(killing("skipping"), 120, 3, tally)
    assert tally["kills"] >= 6
    tell_counts("scans killed at a system call", tally)


def test_a_name_that_is_neither_old_nor_new_is_noticed(killing):
    world = killing("everything")
    (world.out / "c.tif").write_bytes(world.truth["c.tif"][:-1])
    with pytest.raises(kills.Undone, match=r"c\.tif is neither old nor new"):
        kills.check_names(world)
