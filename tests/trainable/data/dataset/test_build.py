"""The dataset of a search: no look-ahead, what is said about it, clear refusals."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from tests.fixtures.markets import holes, make_market
from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.scaler import fit_scaler
from trainable.data.features.table import FEATURES
from trainable.data.market import Market
from trainable.data.settings import DataSettings

SETTINGS = DataSettings()


def altered_from(market: Market, first: int) -> Market:
    """The market with every price and volume from bar `first` on replaced by something else."""
    rng = np.random.default_rng(99)
    shape = (len(market.timestamps) - first, len(market.symbols))
    factor = np.exp(rng.normal(0, 0.5, shape))
    fields = {name: x.copy() for name, x in market.fields.items()}
    for name, x in fields.items():
        x[first:] *= rng.uniform(0.1, 30.0, shape) if name == "volume" else factor
    return replace(market, fields=fields)


def assert_same_until(a: Dataset, b: Dataset, bar: int) -> None:
    """Asserts that nothing that is known at a bar before `bar` differs."""
    assert a.feature_names == b.feature_names
    np.testing.assert_array_equal(a.time, b.time)
    before = a.time < bar
    np.testing.assert_array_equal(a.features[before], b.features[before])
    known = a.label_end < bar
    np.testing.assert_array_equal(a.target[known], b.target[known])
    cells = a.time[known], a.symbol[known]  # a position earns one bar, a label lasts as long
    np.testing.assert_array_equal(a.forward_returns[cells], b.forward_returns[cells])


@pytest.mark.parametrize("intraday", [False, True])
def test_changing_all_prices_after_a_date_changes_nothing_before(intraday: bool) -> None:
    market = holes(make_market(bars=1500, symbols=3, intraday=intraday))
    settings = DataSettings(horizon=3)
    a = build_dataset(market, settings, 20)
    for part in ("valid", "gate", "test"):
        first = a.split.part(part)[0]
        b = build_dataset(altered_from(market, first), settings, 20)
        assert_same_until(a, b, first)
        np.testing.assert_array_equal(a.train_rows, b.train_rows)
        for kind in ("robust", "standard"):
            x, y = (fit_scaler(d.features[d.train_rows], kind) for d in (a, b))
            assert x.to_dict() == y.to_dict()
        assert a.quality == b.quality
    assert a.target[a.train_rows].std() > 0


def test_system_a7_scaler_fitted_on_training_dates_only() -> None:
    market = make_market(bars=1000)
    dataset = build_dataset(market, SETTINGS)
    assert dataset.label_end[dataset.train_rows].max() < dataset.split.valid[0]
    wild = altered_from(market, dataset.split.valid[0])
    again = build_dataset(wild, SETTINGS)
    assert not np.array_equal(dataset.features, again.features)
    assert (
        fit_scaler(dataset.features[dataset.train_rows]).to_dict()
        == fit_scaler(again.features[again.train_rows]).to_dict()
    )


def test_system_a7_rolling_features_do_not_restart_anywhere() -> None:
    dataset = build_dataset(make_market(bars=1000), SETTINGS)
    longest = max(FEATURES[name].warmup for name in dataset.feature_names)
    undefined = np.isnan(dataset.features).any(axis=1)
    np.testing.assert_array_equal(undefined, dataset.age <= longest)


def test_system_b6_windows_never_cross_symbols() -> None:
    dataset = build_dataset(holes(make_market(bars=1000, symbols=4)), SETTINGS, 20)
    for rows in (dataset.train_rows, dataset.valid_rows, dataset.rows_of("test")):
        window = rows[:, None] + np.arange(-19, 1)
        assert (dataset.symbol[window] == dataset.symbol[rows][:, None]).all()
        assert (np.diff(dataset.time[window], axis=1) > 0).all()


def test_system_b6_every_symbol_is_split_at_the_same_dates() -> None:
    dataset = build_dataset(make_market(bars=1000, symbols=4), SETTINGS)
    for symbol in range(4):
        own = dataset.valid_rows[dataset.symbol[dataset.valid_rows] == symbol]
        assert (dataset.time[own[0]], dataset.time[own[-1]]) == (600, 748)


def test_system_c_labels_of_twenty_bars_stay_within_their_part() -> None:
    dataset = build_dataset(make_market(bars=1000), DataSettings(horizon=20, lag=1), 5)
    for part in ("train", "valid", "gate", "test"):
        time = dataset.time[dataset.rows_of(part)]
        start, stop = dataset.split.part(part)
        assert time.min() >= start
        assert time.max() == stop - 22
    assert dataset.reach == 21


def test_system_c5_a_column_that_is_the_label_is_refused() -> None:
    market = make_market(bars=1000)
    close = market.fields["close"]
    label = np.full_like(close, np.nan)
    label[:-1] = close[1:] / close[:-1] - 1
    with pytest.raises(UserError, match="made: feature 'tomorrow' is the label itself"):
        build_dataset(replace(market, extra={"tomorrow": label.astype(np.float32)}), SETTINGS)


def test_resolved_settings_and_dates() -> None:
    market = make_market(bars=1000)
    dataset = build_dataset(market, DataSettings(periods_per_year=250.0, cost_bps=3.0))
    assert (dataset.periods_per_year, dataset.cost_bps, dataset.lag) == (250.0, 3.0, 0)
    assert dataset.dates("train")[0] == market.timestamps[0]
    assert dataset.dates("valid") == (market.timestamps[600], market.timestamps[749])
    intraday = build_dataset(make_market(bars=3000, intraday=True), SETTINGS)
    assert (intraday.periods_per_year, intraday.lag, intraday.intraday) == (98_280.0, 1, True)


def test_quality_is_json_and_describes_every_feature() -> None:
    market = replace(make_market(bars=1000, closes_only=True), quality={"missing_bars": 7})
    dataset = build_dataset(market, SETTINGS)
    quality = json.loads(json.dumps(dataset.quality, allow_nan=False))
    assert quality["missing_bars"] == 7
    assert tuple(quality["features"]) == dataset.feature_names
    assert {"feature": "volume_ratio", "why": "the source has no volume"} in quality["left_out"]
    assert quality["leak_warnings"] == []
    assert date.fromisoformat(quality["split"]["valid"][0][:10]) == date(2003, 4, 21)
    x = dataset.features[dataset.train_rows, 0].astype(np.float64)
    figures = quality["features"]["momentum_1"]
    lower, median, upper = np.percentile(x, [25, 50, 75])
    assert figures["group"] == "price"
    assert figures["mean"] == pytest.approx(x.mean())
    assert figures["std"] == pytest.approx(x.std())
    worst = np.abs(x - median).max() / ((upper - lower) / 1.349)
    assert figures["max_abs_z"] == pytest.approx(worst, rel=1e-3)
    assert figures["winsorised_share"] == pytest.approx(0.02, abs=0.002)
    assert market.quality == {"missing_bars": 7}


def test_leak_warnings_reach_the_quality() -> None:
    market = make_market(bars=1000)
    close = market.fields["close"]
    hint = np.random.default_rng(0).normal(0, 0.02, close.shape)
    hint[:-1] += close[1:] / close[:-1] - 1
    dataset = build_dataset(replace(market, extra={"hint": hint.astype(np.float32)}), SETTINGS)
    (warning,) = dataset.quality["leak_warnings"]
    assert "'hint'" in warning


def test_ready_features() -> None:
    rng = np.random.default_rng(0)
    shape = (1000, 2)
    extra = {f"feat_{i}": rng.normal(size=shape).astype(np.float32) for i in range(3)}
    market = replace(
        make_market(bars=1000, symbols=2),
        fields={},
        extra=extra,
        target=rng.normal(size=shape),
        returns=rng.normal(size=shape),
    )
    dataset = build_dataset(market, DataSettings(horizon=5), 10)
    assert dataset.groups() == {"ready": ("feat_0", "feat_1", "feat_2")}
    assert dataset.time[dataset.train_rows].max() == 594
    np.testing.assert_array_equal(dataset.forward_returns, market.returns)


def test_ready_features_need_no_warm_up_of_ours() -> None:
    rng = np.random.default_rng(0)
    market = make_market(bars=150, symbols=20)
    shape = market.present.shape
    extra = {f"feat_{i}": rng.normal(size=shape).astype(np.float32) for i in range(3)}
    moves = rng.normal(0, 0.01, shape)
    ready = replace(market, fields={}, extra=extra, target=moves, returns=moves)
    dataset = build_dataset(ready, SETTINGS)
    assert dataset.quality["left_out"] == []
    assert len(dataset.train_rows) == 20 * (90 - 1)  # every bar of the part but the purged one
    assert dataset.time[dataset.train_rows].min() == 0


def test_too_few_rows_are_refused_with_figures() -> None:
    with pytest.raises(
        UserError, match=r"made: 84 training rows, at least 200 .* macd_cross undefined on 22%"
    ):
        build_dataset(make_market(bars=250, symbols=1), DataSettings(horizon=33))
    with pytest.raises(
        UserError, match=r"14 validation bars, at least 20 .* label of 60 bars; use"
    ):
        build_dataset(
            make_market(bars=500), DataSettings(horizon=60, lag=0, gate_from="2002-06-07")
        )
    with pytest.raises(UserError, match=r"0 training rows, .* a window of 900"):
        build_dataset(make_market(bars=1000), SETTINGS, 900)


@pytest.mark.parametrize(
    ("settings", "window", "message"),
    [
        (DataSettings(horizon=0), 1, r"data\.horizon=0 must be at least 1"),
        (DataSettings(lag=-2), 1, r"data\.lag=-2 must be at least 0"),
        (DataSettings(cost_bps=-1.0), 1, r"data\.cost_bps=-1\.0 must be at least 0"),
        (DataSettings(periods_per_year=0.0), 1, r"data\.periods_per_year=0\.0 must be above 0"),
        (DataSettings(valid_from="2050-01-01"), 1, r"data\.valid_from=2050-01-01 is outside"),
        (SETTINGS, 0, r"data/window must be at least 1"),
    ],
)
def test_bad_settings_are_refused(settings: DataSettings, window: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_dataset(make_market(bars=1000), settings, window)


def test_no_usable_feature_is_refused_with_each_reason() -> None:
    market = replace(
        make_market(bars=1000, symbols=2),
        fields={},
        extra={"feat_a": np.ones((1000, 2), np.float32)},
        target=np.zeros((1000, 2)),
        returns=np.zeros((1000, 2)),
    )
    with pytest.raises(UserError, match=r"no feature can be used: feat_a: it is constant \(1\)"):
        build_dataset(market, SETTINGS)


def test_sessions_too_short_for_a_label_are_said_and_not_called_too_few_rows() -> None:
    market = make_market(bars=1200, symbols=1, intraday=True)
    days = np.datetime64("2021-01-04", "ns") + np.arange(600) * np.timedelta64(1, "D")
    stamps = np.repeat(days, 2) + np.tile([9, 13], 600) * np.timedelta64(1, "h")
    halves = replace(market, timestamps=stamps)
    says = (
        r"sessions have 2 bars at most.*data\.lag=1, data\.horizon=1.*set data\.lag=0, or use daily"
    )
    with pytest.raises(UserError, match=says):
        build_dataset(halves, SETTINGS)
    dataset = build_dataset(halves, replace(SETTINGS, lag=0))
    close = market.fields["close"][:, 0]
    rows = dataset.train_rows
    assert np.all(dataset.time[rows] % 2 == 0)  # the mornings
    expected = close[dataset.time[rows] + 1] / close[dataset.time[rows]] - 1
    np.testing.assert_allclose(dataset.target[rows], expected, rtol=1e-5)
    with pytest.raises(UserError, match=r"data\.horizon=3.* none is defined; use daily bars"):
        build_dataset(halves, replace(SETTINGS, lag=0, horizon=3))
