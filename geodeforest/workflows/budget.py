"""How much of the machine a scan may use: chips, threads and memory."""

from __future__ import annotations

import os

from geodeforest.core.options import ScanOptions, ScanPlan, plan_scan
from geodeforest.core.spec import ModelSpec
from geodeforest.errors import BudgetExceeded
from geodeforest.geo.profile import SceneProfile
from geodeforest.geo.scene import Scene
from geodeforest.workflows.confine import allow_work


def plan_of(scene: Scene, spec: ModelSpec, options: ScanOptions) -> ScanPlan:
    """Chips, threads and memory of a scan.

    Threads that nobody asked for are as many as the memory allows, but one at least.
    """
    plan = plan_scan(spec, options, scene.stored, options.threads or cpus())
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


def cpus() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
