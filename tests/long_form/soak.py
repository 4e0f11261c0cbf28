"""Scans for an hour in one process, with errors and interrupts in between: nothing may grow.

    python tests/long_form/soak.py --minutes 60

A round is one of each of ``ACTS``. After each round it is counted what this process holds:
memory, open files, threads, and what lies in the folder of the outputs. At the end the counts
of the rounds after the first few must be flat; else the script ends with 1.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

import hostile_models

import geodeforest as gd
from geodeforest import errors, testing

WARM_UP = 3
"""Rounds until libraries have filled their caches."""

GROWTH_MB, GROWTH_SHARE = 8, 0.05
"""Memory that the last quarter may hold more than the first one after the warm-up."""

SIDE = 200


@dataclass(frozen=True)
class World:
    """Scenes, limits, models, and where outputs go."""

    inputs: Path
    outputs: Path
    model: Path

    def scene(self, name: str) -> Path:
        return self.inputs / f"{name}.tif"

    def scan(self, scene: object, *names: str, **options: object) -> object:
        """A scan into outputs of these names, which are taken away afterwards."""
        paths = [self.outputs / name for name in names]
        try:
            return gd.scan(scene, output=paths, model=self.model, **options)
        finally:
            for path in self.outputs.iterdir():
                if path.is_file():
                    path.unlink()


def build(folder: Path, seed: int) -> World:
    draw = np.random.default_rng(seed)
    inputs, outputs = folder / "inputs", folder / "outputs"
    inputs.mkdir()
    outputs.mkdir()
    pixels = draw.integers(0, 256, (1, SIDE, SIDE), np.uint8)
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    testing.make_scene(inputs / "strips.tif", pixels, compress="lzw")
    testing.make_scene(inputs / "tiles.tif", pixels, compress="deflate", **tiles)
    testing.make_scene(inputs / "masked.tif", pixels, valid=pixels[0] > 20, **tiles)
    testing.make_scene(inputs / "nodata.tif", pixels, nodata=0, dtype="uint8")
    testing.make_scene(inputs / "baseline.tif", (pixels > 100).astype(np.uint8))
    whole = testing.make_scene(inputs / "cut.tif", pixels, compress="deflate", **tiles)
    data = bytearray(whole.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    whole.write_bytes(data)
    (inputs / "text.tif").write_text("no raster at all")
    ring = [[-57.0, -6.33], [-56.99, -6.33], [-56.99, -6.35], [-57.0, -6.35], [-57.0, -6.33]]
    area = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {}, "geometry": area}
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    (inputs / "area.geojson").write_text(text)
    return World(inputs, outputs, hostile_models.write(folder / "model"))


def stripes(world: World) -> None:
    outputs = {name: world.outputs / f"{name}.tif" for name in ("classes", "scores")}
    report = world.outputs / "run.json"
    world.scan(world.scene("strips"), "a.geojson", report=report, **outputs)


def tiles(world: World) -> None:
    world.scan(world.scene("tiles"), "a.gpkg", "a.fgb", threads=2)


def mask(world: World) -> None:
    world.scan(world.scene("masked"), "a.geojson", merge_small=True, min_area=0.3)


def rounded(world: World) -> None:
    world.scan(world.scene("nodata"), "a.geojson", smooth=True)


def limits(world: World) -> None:
    area, baseline = world.inputs / "area.geojson", world.scene("baseline")
    world.scan(world.scene("tiles"), "a.geojson", aoi=area, baseline=baseline)


def from_memory(world: World) -> None:
    report = world.scan(world.scene("tiles"), classes=True, scores=True)
    report.class_map()
    report.scores()
    len(report.polygons)


def skipped(world: World) -> None:
    world.scan(world.scene("cut"), "a.geojson", classes=True, on_error="skip")


def broken(world: World) -> None:
    expect(errors.SceneUnreadable, lambda: world.scan(world.scene("cut"), "a.geojson"))


def no_raster(world: World) -> None:
    expect(errors.SceneUnreadable, lambda: world.scan(world.scene("text"), "a.geojson"))


def bad_model(world: World) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = hostile_models.MODELS["M8 weights that are not numbers"](Path(folder))
        expect(errors.ModelError, lambda: gd.load_model(model))


def interrupted(world: World) -> None:
    def stop(done: int, total: int) -> None:
        if done >= total // 2:
            raise KeyboardInterrupt

    scene = world.scene("tiles")
    expect(KeyboardInterrupt, lambda: world.scan(scene, "a.geojson", "a.gpkg", progress=stop))


def in_the_way(world: World) -> None:
    (world.outputs / "a.geojson").write_text("mine")
    scene = world.scene("tiles")
    expect(errors.OutputExists, lambda: world.scan(scene, "a.geojson"))


def command(world: World) -> None:
    """One scan by the command line, in a process of its own."""
    scene, output = str(world.scene("tiles")), str(world.outputs / "a.geojson")
    arguments = ["scan", "-q", "-m", str(world.model), scene, "-o", output]
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    program = [sys.executable, "-m", "geodeforest", *arguments]
    subprocess.run(program, check=True, env=environment)
    (world.outputs / "a.geojson").unlink()


def expect(kind: type[BaseException], act: Callable[[], object]) -> None:
    try:
        act()
    except kind:
        return
    raise RuntimeError(f"there was no {kind.__name__}")


ACTS = (stripes, tiles, mask, rounded, limits, from_memory, skipped, broken, no_raster)
ACTS += (bad_model, interrupted, in_the_way, command)


@dataclass(frozen=True)
class Held:
    """What the process holds after a round."""

    memory_mb: float
    files: int
    threads: int
    left: tuple[str, ...]


def held(world: World) -> Held:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory_mb = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    left = tuple(sorted(path.name for path in world.outputs.iterdir()))
    files, threads = (len(os.listdir(f"/proc/self/{kind}")) for kind in ("fd", "task"))
    return Held(memory_mb, files, threads, left)


def rounds(world: World, *, seconds: float, most: int, pause: float) -> Iterator[Held]:
    """Rounds until the time or their number is up."""
    begun, done = time.monotonic(), 0
    while done < most and time.monotonic() - begun < seconds:
        for act in ACTS:
            act(world)
            time.sleep(pause)
        done += 1
        yield held(world)


def growth(found: list[Held]) -> tuple[float, float]:
    """Memory of the first and last quarter of the rounds, in MB: the median of each."""
    memory = [each.memory_mb for each in found]
    quarter = max(1, len(memory) // 4)
    return statistics.median(memory[:quarter]), statistics.median(memory[-quarter:])


def slope(found: list[Held]) -> float:
    """MB per round, by least squares."""
    if len(found) < 2:
        return 0.0
    return float(np.polyfit(range(len(found)), [each.memory_mb for each in found], 1)[0])


def faults(found: list[Held]) -> list[str]:
    """What is not flat."""
    first, last = growth(found)
    grown = []
    if last - first > max(GROWTH_MB, GROWTH_SHARE * first):
        grown.append(f"memory grew from {first:.1f} to {last:.1f} MB")
    for name in ("files", "threads"):
        counts = Counter(getattr(each, name) for each in found)
        if len(counts) > 1:
            grown.append(f"the number of {name} is not the same after each round: {dict(counts)}")
    if left := set().union(*(each.left for each in found)):
        grown.append(f"left behind: {', '.join(sorted(left))}")
    return grown


def summary(found: list[Held], scans: int, minutes: float) -> str:
    memory = [each.memory_mb for each in found]
    first, last = growth(found)
    return (
        f"{scans} acts in {minutes:.1f} minutes; after the warm-up: memory {first:.1f} MB in the "
        f"first quarter, {last:.1f} MB in the last, {min(memory):.1f} to {max(memory):.1f} MB in "
        f"all, {1000 * slope(found) / len(ACTS):+.1f} kB an act; files {span(found, 'files')}, "
        f"threads {span(found, 'threads')}, left behind {sum(len(each.left) for each in found)}"
    )


def span(found: list[Held], name: str) -> str:
    counts = sorted({getattr(each, name) for each in found})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=10**9)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds after each act")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore", errors.GeodeforestWarning)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        world = build(Path(folder), asked.seed)
        found = []
        for each in rounds(world, seconds=60 * asked.minutes, most=asked.rounds, pause=asked.pause):
            found.append(each)
            if len(found) % 20 == 1:
                tell(f"round {len(found)}: {each}")
    flat = found[min(WARM_UP, len(found) - 1) :]
    tell(summary(flat, len(found) * len(ACTS), (time.monotonic() - begun) / 60))
    for fault in (grown := faults(flat)):
        tell(f"NOT FLAT: {fault}")
    return 1 if grown else 0


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
