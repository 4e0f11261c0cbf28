"""A small scene, what a scan of it has to give, and what must hold after any fault."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from faults.running import Ended, Server

from geodeforest.geo.legend import QML_START
from geodeforest.testing import make_scene

PEAK_MB = 400
"""More than any scan of these worlds may hold (about 150 when nothing goes wrong)."""

OUTPUTS = {
    "p.geojson": ("-o", "p.geojson"),
    "p.gpkg": ("-o", "p.gpkg"),
    "p.fgb": ("-o", "p.fgb"),
    "p.parquet": ("-o", "p.parquet"),
    "c.tif": ("--classes", "c.tif", "-o", "p.geojson"),
    "x.tif": ("--scores", "x.tif", "-o", "p.geojson"),
    "r.json": ("--report", "r.json", "-o", "p.geojson"),
}
"""By the output that a fault is aimed at, the options that make it."""

EVERYTHING = (
    *("-o", "p.geojson", "-o", "p.gpkg", "-o", "p.fgb", "-o", "p.parquet"),
    *("--classes", "c.tif", "--scores", "x.tif", "--report", "r.json"),
)


def blotches(height=600, width=560, seed=0):
    """Three bands of bright and dark squares, so that there is something to outline."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (3, height // 40 + 1, width // 40 + 1), np.uint8)
    return coarse.repeat(40, 1).repeat(40, 2)[:, :height, :width]


class World:
    """A folder with a scene and a folder for outputs, and a command that is to be disturbed.

    ``truth`` holds the outputs of the same command undisturbed; ``before`` what lies under the
    final names when a fault comes.
    """

    def __init__(self, server: Server, folder: Path, arguments: Sequence[str], values=None):
        self.server, self.folder, self.out = server, folder, folder / "out"
        self.arguments = list(arguments)
        self.out.mkdir(parents=True)
        self.scene = make_scene(folder / "scene.tif", blotches() if values is None else values)
        self._input = self.scene.read_bytes()
        ended = self.run()
        assert (ended.code, ended.err) == (0, ""), ended
        self.truth = self.files()
        self.before: dict[str, bytes] = {}
        self.clear()

    def run(self, *more, **job) -> Ended:
        """The command, undisturbed unless ``job`` says otherwise."""
        return self.server.run([*self.arguments, *more], self.out, **job)

    def injected(self, calls: str, fault: str, *more, only=(), **job) -> Ended:
        """The command with system calls that fail."""
        arguments = [*self.arguments, *more]
        return self.server.run_injected(arguments, self.out, calls, fault, only, **job)

    def clear(self, old: bool = False) -> None:
        """Empty the folder of outputs; ``old`` files lie there then, whole but of another scan."""
        for path in self.out.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        # A style that does not begin like ours would be the user's own, and stay.
        self.before = dict.fromkeys(self.truth, QML_START + b"old") if old else {}
        for name, content in self.before.items():
            (self.out / name).parent.mkdir(exist_ok=True)
            (self.out / name).write_bytes(content)

    def files(self) -> dict[str, bytes]:
        """Everything under names of its own, by path relative to the outputs."""
        return {
            str(path.relative_to(self.out)): path.read_bytes()
            for path in self.out.rglob("*")
            if path.is_file() and not is_scratch(path.relative_to(self.out))
        }

    def litter(self) -> list[Path]:
        """Scratch that is left."""
        return [path for path in self.out.iterdir() if is_scratch(Path(path.name))]

    # --- what must hold after every fault -----------------------------------------------------

    def check(self, ended: Ended, codes: Sequence[int]) -> str:
        """Check all invariants; returns ``complete`` or ``refused``.

        Exit 0 is allowed besides ``codes``, where the fault did not matter; then the outputs
        have to be those of an undisturbed scan.
        """
        assert ended.code in {0, *codes}, ended
        check_words(ended)
        assert ended.peak_mb < PEAK_MB, ended
        assert self.scene.read_bytes() == self._input
        found = self.files()
        if ended.code == 0:
            self.same(found)
            assert self.litter() == []
            return "complete"
        if found != self.before:  # several outputs appear together, or none
            self.same(found)
        self.check_litter()
        return "refused"

    def check_litter(self) -> None:
        """What is left is gone or resumable: the same command ends well over it."""
        if not self.litter():
            return
        again = self.run("--overwrite")
        assert again.code == 0, again
        said = again.err.splitlines()
        assert all("scene.tif: continuing " in line or "finished before" in line for line in said)
        self.same(self.files())
        assert self.litter() == []

    def same(self, found) -> None:
        """Outputs are those of an undisturbed scan; a run record may tell another time."""
        assert sorted(found) == sorted(self.truth)
        for name, content in self.truth.items():
            assert without_clock(name, found[name]) == without_clock(name, content), name
        check_counts(found)


def check_words(ended: Ended) -> None:
    """An error is one line that names file, cause and remedy; nothing else is said."""
    assert "Traceback" not in ended.err, ended.err
    assert all(c.isprintable() or c == "\n" for c in ended.err), ended.err
    lines = ended.err.splitlines()
    if ended.code == 0:
        assert lines == []
        return
    assert len(lines) == 1, ended
    assert ".gdf-" not in lines[0], "scratch is nothing that the user gave"
    assert "site-packages" not in lines[0]
    if ended.code in (130, 143):
        assert lines[0].startswith(("geodeforest: interrupted; ", "geodeforest: terminated; "))
    else:
        assert lines[0].startswith("geodeforest: error: "), lines
        assert ": " in lines[0][20:] or ended.code == 8, lines  # memory is no file
        assert "; " in lines[0], lines


def check_counts(found) -> None:
    """Assessed, not assessed and outside are the scene, to the pixel."""
    for name, content in found.items():
        if name.endswith(".json"):
            counts = json.loads(content)["counts"]
            parts = ("assessed_px", "not_assessed_px", "outside_px")
            assert sum(counts[part] for part in parts) == counts["scene_px"]


def without_clock(name: str, content: bytes):
    """What of an output has to be the same in every run."""
    if not name.endswith(".json"):
        return content
    record = json.loads(content)
    record.pop("seconds", None)
    # Hashes of other outputs: of the same bytes, which are compared themselves.
    return record


def is_scratch(path: Path) -> bool:
    """Whether it lies in a folder that a scan makes for itself."""
    return ".gdf-" in path.parts[0] and path.parts[0].startswith(".")


def is_root() -> bool:
    """Whether this process may mount and set flags."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
