"""No further column at the level of a price becomes a feature; relative ones do."""

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.shapes import BARS, bars, panel, raw_bars
from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame


def market(table: pd.DataFrame):
    return market_from_frame(table, DataSettings())


ONE = bars()
CLOSE = ONE["close"].to_numpy(float)
NOISE = np.random.default_rng(9)
OTHER = 30 * np.exp(np.cumsum(NOISE.normal(0, 0.01, BARS)))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("a", ONE["close"]),
        ("b", CLOSE * 1e6),
        ("c", ONE["close"].round(2)),
        ("d", ONE["close"] - 0.01),
        ("ema_5", ONE["close"].ewm(5).mean()),
        ("upper_band", pd.Series(CLOSE * 1.02).rolling(10).mean()),
        ("prev_close", ONE["close"].shift(1)),
        ("typical price", (ONE["high"] + ONE["low"] + ONE["close"]) / 3),
        ("spy_close", OTHER),
        ("f1", ONE["close"].shift(3)),
        ("f2", ONE["close"].shift(12)),
        ("f3", pd.Series(CLOSE).shift(2).rolling(8).mean()),
    ],
)
def test_the_level_of_a_price_is_left_out_and_named(name, values):
    found = market(ONE.assign(**{name: values}))
    assert found.extra == {}
    (entry,) = found.quality["left_out_columns"]
    assert entry["column"] == name
    assert "level" in entry["why"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("close_to_open", ONE["close"] / ONE["open"]),
        ("close return", ONE["close"].pct_change()),
        ("rsi", NOISE.uniform(20, 80, BARS)),
        ("vix", 15 + NOISE.normal(0, 2, BARS)),
        ("spread", NOISE.uniform(0.01, 0.03, BARS)),
        ("trades", NOISE.integers(100, 900, BARS)),
        ("rate", 0.02 + np.cumsum(NOISE.normal(0, 1e-4, BARS))),
    ],
)
def test_a_relative_column_is_a_feature(name, values):
    assert list(market(ONE.assign(**{name: values})).extra) == [name]


def oscillators(close: np.ndarray) -> dict[str, pd.Series]:
    """What moves about 50: of relative strength, of Wilder (1978), and distances from means."""
    price = pd.Series(close)
    up, down = price.diff().clip(lower=0), (-price.diff()).clip(lower=0)
    found = {}
    for n in (14, 21, 28):
        ways = [way.ewm(alpha=1 / n, adjust=False).mean() for way in (up, down)]
        found[f"f{n}"] = 100 * ways[0] / (ways[0] + ways[1])
    return found | {"f50": 50 + 100 * (price / price.rolling(50).mean() - 1)}


@pytest.mark.parametrize("first", [5, 20, 50, 100, 140])
@pytest.mark.parametrize("seed", range(3))
def test_what_returns_to_where_it_was_is_a_feature_at_any_price(first, seed):
    moves = np.random.default_rng(seed).normal(0, 0.012, 1200)
    close = (first * np.exp(np.cumsum(moves))).round(2)
    table = pd.DataFrame({"date": pd.bdate_range("2015-01-01", periods=1200), "close": close})
    means = {f"mean{n}": pd.Series(close).rolling(n).mean() for n in (20, 50, 100)}
    found = market(table.assign(**oscillators(close), **means))
    assert list(found.extra) == ["f14", "f21", "f28", "f50"]


@pytest.mark.parametrize("name", ["pe", "price_to_earnings", "fwd_pe", "price_earnings"])
@pytest.mark.parametrize("last", [0.8, 0.96, 1.0, 1.04])
def test_a_ratio_to_earnings_near_1_is_a_feature(name, last):
    quarters = np.arange(BARS) // 63
    steps = np.random.default_rng(3).normal(0.01, 0.08, quarters[-1] + 1)
    earnings = np.exp(np.cumsum(steps))[quarters]
    ratio = CLOSE / earnings * earnings[-1] / last
    found = market(ONE.assign(**{name: ratio.round(2)}))
    assert list(found.extra) == [name]


