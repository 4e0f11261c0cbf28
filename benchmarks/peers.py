"""geodeforest beside other programs: the same scene, the same network, the same overlap.

    python benchmarks/peers.py [--side 4096] [--memory-side 1000 --memory-side 10954]

Each program runs in processes of its own, with the set-up that is quickest for it on this
machine: GeoDeep as its documentation calls it; a sliding-window script in PyTorch (whole scene in
memory, Hann blend; batch and memory layout tried first); the ``model.predict`` loop of the seed
system's notebooks in Keras (batch tried first; chips side by side as there, and again with the
overlap of the others).
GeoDeep and PyTorch have environments of their own, told by ``--install``. What they write is less:
class maps, and scores where they have any; geodeforest also writes polygons.

The error at seams is that of pixels in overlaps, by one pass over a window several times as large.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import rasterio
from measuring import run
from networks import BUILT_IN, PLAIN, model_named, qgis_edition
from numpy.typing import NDArray
from rasterio.windows import Window
from scan_speed import scanned
from scenes import folder, forest

PROGRAMS = Path(__file__).with_name("programs")
OURS, GEODEEP, TORCH, KERAS, SEED = (
    "geodeforest",
    "GeoDeep",
    "PyTorch windows",
    "Keras loop",
    "Keras loop, no overlap",
)
INSTALL = {
    GEODEEP: ("geodeep", "geodeep"),
    TORCH: ("torch", "torch==2.13.0 onnx rasterio"),
}
"""Environment and packages of the programs that are not part of this project's own."""

INNER, MARGIN, MULTIPLE = 2048, 256, 32
"""Rows and columns that are compared, what the large window has around them, and its unit."""

MEDIAN_SIDE = 5
"""GeoDeep smooths its classes by a median of so many pixels; so its reference is smoothed, too."""

