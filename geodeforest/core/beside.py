"""Work that is done one after the other in a thread of its own, beside the caller's.

Knows calls and errors; nothing of what the calls do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, Self

from geodeforest.core.threads import Crew, Threads

Args = ParamSpec("Args")


class Beside:
    """Runs calls in the order in which they are given, at most ``ahead`` of them still to do.

    So what waits for its turn takes bounded memory. After a call that raised none is run, and
    the error comes back from a later ``do`` or from ``wait``. Leaving waits for the call at work,
    and drops those behind it. With a ``crew`` that works in place nothing is beside the caller.
    """

    def __init__(self, ahead: int, crew: Crew = Threads) -> None:
        self._ahead = ahead
        self._thread = crew(1)
        self._given: deque[Future[None]] = deque()
        self._has_failed = False

    def do(self, work: Callable[Args, object], *args: Args.args, **named: Args.kwargs) -> None:
        """Have a call made in its turn, once few enough are still to do."""
        while len(self._given) >= self._ahead:
            self._given.popleft().result()

        def in_turn() -> None:
            if self._has_failed:
                return
            try:
                work(*args, **named)
            except BaseException:
                self._has_failed = True
                raise

        self._given.append(self._thread.submit(in_turn))

    def wait(self) -> None:
        """Wait until all calls are made."""
        while self._given:
            self._given.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
