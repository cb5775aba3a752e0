"""The generated market: its planted signal, its stylised facts, its continuation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, signal, stats

from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset, evaluation_dataset
from trainable.data.market import Market
from trainable.data.quality.outliers import find_extremes
from trainable.data.settings import DataSettings, SyntheticSettings
from trainable.data.synthetic import process
from trainable.data.synthetic.market import clock, continuation, generate
from trainable.metrics.reachable import reachable

MINUTES = SyntheticSettings(frequency="minute", symbols=2, bars=40_000)


def earned(market: Market) -> tuple[np.ndarray, np.ndarray]:
    """Expectation and the return it is of, [T', N] each."""
    close, lag = market.fields["close"], market.quality["planted_lag"]
    returns = close[1:] / close[:-1] - 1.0
    return market.expected[: len(returns) - lag], returns[lag:]  # type: ignore[index]


def two_features(market: Market) -> np.ndarray:
    """Close location and volume ratio of each bar, [T, N, 2], from what the market shows."""
    f = market.fields
    location = (f["close"] - f["low"]) / (f["high"] - f["low"]) - 0.5
    ratio = np.full(location.shape, np.nan)
    for t in range(20, len(ratio)):
        ratio[t] = np.log(f["volume"][t] / f["volume"][t - 20 : t].mean(axis=0))
    return np.stack([location, ratio], axis=-1)


@pytest.mark.parametrize("settings", [SyntheticSettings(), MINUTES, SyntheticSettings(seed=5)])
def test_least_squares_on_the_two_features_reaches_the_signal(settings: SyntheticSettings) -> None:
    market = generate(settings)
    expected, returns = (a[20:].reshape(-1) for a in earned(market))
    x = two_features(market)[20 : 20 + len(returns) // settings.symbols].reshape(-1, 2)
    x = np.column_stack([x, np.ones(len(x))])
    fitted = x @ np.linalg.lstsq(x, returns, rcond=None)[0]
    best = np.corrcoef(expected, returns)[0, 1]
    assert best == pytest.approx(0.15, abs=3.5 / np.sqrt(len(returns)))
    assert np.corrcoef(fitted, returns)[0, 1] >= 0.95 * best


def test_without_a_signal_nothing_predicts() -> None:
    market = generate(SyntheticSettings(signal=0.0))
    expected, returns = earned(market)
    assert np.ptp(expected) == 0.0
    features = two_features(market)[20 : 20 + len(returns) - 20].reshape(-1, 2)
    y = returns[20:].reshape(-1)
    past = [np.concatenate([np.zeros((k, 20)), returns[:-k]])[20:].reshape(-1) for k in (1, 2, 5)]
    for x in (*features.T, *past):
        assert abs(np.corrcoef(x, y)[0, 1]) < 4.0 / np.sqrt(len(y))


@pytest.mark.parametrize("frequency", ["day", "minute"])
def test_the_index_is_standard_and_the_innovations_have_variance_one(frequency: str) -> None:
    draws = process.draw(3, frequency, 20_000, 20)
    z = draws.index[process.HISTORY :]
    assert abs(z.mean()) < 0.02
    assert z.std() == pytest.approx(1.0, abs=0.01)
    assert draws.innovation.std() == pytest.approx(1.0, abs=0.02)

    # What truncation leaves of the variance of Student's t.
    def density(x: float) -> float:
        return float(stats.t.pdf(x, process.TAIL))

    end = process.LIMIT * np.sqrt(2.0)
    inside = 2 * integrate.quad(lambda x: x * x / 2 * density(x), 0, end, limit=200)[0]
    at_the_limit = 2 * process.LIMIT**2 * stats.t.sf(end, process.TAIL)
    assert np.sqrt(inside + at_the_limit) == pytest.approx(process.INNOVATION_STD, abs=1e-4)


@pytest.mark.parametrize("settings", [SyntheticSettings(bad_ticks=40), MINUTES])
def test_bars_are_consistent_and_prices_stay_sane(settings: SyntheticSettings) -> None:
    market = generate(settings)
    f = market.fields
    assert (f["low"] <= np.minimum(f["open"], f["close"])).all()
    assert (f["high"] >= np.maximum(f["open"], f["close"])).all()
    assert (f["high"] > f["low"]).all()
    assert (f["low"] > 0).all()
    assert (f["volume"] >= 1).all()
    assert f["close"].min() > 0.1
    assert f["close"].max() < 1e5
    assert market.present.all()
    assert (np.diff(market.timestamps) > np.timedelta64(0)).all()
    assert list(market.symbols) == sorted(market.symbols)


def test_tails_are_fat_and_volatility_and_volume_come_in_clusters() -> None:
    market = generate(SyntheticSettings())
    _, returns = earned(market)
    assert stats.kurtosis(returns.reshape(-1)) > 3.0
    size, volume = np.abs(returns), np.log(market.fields["volume"])

    def persistence(x: np.ndarray, lag: int) -> float:
        pairs = [np.corrcoef(c[lag:], c[:-lag])[0, 1] for c in x.T]
        return float(np.mean(pairs))

    assert persistence(size, 1) > 0.04
    assert persistence(size, 10) > 0.03
    assert persistence(volume, 1) > 0.2
    together = np.corrcoef(returns.T)[np.triu_indices(20, 1)].mean()
    assert 0.1 < together < 0.3


def test_minutes_come_in_sessions_of_business_days() -> None:
    timestamps = clock("minute", 390 * 6 + 10)
    days = np.unique(timestamps.astype("datetime64[D]"))
    assert len(days) == 7
    assert np.is_busday(days).all()
    gaps = np.diff(timestamps) / np.timedelta64(1, "m")
    assert sorted(set(gaps)) == [1.0, 17.5 * 60 + 1, 65.5 * 60 + 1]
    assert np.is_busday(clock("day", 300).astype("datetime64[D]")).all()
    with pytest.raises(UserError, match="2262"):
        clock("day", 100_000)


@pytest.mark.parametrize("frequency", ["day", "minute"])
def test_a_continuation_is_what_a_longer_market_would_have_held(frequency: str) -> None:
    short = SyntheticSettings(frequency=frequency, symbols=3, bars=900, bad_ticks=8, seed=4)
    first = generate(short)
    longer = generate(replace(short, bars=1400, bad_ticks=0))
    more = continuation(short, 500)
    assert more.history == 250
    for name, values in more.market.fields.items():
        assert np.array_equal(values[:250], first.fields[name][-250:]), name
        assert np.array_equal(values[250:], longer.fields[name][900:]), name
    assert np.array_equal(more.market.expected, longer.expected[650:])  # type: ignore[index]
    assert np.array_equal(more.market.timestamps, longer.timestamps[650:])
    assert not more.market.bad_ticks[250:].any()
    assert continuation(short, 10, history=10_000).history == 900


def test_the_seed_alone_decides() -> None:
    settings = SyntheticSettings(bars=300)
    assert generate(settings).sha256 == generate(settings).sha256
    assert generate(settings).sha256 != generate(replace(settings, seed=1)).sha256
    assert generate(settings).sha256 != generate(replace(settings, signal=0.0)).sha256


def test_planted_bad_ticks_are_recorded_and_found() -> None:
    settings = SyntheticSettings(bars=2000, bad_ticks=25)
    market = generate(settings)
    planted = market.quality["planted_bad_ticks"]
    assert len(planted) == 25
    assert market.bad_ticks.sum() == 25
    clean = generate(replace(settings, bad_ticks=0))
    wrong = market.fields["close"] != clean.fields["close"]
    assert np.array_equal(wrong, market.bad_ticks)
    for tick in planted:
        bar = np.searchsorted(market.timestamps, np.datetime64(tick["timestamp"]))
        assert market.bad_ticks[bar, market.symbols.index(tick["symbol"])]
    found, _ = find_extremes(
        market.timestamps, market.symbols, market.fields["close"], market.fields["volume"], False
    )
    assert (found & market.bad_ticks).sum() >= 24


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (SyntheticSettings(signal=1.0), "signal=1.0"),
        (SyntheticSettings(signal=float("nan")), "signal=nan"),
        (SyntheticSettings(symbols=0), "symbols=0"),
        (SyntheticSettings(bars=10), "bars=10"),
        (SyntheticSettings(frequency="minutes"), "did you mean 'minute'"),
        (SyntheticSettings(bad_ticks=-1), "bad_ticks=-1"),
        (SyntheticSettings(bars=100, symbols=1, bad_ticks=19), "between 0 and 18"),
        (SyntheticSettings(seed=-1), "seed=-1"),
    ],
)
def test_settings_that_cannot_be_generated_are_refused(
    settings: SyntheticSettings, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        generate(settings)


def test_an_empty_continuation_is_refused() -> None:
    with pytest.raises(UserError, match="continuation of 0 bars"):
        continuation(SyntheticSettings(bars=100), 0)


def test_reachable_is_what_the_expectation_earns() -> None:
    synthetic = SyntheticSettings(bars=2500)
    settings = DataSettings(source="synthetic", synthetic=synthetic)
    market = generate(synthetic)
    dataset = build_dataset(market, settings)
    best = reachable(market, dataset, dataset.valid_rows)
    # The common factor cancels across symbols, so the correlation within a day is higher.
    assert best["ic"] == pytest.approx(0.15 / np.sqrt(0.8 + 0.2 * 0.15**2), abs=0.03)
    assert best["sharpe"] is not None
    assert best["sharpe"] > 6.0

    more = continuation(synthetic, 600)
    fresh = evaluation_dataset(more.market, settings, dataset.feature_names, first=more.history)
    again = reachable(more.market, fresh, fresh.valid_rows)
    assert again["ic"] == pytest.approx(best["ic"], abs=0.05)

    nothing = generate(replace(synthetic, signal=0.0))
    useless = build_dataset(nothing, settings)
    assert reachable(nothing, useless, useless.valid_rows) == {"ic": None, "sharpe": None}
    with pytest.raises(ValueError, match="only a generated market"):
        reachable(replace(market, expected=None), dataset, dataset.valid_rows)


def test_recursions_are_those_of_scipy_bit_for_bit() -> None:
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    noise = again.standard_normal((500, 4)) * np.sqrt(1.0 - 0.97**2)
    noise[0] /= np.sqrt(1.0 - 0.97**2)
    wanted = signal.lfilter([1.0], [1.0, -0.97], noise, axis=0)
    np.testing.assert_array_equal(process.cluster(rng, (500, 4), 0.97), wanted)
    volume = np.round(np.exp(rng.normal(10.0, 1.0, (500, 4))))
    half = np.full((500, 4), 0.5)  # the middle of the bar's range adds nothing
    before = signal.lfilter([0.0, *[1 / 20] * 20], [1.0], volume, axis=0)[20:]
    surprise = (np.log(volume[20:] / before) - process.SURPRISE_MEAN) / process.SURPRISE_STD
    found = process.planted_index(half, volume)
    np.testing.assert_array_equal(found[20:], process.SURPRISE_WEIGHT * surprise)
    assert (found[:20] == 0.0).all()