def test_prices_near_1_do_not_make_a_ratio_a_price():
    table = ONE.assign(**{n: ONE[n] / 95 for n in ("open", "high", "low", "close")})
    table = table.assign(high_low=table["high"] / table["low"])
    assert list(market(table).extra) == ["high_low"]


@pytest.mark.parametrize("digits", [2, 6])
def test_an_adjusted_close_that_nobody_knows_by_name_is_refused(digits):
    table = raw_bars().assign(bereinigt=ONE["close"].round(digits))
    with pytest.raises(UserError, match="'bereinigt' is 'close' times a factor that changes"):
        market(table)


def test_so_is_one_of_a_panel_and_one_of_dividends_alone():
    factor = np.repeat([0.97, 0.98, 0.99, 1.0], BARS // 4)
    table = panel().assign(total_return=panel()["close"] * np.tile(factor, 3))
    with pytest.raises(UserError, match="'total_return' is 'close' times a factor"):
        market(table)


def test_beside_a_known_adjusted_close_the_raw_one_is_only_left_out():
    table = raw_bars().assign(adj_close=ONE["close"], kurs=raw_bars()["close"])
    found = market(table)
    assert found.extra == {}
    assert found.quality["left_out_columns"][0]["column"] == "kurs"


DAYS = np.arange(BARS)
SPIKE = ONE.assign(close=CLOSE * np.where(DAYS < BARS // 2, 1.0, 1.4))  # a jump, as after earnings
EARNINGS = np.repeat([4.0, 4.3, 3.9, 4.6], -(-BARS // 4))[:BARS]  # by quarter


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("near_high", SPIKE["close"] / SPIKE["close"].cummax()),
        ("near_high_60", SPIKE["close"] / SPIKE["close"].rolling(60, min_periods=1).max()),
        ("above_low", SPIKE["close"] / SPIKE["close"].cummin()),
        ("pe", SPIKE["close"] / EARNINGS),
        ("x", SPIKE["close"] / EARNINGS),
        ("price_to_book", SPIKE["close"] / 30),
        ("ytd", SPIKE["close"] / SPIKE["close"].groupby(DAYS // 40).transform("first")),
    ],
)
def test_a_ratio_to_the_close_is_neither_its_level_nor_an_adjusted_close(name, values):
    table = SPIKE.assign(open=SPIKE["close"], high=SPIKE["close"], low=SPIKE["close"])
    assert list(market(table.assign(**{name: values})).extra) == [name]
    cents = {part: table[part] / 95 for part in ("open", "high", "low", "close")}
    if not name.startswith(("pe", "x", "price")):
        assert list(market(table.assign(**cents, **{name: values})).extra) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "open_interest",
        "openInterest",
        "vol_ma",
        "volume_ma20",
        "avg_volume",
        "high_yield_spread",
        "order_flow",
        "cash_flow_yield",
        "bid_volume",
        "AvgSentiment",
        "low_vol_index",
        "small_cap_share",
        "humidity",
    ],
)
def test_a_slow_column_is_no_price_for_a_part_of_its_name(name):
    assert list(market(ONE.assign(**{name: OTHER})).extra) == [name]


@pytest.mark.parametrize("name", ["SpyClose", "spy.last", "gold_price", "best bid"])
def test_a_slow_column_is_a_price_where_its_name_ends_so(name):
    assert market(ONE.assign(**{name: OTHER})).extra == {}


@pytest.mark.parametrize(
    "values",
    [
        np.log(CLOSE),
        np.log(CLOSE / CLOSE[0]),
        (CLOSE - CLOSE.mean()) / CLOSE.std(),
        (CLOSE - CLOSE.min()) / np.ptp(CLOSE),
        ONE["close"].shift(20),
        ONE["close"].shift(35),
    ],
)
def test_the_close_in_other_units_or_of_earlier_bars_is_a_level(values):
    assert market(ONE.assign(x=values)).extra == {}
