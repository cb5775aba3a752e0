"""Single features against independent definitions and hand-made bars."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.markets import column, make_market
from trainable.data.features.table import FEATURES, feature_table
from trainable.data.market import Market


def series(market: Market, name: str) -> Any:
    return pd.Series(market.fields[name][:, 0])


def test_features_agree_with_independent_definitions() -> None:
    market = make_market(symbols=1)
    close, high, low, volume = (series(market, k) for k in ("close", "high", "low", "volume"))
    moves = close.pct_change()
    typical = (close + high + low) / 3
    lowest, highest = low.rolling(14).min(), high.rolling(14).max()
    expected = {
        "momentum_5": close / close.shift(5) - 1,
        "ma_50": close / close.rolling(50).mean() - 1,
        "volatility_20": moves.rolling(20).std(ddof=0),
        "volatility_regime": moves.rolling(20).std(ddof=0) / moves.rolling(60).std(ddof=0) - 1,
        "bollinger_width": 4 * close.rolling(20).std(ddof=0) / close.rolling(20).mean(),
        "close_location": (close - low) / (high - low) - 0.5,
        "volume_ratio": np.log(volume / volume.shift(1).rolling(20).mean()),
        "stochastic": (close - lowest) / (highest - lowest) - 0.5,
        "vwap_20": close * volume.rolling(20).sum() / (typical * volume).rolling(20).sum() - 1,
        "distance_high_20": close / close.rolling(20).max() - 1,
    }
    surprise = expected["volume_ratio"]
    expected["volume_price_divergence"] = -moves.rolling(20).corr(surprise)
    for name, oracle in expected.items():
        np.testing.assert_allclose(
            column(market, name), oracle.to_numpy(), rtol=2e-4, atol=2e-6, err_msg=name
        )


def test_rsi_by_wilders_own_recursion() -> None:
    market = make_market(symbols=1)
    steps = np.diff(market.fields["close"][:, 0])
    up, down = np.maximum(steps, 0), np.maximum(-steps, 0)
    gain, loss = up[:14].mean(), down[:14].mean()
    values = [gain / (gain + loss)]
    for t in range(14, len(steps)):
        gain, loss = (13 * gain + up[t]) / 14, (13 * loss + down[t]) / 14
        values.append(gain / (gain + loss))
    np.testing.assert_allclose(column(market, "rsi_14")[14:], 2 * np.array(values) - 1, atol=1e-5)


def test_neutral_values_where_price_and_range_stand_still() -> None:
    market = make_market(bars=80, symbols=1)
    fields = {key: np.full_like(x, 5.0) for key, x in market.fields.items()}
    still = replace(market, fields=fields)
    for name in ("close_location", "stochastic", "bollinger_position", "rsi_14", "volatility_20"):
        values = column(still, name)
        assert (values[FEATURES[name].warmup :] == 0.0).all(), name


def test_zero_volume_counts_as_a_thousandth() -> None:
    market = make_market(bars=60, symbols=1)
    volume = market.fields["volume"].copy()
    volume[40] = 0.0
    values = column(replace(market, fields={**market.fields, "volume": volume}), "volume_ratio")
    assert values[40] == pytest.approx(np.log(1e-3))
    assert np.isfinite(values[20:]).all()


def test_weekday_and_time_of_day_are_circles() -> None:
    table = feature_table(make_market(bars=10, symbols=1), ["weekday_sin", "weekday_cos"])
    angle = np.arctan2(table.values[:, 0], table.values[:, 1]) % (2 * np.pi)
    np.testing.assert_allclose(angle * 7 / (2 * np.pi), [0, 1, 2, 3, 4] * 2, atol=1e-5)
    market = make_market(bars=10, symbols=1, intraday=True)
    table = feature_table(market, ["time_of_day_sin", "time_of_day_cos"])
    hours = np.arctan2(table.values[:, 0], table.values[:, 1]) % (2 * np.pi) * 24 / (2 * np.pi)
    np.testing.assert_allclose(hours, 14.5 + np.arange(10) / 60, atol=1e-4)
