"""The goals of ``docs/performance.md`` against what this machine does, in one table.

    python benchmarks/table.py [--side 10980] [--only ratio,start] [--json]

What was measured is kept in a folder by revision, so that a run that was broken off goes on where
it was, and one section can be had at a time; ``--again`` measures anew. The machine should do
nothing else. Sections that need other programs say how to install them.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click
import many_scenes
import peers
from measuring import geodeforest, run
from networks import BUILT_IN, PLAIN, model_named
from scan_speed import OUTPUTS, bare_seconds, chip_count, scan_command, scanned
from scenes import BLOCK, folder, forest, sparse

TILE, SPARSE = 10_980, 100_000
SPARSE_LIMIT_SECONDS = 300
HELP_RUNS, START_RUNS, IDENTICAL_SIDE = 7, 5, 3000


class Row(NamedTuple):
    """A line of the table; ``passed`` is None where there is no goal or no figure."""

    section: str
    what: str
    measured: str
    goal: str
    passed: bool | None


class Kept:
    """What was measured at a revision, on disk after each step."""

    def __init__(self, path: Path, *, again: bool) -> None:
        self._path = path
        self._again = again
        self._known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self._fresh: set[str] = set()

    def get(self, key: str, measure: Callable[[], Any]) -> Any:
        """The figure of that name; measured where it is not known."""
        if key not in self._known or (self._again and key not in self._fresh):
            click.echo(f"measuring {key} ...", err=True)
            self._known[key] = measure()
            self._fresh.add(key)
            self._path.write_text(json.dumps(self._known, indent=1))
        return self._known[key]


@dataclass
class Bench:
    """How large the tile is, and what is known."""

    side: int
    kept: Kept

    @cached_property
    def name(self) -> str:
        """The tile, as it is called in the table."""
        return f"{self.side} x {self.side} px"

    def scan(self, network: str, times_as_high: int = 1) -> dict[str, Any]:
        """Seconds, peak, chips and predicted figures of a scan of the tile."""

        def measure() -> dict[str, Any]:
            scan = scanned(forest(times_as_high * self.side, self.side), model_named(network))
            facts = {
                name: getattr(scan.run, name) for name in ("seconds", "cpu_seconds", "peak_mb")
            }
            chosen = scan.record["options"]
            return facts | {
                "chips": chip_count(scan.record),
                "chip": chosen["chip"],
                "polygons": scan.record["counts"]["polygons"],
                "own_seconds": scan.record["seconds"],
            }

        return self.kept.get(f"scan {network} {times_as_high * self.side}x{self.side}", measure)


def sparse_side(side: int) -> int:
    """How large the scene without blocks is, for a tile of ``side`` px."""
    return SPARSE if side >= TILE else 8 * side


def many_count(side: int) -> int:
    """How many small scenes there are."""
    return 200 if side >= TILE else 32


def peer_sizes(side: int) -> peers.Sizes:
    """How large the scenes are that other programs scan, too."""
    return peers.Sizes() if side >= TILE else peers.Sizes(side, (min(1000, side // 2), side))


def ratio(bench: Bench) -> Iterator[Row]:
    """A whole scan by the bare network, with both networks."""
    for network, goal in ((PLAIN, 1.10), (BUILT_IN, 1.5)):
        key = f"bare {network} {bench.side}"
        model = model_named(network)
        scan = bench.scan(network)
        bare = bench.kept.get(key, lambda m=model, s=scan: bare_seconds(m, s["chips"], s["chip"]))
        found = scan["seconds"] / bare
        told = f"{found:.2f} ({scan['seconds']:.1f} s by {bare:.1f} s)"
        yield Row(
            "ratio", f"scan by bare network, {network}", told, f"<= {goal:.2f}", found <= goal
        )


def start(bench: Bench) -> Iterator[Row]:
    """How long it takes to begin."""

    def seconds(command: list[str], runs: int) -> float:
        with tempfile.TemporaryDirectory(dir=folder()) as cwd:
            return median(run(command, Path(cwd)).seconds for _ in range(runs))

    words = [*scan_command(forest(BLOCK, BLOCK), None), "--overwrite"]
    for what, command, runs, goal in (
        ("geodeforest --help", geodeforest("--help"), HELP_RUNS, 0.3),
        ("scan of 512 x 512 px", words, START_RUNS, 1.5),
    ):
        found = bench.kept.get(what, lambda c=command, n=runs: seconds(c, n))
        yield Row("start", what, f"{found:.2f} s", f"<= {goal} s", found <= goal)


def identical(bench: Bench) -> Iterator[Row]:
    """The same bytes for one thread and two."""
    side = min(bench.side, IDENTICAL_SIDE)

    def measure() -> bool:
        found = []
        for threads in (1, 2):
            with tempfile.TemporaryDirectory(dir=folder()) as cwd:
                run(scan_command(forest(side, side), None, threads), Path(cwd))
                files = [name for name in OUTPUTS if not name.startswith("-")]
                found.append([(Path(cwd) / name).read_bytes() for name in files])
        return found[0] == found[1]

    same = bench.kept.get(f"identical {side}", measure)
    what = f"outputs of --threads 1 and 2, {side} px"
    yield Row("identical", what, "the same bytes" if same else "differ", "the same bytes", same)


def interrupt(bench: Bench) -> Iterator[Row]:
    """From Ctrl-C to the end, early, in the middle and late in a scan."""
    whole = bench.scan(BUILT_IN)["seconds"]

    def measure() -> list[float]:
        scene = forest(bench.side, bench.side)
        ends = []
        for share in (0.2, 0.5, 0.8):
            done = scanned(scene, None, interrupt_after=share * whole, code=None).run
            if done.code not in (0, 130):
                raise RuntimeError(f"an interrupted scan ended with {done.code}: {done.err}")
            ends.append(done.seconds)
        return ends

    ends = bench.kept.get(f"interrupt {bench.side}", measure)
    told = ", ".join(f"{seconds:.2f}" for seconds in ends) + " s"
    yield Row(
        "interrupt", "Ctrl-C to the end, three times in a scan", told, "<= 1 s", max(ends) <= 1
    )


def memory(bench: Bench) -> Iterator[Row]:
    """Peaks of the tile and of a scene four times as high."""
    tile, tall = (bench.scan(BUILT_IN, times)["peak_mb"] for times in (1, 4))
    yield Row("memory", "peak, built-in", f"{tile:.0f} MB", "<= 700 MB", tile <= 700)
    plain = bench.scan(PLAIN)["peak_mb"]
    yield Row("memory", f"peak, {PLAIN}", f"{plain:.0f} MB", "<= 700 MB", plain <= 700)
    told = f"{tall:.0f} MB, {tall / tile - 1:+.1%}"
    yield Row("memory", "peak, four times as high", told, "within 10 %", tall / tile <= 1.1)


def empty(bench: Bench) -> Iterator[Row]:
    """A scene of a hundred thousand rows and columns with one block in it."""
    side = sparse_side(bench.side)

    def measure() -> dict[str, float]:
        done = scanned(sparse(side), None, code=None, limit=SPARSE_LIMIT_SECONDS).run
        return {"seconds": done.seconds, "peak_mb": done.peak_mb, "code": done.code}

    found = bench.kept.get(f"sparse {side}", measure)
    what = f"sparse {side:,} x {side:,} px, {sparse(side).stat().st_size / 1e6:.2f} MB on disk"
    blocks = (-(-side // BLOCK)) ** 2
    each = 1e6 * found["seconds"] / blocks
    ended = found["code"] == 0
    told = f"{found['peak_mb']:.0f} MB, {found['seconds']:.1f} s, {each:.0f} us a block"
    told += "" if ended else f", ended with {found['code']}"
    yield Row("sparse", what, told, "ends, < 1000 MB", ended and found["peak_mb"] < 1000)


def plan(bench: Bench) -> Iterator[Row]:
    """What a plan foretells by what a scan takes."""

    def measure() -> dict[str, float]:
        words = ("plan", forest(bench.side, bench.side), *OUTPUTS, "--json")
        with tempfile.TemporaryDirectory(dir=folder()) as cwd:
            facts = json.loads(run(geodeforest(*words), Path(cwd)).out)
        return {name: facts[name] for name in ("memory_mb", "seconds")}

    found, scan = bench.kept.get(f"plan {bench.side}", measure), bench.scan(BUILT_IN)
    for what, told, true, most in (
        ("peak", found["memory_mb"], scan["peak_mb"], 0.2),
        ("seconds", found["seconds"], scan["own_seconds"], 0.3),
    ):
        off = told / true - 1
        figures = f"{off:+.0%} ({told:.0f} for {true:.0f})"
        yield Row("plan", f"foretold {what}", figures, f"within {most:.0%}", abs(off) <= most)


def many(bench: Bench) -> Iterator[Row]:
    """Two hundred scenes by one mosaic."""
    count = many_count(bench.side)

    def measure() -> list[dict[str, Any]]:
        return [asdict(each) for each in many_scenes.compare(count)]

    pieces, mosaic = bench.kept.get(f"many {count}", measure)
    found = pieces["seconds"] / mosaic["seconds"]
    told = f"{found:.2f} ({pieces['seconds']:.1f} s by {mosaic['seconds']:.1f} s)"
    what = f"{count} scenes of 512 px by one mosaic"
    yield Row("many", what, told, "<= 1.20", found <= 1.2)


def beside(bench: Bench) -> Iterator[Row]:
    """Other programs with the same scene and network."""
    sizes = peer_sizes(bench.side)
    found = bench.kept.get(f"peers {sizes}", lambda: peers.measured(sizes))
    for goal in peers.goals(found):
        yield Row("peers", *goal)


SECTIONS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "start": start,
    "ratio": ratio,
    "identical": identical,
    "interrupt": interrupt,
    "memory": memory,
    "sparse": empty,
    "plan": plan,
    "many": many,
    "peers": beside,
}


@click.command()
@click.option("--side", default=TILE, show_default=True, help="Rows and columns of the tile.")
@click.option("--only", default=",".join(SECTIONS), show_default=True, help="Sections to measure.")
@click.option("--again", is_flag=True, help="Measure what is known of this revision, too.")
@click.option("--prepare", is_flag=True, help="Only make scenes and models; measure nothing.")
@click.option("--json", "as_json", is_flag=True)
def main(side: int, only: str, again: bool, prepare: bool, as_json: bool) -> None:
    """Print what was measured, the goal, and whether it is met."""
    if prepare:
        make_all(side)
        return
    chosen = only.split(",")
    if strange := set(chosen) - set(SECTIONS):
        raise click.UsageError(f"no section {min(strange)}; there are {', '.join(SECTIONS)}")
    bench = Bench(side, Kept(folder() / f"results-{revision()}.json", again=again))
    rows = [row for name in SECTIONS if name in chosen for row in SECTIONS[name](bench)]
    if as_json:
        click.echo(json.dumps([row._asdict() for row in rows], indent=2))
        return
    click.echo(f"tile of {bench.name}, revision {revision()}\n")
    click.echo("| section | what | measured | goal | |\n|---|---|---|---|---|")
    verdicts = {True: "pass", False: "MISS", None: ""}
    for row in rows:
        click.echo(f"| {' | '.join(row[:4])} | {verdicts[row.passed]} |")


def make_all(side: int) -> None:
    """Everything that is measured with, so that a quiet machine is not kept waiting for it."""
    compared = peer_sizes(side)
    squares = {side, min(side, IDENTICAL_SIDE), BLOCK, 1024, compared.timed, *compared.memory}
    for square in sorted(squares):
        forest(square, square)
    forest(4 * side, side)
    sparse(sparse_side(side))
    many_scenes.scenes_of(many_count(side))
    model_named(PLAIN)


def revision() -> str:
    """The revision of the code that is measured."""
    words = ["git", "describe", "--always", "--dirty"]
    here = Path(__file__).parent
    done = subprocess.run(words, cwd=here, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
