"""The table of features: what holds for every entry, and the matrix of a market."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.markets import column, make_market, without
from trainable.cli.errors import UserError
from trainable.data.features.table import FEATURES, FOREIGN_WARMUP, feature_table
from trainable.data.market import Market


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
