"""Where calls are made: in threads that are known, or in place.

Knows calls, and how a network's runs in threads are ended; nothing of what else the calls do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, TypeAlias, TypeVar

from geodeforest.core.ports import Predictor, Stoppable

Args = ParamSpec("Args")
Result = TypeVar("Result")

Crew: TypeAlias = Callable[[int], Executor]
"""Makes what calls are given to, so many of them at a time: ``Threads``, or ``InPlace``."""


class Stopped(Exception):
    """Unwinds work that is given up. Nothing is wrong with it, so it may be gone on with."""


class Threads(ThreadPoolExecutor):
    """So many threads, which are known while they live."""

    def __init__(self, count: int) -> None:
        self._begun: list[threading.Thread] = []
        super().__init__(count, initializer=self._begin)

    def _begin(self) -> None:
        self._begun.append(threading.current_thread())

    def living(self) -> set[int]:
        """Their identifiers. One that has ended may have left its number to a stranger."""
        return {t.ident for t in self._begun if t.is_alive() and t.ident is not None}


class InPlace(Executor):
    """Makes each call at once, in the thread that gives it, whatever their number.

    Errors come from the call's future, as from a thread's.
    """

    def __init__(self, _count: int = 1) -> None:
        """Take a number as ``Threads`` do, being a ``Crew`` too; one call is made at a time."""

    def submit(
        self, work: Callable[Args, Result], /, *args: Args.args, **named: Args.kwargs
    ) -> Future[Result]:
        """Make a call; its result, or its error, is there when this returns."""
        made: Future[Result] = Future()
        try:
            made.set_result(work(*args, **named))
        except BaseException as error:  # as a thread does
            made.set_exception(error)
        return made


def stop_runs(predictor: Predictor, workers: Executor) -> None:
    """End what runs of the network in these threads, if it can be: a large one takes seconds."""
    if isinstance(predictor, Stoppable) and isinstance(workers, Threads):
        predictor.stop(workers.living())
