"""Batches of whole days: which rows, in what order, and what a loss and the evaluation see."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.fixtures.markets import make_market
from tests.fixtures.trainings import config, market, starts
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.epoch_length import days_of_batch, epoch_steps
from trainable.data.dataset.windows import make_windows
from trainable.data.settings import DataSettings
from trainable.training.batch_sampler import DaySampler, sample_days
from trainable.training.batches import BatchSource, day_grid
from trainable.training.loop import Training

GRID = torch.arange(23 * 4).view(23, 4)


def test_a_batch_is_consecutive_days_and_a_pass_has_no_day_twice() -> None:
    sampler = DaySampler(GRID, 3)
    assert sampler.length == 7
    days = sampler.rows(5, 0, 7).view(7, 3, 4)[:, :, 0] // 4
    assert (days.diff(dim=1) == 1).all()
    assert len(days.flatten().unique()) == 21


def test_every_day_is_seen_over_the_passes() -> None:
    sampler = DaySampler(GRID, 3)
    assert len((sampler.rows(5, 0, 7 * 8) // 4).unique()) == 23


def test_the_order_depends_on_the_seed_and_the_number_of_the_step_alone() -> None:
    sampler = DaySampler(GRID, 3)
    whole = sampler.rows(5, 0, 20)
    assert torch.equal(torch.cat([sampler.rows(5, 0, 9), sampler.rows(5, 9, 11)]), whole)
    assert not torch.equal(sampler.rows(6, 0, 20), whole)


def test_fewer_days_than_two_batches_are_one() -> None:
    sampler = DaySampler(GRID[:5], 3)
    assert sampler.length == 1
    assert sampler.rows(0, 0, 4).shape == (4, 12)


def test_a_batch_has_about_its_rows_in_days_of_all_symbols_and_two_at_least() -> None:
    assert [days_of_batch(rows, 20) for rows in (16, 40, 100, 110)] == [2, 2, 5, 6]


def test_an_epoch_is_one_pass_over_the_days_also_where_many_symbols_are_absent() -> None:
    full = market()
    few = full.train_rows[full.symbol[full.train_rows] < 2]  # of six symbols
    ragged = replace(full, train_rows=few)
    each = config(loss__name="ic", train__steps_per_epoch=0, train__batch_size=24)
    windows = make_windows(ragged, each.data)
    days = len(np.unique(full.time[few]))
    assert epoch_steps(each, ragged) == sample_days(ragged, windows, 24).length == (days - 3) // 4
    rows = config(loss__name="mse", train__steps_per_epoch=0, train__batch_size=24)
    assert epoch_steps(rows, ragged) == len(few) // 24
    assert epoch_steps(config(loss__name="ic", train__steps_per_epoch=7), ragged) == 7


def test_training_days_hold_training_rows_alone_and_each_once() -> None:
    dataset = market()
    windows = make_windows(dataset, config().data)
    sampler = sample_days(dataset, windows, 30)
    grid = sampler.grid.numpy()
    assert sorted(grid[grid >= 0]) == sorted(dataset.train_rows)
    days, symbols = np.nonzero(grid >= 0)
    rows = grid[days, symbols]
    assert (dataset.symbol[rows] == symbols).all()
    assert (np.unique(dataset.time[rows])[days] == dataset.time[rows]).all()


def test_a_grid_says_where_each_row_stands() -> None:
    dataset = market()
    rows = dataset.valid_rows[::3]
    grid = day_grid(dataset, rows)
    assert sorted(grid[grid >= 0]) == list(range(len(rows)))
    day, symbol = np.nonzero(grid >= 0)
    assert (dataset.symbol[rows[grid[day, symbol]]] == symbol).all()


def test_absent_symbols_have_no_input_no_target_and_no_return() -> None:
    dataset = market()
    each = config(loss__name="mse")
    source = BatchSource(dataset, make_windows(dataset, each.data), each)
    source.simple, source.whole_days = False, True
    source.returns = torch.ones(len(dataset.time))
    rows = torch.tensor([[5, -1, 7, -1, -1, 9]])
    x, targets, days = source.gather(rows, lambda inputs: inputs)
    present = torch.tensor([[True, False, True, False, False, True]])
    assert (x[~present] == 0).all()
    assert (x[present] != 0).any()
    assert targets.mask is not None
    assert not targets.mask[~present].any()
    assert targets.rows is not None
    assert targets.rows.symbols == 6
    assert torch.equal(targets.rows.returns != 0, present)
    assert days is None


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("session", [40, 900])
def test_the_sharpe_loss_of_an_epoch_is_the_ratio_that_ranks(horizon: int, session: int) -> None:
    """Also of sessions, at whose ends there are decisions without a label."""
    made = make_market(900, 5, intraday=True, session=session)
    dataset = build_dataset(made, DataSettings(cost_bps=5, horizon=horizon), 1)
    assert (dataset.overnight == "flat") == (session < 900)
    each = config(loss__name="sharpe", train__batch_size=100, train__steps_per_epoch=2)
    ((values, net),) = [
        (report.values, report.net_returns)
        for report in Training(starts([each]), dataset, dtype=torch.float64).advance()
    ]
    assert net is not None
    assert values["val_loss"] is not None
    decided = net[: len(np.unique(dataset.time[dataset.valid_rows]))]  # before it unwinds
    assert values["val_loss"] == pytest.approx(-decided.mean() / decided.std(ddof=1), rel=1e-6)
