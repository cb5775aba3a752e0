"""Ready features: the same figures as the prices that they are made of, whatever the lag."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.metrics.baselines import baselines
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring

DAYS = pd.bdate_range("2019-01-01", periods=520)


def planted() -> pd.DataFrame:
    """Six symbols whose next return follows a signal; two halts, and one symbol that ends."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(520, 6))
    returns = 0.01 * (0.3 * signal + rng.standard_t(5, (520, 6)))
    close = 50.0 * np.cumprod(1.0 + np.vstack([np.zeros(6), returns[:-1]]), axis=0)
    close[330:337, 0] = np.nan
    close[388:396, 1] = np.nan  # over the end of validation
    close[360:, 5] = np.nan
    names = [f"S{n}" for n in range(6)]
    wide = {"close": close, "feat_signal": signal, "feat_noise": rng.normal(size=(520, 6))}
    columns = {
        name: pd.DataFrame(x, DAYS, names).rename_axis("date").stack(future_stack=True)
        for name, x in wide.items()
    }
    frame = pd.DataFrame(columns).reset_index(names=["date", "symbol"])
    return frame.dropna(subset="close").sort_values(["symbol", "date"], ignore_index=True)


def made(frame: pd.DataFrame, settings: DataSettings) -> Dataset:
    return build_dataset(market_from_frame(frame, settings), settings)


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("lag", [0, 1, 2])
def test_ready_features_and_their_prices_give_the_same_figures(lag: int, horizon: int) -> None:
    prices = planted()
    own = prices.groupby("symbol")["close"]
    entry = own.shift(-lag)
    ready = prices.drop(columns="close").assign(
        label=own.shift(-lag - horizon) / entry - 1.0, one=own.shift(-1) / prices["close"] - 1.0
    )
    words: dict[str, Any] = {
        "horizon": horizon,
        "lag": lag,
        "cost_bps": 20.0,
        "delisting_return": -0.6,
    }
    taken = DataSettings(**words, features="feat_*", target="label", returns="one")
    of_prices, of_ready = made(prices, DataSettings(**words)), made(ready, taken)
    np.testing.assert_array_equal(of_ready.valid_rows, of_prices.valid_rows)
    np.testing.assert_array_equal(of_ready.label_end, of_prices.label_end)
    np.testing.assert_allclose(of_ready.target, of_prices.target, rtol=1e-6)  # float32
    same_figures(of_ready, of_prices)
    if horizon == 1:  # a target of one bar that serves as the returns begins that late already
        alone = DataSettings(**words, features="feat_*", target="label")
        same_figures(made(ready.drop(columns="one"), alone), of_prices)


def same_figures(ready: Dataset, prices: Dataset) -> None:
    rng = np.random.default_rng(1)
    rows = prices.valid_rows
    predictions = rng.normal(size=(2, len(rows)))
    training = rng.normal(size=(2, 50))
    for a, b in zip(
        score(scoring(ready, rows), predictions, training),
        score(scoring(prices, rows), predictions, training),
        strict=True,
    ):
        assert a.net_returns == pytest.approx(b.net_returns, rel=0, abs=1e-12)
        for name in ("sharpe", "turnover", "max_drawdown", "break_even_bps"):
            assert a.values[name] == pytest.approx(b.values[name], rel=1e-12)
    for a, b in zip(baselines(ready)[1:3], baselines(prices)[1:3], strict=True):
        assert a.name == b.name
        assert a.values["sharpe"] == pytest.approx(b.values["sharpe"], rel=1e-12)


@pytest.mark.parametrize("overnight", ["flat", "hold"])
@pytest.mark.parametrize("lag", [0, 1, 2])
def test_nights_are_treated_alike(lag: int, overnight: str) -> None:
    stamps = [
        day + pd.Timedelta(hours=14 + h)
        for day in pd.bdate_range("2024-01-01", periods=90)
        for h in range(7)
    ]
    rng = np.random.default_rng(3)
    close = 50.0 * np.cumprod(1.0 + 0.005 * rng.standard_t(5, (len(stamps), 6)), axis=0)
    names = [f"S{n}" for n in range(6)]
    frame = pd.DataFrame(close, stamps, names).rename_axis("date").reset_index()
    prices = frame.melt("date", names, "symbol", "close").assign(
        feat_noise=rng.normal(size=close.size)
    )
    own = prices.groupby("symbol")["close"]
    day = prices["date"].dt.normalize()
    later = day.groupby(prices["symbol"]).shift(-lag - 1)
    label = own.shift(-lag - 1) / own.shift(-lag) - 1.0
    ready = prices.drop(columns="close").assign(
        label=label.where(day == later), one=own.shift(-1) / prices["close"] - 1.0
    )
    words: dict[str, Any] = {"lag": lag, "cost_bps": 5.0, "overnight": overnight}
    taken = DataSettings(**words, features="feat_*", target="label", returns="one")
    same_figures(made(ready, taken), made(prices, DataSettings(**words)))


def test_the_return_of_a_row_is_earned_lag_own_bars_earlier() -> None:
    """Symbol 0 has no bar at day 103: decided at 101, entered at 104, sold at 105."""
    rng = np.random.default_rng(2)
    one = rng.normal(0.0, 0.01, (500, 2))
    one[400, 0] = np.nan
    days = np.tile(DAYS[:500], 2)
    frame = pd.DataFrame(
        {
            "date": days,
            "symbol": np.repeat(["A", "B"], 500),
            "feat_a": rng.normal(size=1000),
            "label": rng.normal(size=1000),
            "one": one.T.ravel(),
        }
    ).drop(index=103)
    settings = DataSettings(features="feat_*", target="label", returns="one", lag=2)
    forward = made(frame, settings).forward_returns
    assert forward[100, 0] == pytest.approx(one[102, 0])
    assert forward[101, 0] == pytest.approx(one[104, 0])
    assert forward[102, 0] == pytest.approx(one[105, 0])
    assert np.isnan(forward[103, 0])
    assert np.flatnonzero(np.isnan(forward[110:, 0])).tolist() == [398 - 110]  # unknown, and no 0
    np.testing.assert_allclose(forward[:498, 1], one[2:, 1])
    assert forward[498:].tolist() == [[0.0, 0.0], [0.0, 0.0]]
