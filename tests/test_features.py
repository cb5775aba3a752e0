"""The table of features: what holds for every entry, and independent definitions of some."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainable.data.features import FEATURES, FOREIGN_WARMUP, feature_table
from trainable.data.market import Market
from trainable.errors import UserError

DAY = np.timedelta64(1, "D")
MINUTE = np.timedelta64(1, "m")


def make_market(
    bars: int = 400,
    symbols: int = 3,
    *,
    seed: int = 0,
    intraday: bool = False,
    closes_only: bool = False,
    session: int = 390,
) -> Market:
    """Random bars: business days, or minutes in sessions of `session` bars."""
    rng = np.random.default_rng(seed)
    shape = (bars, symbols)
    scale = 0.0005 if intraday else 0.01
    close = 50.0 * np.exp(np.cumsum(rng.standard_t(5, shape) * scale, axis=0))
    opened = close * np.exp(rng.normal(0, scale / 2, shape))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, scale / 2, shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, scale / 2, shape)))
    volume = np.round(np.exp(rng.normal(10, 1, shape)))
    start = np.datetime64("2001-01-01T14:30", "ns")
    if intraday:
        index = np.arange(bars)
        timestamps = start + (index // session) * DAY + (index % session) * MINUTE
    else:
        timestamps = pd.bdate_range("2001-01-01", periods=bars).to_numpy()
    fields = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return Market(
        timestamps=timestamps.astype("datetime64[ns]"),
        symbols=tuple(f"S{i:02d}" for i in range(symbols)),
        fields={"close": close} if closes_only else fields,
        present=np.ones(shape, bool),
        bad_ticks=np.zeros(shape, bool),
        intraday=intraday,
        periods_per_year=98_280.0 if intraday else 252.0,
        name="made",
        sha256="0" * 64,
    )


def without(market: Market, hidden: np.ndarray) -> Market:
    """The market with the bars where `hidden` [T, N] missing."""
    fields = {name: np.where(hidden, np.nan, x) for name, x in market.fields.items()}
    return replace(market, fields=fields, present=market.present & ~hidden)


def column(market: Market, name: str) -> np.ndarray:
    return feature_table(market, [name]).values[:, 0]


def usable(name: str, seed: int = 0) -> Market:
    """A market on which the feature exists."""
    intraday = FEATURES[name].bars == "intraday"
    bars = 1200 if FEATURES[name].warmup > 100 else 400
    return make_market(bars=bars, intraday=intraday, seed=seed)


every_feature = pytest.mark.parametrize("name", FEATURES)


@every_feature
def test_truncating_the_market_changes_no_earlier_value(name: str) -> None:
    market = usable(name)
    cut = len(market.timestamps) - 37
    short = replace(
        market,
        timestamps=market.timestamps[:cut],
        fields={key: x[:cut] for key, x in market.fields.items()},
        present=market.present[:cut],
        bad_ticks=market.bad_ticks[:cut],
    )
    table = feature_table(market, [name])
    before = table.values[table.time < cut, 0]
    np.testing.assert_array_equal(before, column(short, name))


@every_feature
def test_altering_the_future_changes_no_earlier_value(name: str) -> None:
    market = usable(name)
    cut = len(market.timestamps) // 2
    rng = np.random.default_rng(7)
    factor = np.where(np.arange(len(market.timestamps)) < cut, 1.0, rng.uniform(0.2, 9.0))
    altered = {key: x * factor[:, None] for key, x in market.fields.items()}
    altered["volume"][cut:] = 0.0
    table = feature_table(market, [name])
    after = column(replace(market, fields=altered), name)
    np.testing.assert_array_equal(table.values[table.time < cut, 0], after[table.time < cut])


@every_feature
@pytest.mark.parametrize("factor", [1e-9, 0.37, 1e6])
def test_multiplying_all_prices_of_a_symbol_changes_nothing(name: str, factor: float) -> None:
    market = usable(name)
    scaled = {key: x if key == "volume" else x * factor for key, x in market.fields.items()}
    np.testing.assert_allclose(
        column(replace(market, fields=scaled), name), column(market, name), rtol=1e-4, atol=1e-6
    )


@every_feature
def test_only_the_declared_warmup_is_undefined_and_the_rest_varies(name: str) -> None:
    table = feature_table(usable(name), [name])
    values = table.values[:, 0]
    np.testing.assert_array_equal(np.isnan(values), table.age <= FEATURES[name].warmup)
    assert not np.isinf(values).any()
    assert np.nanstd(values) > 1e-6


@every_feature
def test_a_symbol_does_not_feel_the_others(name: str) -> None:
    market = usable(name)
    table = feature_table(market, [name])
    alone = replace(
        market,
        symbols=market.symbols[1:2],
        fields={key: x[:, 1:2] for key, x in market.fields.items()},
        present=market.present[:, 1:2],
        bad_ticks=market.bad_ticks[:, 1:2],
    )
    np.testing.assert_array_equal(table.values[table.symbol == 1, 0], column(alone, name))


@every_feature
def test_bars_that_stand_still_or_trade_nothing_give_nothing_infinite(name: str) -> None:
    market = usable(name, seed=3)
    fields = {key: x.copy() for key, x in market.fields.items()}
    fields["volume"][60:200] = 0.0
    fields["volume"][250:300:2] = 0.0
    for key in ("open", "high", "low", "close"):
        fields[key][120:320] = fields["close"][119]
    values = column(replace(market, fields=fields), name)
    assert not np.isinf(values).any()
    assert np.abs(values[np.isfinite(values)]).max() < 1e3
    # Movement and trading return at bar 320: nothing may stay unknown, nor too large, for ever.
    table = feature_table(replace(market, fields=fields), [name])
    late = table.values[(table.time >= 395) & (table.age > FEATURES[name].warmup), 0]
    assert np.isfinite(late).all()


@every_feature
def test_a_bad_tick_is_forgotten(name: str) -> None:
    market = usable(name)
    prices = {key: x.copy() for key, x in market.fields.items()}
    for key in ("open", "high", "low", "close"):
        prices[key][50] *= 1000.0
    table = feature_table(market, [name])
    late = table.time >= len(market.timestamps) - 20
    after = column(replace(market, fields=prices), name)
    np.testing.assert_allclose(after[late], table.values[late, 0], rtol=1e-3, atol=1e-5)


@every_feature
def test_short_symbols_are_undefined_not_errors(name: str) -> None:
    for bars in (1, 2, 5):
        market = make_market(bars=bars, intraday=FEATURES[name].bars == "intraday")
        values = column(market, name)
        assert len(values) == 3 * bars
        assert np.isnan(values).all() == (bars <= FEATURES[name].warmup)


def test_counts_and_groups_with_and_without_open_high_low_and_volume() -> None:
    full = feature_table(make_market())
    assert 20 <= len(full.names) <= 30
    assert set(full.groups) == {"price", "volume", "volatility", "calendar"}
    closes = feature_table(make_market(closes_only=True))
    assert 15 <= len(closes.names) <= 18
    assert set(closes.groups) == {"price", "volatility", "calendar"}
    assert {entry["feature"] for entry in closes.left_out} == set(full.names) - set(closes.names)
    assert {"feature": "stochastic", "why": "the source has no high, low"} in closes.left_out


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


def test_missing_bars_are_skipped_never_filled() -> None:
    market = make_market(symbols=2)
    hidden = np.zeros(market.present.shape, bool)
    hidden[100:130, 0] = True
    table = feature_table(without(market, hidden), ["momentum_1"])
    first = table.symbol == 0
    assert len(table.time) == 2 * 400 - 30
    assert 115 not in table.time[first]
    resumed = table.values[first & (table.time == 130), 0]
    close = market.fields["close"][:, 0]
    np.testing.assert_allclose(resumed, close[130] / close[99] - 1, rtol=1e-5)
    np.testing.assert_array_equal(table.age[first], np.arange(1, 371))


def test_a_cell_without_volume_hurts_only_itself() -> None:
    market = make_market(symbols=1)
    volume = market.fields["volume"].copy()
    volume[100] = np.nan
    table = feature_table(replace(market, fields={**market.fields, "volume": volume}))
    unknown = np.isnan(table.values[:, table.names.index("volume_ratio")])
    assert list(np.flatnonzero(unknown[20:]) + 20) == [100]
    assert np.isfinite(table.values[60:, table.names.index("ma_50")]).all()


def test_a_symbol_without_any_bar_has_no_rows() -> None:
    market = make_market(symbols=3)
    hidden = np.zeros(market.present.shape, bool)
    hidden[:, 1] = True
    table = feature_table(without(market, hidden))
    assert set(table.symbol) == {0, 2}


def test_columns_of_the_source_become_features() -> None:
    market = make_market(symbols=2)
    vix = np.arange(800, dtype=np.float32).reshape(400, 2)
    table = feature_table(replace(market, extra={"vix": vix}))
    assert (table.names[-1], table.groups[-1], table.warmups[-1]) == (
        "vix",
        "extra",
        FOREIGN_WARMUP,
    )
    np.testing.assert_array_equal(table.values[table.symbol == 1, -1], vix[:, 1])
    ready = feature_table(replace(market, fields={}, extra={"feat_a": vix}))
    assert (ready.names, ready.groups) == (("feat_a",), ("ready",))


def test_wanted_features_come_in_their_order_or_are_refused() -> None:
    market = make_market(closes_only=True)
    table = feature_table(market, ["rsi_14", "momentum_1"])
    assert table.names == ("rsi_14", "momentum_1")
    everything = feature_table(market)
    np.testing.assert_array_equal(
        table.values[:, 0], everything.values[:, everything.names.index("rsi_14")]
    )
    with pytest.raises(UserError, match=r"'stochastic' cannot be computed: .* no high, low"):
        feature_table(market, ["stochastic"])
    with pytest.raises(UserError, match="did you mean 'momentum_1'"):
        feature_table(market, ["momentum1"])


def test_a_column_with_the_name_of_a_feature_is_refused() -> None:
    market = make_market()
    with pytest.raises(UserError, match="'rsi_14' has the name of a built-in"):
        feature_table(replace(market, extra={"rsi_14": np.zeros((400, 3), np.float32)}))


def test_nothing_to_compute_is_refused() -> None:
    with pytest.raises(UserError, match="no features"):
        feature_table(replace(make_market(), fields={}))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    bars=st.integers(1, 150),
    missing=st.sampled_from([0.0, 0.2, 0.9]),
    untraded=st.sampled_from([0.0, 0.5, 1.0]),
    tick=st.sampled_from([1e-6, 0.05, 5.0]),
    intraday=st.booleans(),
)
def test_no_market_gives_infinite_values(
    seed: int, bars: int, missing: float, untraded: float, tick: float, intraday: bool
) -> None:
    market = make_market(bars=bars, symbols=2, seed=seed, intraday=intraday)
    rng = np.random.default_rng(seed)
    fields = {k: np.maximum(np.round(x / tick), 1.0) * tick for k, x in market.fields.items()}
    fields["volume"] = np.where(rng.random((bars, 2)) < untraded, 0.0, market.fields["volume"])
    thin = without(replace(market, fields=fields), rng.random((bars, 2)) < missing)
    table = feature_table(thin)
    assert len(table.values) == thin.present.sum()
    assert not np.isinf(table.values).any()
    finite = table.values[np.isfinite(table.values)]
    assert np.abs(finite).max(initial=0.0) < 1e3
