"""A scan that was broken off goes on: rows from the journal, and from the model what it lacks.

Knows chip rows and what one leaves for the next; nothing of files. The rows come out in order and
are the same, bit for bit, wherever they come from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import fields, is_dataclass
from itertools import groupby
from typing import Any, TypeAlias

from geodeforest.core.grid import ChipRow
from geodeforest.core.options import ScanPlan
from geodeforest.core.ports import Predictor
from geodeforest.core.stitch import HeldRow
from geodeforest.geo.journal import KeptRows, RowJournal
from geodeforest.scanning import Carried, SettledRows, Stretch

Scan: TypeAlias = Callable[[Stretch], Generator[SettledRows]]
"""A scan of a stretch of chip rows."""


def work_key(record: Mapping[str, Any], predictor: Predictor) -> str | None:
    """What tells this scan from all that would give other rows; None if nothing can.

    That is what names the run, and the versions, engine and device, and the model's whole spec.
    What an input holds has to be known. A model without files is told by its class and its spec.
    """
    if not all(map(_is_known, record["inputs"])):
        return None
    engine = type(predictor)
    known = {
        "run": record["run"],
        "versions": record["versions"],
        "spec": predictor.spec,
        "engine": f"{engine.__module__}.{engine.__qualname__}",
        "device": getattr(predictor, "device", "cpu"),
        "model": repr(predictor) if is_dataclass(predictor) else None,
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(value: object) -> object:
    """A value without its type; unlike ``asdict`` copies nothing."""
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return str(value)


def _is_known(held: Mapping[str, Any]) -> bool:
    return any(held.get(name) is not None for name in ("sha256", "etag", "modified"))


def resumed_rows(scan: Scan, plan: ScanPlan, journal: RowJournal) -> Generator[SettledRows]:
    """All rows of a scene: those of the journal, and between them those of ``scan``.

    The latter are in the journal before they are handed out.
    """
    rows = list(plan.grid.rows())
    held = [journal.holds(row.settled) for row in rows]
    for is_held, group in groupby(range(len(rows)), key=held.__getitem__):
        numbers = list(group)
        first, stop = numbers[0], numbers[-1] + 1
        if is_held:
            yield from _held(journal, slice(rows[first].settled.start, rows[stop - 1].settled.stop))
            continue
        stretch = _stretch(rows, first, stop, journal, plan.reach)
        with closing(scan(stretch)) as settled:
            yield from _journalled(settled, stretch.first, rows[first].settled.start, journal)


def what_goes_on(plan: ScanPlan, journal: RowJournal) -> str | None:
    """What there is to say of a journal before its scan; None if nothing."""
    if journal.afresh:
        other = "another scene, model, option or version"
        return f"the scan that was broken off had {other}; starting afresh"
    if journal.empty:
        return None
    lacking = [row.settled for row in plan.grid.rows() if not journal.holds(row.settled)]
    if not lacking:
        return "continuing after the last row; only the outputs were not finished"
    done = plan.grid.height - sum(rows.stop - rows.start for rows in lacking)
    told = f"continuing at row {lacking[0].start} of {plan.grid.height}"
    return told if done == lacking[0].start else f"{told}; {done} rows are done"


def _held(journal: RowJournal, rows: slice) -> Iterator[SettledRows]:
    for kept in journal.rows(rows):
        yield SettledRows(kept.first, kept.classes, kept.scores, kept.failed)


def _journalled(
    settled: Iterator[SettledRows], number: int, start: int, journal: RowJournal
) -> Iterator[SettledRows]:
    """Rows of the chip rows from ``number`` on, journalled; those above ``start`` are dropped.

    So is what these leave, unless the rows at ``start`` are next: scores may lack chips above them.
    """
    for rows in settled:
        if rows.first >= start:
            journal.append(KeptRows(rows.first, rows.classes, rows.scores, rows.failed))
        if rows.carried is not None:
            if rows.first + len(rows.classes) >= start:
                held, failed = rows.carried.held, rows.carried.failed
                journal.carry(number, (held.chips, held.mean, failed))
            number += 1
        if rows.first >= start:
            yield rows


def _stretch(
    rows: Sequence[ChipRow], first: int, stop: int, journal: RowJournal, reach: int
) -> Stretch:
    """The chip rows from ``first`` to ``stop``, and what has to come before.

    Where it is not known what the chip row before had left, those that share rows with the first
    one are done once more, and those in which something may have failed too near to it.
    """
    carried = journal.carried()
    if first == 0:
        return Stretch(0, stop)
    if carried is not None and carried[0] == first - 1:
        chips, mean, failed = carried[1]
        return Stretch(first, stop, Carried(HeldRow(chips, mean), failed))
    top = rows[first].top
    shared = next(i for i, row in enumerate(rows) if row.top + row.chips[0].height > top)
    near = max((i for i in range(first) if rows[i].top <= top - reach), default=0)
    return Stretch(min(shared, near), stop)
