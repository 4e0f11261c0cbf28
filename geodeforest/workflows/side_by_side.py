"""Several scenes, one after the other; those of a few chips side by side.

A scene of few chips cannot keep the processors at work: while it is opened, and while its
polygons are made, the network rests. So such scenes share the processors, each in one thread: more
at work than there are processors would only wait for Python's lock. While the files of some are
flushed to the disk others are at work. They still come to their end in the order given: one that
fails leaves those behind it as if they had not been begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any, Self, TypeAlias

from geodeforest.core.options import ScanOptions
from geodeforest.core.ports import Predictor, Progress
from geodeforest.core.threads import Threads, stop_runs
from geodeforest.errors import GeodeforestError
from geodeforest.geo.scene import Source
from geodeforest.workflows import scan_scene
from geodeforest.workflows.budget import cpus
from geodeforest.workflows.confine import is_confined
from geodeforest.workflows.scan_report import ScanReport
from geodeforest.workflows.scan_targets import Targets

CHIPS_PER_THREAD = 2
"""A scene of more chips keeps the threads at work by itself for most of its time."""

_LOOK_SECONDS = 0.1

_LANES_PER_THREAD = 2
"""One scene at work, and one that waits for the disk or for its turn."""

Finish: TypeAlias = Callable[[Progress], ScanReport]
"""Brings a scene to its end, telling how far it is; returns its report or raises its error."""


@dataclass(frozen=True, slots=True)
class Job:
    """A scene to be scanned, and how many chips and how much memory that takes in one thread.

    ``program_mb`` of the memory are there once, however many scenes are at work.
    """

    scene: Source
    targets: Targets
    chips: int
    memory_mb: int
    program_mb: int

    @classmethod
    def of(cls, scene: Source, targets: Targets, look: dict[str, Any]) -> Self:
        """The job of a scene that ``check_scenes`` has looked at."""
        return cls(scene, targets, look["chips"], look["in_place_mb"], look["program_mb"])


def finishing(jobs: Sequence[Job], options: ScanOptions, predictor: Predictor) -> Generator[Finish]:
    """For each scene in turn what brings it to its end, which has to be called before the next.

    To be closed: scenes that are not at their end then are given up, and leave nothing.
    """
    threads = options.threads or cpus()
    scan = partial(_scan, options=options, predictor=predictor)
    in_place = partial(scan, in_place=True)
    for small, group in groupby(jobs, lambda job: job.chips <= CHIPS_PER_THREAD * threads):
        some = list(group)
        lanes = lanes_for(some, options.memory, threads) if small else 1
        if lanes == 1:
            yield from (partial(scan, job) for job in some)
            continue
        with _Lanes(some, in_place, (lanes, threads), predictor) as beside:
            yield from (partial(beside.finish, number) for number in range(len(some)))


def lanes_for(jobs: Sequence[Job], budget_mb: int, threads: int) -> int:
    """How many scenes at a time, those that wait for the disk or for their turn included.

    They are less where the budget is too small; a process with limits of its own does one at a
    time, as those were set for that.
    """
    if threads == 1 or is_confined():
        return 1
    program = max(job.program_mb for job in jobs)
    each = max(1, *(job.memory_mb - job.program_mb for job in jobs))
    return max(1, min(_LANES_PER_THREAD * threads, len(jobs), (budget_mb - program) // each))


def _scan(
    job: Job,
    progress: Progress,
    *,
    options: ScanOptions,
    predictor: Predictor,
    in_place: bool = False,
) -> ScanReport:
    return scan_scene.scan_to(
        job.scene, job.targets, options, predictor, progress, in_place=in_place
    )


class _GivenUp(GeodeforestError):
    """Unwinds a scene that is no longer wanted, as an error that lets nothing stay."""


class _Turns:
    """Lets scenes come to their end in order, until they are given up."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turn, self._is_over = 0, False

    def check(self) -> None:
        """Raise where all are given up."""
        if self._is_over:
            raise _GivenUp

    def wait_for(self, number: int) -> None:
        """Wait until all before ``number`` are at their end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or self._turn == number)
        self.check()

    def pass_on(self) -> None:
        """The one whose turn it is has come to its end."""
        with self._changed:
            self._turn += 1
            self._changed.notify_all()

    def give_up(self) -> None:
        """No other comes to its end."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


class _Lanes:
    """Scans of several scenes, each in a thread of its own from its begin to its end.

    ``counts`` are how many at a time, and how many of these may be at work.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        scan: Callable[[Job, Progress], ScanReport],
        counts: tuple[int, int],
        predictor: Predictor,
    ) -> None:
        self._jobs, self._scan, self._predictor = jobs, scan, predictor
        self._pool, self._processors = Threads(counts[0]), threading.Semaphore(counts[1])
        self._turns = _Turns()
        self._done = [(0, job.chips) for job in jobs]
        self._futures: list[Future[ScanReport]] = []

    def __enter__(self) -> Self:
        self._futures = [self._pool.submit(self._run, n) for n in range(len(self._jobs))]
        return self

    def __exit__(self, *_: object) -> None:
        self._turns.give_up()
        self._pool.shutdown(wait=False, cancel_futures=True)
        while at_work := [future for future in self._futures if future.running()]:
            # Again and again: one may only come to its network now.
            stop_runs(self._predictor, self._pool)
            wait(at_work, _LOOK_SECONDS)
        self._pool.shutdown()

    def finish(self, number: int, progress: Progress) -> ScanReport:
        """Wait for a scene, telling meanwhile how far it is."""
        future = self._futures[number]
        while not wait([future], _LOOK_SECONDS).done:
            progress(*self._done[number])
        progress(*self._done[number])
        return future.result()

    def _run(self, number: int) -> ScanReport:
        def heed(done: int, total: int) -> None:
            self._turns.check()
            self._done[number] = done, total

        def in_turn(flush: Callable[[], None]) -> None:
            processor.close()
            flush()
            self._turns.wait_for(number)

        job = self._jobs[number]
        with ExitStack() as processor:
            processor.enter_context(self._processors)
            self._turns.check()
            report = self._scan(replace(job, targets=replace(job.targets, in_turn=in_turn)), heed)
        self._turns.wait_for(number)  # one that was finished before has nothing to put in place
        self._turns.pass_on()
        return report
