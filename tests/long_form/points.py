"""Points that a long script tries, each once: what came out is kept, so that a run can go on."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

BROKEN = "BROKEN"


def add_state(parser: argparse.ArgumentParser) -> None:
    """The option that names the file of outcomes."""
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="keep outcomes here; points that it has already are not tried again. "
        "Start a new one when the code has changed",
    )


class Points:
    """Outcomes by the name of a point; in a file, from which what held is not tried again."""

    def __init__(self, state: Path | None = None):
        self.failures: list[str] = []
        self._state, self._known = state, dict[str, str]()
        if state is not None and state.exists():
            lines = state.read_text().splitlines()
            self._known = dict(line.split("\t", 1) for line in lines if "\t" in line)

    def tried(self, name: str, point: Callable[[], str]) -> str:
        """The outcome of a point: what it returns, or that it raised an ``AssertionError``."""
        if name in self._known:
            return self._known[name]
        try:
            outcome = point()
        except AssertionError as error:
            self.failures.append(f"{name}: {error}"[:800].replace("\n", " "))
            sys.stderr.write(f"{self.failures[-1]}\n")
            return BROKEN
        self._known[name] = outcome
        if self._state is not None:
            with self._state.open("a") as file:
                file.write(f"{name}\t{outcome}\n")
        return outcome


def told(tally: Counter[str]) -> str:
    """Outcomes with their numbers, in one line."""
    return ", ".join(f"{count} {what}" for what, count in sorted(tally.items()))
