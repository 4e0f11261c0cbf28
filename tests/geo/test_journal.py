"""The journal of rows against a dull model: what is on disk is what was appended, or is missed."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from geodeforest.errors import OutputUnwritable
from geodeforest.geo.journal import KeptRows, RowJournal
from geodeforest.geo.scratch import CARRIED, JOURNAL, JournalPlace

KEY, OTHER = "ab" * 32, "cd" * 32
WIDTH = 7


def rows(first, count=3, seed=0, failed=False):
    rng = np.random.default_rng([first, seed])
    kinds = rng.integers(0, 3, (2, count, WIDTH), np.uint8)
    hurt = rng.random((count, WIDTH)) < 0.2 if failed else None
    return KeptRows(first, kinds[0], kinds[1], hurt)


def facts(kept):
    failed = None if kept.failed is None else kept.failed.tobytes()
    return kept.first, kept.classes.tobytes(), kept.scores.tobytes(), failed


def opened(directory, key=KEY):
    return RowJournal(JournalPlace(directory, key, Path("p.geojson")), WIDTH)


def held(directory, key=KEY):
    """All that is held, by first row."""
    with opened(directory, key) as journal:
        return {
            first: facts(one)
            for first in range(0, 300, 3)
            if journal.holds(slice(first, first + 3))
            for one in journal.rows(slice(first, first + 3))
        }


def written(directory, count=4, key=KEY):
    """A journal of so many entries, and where each begins."""
    starts = []
    with opened(directory, key) as journal:
        for number in range(count):
            starts.append((directory / JOURNAL).stat().st_size)
            journal.append(rows(3 * number, failed=number % 2 == 1))
    return [*starts, (directory / JOURNAL).stat().st_size]


def test_rows_come_back_as_they_went_in(tmp_path):
    written(tmp_path)
    assert held(tmp_path) == {3 * n: facts(rows(3 * n, failed=n % 2 == 1)) for n in range(4)}


@pytest.mark.parametrize(("seed", "longest"), [(None, 60), (0, 700 + 60)])
def test_runs_are_compressed_and_noise_is_kept_as_it_is(tmp_path, seed, longest):
    noise = np.random.default_rng(seed).integers(0, 251, (100, WIDTH), np.uint8)
    kept = KeptRows(0, np.ones_like(noise), np.zeros_like(noise) if seed is None else noise)
    with opened(tmp_path) as journal:
        journal.append(kept)
    assert (tmp_path / JOURNAL).stat().st_size <= longest + 60
    assert seed is None or noise.tobytes() in (tmp_path / JOURNAL).read_bytes()
    with opened(tmp_path) as journal:
        (found,) = journal.rows(slice(0, 100))
    assert facts(found) == facts(kept)


def test_rows_are_held_if_entries_begin_and_end_with_them(tmp_path):
    written(tmp_path)
    with opened(tmp_path) as journal:
        assert journal.holds(slice(0, 12))
        assert journal.holds(slice(3, 9))
        assert not journal.holds(slice(0, 13))
        assert not journal.holds(slice(1, 12))
        assert not journal.holds(slice(0, 11))


def test_a_journal_cut_anywhere_keeps_all_whole_entries(tmp_path):
    *starts, size = written(tmp_path)
    content = (tmp_path / JOURNAL).read_bytes()
    for length in range(size + 1):
        (tmp_path / JOURNAL).write_bytes(content[:length])
        whole = sum(end <= length for end in [*starts[1:], size])
        assert sorted(held(tmp_path)) == [3 * n for n in range(whole)]
        assert (tmp_path / JOURNAL).stat().st_size == [*starts, size][whole], "the rest is cut off"


def test_a_bit_flipped_anywhere_costs_one_entry(tmp_path):
    *starts, size = written(tmp_path)
    content = (tmp_path / JOURNAL).read_bytes()
    truth = held(tmp_path)
    for at in range(size):
        altered = bytearray(content)
        altered[at] ^= 1 << at % 8
        (tmp_path / JOURNAL).write_bytes(altered)
        hit = max(n for n, start in enumerate(starts) if start <= at)
        assert held(tmp_path) == {n: one for n, one in truth.items() if n != 3 * hit}


def test_what_is_between_entries_costs_none(tmp_path):
    _, second, *_ = written(tmp_path)
    content = (tmp_path / JOURNAL).read_bytes()
    truth = held(tmp_path)
    for litter in (b"\0" * 4096, b"gdfK" * 30, content[: second - 1]):
        (tmp_path / JOURNAL).write_bytes(content[:second] + litter + content[second:])
        assert held(tmp_path) == truth


def test_another_works_rows_are_thrown_away_and_told(tmp_path):
    written(tmp_path)
    with opened(tmp_path, OTHER) as journal:
        assert journal.afresh
        assert journal.empty
        journal.append(rows(3))
    assert held(tmp_path) == {}


def test_a_new_journal_is_not_afresh(tmp_path):
    with opened(tmp_path) as journal:
        assert not journal.afresh


def test_rows_appended_once_more_take_the_place_of_the_former(tmp_path):
    written(tmp_path)
    with opened(tmp_path) as journal:
        journal.append(rows(3, seed=9))
    assert held(tmp_path)[3] == facts(rows(3, seed=9))


def test_a_part_of_an_entry_does_not_stay_on_a_full_disk(tmp_path, monkeypatch):
    import errno

    from geodeforest.geo import journal as module

    *_, size = written(tmp_path)
    with opened(tmp_path) as journal:

        def write(file, part):
            file.write(bytes(part)[:50])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(module, "_write_all", write)
        with pytest.raises(OutputUnwritable, match=r"p\.geojson: the disk is full"):
            journal.append(rows(12))
    assert (tmp_path / JOURNAL).stat().st_size == size


def arrays(seed, planes=2, high=4):
    rng = np.random.default_rng(seed)
    mean = rng.random((planes, high, WIDTH), np.float32)
    return [mean[:, ::2], rng.random((high, WIDTH), np.float32), rng.random((0, WIDTH)) < 0.5]


def same(found, expected):
    return all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(found, expected, strict=True)
    )


def carry(directory, number, seed, high=4):
    with opened(directory) as journal:
        journal.carry(number, arrays(seed, high=high))


def carried(directory, key=KEY):
    with opened(directory, key) as journal:
        return journal.carried()


def test_the_last_thing_carried_comes_back(tmp_path):
    assert carried(tmp_path) is None
    carry(tmp_path, 3, 0, high=8)
    carry(tmp_path, 4, 1)
    number, found = carried(tmp_path)
    assert number == 4
    assert same(found, arrays(1))
    assert carried(tmp_path, OTHER) is None


def test_filling_a_gap_does_not_lose_what_the_last_row_carried(tmp_path):
    with opened(tmp_path) as journal:
        journal.carry(7, arrays(0))
    with opened(tmp_path) as journal:
        journal.carried()
        journal.carry(2, arrays(1))
    assert carried(tmp_path)[0] == 7


def test_what_is_carried_is_whole_or_nothing(tmp_path):
    carry(tmp_path, 4, 1)
    content = (tmp_path / CARRIED).read_bytes()
    for length in range(len(content)):
        (tmp_path / CARRIED).write_bytes(content[:length])
        assert carried(tmp_path) is None
    for at in range(len(content)):
        altered = bytearray(content)
        altered[at] ^= 1 << at % 8
        (tmp_path / CARRIED).write_bytes(altered)
        assert carried(tmp_path) is None


def test_a_flip_that_is_undone_costs_nothing(tmp_path):
    written(tmp_path)
    content, truth = (tmp_path / JOURNAL).read_bytes(), held(tmp_path)
    (tmp_path / JOURNAL).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert sorted(held(tmp_path)) == [3, 6, 9], "later entries keep the damaged one in the file"
    assert (tmp_path / JOURNAL).stat().st_size == len(content)
    (tmp_path / JOURNAL).write_bytes(content)
    assert held(tmp_path) == truth


class Journalling(RuleBasedStateMachine):
    """Appends, closes and damages a journal; the model is a dictionary.

    ``spans`` are the entries that lie in the file, with their bytes as they were written: one that
    was damaged is held again if a second flip undoes the first.
    """

    def __init__(self):
        super().__init__()
        self._home = tempfile.TemporaryDirectory()
        self.path = Path(self._home.name) / JOURNAL
        self.journal = opened(self.path.parent)
        self.spans = []

    def teardown(self):
        self.journal.__exit__(None, None, None)
        self._home.cleanup()

    @rule(number=st.integers(0, 9), seed=st.integers(0, 99), failed=st.booleans())
    def append(self, number, seed, failed):
        start = self.path.stat().st_size
        one = rows(3 * number, seed=seed, failed=failed)
        self.journal.append(one)
        self.spans.append((start, self.path.read_bytes()[start:], 3 * number, facts(one)))

    @rule()
    def reopen(self):
        self._again(lambda content: None)

    @precondition(lambda self: self.spans)
    @rule(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def flip(self, where, bit):
        def damage(content):
            content[int(where * len(content))] ^= 1 << bit

        self._again(damage)

    @precondition(lambda self: self.spans)
    @rule(share=st.floats(0, 1))
    def cut(self, share):
        def damage(content):
            del content[int(share * len(content)) :]

        self._again(damage)

    def _again(self, damage):
        self.journal.__exit__(None, None, None)
        content = bytearray(self.path.read_bytes())
        damage(content)
        self.path.write_bytes(content)
        self.journal = opened(self.path.parent)
        size = self.path.stat().st_size  # what follows the last sound entry was cut off
        self.spans = [span for span in self.spans if span[0] + len(span[1]) <= size]

    @invariant()
    def it_holds_the_last_of_each_rows_that_is_whole(self):
        content = self.path.read_bytes()
        expected = {
            first: one
            for start, written, first, one in self.spans
            if content[start : start + len(written)] == written
        }
        found = {
            first: facts(next(self.journal.rows(slice(first, first + 3))))
            for first in range(0, 30, 3)
            if self.journal.holds(slice(first, first + 3))
        }
        assert found == expected


Journalling.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
test_a_journal_is_a_dictionary_that_survives = Journalling.TestCase