COLUMNS = (
    "program",
    "network",
    "px",
    "s",
    "s without imports",
    "peak MB",
    "classes that differ",
    "of them at seams",
    "score error at seams",
    "worst",
    "set-up",
)

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sides of the scene that is timed, and of those whose peaks are compared."""

    timed: int = 4096
    memory: tuple[int, int] = (1000, 10_954)


@click.command()
@click.option("--side", default=Sizes().timed, show_default=True, help="Side of the timed scene.")
@click.option("--memory-side", "memory", default=Sizes().memory, multiple=True, show_default=True)
@click.option("--install", is_flag=True, help="Make the environments of the other programs first.")
def main(side: int, memory: tuple[int, ...], install: bool) -> None:
    """Print time, peak and differences of each program, and whether the goals are met."""
    if install:
        for name in INSTALL:
            make_environment(name)
    found = measured(Sizes(side, (min(memory), max(memory))))
    for line in table(found):
        click.echo(line)
    click.echo()
    for what, told, goal, passed in goals(found):
        click.echo(f"{'pass' if passed else 'MISS':5} {what}: {told} (goal {goal})")


def measured(sizes: Sizes) -> Facts:
    """All runs of all programs that are installed."""
    programs = [OURS, *(p for p in (GEODEEP, TORCH, KERAS, SEED) if _python(p) is not None)]
    runs: list[Facts] = []
    settings: dict[tuple[str, str], Facts] = {}
    for network in (PLAIN, BUILT_IN):
        bench = _Bench(network, sizes.timed, settings)
        runs += [bench.run(program, compared=True) for program in programs]
    for side in sizes.memory:
        bench = _Bench(BUILT_IN, side, settings)
        runs += [bench.run(program, compared=False) for program in programs if program != SEED]
    missing = [name for name in INSTALL if name not in programs]
    return {"sizes": [sizes.timed, *sizes.memory], "runs": runs, "missing": missing}


def environment(program: str) -> Path:
    """Where a program of others is installed."""
    return folder() / "environments" / INSTALL[program][0]


def make_environment(program: str) -> None:
    """Install a program of others where ``measured`` looks for it."""
    home = environment(program)
    if not (home / "bin" / "python").exists():
        run([sys.executable, "-m", "venv", home])
    run([home / "bin" / "python", "-m", "pip", "install", "-q", *INSTALL[program][1].split()])


def _python(program: str) -> Path | None:
    if program not in INSTALL:
        return Path(sys.executable)
    python = environment(program) / "bin" / "python"
    module = "geodeep" if program == GEODEEP else "torch, onnx, rasterio"
    found = python.exists() and run([python, "-c", f"import {module}"], code=None).code == 0
    return python if found else None


class _Bench:
    """One network on one scene, by any program; ``settings`` are what was found quickest."""

    def __init__(self, network: str, side: int, settings: dict[tuple[str, str], Facts]) -> None:
        self._network, self._side, self._settings = network, side, settings
        self._scene = forest(side, side)
        self._record: Facts = {}
        self._level: tuple[float, ...] | None = None
        self._scores: NDArray[np.float32] | None = None

    def run(self, program: str, *, compared: bool) -> Facts:
        """What the program took, and how far its results lie from one large pass."""
        click.echo(f"measuring {program}, {self._network}, {self._side} px ...", err=True)
        facts: Facts = {"program": program, "network": self._network, "side": self._side}
        with tempfile.TemporaryDirectory(dir=folder()) as cwd:
            taken = self._ours(Path(cwd)) if program == OURS else self._theirs(program, Path(cwd))
            if compared:
                taken |= self._differences(program, Path(cwd))
        return facts | taken

    def _ours(self, cwd: Path) -> Facts:
        scan = scanned(self._scene, model_named(self._network), cwd=cwd)
        self._record = scan.record
        options = scan.record["options"]
        level = options.get("scene_level")
        self._level = None if level is None else tuple(np.ravel(level).tolist())
        setting = f"chip {options['chip']}, overlap {options['overlap']}"
        return {"seconds": scan.run.seconds, "peak_mb": scan.run.peak_mb, "setting": setting}

    def _theirs(self, program: str, cwd: Path) -> Facts:
        words = self._command(program)
        setting = self._setting(program, words)
        for name, value in setting.items():
            words += [f"--{name}", str(value)]
        done = run(words, cwd, environment={"PYTHONPATH": str(PROGRAMS.parents[1])})
        told = ", ".join(f"{name} {value}" for name, value in setting.items() if value)
        return {
            "seconds": done.seconds,
            "work_seconds": json.loads(done.out.splitlines()[-1])["work_seconds"],
            "peak_mb": done.peak_mb,
            "setting": told or "as it comes",
        }

    def _command(self, program: str) -> list[Any]:
        keras = program in (KERAS, SEED)
        name = (
            "keras_loop" if keras else {GEODEEP: "geodeep_program", TORCH: "torch_windows"}[program]
        )
        model = self._home() if keras else qgis_edition(self._network, self._level)
        words = [_python(program), PROGRAMS / f"{name}.py", self._scene, model]
        if program != GEODEEP:
            overlap = 0 if program == SEED else self._record["options"]["overlap"]
            words += ["--chip", self._record["options"]["chip"], "--overlap", overlap]
        if keras and self._level is not None:
            words += ["--level", ",".join(map(str, self._level))]
        return words

    def _setting(self, program: str, words: list[Any]) -> Facts:
        """What is quickest for the program, tried out in a process of its own."""
        if program == GEODEEP:
            return {}
        key = program, self._network
        if key not in self._settings:
            environment = {"PYTHONPATH": str(PROGRAMS.parents[1])}
            with tempfile.TemporaryDirectory(dir=folder()) as cwd:
                done = run([*words, "--try"], Path(cwd), environment=environment)
            self._settings[key] = json.loads(done.out.splitlines()[-1])
        return self._settings[key]

    def _home(self) -> Path:
        from geodeforest.runtime.model_dir import model_directory

        return Path(model_directory(model_named(self._network)))

    def _differences(self, program: str, cwd: Path) -> Facts:
        """Share of class pixels that differ from one large pass; error of scores at seams."""
        inner, large = self._inner(), self._reference()
        names = ("c.tif", "x.tif") if program == OURS else ("classes.tif", "scores.tif")
        classes, scores = (_read(cwd / name, inner) for name in names)
        # In maps of geodeforest the stored number decides, elsewhere the greater score.
        truth = np.round(large * 250) >= 125 if program == OURS else large > 0.5
        truth = _median(truth) if program == GEODEEP else truth
        differs = (classes == 1) != truth
        chip, overlap = (self._record["options"][name] for name in ("chip", "overlap"))
        at_seams = _overlaps(inner, chip, overlap)
        found: Facts = {
            "differ": float(differs.mean()),
            "differ_at_seams": float(differs[at_seams].mean()),
        }
        if scores is not None:
            off = np.abs(scores / 250 - np.round(large * 250) / 250)[at_seams]
            found |= {"error_at_seams": float(off.mean()), "worst_at_seams": float(off.max())}
        return found

    def _large(self) -> Window:
        """What one pass sees: in the scene's middle, and a multiple of what networks need."""
        side = min(INNER + 2 * MARGIN, self._side // MULTIPLE * MULTIPLE)
        first = (self._side - side) // 2
        return Window(first, first, side, side)

    def _inner(self) -> Window:
        """The large window without its margins, which it keeps at the scene's own edges."""
        large = self._large()
        before = MARGIN if large.row_off else 0
        after = MARGIN if large.row_off + large.height < self._side else 0
        first, side = large.row_off + before, large.height - before - after
        return Window(first, first, side, side)

    def _reference(self) -> NDArray[np.float32]:
        """Scores of the inner window, from one pass over the large one."""
        if self._scores is None:
            from geodeforest.workflows.load_model import load_model

            large, inner = self._large(), self._inner()
            with rasterio.open(self._scene) as scene:
                chip = scene.read(window=large).transpose(1, 2, 0)[np.newaxis]
            level = None if self._level is None else np.array([self._level], np.float32)
            model = load_model(model_named(self._network))
            found = model.predict(np.float32(chip) / np.float32(255), level)[0, ..., 1]
            first = inner.row_off - large.row_off
            self._scores = found[first : first + inner.height, first : first + inner.width]
        return self._scores


def _read(path: Path, window: Window) -> NDArray[Any] | None:
    if not path.exists():
        return None
    with rasterio.open(path) as raster:
        return raster.read(1, window=window).astype(np.float32)


def _median(classes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The median of a square around each pixel."""
    reach = MEDIAN_SIDE // 2
    padded = np.pad(classes.astype(np.int32), reach, mode="edge")
    sums = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    k = MEDIAN_SIDE
    return sums[k:, k:] - sums[:-k, k:] - sums[k:, :-k] + sums[:-k, :-k] > k * k // 2


def _overlaps(window: Window, chip: int, overlap: int) -> NDArray[np.bool_]:
    """Where chips overlap, (rows, cols) of a window."""
    row, col = (
        (_places(start, window.height, chip, overlap)) for start in (window.row_off, window.col_off)
    )
    return row[:, np.newaxis] | col[np.newaxis]


def _places(start: int, length: int, chip: int, overlap: int) -> NDArray[np.bool_]:
    at = np.arange(start, start + length)
    return (at % (chip - overlap) < overlap) & (at >= overlap)


def table(found: Facts) -> Iterator[str]:
    """A line of Markdown for each run."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---" * len(COLUMNS) + "|"
    for each in found["runs"]:
        cells = [each["program"], each["network"], f"{each['side']}", f"{each['seconds']:.1f}"]
        cells.append(_told(each, "work_seconds", "{:.1f}"))
        cells.append(f"{each['peak_mb']:.0f}")
        for name, form in (
            ("differ", "{:.3%}"),
            ("differ_at_seams", "{:.3%}"),
            ("error_at_seams", "{:.5f}"),
            ("worst_at_seams", "{:.3f}"),
        ):
            cells.append(_told(each, name, form))
        yield f"| {' | '.join([*cells, each['setting']])} |"
    for name in found["missing"]:
        words = f"{environment(name)} with: pip install {INSTALL[name][1]}"
        yield f"{name} is not installed; `python benchmarks/peers.py --install` makes {words}"


def _told(facts: Facts, name: str, form: str) -> str:
    return form.format(facts[name]) if name in facts else ""


def goals(found: Facts) -> Iterator[tuple[str, str, str, bool | None]]:
    """What is measured, the figure, the goal, and whether it is met."""
    timed, small, large = found["sizes"]
    runs = {(r["program"], r["network"], r["side"], "differ" in r): r for r in found["runs"]}
    others = sorted({p for p, *_ in runs} - {OURS})
    equal = [p for p in others if p != SEED]
    if not equal:
        return
    for network in (PLAIN, BUILT_IN):
        ours = runs[OURS, network, timed, True]
        fastest = min(equal, key=lambda p: runs[p, network, timed, True]["seconds"])
        ratio = ours["seconds"] / runs[fastest, network, timed, True]["seconds"]
        yield f"time by {fastest}, {network}", f"{ratio:.2f}", "<= 1", ratio <= 1
        scored = [p for p in others if "error_at_seams" in runs[p, network, timed, True]]
        for name, some in (("error_at_seams", scored), ("differ_at_seams", others)):
            if not some:
                continue
            best = min(some, key=lambda p: runs[p, network, timed, True][name])
            theirs = runs[best, network, timed, True][name]
            what = "score error" if name == "error_at_seams" else "classes that differ"
            told = f"{ours[name]:.2g} by {theirs:.2g} of {best}"
            yield f"{what} at seams, {network}", told, "smaller", ours[name] < theirs
    light = runs[OURS, BUILT_IN, timed, True]["seconds"]
    fastest = min(others, key=lambda p: runs[p, PLAIN, timed, True]["seconds"])
    gain = runs[fastest, PLAIN, timed, True]["seconds"] / light
    yield f"built-in by {fastest} with {PLAIN}", f"{gain:.1f} x as fast", ">= 5", gain >= 5
    growth = {
        p: runs[p, BUILT_IN, large, False]["peak_mb"] - runs[p, BUILT_IN, small, False]["peak_mb"]
        for p in (OURS, *equal)
    }
    least = min(equal, key=growth.__getitem__)
    share = growth[OURS] / growth[least]
    told = f"{share:.2f} ({growth[OURS]:.0f} MB by {growth[least]:.0f} of {least})"
    yield (
        f"growth of memory, {small**2 / 1e6:.0f} to {large**2 / 1e6:.0f} Mpx",
        told,
        "<= 0.25",
        share <= 0.25,
    )


if __name__ == "__main__":
    main()
