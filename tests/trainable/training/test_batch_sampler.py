"""The order of batches: whole passes, the same whatever part of them is asked for."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainable.training.batch_sampler import RowSampler

ROWS = torch.arange(100, 153)
ORDER = RowSampler(ROWS, 8)


def test_a_pass_shows_each_row_at_most_once_and_drops_what_is_left() -> None:
    assert ORDER.length == 6
    first, second = ORDER.rows(3, 0, 6), ORDER.rows(3, 6, 6)
    for rows in (first, second):
        assert rows.shape == (6, 8)
        assert len(set(rows.flatten().tolist())) == 48
        assert set(rows.flatten().tolist()) <= set(ROWS.tolist())
    assert not torch.equal(first, second)


def test_system_b2_no_batch_of_one_is_left_at_the_end_of_a_pass() -> None:
    assert RowSampler(torch.arange(33), 8).rows(0, 0, 9).shape == (9, 8)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 40), st.integers(1, 30), st.integers(0, 2**63 - 1))
def test_any_part_is_that_part_of_the_endless_stream(start: int, steps: int, seed: int) -> None:
    whole = ORDER.rows(seed, 0, start + steps)
    assert torch.equal(ORDER.rows(seed, start, steps), whole[start:])


def test_every_seed_has_its_own_order_and_no_global_state() -> None:
    torch.manual_seed(1)
    a = ORDER.rows(0, 0, 6)
    torch.manual_seed(2)
    assert torch.equal(a, ORDER.rows(0, 0, 6))
    assert not torch.equal(a, ORDER.rows(1, 0, 6))
