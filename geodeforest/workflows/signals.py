"""Signals to this process, in other hands for a while. Knows nothing of what they end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def handling(
    numbers: Iterable[int], handler: Callable[[int, FrameType | None], None]
) -> Iterator[dict[int, Any]]:
    """Have ``handler`` called for these signals, and put back afterwards what it stood in for.

    Yields what is put back, which may be changed. Only the main thread may set a handler, so in
    another one nothing changes; a signal that is ignored, as under nohup, stays so.
    """
    former: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        former = {number: signal.getsignal(number) for number in numbers}
    for number, before in former.items():
        if before != signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield former
    finally:
        for number, before in former.items():
            signal.signal(number, before)
