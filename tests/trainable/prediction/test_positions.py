"""Positions of any bar are those that a backtest of the same predictions holds, by another hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.recomputed import Rules, recompute
from tests.search.test_recomputed import CASES, DAYS, long, walk
from trainable.data.dataset.build import prediction_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.prediction.positions import Positions, cells_to_show, scale_of

FEATURES = ("momentum_1", "momentum_5")


def made(prices: pd.DataFrame, settings: dict[str, Any]) -> tuple[Dataset, np.ndarray]:
    """A dataset to predict on, and predictions of its rows."""
    data = DataSettings(**{key.removeprefix("data."): value for key, value in settings.items()})
    dataset = prediction_dataset(market_from_frame(prices, data), data, FEATURES, max_window=3)
    rng = np.random.default_rng(1)
    return dataset, rng.normal(0.1, 1.0, len(dataset.valid_rows)).astype(np.float32)


def frame(dataset: Dataset, rows: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "timestamp": dataset.timestamps[dataset.time[rows]],
            "symbol": np.array(dataset.symbols)[dataset.symbol[rows]],
            "prediction": values,
        }
    )


@pytest.mark.parametrize("case", CASES)
def test_positions_are_those_of_a_backtest_up_to_the_newest_bar(case: str) -> None:
    prices, settings = CASES[case]
    dataset, predictions = made(prices, settings)
    rows = dataset.valid_rows
    few = len(dataset.symbols) < 5
    scale = (0.7, 0.05) if few else None
    book = Positions(dataset, rows, panel=not few).book(
        [(predictions, scale_of(*(scale or (None, None))))]
    )
    rules = Rules(
        dataset.horizon,
        dataset.lag,
        dataset.cost_bps,
        dataset.periods_per_year,
        dataset.delisting_return,
        dataset.overnight == "flat",
        scale,
    )
    expected = recompute(prices, frame(dataset, rows, predictions), rules).held
    expected = expected.loc[dataset.timestamps[book.first :], list(dataset.symbols)].to_numpy()
    assert book.held.shape == expected.shape
    if dataset.overnight == "flat":  # the data end with a session, which they cannot know
        assert (book.held[-1] == 0).all()
        expected = np.vstack([expected[:-1], np.zeros((1, expected.shape[1]))])
    np.testing.assert_allclose(book.held, expected, atol=1e-12)
    assert np.abs(book.held[-2:]).sum() > 0
    lag = dataset.lag
    given = book.ordered[: len(expected) - lag]
    known = np.isfinite(given)  # the others met a halt or an end: test_ordered.py
    np.testing.assert_array_equal(given[known], book.held[lag:][known])
    assert known.mean() > 0.8


@pytest.mark.parametrize("case", CASES)
def test_no_position_follows_from_a_later_bar(case: str) -> None:
    """Cut anywhere, the newest bar holds what the whole data hold there."""
    prices, settings = CASES[case]
    dataset, predictions = made(prices, settings)
    few = len(dataset.symbols) < 5
    scale = scale_of(0.7, 0.05) if few else scale_of(None, None)
    whole = Positions(dataset, dataset.valid_rows, not few).book([(predictions, scale)])
    stamps = pd.DatetimeIndex(dataset.timestamps)
    checked = 0
    for bar in range(len(stamps) // 2, len(stamps) - 1, 13):
        cut = prices[pd.to_datetime(prices["timestamp"]) <= stamps[bar]]
        part, _ = made(cut, settings)
        if part.symbols != dataset.symbols or not dataset.tradable[bar].all():
            continue  # who is late, and who has ended, only later bars tell
        if (part.sold < len(part.timestamps)).any():
            continue
        mine = predictions[dataset.time[dataset.valid_rows] <= bar]
        assert len(mine) == len(part.valid_rows)
        book = Positions(part, part.valid_rows, not few).book([(mine, scale)])
        np.testing.assert_allclose(book.held[-1], whole.held[bar - whole.first], atol=1e-12)
        checked += 1
    assert checked >= 3


def test_members_share_the_capital_equally_whatever_their_scale() -> None:
    prices, settings = CASES["four symbols, horizon 5"]
    dataset, predictions = made(prices, settings)
    positions = Positions(dataset, dataset.valid_rows, panel=False)
    several = [(predictions, scale_of(0.7, 0.0)), (-3 * predictions, scale_of(2.1, 0.0))]
    assert np.abs(positions.book(several).held).max() == pytest.approx(0.0, abs=1e-6)
    alone = positions.book(several[:1]).held
    twice = positions.book([several[0], several[0]]).held
    np.testing.assert_allclose(alone, twice)
    assert np.abs(alone).max() > 0.1


def test_the_rule_is_that_of_the_search_however_many_symbols_there_are_now() -> None:
    dataset, predictions = made(long(walk(200, 4), DAYS[:200]), {})
    panel = Positions(dataset, dataset.valid_rows, panel=True).book(
        [(predictions, scale_of(None, None))]
    )
    np.testing.assert_allclose(panel.held.sum(axis=1), 0.0, atol=1e-9)
    few = Positions(dataset, dataset.valid_rows, panel=False).book(
        [(predictions, scale_of(0.7, 0.0))]
    )
    assert np.abs(few.held.sum(axis=1)).max() > 0.01


def test_a_single_bar_has_a_position_also_of_one_symbol() -> None:
    """A backtest takes predictions that are all one number for none at all."""
    prices, settings = CASES["one symbol"]
    dataset, _ = made(prices, settings)
    newest = dataset.valid_rows[-1:]
    book = Positions(dataset, newest, panel=False).book(
        [(np.array([0.35], np.float32), scale_of(0.7, 0.1))]
    )
    assert book.held[-1, 0] == pytest.approx(0.35 / 0.7 - 0.1)


def test_a_symbol_without_a_row_at_the_newest_bar_is_late_and_stays_held() -> None:
    prices, settings = CASES["panel"]
    stamps = pd.to_datetime(prices["timestamp"])
    last = stamps.max()
    held_before = held_of(prices, settings)
    late = prices[(stamps < last) | (prices["symbol"] != "S4")]
    dataset, predictions = made(late, settings)
    book = Positions(dataset, dataset.valid_rows, True).book([(predictions, scale_of(None, None))])
    column = dataset.symbols.index("S4")
    assert book.held[-1, column] == book.held[-2, column] != 0
    bar, symbol = cells_to_show(dataset, book)
    assert (len(book.held) - 1, column) in set(zip(bar, symbol, strict=True))
    assert held_before.shape == book.held.shape


def held_of(prices: pd.DataFrame, settings: dict[str, Any]) -> np.ndarray:
    dataset, predictions = made(prices, settings)
    return (
        Positions(dataset, dataset.valid_rows, True)
        .book([(predictions, scale_of(None, None))])
        .held
    )


def test_what_is_not_finite_counts_as_no_prediction() -> None:
    prices, settings = CASES["panel"]
    dataset, predictions = made(prices, settings)
    predictions[-3] = np.nan
    scale = scale_of(None, None)
    book = Positions(dataset, dataset.valid_rows, True).book([(predictions, scale)])
    fewer = np.delete(np.arange(len(predictions)), len(predictions) - 3)
    other = replace(dataset, valid_rows=dataset.valid_rows[fewer])
    wanted = Positions(other, other.valid_rows, True).book([(predictions[fewer], scale)])
    np.testing.assert_array_equal(book.held, wanted.held)
