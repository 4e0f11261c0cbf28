"""Fails every system call that changes a disk, one scan each, and fills disks of every size.

    python tests/long_form/disk_full.py
    python tests/long_form/disk_full.py --output p.gpkg --error EIO --every 3
    python tests/long_form/disk_full.py --state points.txt

After each fault all that ``tests/faults/worlds.py`` lists must hold: one line, exit code 5, final
names with whole files or nothing, and no scratch but what the same command goes on from. Where the
fault did not matter the bytes have to be those of an undisturbed scan. Prints how many points were
tested and how each ended; ends with 1 if something did not hold.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from faults.running import WRITES, Ended, Server
from faults.worlds import EVERYTHING, OUTPUTS, World, blotches
from points import Points, add_state, told

COMMITS = "fsync,fdatasync,ftruncate,rename,renameat,renameat2,link,linkat,mkdir,mkdirat"
"""What else a full or broken disk may refuse."""

SHAPE = (600, 100)
"""Height and width of the scene: rows enough of chips and of blocks, and no more pixels."""

SAID = 500
"""Bytes of a message, which goes to a file of the same limit."""

PAGE = 4096
ROOM = 100 * 2**20


def main() -> int:
    """Try all points; returns the exit code."""
    asked = parsed()
    server, folder = Server(), Path(tempfile.mkdtemp(prefix="gdf-full-"))
    points = Points(asked.state)
    try:
        for name in asked.output or [*OUTPUTS, "everything"]:
            options = EVERYTHING if name == "everything" else OUTPUTS[name]
            arguments = ["scan", "../scene.tif", "-q", *options]
            world = World(server, folder / name, arguments, blotches(*SHAPE))
            for kind, faults in kinds(world, asked):
                tally = Counter(points.tried(f"{name}, {kind}, {at}", one) for at, one in faults)
                say(f"{name}, {kind}: {tally.total()} points, {told(tally)}")
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    say("\n".join([*points.failures, f"{len(points.failures)} points did not hold"]))
    return 1 if points.failures else 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", choices=[*OUTPUTS, "everything"], action="append", help="only this; repeatable"
    )
    parser.add_argument("--error", default="ENOSPC", help="what the calls fail with")
    parser.add_argument("--every", type=int, default=1, help="test one of so many points")
    parser.add_argument("--sizes", type=int, default=40, help="disks and file limits to try")
    add_state(parser)
    return parser.parse_args()


Faults = Iterator[tuple[str, Callable[[], str]]]
"""Points by name."""


def kinds(world: World, asked: argparse.Namespace) -> Iterator[tuple[str, Faults]]:
    """The kinds of faults, each with its points."""
    yield f"{asked.error} at a write", writes(world, asked)
    yield f"{asked.error} at a commit", commits(world, asked)
    yield "file size limit", limits(world, asked)
    yield "disk too small", disks(world, asked)


def made(world: World, names: str, old: bool) -> dict[str, int]:
    """How many calls of each name a scan makes, with old files in its way or without."""
    world.clear(old)
    return dict(world.injected(names, "", *(["--overwrite"] if old else [])).calls)


def writes(world: World, asked: argparse.Namespace) -> Faults:
    """One write fails, all others succeed; at every other point old files are in the way."""
    for old in (False, True):
        for call, count in made(world, WRITES, old).items():
            for when in range(1 + old, count + 1, 2 * asked.every):
                yield struck(world, call, when, old, asked.error)


def commits(world: World, asked: argparse.Namespace) -> Faults:
    """One of the other calls fails, once with old files in the way and once without."""
    for old in (False, True):
        for call, count in made(world, COMMITS, old).items():
            for when in range(1, count + 1, asked.every):
                yield struck(world, call, when, old, asked.error)


def struck(
    world: World, call: str, when: int, old: bool, error: str
) -> tuple[str, Callable[[], str]]:
    """The point at which one call fails."""
    name = f"{call} {when}{' over old files' if old else ''}"

    def strike() -> str:
        world.clear(old)
        more = ["--overwrite"] if old else []
        ended = world.injected(call, f"error={error}:when={when}", *more)
        assert ended.injected, "the fault did not come"
        return checked(world, ended)

    return name, strike


def limits(world: World, asked: argparse.Namespace) -> Faults:
    """No file may grow beyond a limit: the last write is a short one."""
    most = max(map(len, world.truth.values()))
    for number in range(asked.sizes):
        size = SAID + most * number // asked.sizes
        yield f"{size} bytes", partial(limited, world, size)


def limited(world: World, size: int) -> str:
    world.clear()
    return checked(world, world.run(limits={"RLIMIT_FSIZE": size}))


def disks(world: World, asked: argparse.Namespace) -> Faults:
    """The outputs lie on a disk of their own, in memory: too small, or just large enough."""
    pages = 1
    while on_disk(world, PAGE * pages) == "refused":
        pages *= 2
    for size in sorted({1 + pages * number // asked.sizes for number in range(asked.sizes)}):
        yield f"{size} pages", partial(on_disk, world, PAGE * size)


def on_disk(world: World, size: int) -> str:
    world.clear()
    mount = ["mount", "-t", "tmpfs", "-o"]
    if subprocess.run([*mount, f"size={size}", "tmpfs", str(world.out)]).returncode:
        return "skipped: no right to mount"
    try:
        ended = world.run()
        subprocess.run([*mount, f"remount,size={ROOM}", "tmpfs", str(world.out)], check=True)
        return checked(world, ended)
    finally:
        subprocess.run(["umount", "-l", str(world.out)], check=True)


def checked(world: World, ended: Ended) -> str:
    try:
        return world.check(ended, (5,))
    except AssertionError as error:
        raise AssertionError(f"exit code {ended.code}: {ended.err}{error}") from error


if __name__ == "__main__":
    sys.exit(main())
