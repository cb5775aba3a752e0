"""What each feature is: its values against definitions written with pandas and plain loops.

The market has several symbols, bars that are missing and cells without volume; each symbol is
computed on its own from the bars it has.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.markets import column, make_market, without
from trainable.data.features.table import FEATURES, feature_table
from trainable.data.market import Market

# A column, or a whole table of them: pandas' own types cannot say which an operation returns.
Column = Any
Definition = Callable[[Any], Column]


def change(bars: Any, n: int) -> Column:
    """The simple return of the last n bars."""
    return bars["close"] / bars["close"].shift(n) - 1


def deviation(x: Column, n: int) -> Column:
    """Standard deviation of the last n values, dividing by n."""
    return x.rolling(n).apply(lambda part: np.sqrt(np.mean((part - part.mean()) ** 2)), raw=True)


def smoothed(x: np.ndarray, n: int, first: int, rate: float) -> np.ndarray:
    """The mean of the n values that end at `first`, then exponential smoothing."""
    out = np.full(len(x), np.nan)
    if first < len(x):
        out[first] = x[first - n + 1 : first + 1].mean()
    for i in range(first + 1, len(x)):
        out[i] = out[i - 1] + rate * (x[i] - out[i - 1])
    return out


def exponential(bars: Any) -> Column:
    close = bars["close"].to_numpy()
    return bars["close"] / smoothed(close, 20, 19, 2 / 21) - 1


def strength(bars: Any) -> Column:
    """Wilder's RSI from averages of gains and of losses, as −1 … 1."""
    moves = np.diff(bars["close"].to_numpy(), prepend=np.nan)
    gain = smoothed(np.maximum(moves, 0.0), 14, 14, 1 / 14)
    loss = smoothed(np.maximum(-moves, 0.0), 14, 14, 1 / 14)
    return pd.Series((gain - loss) / (gain + loss), bars.index)


def macd_histogram(bars: Any) -> Column:
    """Both averages begin at bar 26, the signal line nine values later."""
    close = bars["close"].to_numpy()
    line = smoothed(close, 12, 25, 2 / 13) - smoothed(close, 26, 25, 2 / 27)
    return pd.Series((line - smoothed(line, 9, 33, 2 / 10)) / close, bars.index)


def true_range(bars: Any) -> Column:
    before = bars["close"].shift(1)
    parts = [bars["high"] - bars["low"], bars["high"] - before, before - bars["low"]]
    reach = pd.concat(parts, axis=1).max(axis=1).to_numpy()
    return pd.Series(smoothed(reach, 14, 14, 1 / 14), bars.index) / bars["close"]


def surprise(bars: Any) -> Column:
    """log(volume ÷ mean of the 20 bars before)."""
    return np.log(bars["volume"] / bars["volume"].rolling(20).mean().shift(1))


def vwap(n: int) -> Definition:
    def value(bars: Any) -> Column:
        typical = (bars["high"] + bars["low"] + bars["close"]) / 3
        money = (typical * bars["volume"]).rolling(n).sum()
        return bars["close"] / (money / bars["volume"].rolling(n).sum()) - 1

    return value


def over_mean(n: int) -> Definition:
    return lambda b: b["close"] / b["close"].rolling(n).mean() - 1


def on_circle(part: Callable[[pd.DatetimeIndex], np.ndarray], wave: Callable) -> Definition:
    return lambda b: pd.Series(wave(2 * np.pi * part(pd.DatetimeIndex(b["timestamp"]))), b.index)


def weekday(stamps: pd.DatetimeIndex) -> np.ndarray:
    return np.asarray(stamps.day_of_week) / 7  # Monday is 0


def day_share(stamps: pd.DatetimeIndex) -> np.ndarray:
    return np.asarray(stamps.hour * 60 + stamps.minute) / 1440


