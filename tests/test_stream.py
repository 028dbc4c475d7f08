from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mfsynth.order import permutation, share


@given(st.integers(0, 500), st.integers(1, 60))
def test_shares_cover_a_range_once_and_evenly(total: int, readers: int) -> None:
    parts = [range(*share(total, reader, readers)) for reader in range(readers)]
    assert [place for part in parts for place in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_an_order_is_a_permutation_that_no_release_changes() -> None:
    assert permutation(8, "order", 1, 0).tolist() == GOLDEN
    assert sorted(permutation(1000, "order", 5, 3).tolist()) == list(range(1000))
    assert permutation(50, "order", 1, 0).tolist() != permutation(50, "order", 1, 1).tolist()


GOLDEN = [0, 5, 7, 1, 4, 3, 2, 6]
