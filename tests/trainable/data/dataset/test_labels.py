"""Labels of several horizons against prices, and labels relative to a bar's symbols."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.fixtures.trainings import config, market
from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.labels import horizon_targets, z_by_day
from trainable.data.dataset.windows import make_windows
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.training.batches import BatchSource
from trainable.validation import check, check_horizons

BARS, HORIZONS = 420, (1, 2, 5, 20)


def prices() -> pd.DataFrame:
    """Closes of six symbols with bars missing here and there, long."""
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2015-01-01", periods=BARS)
    closes = 100 * np.exp(rng.normal(0, 0.01, (BARS, 6)).cumsum(axis=0))
    there = rng.random((BARS, 6)) > 0.02
    day, symbol = np.nonzero(there)
    columns = {"timestamp": days[day], "symbol": np.array(list("ABCDEF"))[symbol]}
    return pd.DataFrame({**columns, "close": closes[there]})


@pytest.mark.parametrize("lag", [0, 1])
@pytest.mark.parametrize("horizon", [1, 5])
def test_are_changes_of_prices_over_own_bars_that_end_within_the_part(
    lag: int, horizon: int
) -> None:
    frame = prices()
    settings = DataSettings(lag=lag, horizon=horizon)
    dataset = build_dataset(market_from_frame(frame, settings), settings)
    found = horizon_targets(dataset, HORIZONS)
    stops = [dataset.split.part(name)[1] for name in ("train", "valid", "gate", "test")]
    for n, (_, own) in enumerate(frame.groupby("symbol")):
        close = own["close"].to_numpy()
        rows = np.flatnonzero(dataset.symbol == n)
        bars = dataset.time[rows]
        for h, bars_ahead in enumerate(HORIZONS):
            for i, row in enumerate(rows):
                end = i + lag + bars_ahead
                stop = min(stop for stop in stops if bars[i] < stop)
                if end < len(rows) and bars[end] < stop:
                    expected = close[end] / close[i + lag] - 1
                    assert found[row, h] == pytest.approx(expected, rel=1e-9, abs=1e-12)
                else:
                    assert np.isnan(found[row, h])


def test_gaps_shorter_than_the_20_day_label_leak_nothing() -> None:
    """System C: gaps of 5 and 10 days stood between the parts, and labels were 20 days long."""
    dataset = market()
    _, stop = dataset.split.train
    changed = dataset.forward_returns.copy()
    changed[stop - dataset.lag :] *= -3
    before = horizon_targets(dataset, (1, 20))
    after = horizon_targets(replace(dataset, forward_returns=changed), (1, 20))
    train = dataset.train_rows
    assert np.array_equal(before[train], after[train], equal_nan=True)
    assert np.isnan(before[train][dataset.time[train] >= stop - 20, 1]).all()
    assert np.isfinite(before[train][dataset.time[train] < stop - 21, 1]).all()


def test_labels_that_are_no_compounded_returns_have_no_other_horizon() -> None:
    dataset = market()
    strange = replace(dataset, target=dataset.target * np.float32(2))
    with pytest.raises(UserError, match="loss/horizons needs labels that are returns of prices"):
        horizon_targets(strange, (1, 5))


def test_by_day_is_the_z_score_over_the_symbols_of_a_bar() -> None:
    dataset = market()
    labels = dataset.target.astype(float)
    labels[::7] = np.nan
    found = z_by_day(dataset, labels)
    frame = pd.DataFrame({"time": dataset.time, "label": labels})
    grouped = frame.groupby("time")["label"]
    expected = (frame["label"] - grouped.transform("mean")) / grouped.transform("std", ddof=0)
    inside = np.isfinite(found)  # all but the labels that end in the next part
    assert found[inside] == pytest.approx(expected.to_numpy()[inside], rel=1e-9)
    assert inside[dataset.train_rows].sum() == np.isfinite(labels[dataset.train_rows]).sum()


def test_by_day_takes_no_label_into_the_mean_that_ends_in_the_next_part() -> None:
    """Symbols of unequal calendars: at one bar some labels end sooner than others."""
    dataset = market()
    stop = dataset.split.train[1]
    late = dataset.label_end.copy()
    bar = dataset.time == stop - 5
    late[bar & (dataset.symbol > 2)] = stop
    changed = dataset.target.astype(float)
    changed[bar & (dataset.symbol > 2)] *= -50
    uneven = replace(dataset, label_end=late)
    before, after = (z_by_day(uneven, each) for each in (dataset.target.astype(float), changed))
    assert np.array_equal(before, after, equal_nan=True)
    assert np.isfinite(before[bar & (dataset.symbol <= 2)]).all()


def test_a_bar_without_a_score_is_left_out_of_the_loss() -> None:
    """One coin alone at a weekend beside stocks has nobody to be compared with."""
    dataset = market()
    each = config(data__target="z_by_day", loss__name="mse")
    lone = np.isin(dataset.time, np.arange(50, 90)) & (dataset.symbol > 0)
    target = np.where(lone, np.nan, dataset.target).astype(np.float32)
    some = replace(dataset, target=target, train_rows=dataset.train_rows[~lone[dataset.train_rows]])
    source = BatchSource(some, make_windows(some, each.data), each)
    rows = torch.from_numpy(np.flatnonzero(np.isin(dataset.time, [60, 100])))
    _, targets, _ = source.gather(rows, lambda x: x)
    assert targets.mask is not None
    assert targets.mask.tolist() == [dataset.time[row] == 100 for row in rows]


def test_horizons_that_the_data_cannot_have_are_refused_in_the_plan() -> None:
    each = config(loss__name="weighted", loss__horizons="1-230")
    with pytest.raises(UserError, match="training rows have a label 230 bars ahead"):
        check_horizons([each], market())
    check_horizons([config(loss__name="weighted", loss__horizons="1-20")], market())


def test_by_day_says_nothing_of_a_bar_without_spread() -> None:
    dataset = market()
    assert np.isnan(z_by_day(dataset, np.full(len(dataset.time), 0.25))).all()


def test_by_day_is_refused_where_there_is_no_day_or_the_loss_takes_raw_returns() -> None:
    with pytest.raises(UserError, match=r"has 3 symbols; fix\.data/target=scaled works"):
        check(config(data__target="z_by_day"), market(3))
    with pytest.raises(UserError, match=r"dead_zone=0\.001 is a size of raw returns"):
        check(config(data__target="z_by_day", loss__dead_zone=0.001), market())