DEFINITIONS: dict[str, Definition] = {
    "momentum_1": lambda b: change(b, 1),
    "momentum_3": lambda b: change(b, 3),
    "momentum_5": lambda b: change(b, 5),
    "acceleration": lambda b: change(b, 3) - change(b, 3).shift(3),
    "ma_10": over_mean(10),
    "ma_50": over_mean(50),
    "ema_20": exponential,
    "rsi_14": strength,
    "macd_cross": macd_histogram,
    "bollinger_position": lambda b: (
        (b["close"] - b["close"].rolling(20).mean()) / (2 * deviation(b["close"], 20))
    ),
    "distance_high_20": lambda b: b["close"] / b["close"].rolling(20).max() - 1,
    "distance_low_20": lambda b: b["close"] / b["close"].rolling(20).min() - 1,
    "close_open": lambda b: b["close"] / b["open"] - 1,
    "stochastic": lambda b: (
        (b["close"] - b["low"].rolling(14).min())
        / (b["high"].rolling(14).max() - b["low"].rolling(14).min())
        - 0.5
    ),
    "volume_ratio": surprise,
    "volume_surge": lambda b: np.log(
        b["volume"].rolling(5).mean() / b["volume"].rolling(20).mean()
    ),
    "volume_price_divergence": lambda b: -change(b, 1).rolling(20).corr(surprise(b)),
    "vwap_5": vwap(5),
    "vwap_15": vwap(15),
    "vwap_20": vwap(20),
    "vwap_60": vwap(60),
    "vwap_720": vwap(720),
    "volatility_20": lambda b: deviation(change(b, 1), 20),
    "volatility_regime": lambda b: deviation(change(b, 1), 20) / deviation(change(b, 1), 60) - 1,
    "volatility_trend": lambda b: deviation(change(b, 1), 5) / deviation(change(b, 1), 20) - 1,
    "bollinger_width": lambda b: 4 * deviation(b["close"], 20) / b["close"].rolling(20).mean(),
    "high_low": lambda b: (b["high"] - b["low"]) / b["close"],
    "range_ratio": lambda b: (b["high"] - b["low"]) / (b["high"] - b["low"]).rolling(20).mean() - 1,
    "close_location": lambda b: (b["close"] - b["low"]) / (b["high"] - b["low"]) - 0.5,
    "atr_ratio": true_range,
    "weekday_sin": on_circle(weekday, np.sin),
    "weekday_cos": on_circle(weekday, np.cos),
    "time_of_day_sin": on_circle(day_share, np.sin),
    "time_of_day_cos": on_circle(day_share, np.cos),
}
TRADES = ("open", "high", "low", "close", "volume")
GROUPS = {
    "price": (
        "momentum_1", "momentum_3", "momentum_5", "acceleration", "ma_10", "ma_50", "ema_20",
        "rsi_14", "macd_cross", "bollinger_position", "distance_high_20", "distance_low_20",
        "close_open", "stochastic",
    ),
    "volume": (
        "volume_ratio", "volume_surge", "volume_price_divergence", "vwap_5", "vwap_15", "vwap_20",
        "vwap_60", "vwap_720",
    ),
    "volatility": (
        "volatility_20", "volatility_regime", "volatility_trend", "bollinger_width", "high_low",
        "range_ratio", "close_location", "atr_ratio",
    ),
    "calendar": ("weekday_sin", "weekday_cos", "time_of_day_sin", "time_of_day_cos"),
}  # fmt: skip
DAILY_ONLY = {"vwap_5", "vwap_20"}
INTRADAY_ONLY = {"vwap_15", "vwap_720", "time_of_day_sin", "time_of_day_cos"}


def made(name: str) -> Market:
    """Three symbols: some bars are missing, a few cells have no volume, one begins late."""
    intraday = FEATURES[name].bars == "intraday"
    market = make_market(bars=830 if name == "vwap_720" else 130, intraday=intraday, seed=4)
    hidden = np.random.default_rng(1).random(market.present.shape) < 0.05
    hidden[:9, 2] = True
    market = without(market, hidden)
    volume = market.fields["volume"].copy()
    volume[[31, 77], 1] = np.nan
    return replace(market, fields={**market.fields, "volume": volume})


