"""Changes good inputs at random and watches what becomes of the commands that get them.

    python tests/long_form/fuzz.py --cases 10000

Case N of seed S is the same input always: ``--seed S --case N`` runs it alone. Each command runs
in a forked child with limits. Whatever ends in another way than it may (see ``TARGETS``), says
more than one line, leaves something, or contradicts itself is a failure; its input is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

import forked
import fuzz_inputs

SECONDS, PEAK_MB = 30, 700
FOLDER = "fuzz_failures"


@dataclass(frozen=True)
class Target:
    """Commands that get changed files of one kind, and the exit codes that they may have.

    ``commands(draw, name)`` draws the arguments for a file of that name; a changed input that is
    a directory's file is put there by ``place``.
    """

    seeds: dict[str, bytes]
    codes: frozenset[int]
    commands: Callable[[np.random.Generator, str], list[str]]
    place: Callable[[Path, str, bytes], None]
    left: frozenset[str] = frozenset()
    share: float = 1.0


@dataclass
class Tally:
    """Endings by target and exit code, and the worst that was seen."""

    counts: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_mb: int = 0


def put(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)


def put_beside_a_scene(folder: Path, name: str, data: bytes) -> None:
    put(folder, name, data)
    put(folder, "scene.tif", fuzz_inputs.plain_scene())


def put_spec(folder: Path, name: str, data: bytes) -> None:
    (folder / "model").mkdir()
    put(folder / "model", "model.json", data)
    put(folder / "model", "model.onnx", fuzz_inputs.network())


def put_network(folder: Path, name: str, data: bytes) -> None:
    """A directory that vouches for the changed network."""
    (folder / "model").mkdir()
    put(folder / "model", "model.json", fuzz_inputs.spec_of(data))
    put(folder / "model", "model.onnx", data)


def put_index(folder: Path, name: str, data: bytes) -> None:
    (folder / "set").mkdir()
    put(folder / "set", "index.json", data)


SCAN = ["--classes", "c.tif", "--json", "--max-pixels", "4000000", "-o"]


def scan_scene(draw: np.random.Generator, name: str) -> list[str]:
    output = str(draw.choice(["o.geojson", "o.gpkg", "o.fgb"], p=[0.8, 0.1, 0.1]))
    skip = ["--on-error", "skip"] if draw.random() < 0.5 else []
    return ["scan", name, "--bands", "1", "--scale", "0,255", *skip, *SCAN, output]


def scan_with(draw: np.random.Generator, name: str) -> list[str]:
    option = str(draw.choice(["--aoi", "--baseline", "--mask"]))
    return ["scan", "scene.tif", "--bands", "1", option, name, *SCAN, "o.geojson"]


def verify_model(draw: np.random.Generator, name: str) -> list[str]:
    return ["model", "show" if draw.random() < 0.5 else "verify", "model"]


def verify_network(draw: np.random.Generator, name: str) -> list[str]:
    return ["model", "verify", "model"]


def describe_records(draw: np.random.Generator, name: str) -> list[str]:
    return ["records", "info", "set"]


def targets(corpus: Path | None) -> dict[str, Target]:
    """What is changed, by name."""
    scenes = fuzz_inputs.scenes() | (fuzz_inputs.odd_scenes(corpus) if corpus else {})
    scan = frozenset({0, 3, 4, 8})
    left = frozenset({"scene.tif"})
    return {
        "scene": Target(scenes, scan, scan_scene, put, share=6),
        "limit": Target(
            fuzz_inputs.limits(), scan, scan_with, put_beside_a_scene, left=left, share=2
        ),
        "spec": Target(fuzz_inputs.specs(), frozenset({0, 6}), verify_model, put_spec),
        "network": Target(
            {"model.onnx": fuzz_inputs.network()}, frozenset({0, 6}), verify_network, put_network
        ),
        "index": Target(
            {"index.json": fuzz_inputs.index()},
            frozenset({0, 7}),
            describe_records,
            put_index,
            share=0.5,
        ),
    }


def changed(draw: np.random.Generator, data: bytes, others: Sequence[bytes]) -> bytes:
    """The data with one byte changed, or with one to three changes of any kind."""
    if draw.random() < 0.4:
        made = bytearray(data)
        made[int(draw.integers(len(data)))] ^= int(draw.integers(1, 256))
        return bytes(made)
    kinds = (flip, flip, overwrite, overwrite, cut, zero, repeat, splice)
    for _ in range(int(draw.integers(1, 4))):
        if data:
            data = kinds[int(draw.integers(len(kinds)))](draw, data, others)
    return data


def somewhere(draw: np.random.Generator, data: bytes) -> int:
    """A place in the data; half the time near an end, where headers and directories are."""
    where = draw.random()
    if where < 0.35:
        return int(draw.integers(min(len(data), 600)))
    if where < 0.5:
        return len(data) - 1 - int(draw.integers(min(len(data), 600)))
    return int(draw.integers(len(data)))


def flip(draw: np.random.Generator, data: bytes, _: Sequence[bytes]) -> bytes:
    made = bytearray(data)
    for _ in range(int(draw.integers(1, 9))):
        made[somewhere(draw, data)] ^= 1 << int(draw.integers(8))
    return bytes(made)


NUMBERS = (0, 1, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)
WORDS = (b"NaN", b"1e999", b"-1", b"null", b"{}", b"[[[[", b'"', b"\0", b"\xff", b"\x1b[31m", b"\n")


def overwrite(draw: np.random.Generator, data: bytes, _: Sequence[bytes]) -> bytes:
    """A number at the edge of its type, or a word that JSON knows, over what was there."""
    at = somewhere(draw, data)
    if draw.random() < 0.3:
        word = WORDS[int(draw.integers(len(WORDS)))]
    else:
        number = NUMBERS[int(draw.integers(len(NUMBERS)))]
        size = int(draw.choice([1, 2, 4, 8]))
        word = (number % 2 ** (8 * size)).to_bytes(size, "little")
    return data[:at] + word + data[at + len(word) :]


def cut(draw: np.random.Generator, data: bytes, _: Sequence[bytes]) -> bytes:
    at = somewhere(draw, data)
    return data[:at] if draw.random() < 0.5 else data[:at] + data[at + int(draw.integers(1, 64)) :]


def zero(draw: np.random.Generator, data: bytes, _: Sequence[bytes]) -> bytes:
    at, length = somewhere(draw, data), int(draw.integers(1, 512))
    return data[:at] + bytes(min(length, len(data) - at)) + data[at + length :]


def repeat(draw: np.random.Generator, data: bytes, _: Sequence[bytes]) -> bytes:
    at, length = somewhere(draw, data), int(draw.integers(1, 64))
    return data[:at] + data[at : at + length] * int(draw.integers(1, 5)) + data[at:]


def splice(draw: np.random.Generator, data: bytes, others: Sequence[bytes]) -> bytes:
    """A part of another input in place of one of this."""
    other = others[int(draw.integers(len(others)))]
    length = int(draw.integers(1, 256))
    source, at = somewhere(draw, other), somewhere(draw, data)
    return data[:at] + other[source : source + length] + data[at + length :]


def inspect(code: int, printed: str) -> Iterator[str]:
    """What the outputs of a scan say against each other."""
    if code not in (0, 4):
        return
    import rasterio

    counts = json.loads(printed)["counts"]
    parts = counts["assessed_px"] + counts["not_assessed_px"] + counts["outside_px"]
    if parts != counts["scene_px"]:
        yield f"assessed, not assessed and outside are {parts} of {counts['scene_px']} px"
    if (code == 4) != (counts["failed_px"] > 0):
        yield f"the code is {code} with {counts['failed_px']} failed px"
    with rasterio.open("c.tif") as dataset:
        classes = dataset.read(1)
    unknown = int((classes == 255).sum())
    if classes.size != counts["scene_px"] or unknown != classes.size - counts["assessed_px"]:
        yield f"the map has {unknown} of {classes.size} px unknown, the record says {counts}"


def objections(target: Target, ending: forked.Ending, folder: Path, given: set[str]) -> list[str]:
    """What is wrong with an ending."""
    found = [f"heard: {event}" for event in ending.heard]
    if ending.code not in target.codes:
        found.append(f"exit code {ending.code}")
    if any(not line.startswith("geodeforest: ") or not line.isprintable() for line in ending.said):
        found.append("stderr has other lines than one-line messages")
    if any(str(folder) in line for line in ending.said):
        found.append("a path that was not given")
    errors = [line for line in ending.said if line.startswith("geodeforest: error: ")]
    if ending.code in (3, 6, 7, 8):
        if len(errors) != 1 or ";" not in errors[0]:
            found.append(f"{len(errors)} lines of error")
        if left := {path.name for path in folder.iterdir()} - given:
            found.append(f"left behind: {sorted(left)}")
    elif errors:
        found.append("an error and no exit code")
    if scratch := [path.name for path in folder.rglob(".*.gdf-*")]:
        found.append(f"scratch left behind: {scratch}")
    if ending.seconds > SECONDS or ending.peak_mb > PEAK_MB:
        found.append(f"{ending.seconds:.1f} s and {ending.peak_mb} MB")
    return found


def run_case(all_targets: dict[str, Target], seed: int, number: int, keep: Path) -> tuple:
    """One case: its target, how it ended, and what is wrong with that."""
    draw = np.random.default_rng([seed, number])
    shares = np.array([target.share for target in all_targets.values()])
    name = str(draw.choice(list(all_targets), p=shares / shares.sum()))
    target = all_targets[name]
    source = str(draw.choice(sorted(target.seeds)))
    data = changed(draw, target.seeds[source], list(target.seeds.values()))
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    try:
        target.place(folder, Path(source).name, data)
        arguments = target.commands(draw, Path(source).name)
        given = {path.name for path in folder.iterdir()}
        stub, look = arguments[0] == "scan", inspect if arguments[0] == "scan" else None
        ending = forked.run(arguments, folder, stub=stub, inspect=look)
        wrong = objections(target, ending, folder, given)
    finally:
        shutil.rmtree(folder)
    if wrong:
        keep.mkdir(exist_ok=True)
        (keep / f"{seed}-{number}-{Path(source).name}").write_bytes(data)
        told = [f"{name} {source}: {' '.join(arguments)}", *wrong, *ending.said[-12:]]
        (keep / f"{seed}-{number}.txt").write_text("\n".join(told), "utf-8", "replace")
    return name, ending, wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run this one only")
    parser.add_argument(
        "--corpus", type=Path, help="folder of more TIFFs to change, with MANIFEST.tsv"
    )
    parser.add_argument("--keep", type=Path, default=Path(FOLDER), help="for what fails")
    asked = parser.parse_args(arguments)
    forked.warm()
    all_targets, tally, begun = targets(asked.corpus), Tally(), time.monotonic()
    cases = range(asked.first, asked.first + asked.cases)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):  # then the counts so far are told
        for number in cases if asked.case is None else [asked.case]:
            count(tally, number, *run_case(all_targets, asked.seed, number, asked.keep))
            if number % 500 == 499:
                tell(f"at case {number + 1} after {time.monotonic() - begun:.0f} s")
    tell(told(tally))
    return 1 if tally.failures else 0


def count(tally: Tally, number: int, name: str, ending: forked.Ending, wrong: list[str]) -> None:
    tally.counts[name, ending.code] += 1
    tally.seconds += ending.seconds
    tally.peak_mb = max(tally.peak_mb, ending.peak_mb)
    if wrong:
        tally.failures.append(f"case {number} ({name}): {'; '.join(wrong)}")
        tell(tally.failures[-1])


def told(tally: Tally) -> str:
    """The counts by target and outcome."""
    lines = []
    for name in sorted({name for name, _ in tally.counts}):
        by_code = {code: n for (of, code), n in sorted(tally.counts.items()) if of == name}
        codes = ", ".join(f"{n} ended with {code}" for code, n in by_code.items())
        lines.append(f"{name}: {sum(by_code.values())} cases, {codes}")
    lines.append(
        f"{sum(tally.counts.values())} cases, {len(tally.failures)} failures; "
        f"{tally.seconds:.0f} s of processor time, {tally.peak_mb} MB at most"
    )
    return "\n".join(lines)


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    sys.exit(main())
