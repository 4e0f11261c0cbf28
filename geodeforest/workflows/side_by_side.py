"""Several scenes, one after the other; those of a few chips side by side.

A scene of few chips cannot keep the processors at work: while it is opened, and while its
polygons are made, the network rests. So such scenes share the processors, each in one thread, as
far as there are enough of them: more at work than there are processors would only wait for
Python's lock. While the files of some are flushed to the disk others are at work. They still come
to their end in the order given: one that fails leaves those behind it as if they had not been
begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from heapq import heapreplace
from itertools import groupby
from typing import Any, Self, TypeAlias

from geodeforest.core.options import ScanOptions
from geodeforest.core.ports import Predictor, Progress
from geodeforest.core.threads import Stopped, Threads, stop_runs
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

    To be closed: scenes that are not at their end then are given up. They leave nothing where
    another one failed, and otherwise what a later scan goes on from.
    """
    threads = options.threads or cpus()
    scan = partial(_scan, options=options, predictor=predictor)
    in_place = partial(scan, in_place=True)
    for small, group in groupby(jobs, lambda job: job.chips <= CHIPS_PER_THREAD * threads):
        some = list(group)
        room = Room(lanes_for(some, options.memory, threads) if small else 1, threads)
        count = count_beside(some, room)
        if count:
            with _Lanes(some[:count], in_place, room, predictor) as beside:
                yield from (partial(beside.finish, number) for number in range(count))
        yield from (partial(scan, job) for job in some[count:])


@dataclass(frozen=True, slots=True)
class Room:
    """How many scenes may be begun at a time, and how many threads may be at work."""

    lanes: int
    threads: int


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


def count_beside(jobs: Sequence[Job], room: Room) -> int:
    """How many of the first scenes go side by side, in a thread each, so that all take least.

    The others have all threads, one after the other. Counted is how many chips' time all take: of
    few scenes in a thread each most threads would have nothing to do.
    """
    if room.lanes == 1:
        return 0
    alone = [-(-job.chips // room.threads) for job in jobs]
    ends = [0] * min(room.lanes, room.threads)  # a heap: when each thread is free again
    count, left, last = 0, sum(alone), 0
    least = left
    for number, job in enumerate(jobs):
        end = ends[0] + job.chips
        heapreplace(ends, end)
        last, left = max(last, end), left - alone[number]
        if last + left <= least:
            count, least = number + 1, last + left
    return count


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
    """Unwinds a scene as if it had not been begun, since another one failed."""


class _Turns:
    """Lets scenes come to their end in order, until they are given up."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turn = 0
        self._over: type[Exception] | None = None

    def check(self) -> None:
        """Raise where all are given up."""
        if self._over is not None:
            raise self._over

    def wait_for(self, number: int) -> None:
        """Wait until all before ``number`` are at their end."""
        with self._changed:
            self._changed.wait_for(lambda: self._over is not None or self._turn == number)
        self.check()

    def pass_on(self) -> None:
        """The one whose turn it is has come to its end."""
        with self._changed:
            self._turn += 1
            self._changed.notify_all()

    def give_up(self, unwinding: type[Exception]) -> None:
        """No other comes to its end; each is ended by such an error."""
        with self._changed:
            self._over = unwinding
            self._changed.notify_all()


class _Lanes:
    """Scans of several scenes, each in a thread of its own from its begin to its end."""

    def __init__(
        self,
        jobs: Sequence[Job],
        scan: Callable[[Job, Progress], ScanReport],
        room: Room,
        predictor: Predictor,
    ) -> None:
        self._jobs, self._scan, self._predictor = jobs, scan, predictor
        self._pool, self._processors = Threads(room.lanes), threading.Semaphore(room.threads)
        self._turns = _Turns()
        self._done = [(0, job.chips) for job in jobs]
        self._futures: list[Future[ScanReport]] = []
        self._has_failed = False

    def __enter__(self) -> Self:
        self._futures = [self._pool.submit(self._run, n) for n in range(len(self._jobs))]
        return self

    def __exit__(self, *_: object) -> None:
        self._give_up(_GivenUp if self._has_failed else Stopped)

    def _give_up(self, unwinding: type[Exception]) -> None:
        self._turns.give_up(unwinding)
        self._pool.shutdown(wait=False, cancel_futures=True)
        while at_work := [future for future in self._futures if future.running()]:
            if unwinding is Stopped:  # again and again: one may only come to its network now
                stop_runs(self._predictor, self._pool)
            wait(at_work, _LOOK_SECONDS)
        self._pool.shutdown()

    def finish(self, number: int, progress: Progress) -> ScanReport:
        """Wait for a scene, telling meanwhile how far it is."""
        future = self._futures[number]
        try:
            while not wait([future], _LOOK_SECONDS).done:
                progress(*self._done[number])
            progress(*self._done[number])
        except BaseException as error:  # an interrupt, which tells what the scenes have left
            self._give_up(Stopped)
            for note in self._notes():
                error.add_note(note)
            raise
        self._has_failed = future.exception() is not None
        return future.result()

    def _notes(self) -> list[str]:
        """What is to be said of scenes that were given up, each thing once."""
        ended = [each for each in self._futures if each.done() and not each.cancelled()]
        errors = [each.exception() for each in ended]
        return list(dict.fromkeys(n for e in errors for n in getattr(e, "__notes__", ())))

    def _run(self, number: int) -> ScanReport:
        def heed(done: int, total: int) -> None:
            self._turns.check()
            self._done[number] = done, total

        @contextmanager
        def in_turn() -> Iterator[None]:
            processor.close()
            yield
            self._turns.wait_for(number)

        job = self._jobs[number]
        with ExitStack() as processor:
            processor.enter_context(self._processors)
            self._turns.check()
            report = self._scan(replace(job, targets=replace(job.targets, in_turn=in_turn)), heed)
        self._turns.wait_for(number)  # one that was finished before has nothing to put in place
        self._turns.pass_on()
        return report
