"""Kills scans at random moments, or at each system call that changes a disk; then lets them go on.

    python tests/long_form/kills.py --kills 500
    python tests/long_form/kills.py --every 1

After each kill every final name has to hold the whole old file, the whole new one, or nothing. The
same command, killed again or not, has to end with the bytes of a scan that nobody disturbed.
With ``--state FILE`` kills at system calls that were survived already are not done again.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from faults.running import WRITES, Server
from faults.worlds import EVERYTHING, World, blotches, without_clock
from points import BROKEN, Points, add_state, told

CALLS = (
    "write,pwrite64,writev,pwritev,fsync,fdatasync,ftruncate,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir"
)
"""What changes a disk. Strace counts each of them by itself."""

SHAPE = (600, 100)
"""Height and width of the scene: rows enough of chips and of blocks, and no more pixels."""

KINDS = {
    "everything": (),
    "merged": ("--merge-small", "--min-area", "30"),
    "skipping": ("--on-error", "skip", "--overlap", "40"),
    "many threads": ("--threads", "4"),
}
"""Options that take other ways through a scan."""

AT_MOST = 40
"""Kills of one scan, before it is let through."""


class Undone(AssertionError):
    """Something does not hold that has to."""


def make_world(server: Server, folder: Path, kind: str) -> World:
    """A scene whose scan writes every format."""
    arguments = ["scan", "../scene.tif", "-q", *EVERYTHING, *KINDS[kind]]
    return World(server, folder, arguments, blotches(*SHAPE))


def check_names(world: World) -> int:
    """Each final name holds the old file, the new one, or nothing; returns how many are new."""
    found, new = world.files(), 0
    for name, content in found.items():
        if content == world.before.get(name):
            continue
        try:
            same = without_clock(name, content) == without_clock(name, world.truth[name])
        except ValueError:  # half a run record
            same = False
        if not same:
            raise Undone(f"{name} is neither old nor new")
        new += 1
    return new


def finish(world: World, *more: str) -> str:
    """Run the command to its end; returns what it said of the resume."""
    ended = world.run(*more)
    if ended.code == 5 and "the output exists" in ended.err and not world.litter():
        world.same(world.files())  # the kill came when all was done and told
        return "was done"
    if ended.code != 0 or "Traceback" in ended.err:
        raise Undone(f"the command ended with {ended}")
    world.same(world.files())
    if world.litter():
        raise Undone(f"left behind: {world.litter()}")
    for word in ("continuing after", "continuing at", "finished before", "afresh"):
        if word in ended.err:
            return word
    return "began again"


def killed(world: World, seconds: float, *more: str) -> bool:
    """Run the command and kill it after a while; False if it had ended before."""
    started = world.server.start([*world.arguments, *more], world.out)
    world.server.go(started)
    time.sleep(seconds)
    os.kill(started.pid, signal.SIGKILL)
    return world.server.wait(started).code == -signal.SIGKILL


def random_kills(world: World, kills: int, seed: int, tally: Counter[str]) -> None:
    """Kill at random moments; half of the scans that go on are killed again."""
    chance = random.Random(seed)
    world.clear()
    begun = time.perf_counter()
    world.run()
    length = time.perf_counter() - begun
    done = 0
    while done < kills:
        world.clear(old=chance.random() < 0.3)
        more = ("--overwrite",) if world.before else ()
        for _ in range(AT_MOST):
            if not killed(world, chance.uniform(0, length), *more):
                break
            done += 1
            tally["kills"] += 1
            tally["between renames"] += 0 < check_names(world) < len(world.truth)
            if done == kills or chance.random() < 0.5:
                break
        tally[finish(world, *more)] += 1
        tally["scans"] += 1


def kills_at_calls(
    world: World, every: int, seed: int, tally: Counter[str], calls: str = CALLS
) -> None:
    """Kill at each ``every``-th of the system calls, from the first to the last."""
    for _, kill in moments(world, every, seed, calls):
        tally.update(kill().split(", "))


def moments(
    world: World, every: int, seed: int, calls: str = CALLS
) -> Iterator[tuple[str, Callable[[], str]]]:
    """All system calls to kill at, by name; at every other write old files are in the way."""
    chance = random.Random(seed)
    for old in (False, True):
        world.clear(old)
        more = ("--overwrite",) if old else ()
        for call, count in sorted(world.injected(calls, "", *more).calls.items()):
            first, step = 1 + chance.randrange(every), every
            if call in WRITES.split(","):
                first, step = first + every * old, 2 * every
            for when in range(first, count + 1, step):
                name = f"{call} {when}{' over old files' if old else ''}"
                yield name, partial(killed_at, world, call, when, old)


def killed_at(world: World, call: str, when: int, old: bool) -> str:
    """Kill at one system call and let the scan go on; returns what became of it."""
    world.clear(old)
    more = ("--overwrite",) if old else ()
    ended = world.injected(call, f"signal=SIGKILL:when={when}", *more)
    if ended.code == 0:
        return "scans, not reached"
    if ended.code != -signal.SIGKILL:
        raise Undone(f"killed at {call} {when}: {ended}")
    between = 0 < check_names(world) < len(world.truth)
    return f"scans, kills, {finish(world, *more)}{', between renames' if between else ''}"


def main() -> int:
    """Kill as long as was asked for; the exit code tells whether all came out right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=0, help="at random moments")
    parser.add_argument("--every", type=int, default=0, help="at each so-many-th system call")
    parser.add_argument("--kind", choices=[*KINDS], action="append")
    parser.add_argument("--seed", type=int, default=0)
    add_state(parser)
    asked = parser.parse_args()
    kinds, tally, points = asked.kind or [*KINDS], Counter[str](), Points(asked.state)
    folder, server = Path(tempfile.mkdtemp(prefix="gdf-kills-")), Server()
    try:
        for number, kind in enumerate(kinds):
            world = make_world(server, folder / kind.replace(" ", "_"), kind)
            share = (asked.kills * (number + 1)) // len(kinds) - asked.kills * number // len(kinds)
            random_kills(world, share, asked.seed, tally)
            for name, kill in moments(world, asked.every, asked.seed) if asked.every else ():
                tally.update(points.tried(f"{kind}, {name}", kill).split(", "))
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    for failure in points.failures:
        sys.stdout.write(f"{failure}\n")
    sys.stdout.write(f"{tally['kills']} kills, {tally[BROKEN]} not survived: {told(tally)}\n")
    return 1 if points.failures else 0


if __name__ == "__main__":
    sys.exit(main())