def expected(market: Market, name: str) -> np.ndarray:
    """The definition on each symbol's own bars, symbol by symbol as the rows of the table are."""
    parts = []
    for i in range(len(market.symbols)):
        bars: Any = pd.DataFrame({key: market.fields[key][:, i] for key in TRADES})
        bars["timestamp"] = market.timestamps
        bars = bars[market.present[:, i]].reset_index(drop=True)
        known = bars if "volume" not in FEATURES[name].needs else bars.dropna(subset=["volume"])
        value = DEFINITIONS[name](known.reset_index(drop=True)).to_numpy()
        parts.append(pd.Series(value, known.index).reindex(bars.index).to_numpy())
    return np.concatenate(parts)


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_is_its_definition(name: str) -> None:
    market = made(name)
    assert name in DEFINITIONS, f"say what {name} is: add its definition"
    found, wanted = column(market, name), expected(market, name)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert np.isfinite(found).sum() > 60
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-7)


def test_every_feature_belongs_to_its_group_and_to_its_kind_of_bars() -> None:
    for intraday, others in ((False, INTRADAY_ONLY), (True, DAILY_ONLY)):
        table = feature_table(make_market(bars=30, intraday=intraday))
        wanted = {
            group: [name for name in names if name not in others] for group, names in GROUPS.items()
        }
        found = {
            group: [n for n, g in zip(table.names, table.groups, strict=True) if g == group]
            for group in GROUPS
        }
        assert found == wanted
        assert len(table.names) == sum(map(len, wanted.values()))


STILL = {  # of a price that stands still, at a volume that does not change
    **dict.fromkeys(GROUPS["price"], 0.0),
    **dict.fromkeys(GROUPS["volume"], 0.0),
    **dict.fromkeys(GROUPS["volatility"], 0.0),
    "volatility_regime": np.nan,
    "volatility_trend": np.nan,
    "range_ratio": np.nan,
}


@pytest.mark.parametrize("name", STILL)
def test_what_a_feature_is_where_nothing_moves(name: str) -> None:
    market = make_market(
        bars=760 if name == "vwap_720" else 130, intraday=FEATURES[name].bars == "intraday"
    )
    fields = {key: np.full_like(x, 50.0) for key, x in market.fields.items()}
    values = column(replace(market, fields=fields), name)
    after = feature_table(market, [name]).age > FEATURES[name].warmup
    np.testing.assert_allclose(values[after], STILL[name], atol=1e-7)


UNTRADED = {"volume_ratio": np.log(1e-3), "volume_surge": np.log(1e-3)}


@pytest.mark.parametrize("name", UNTRADED)
def test_a_bar_without_trades_counts_as_a_thousandth_of_the_usual(name: str) -> None:
    market = make_market(bars=60, symbols=1)
    volume = np.full((60, 1), 1000.0)
    volume[40:] = 0.0
    values = column(replace(market, fields={**market.fields, "volume": volume}), name)
    first = 40 if name == "volume_ratio" else 44
    assert values[first] == pytest.approx(UNTRADED[name])
    undefined = 60 if name == "volume_ratio" else 59  # no trade in twenty bars
    assert np.isnan(values[undefined:]).all()
    assert np.isfinite(values[40:undefined]).all()


@pytest.mark.parametrize(("sign", "value"), [(1.0, 1.0), (-1.0, -1.0)])
def test_a_price_that_only_rises_or_only_falls_is_at_one_end(sign: float, value: float) -> None:
    market = make_market(bars=60, symbols=1)
    close = 50.0 * np.exp(sign * 0.01 * np.arange(60))[:, None]
    bars = {"close": close, "open": close, "high": close, "low": close}
    market = replace(market, fields={**market.fields, **bars})
    assert column(market, "rsi_14")[-1] == pytest.approx(value)
    assert column(market, "stochastic")[-1] == pytest.approx(0.5 * value)
    assert (column(market, "distance_high_20")[-1] == 0.0) == (sign > 0)
    assert (column(market, "distance_low_20")[-1] == 0.0) == (sign < 0)
