"""How groups are dealt to folds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.folds import deal
from geodeforest.errors import OptionError

groups = st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(0, 99), min_size=5)


@given(groups, st.integers(2, 5), st.integers(0, 9))
def test_every_group_is_in_exactly_one_fold_and_no_fold_is_empty(weights, folds, seed):
    dealt = deal(weights, folds, seed)
    assert sorted(name for fold in dealt for name in fold) == sorted(weights)
    assert len(dealt) == folds
    assert all(dealt)


@given(groups, st.integers(2, 5))
def test_no_fold_outweighs_another_by_more_than_the_heaviest_group(weights, folds):
    loads = [sum(weights[name] for name in fold) for fold in deal(weights, folds)]
    assert max(loads) - min(loads) <= max(weights.values())


def test_the_seed_decides_and_the_order_of_the_groups_does_not():
    weights = {str(number): 7 for number in range(30)}
    backwards = dict(reversed(weights.items()))
    assert deal(weights, 5, 3) == deal(backwards, 5, 3) != deal(weights, 5, 4)


def test_thirty_equal_groups_make_five_folds_of_six():
    assert [len(fold) for fold in deal({str(n): 7 for n in range(30)}, 5)] == [6] * 5


@pytest.mark.parametrize(("count", "folds"), [(3, 1), (3, 4), (0, 2)])
def test_what_cannot_be_dealt_is_refused(count, folds):
    with pytest.raises(OptionError, match="folds"):
        deal({str(number): 1 for number in range(count)}, folds)
