"""How much of the machine a scan may use: chips, threads and memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geodeforest.core.options import ScanOptions, ScanPlan, plan_scan
from geodeforest.core.ports import Predictor
from geodeforest.errors import BudgetExceeded, DiskFull
from geodeforest.geo.cog import level_sizes
from geodeforest.geo.overlay import POLYGONS_LOAD, is_raster
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.scene import Scene
from geodeforest.workflows.confine import allow_work
from geodeforest.workflows.scan_targets import Targets


def plan_of(scene: Scene, predictor: Predictor, options: ScanOptions, targets: Targets) -> ScanPlan:
    """Chips, threads and memory of a scan into ``targets``.

    Threads that nobody asked for are as many as the memory allows, but one at least.
    """
    loads = {*targets.loads(), *getattr(predictor, "loads", ())}
    if any(Path(path).is_file() and not is_raster(Path(path)) for path in options.files):
        loads |= {*POLYGONS_LOAD}
    threads = options.threads or cpus()
    plan = plan_scan(predictor.spec, options, scene.stored, threads, loads)
    return plan if options.threads is not None else plan.within(options.memory * 2**20)


def check_budget(plan: ScanPlan, profile: SceneProfile, options: ScanOptions) -> None:
    """Refuse a plan that does not fit; a process with limits gets the time that one needs.

    Raises:
        BudgetExceeded: it needs more memory than allowed.
    """
    budget_bytes = options.memory * 2**20
    if plan.bytes > budget_bytes:
        raise BudgetExceeded(profile.path, plan.bytes, budget_bytes)
    pixels = max(profile.height * profile.width, plan.grid.height * plan.grid.width)
    allow_work(len(plan.grid), pixels)


def map_bytes(plan: ScanPlan, targets: Targets) -> int:
    """The most disk that the maps take: each with its overviews, as scratch and as it is kept."""
    sizes = level_sizes(plan.grid.height, plan.grid.width)
    return 2 * len(targets.rasters()) * sum(rows * cols for rows, cols in sizes)


def journal_bytes(plan: ScanPlan, targets: Targets) -> int:
    """The most disk that is taken by what a later scan can go on from."""
    return plan.journal_bytes if targets.resume and targets.home() is not None else 0


@contextmanager
def telling_needs(plan: ScanPlan, targets: Targets) -> Iterator[None]:
    """Let a full disk be told with what the whole scan takes; polygons cannot be known before."""
    try:
        yield
    except DiskFull as full:
        needed = map_bytes(plan, targets) + journal_bytes(plan, targets)
        told = DiskFull(full.path, full.free_bytes, needed or None)
        for hint in getattr(full, "__notes__", ()):
            told.add_note(hint)
        raise told from full


def cpus() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
