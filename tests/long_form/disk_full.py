"""Fails every system call that changes a disk, one scan each, and fills disks of every size.

    python tests/long_form/disk_full.py
    python tests/long_form/disk_full.py --output p.gpkg --error EIO --every 3

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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from faults.running import WRITES, Ended, Server
from faults.worlds import EVERYTHING, OUTPUTS, World

COMMITS = "fsync,fdatasync,ftruncate,rename,renameat,renameat2,link,linkat,mkdir,mkdirat"
"""What else a full or broken disk may refuse."""

SAID = 500
"""Bytes of a message, which goes to a file of the same limit."""

PAGE = 4096
ROOM = 100 * 2**20


def main() -> int:
    """Try all points; returns the exit code."""
    asked = parsed()
    server, folder = Server(), Path(tempfile.mkdtemp(prefix="gdf-full-"))
    failures: list[str] = []
    try:
        for name in [asked.output] if asked.output else [*OUTPUTS, "everything"]:
            options = EVERYTHING if name == "everything" else OUTPUTS[name]
            world = World(server, folder / name, ["scan", "../scene.tif", "-q", *options])
            for kind, points in kinds(world, asked):
                tally = Counter(outcome(point, failures) for point in points)
                told = ", ".join(f"{count} {what}" for what, count in sorted(tally.items()))
                say(f"{name}, {kind}: {sum(tally.values())} points, {told}")
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    say("\n".join([*failures, f"{len(failures)} points did not hold"]))
    return 1 if failures else 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", choices=[*OUTPUTS, "everything"], help="only one of them")
    parser.add_argument("--error", default="ENOSPC", help="what the calls fail with")
    parser.add_argument("--every", type=int, default=1, help="test one of so many points")
    parser.add_argument("--sizes", type=int, default=40, help="disks and file limits to try")
    return parser.parse_args()


Point = Callable[[], str]


def kinds(world: World, asked: argparse.Namespace) -> Iterator[tuple[str, Iterator[Point]]]:
    """The kinds of faults, each with its points."""
    yield f"{asked.error} at a write", calls(world, WRITES, asked)
    yield f"{asked.error} at a commit", calls(world, COMMITS, asked)
    yield "file size limit", limits(world, asked)
    yield "disk too small", disks(world, asked)


def outcome(point: Point, failures: list[str]) -> str:
    try:
        return point()
    except AssertionError as error:
        failures.append(str(error)[:600])
        return "BROKEN"


def calls(world: World, names: str, asked: argparse.Namespace) -> Iterator[Point]:
    """One call fails, all others succeed."""
    world.clear()
    made = world.injected(names, "").calls
    for call, count in made.items():
        for when in range(1, count + 1, asked.every):
            yield lambda call=call, when=when: struck(world, call, when, asked.error)


def struck(world: World, call: str, when: int, error: str) -> str:
    old = bool(when % 2)
    world.clear(old)
    more = ["--overwrite"] if old else []
    ended = world.injected(call, f"error={error}:when={when}", *more)
    assert ended.injected, f"{call} {when}: the fault did not come"
    return checked(world, ended, f"{call} {when} of {error}")


def limits(world: World, asked: argparse.Namespace) -> Iterator[Point]:
    """No file may grow beyond a limit: the last write is a short one."""
    most = max(map(len, world.truth.values()))
    for number in range(asked.sizes):
        yield lambda number=number: limited(world, SAID + most * number // asked.sizes)


def limited(world: World, size: int) -> str:
    world.clear()
    return checked(world, world.run(limits={"RLIMIT_FSIZE": size}), f"limit of {size} bytes")


def disks(world: World, asked: argparse.Namespace) -> Iterator[Point]:
    """The outputs lie on a disk of their own, in memory: too small, or just large enough."""
    needed = 3 * sum(map(len, world.truth.values())) // PAGE
    for number in range(asked.sizes):
        yield lambda number=number: on_disk(world, PAGE * (1 + needed * number // asked.sizes))


def on_disk(world: World, size: int) -> str:
    world.clear()
    mount = ["mount", "-t", "tmpfs", "-o"]
    if subprocess.run([*mount, f"size={size}", "tmpfs", str(world.out)]).returncode:
        return "skipped: no right to mount"
    try:
        ended = world.run()
        subprocess.run([*mount, f"remount,size={ROOM}", "tmpfs", str(world.out)], check=True)
        return checked(world, ended, f"disk of {size} bytes")
    finally:
        subprocess.run(["umount", "-l", str(world.out)], check=True)


def checked(world: World, ended: Ended, what: str) -> str:
    try:
        return world.check(ended, (5,))
    except AssertionError as error:
        raise AssertionError(f"{what}: exit code {ended.code}: {ended.err}{error}") from error


if __name__ == "__main__":
    sys.exit(main())
