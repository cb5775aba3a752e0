"""Ready returns that are none are refused with what they are; what real assets do is taken."""

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

BARS, SYMBOLS = 600, 6
RNG = np.random.default_rng(3)
RETURNS = 0.008 * (RNG.standard_t(4, (BARS, 1)) + RNG.standard_t(4, (BARS, SYMBOLS)))
RELATIVE = RETURNS - RETURNS.mean(axis=1, keepdims=True)


def rank(values: np.ndarray, axis: int) -> np.ndarray:
    ranks = pd.DataFrame(values).rank(axis=axis).to_numpy()
    return (ranks - (values.shape[axis] + 1) / 2) / values.shape[axis]


def read(returns: np.ndarray, column: str = "label", minutes: int | None = None) -> Market:
    bars, symbols = returns.shape
    rng = np.random.default_rng(0)
    times = pd.bdate_range("2020-01-01", periods=bars)
    if minutes is not None:
        times = pd.date_range("2020-01-06", periods=bars, freq=f"{minutes}min")
    frame = pd.DataFrame(
        {
            "date": np.tile(times, symbols),
            "symbol": np.repeat([f"S{n}" for n in range(symbols)], bars),
            "feat_a": rng.normal(size=bars * symbols),
            "label": rng.normal(0.0, 0.01, bars * symbols),
        }
    )
    frame[column] = returns.T.ravel()
    named = None if column == "label" else column
    return market_from_frame(frame, DataSettings(features="feat_*", target="label", returns=named))


SCORES = {
    "rank within each bar, centred": (rank(RETURNS, 1), "evenly spaced values at each bar"),
    "rank over time": (rank(RETURNS[:, :1], 0), "values spread evenly from"),
    "rank over time, several": (rank(RETURNS, 0), "values spread evenly from"),
    "z-score within each bar": (
        RELATIVE / RELATIVE.std(axis=1, keepdims=True) / 3,
        "spread alike at every bar",
    ),
    "weights": (RELATIVE / np.abs(RELATIVE).sum(axis=1, keepdims=True), "spread alike at every"),
    "half a direction": (np.sign(RETURNS) / 2, "only the values -0.5, 0.5"),
    "three classes": (
        np.digitize(RETURNS, [-0.01, 0.01]) / 4 - 0.25,
        "only the values -0.25, 0.25",
    ),
    "squashed": (np.tanh(RETURNS / 0.008) / 2, "values spread evenly from -0.5"),
    "clipped": (np.clip(RETURNS, -0.02, 0.02), "many values at exactly -0.02 and 0.02"),
}


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("column", ["label", "next"])
def test_scores_that_serve_as_returns_are_refused(kind: str, column: str) -> None:
    values, says = SCORES[kind]
    with pytest.raises(
        UserError, match=rf"column {column!r} holds .*{says}.*data\.returns"
    ) as raised:
        read(values, column)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("column", ["label", "next"])
def test_percent_that_never_falls_below_minus_one_are_refused(column: str) -> None:
    values = np.clip(40.0 * RELATIVE, -0.95, None)
    with pytest.raises(UserError, match=r"nothing would be left within a year; write decimals"):
        read(values, column)
    with pytest.raises(UserError, match=r" a year \(standard deviation\), as no asset does; write"):
        read(np.clip(300.0 * RELATIVE, -0.95, None), column)


def test_a_short_time_says_nothing_of_a_year() -> None:
    for seed in range(10):
        market = read(0.001 * np.random.default_rng(seed).normal(size=(1440, 1)), minutes=1)
        assert "may be percent" not in market.quality["read_as"][0]


@pytest.mark.parametrize("price", [1.0, 2.0, 5.0])
def test_a_price_that_moves_by_a_tick_at_a_time_is_no_score(price: float) -> None:
    for seed in range(4):
        ticks = np.random.default_rng(seed).choice([-1, 0, 1], (1000, 1), p=[0.2, 0.6, 0.2])
        cents = np.maximum(100 * price + np.cumsum(ticks), 50)
        read(np.append(cents[1:] / cents[:-1] - 1.0, 0.0)[:, None], minutes=1)


def test_a_return_that_stands_out_is_named() -> None:
    values = RETURNS.copy()
    values[400, 2] = 250.0
    (note,) = read(values).quality["read_as"]
    assert "; the largest, +250 (S2, 2021-07-14), stands far out of the others" in note
    assert "the largest" not in read(RETURNS).quality["read_as"][0]


def test_what_real_assets_do_is_taken_and_the_plan_says_how_much_they_vary() -> None:
    rng = np.random.default_rng(1)
    wild = np.exp(0.08 * rng.standard_t(3, (BARS, SYMBOLS)) - 0.003) - 1.0  # small coins
    options = np.maximum(np.exp(0.5 * rng.normal(size=(BARS, SYMBOLS)) - 0.125), 0.02) - 1.0
    crash = RETURNS[:, :1].copy()
    crash[300:304] = -0.9  # loses 99.99 % in four days
    limits = np.round(np.clip(3.0 * RETURNS, -0.1, 0.1) + rng.normal(0.0, 0.0005, RETURNS.shape), 6)
    coarse = np.round(RETURNS, 3)
    for values in (RETURNS, RETURNS[:, :1], RELATIVE, wild, options, crash, limits, coarse):
        spread = np.median(values.std(axis=0))
        (note,) = read(values).quality["read_as"]
        assert f"standard deviation of {spread:.3g} a bar, " in note
        assert ("may be percent" in note) == (spread * read(values).periods_per_year ** 0.5 > 1.5)


def test_returns_relative_to_their_bar_are_said() -> None:
    (note,) = read(RELATIVE, "next").quality["read_as"]
    assert "they sum to 0 at each bar, so equal weight earns nothing of the market" in note
    assert "sum to 0" not in read(RETURNS, "next").quality["read_as"][0]
