"""A placebo: labels and returns are moved far away and dealt anew; everything else stays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures import planted, tiny
from tests.fixtures.markets import make_market
from tests.fixtures.panels import noise, panel
from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.labels import horizon_targets
from trainable.data.dataset.placebo import placebo
from trainable.data.dataset.windows import train_eval_rows
from trainable.data.graph.correlation import past_returns
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring

PARTS = ("train", "valid")
READY = {"features": "feat_*", "target": "label"}


def compounded(returns: np.ndarray, horizon: int) -> np.ndarray:
    """The return over `horizon` bars from each bar on; NaN where the data end first."""
    T = len(returns)
    found = np.full(returns.shape, np.nan)
    for t in range(T - horizon + 1):
        found[t] = np.prod(1 + returns[t : t + horizon], axis=0) - 1
    return found


def daily(horizon: int = 1, symbols: int = 8, bars: int = 300, window: int = 4) -> Dataset:
    """A complete panel with a gate and a sealed test behind the validation part."""
    returns = noise(bars + horizon, symbols)
    label = compounded(returns, horizon)[:bars]
    valid = (bars // 2, bars - 60)
    made = panel(returns[:bars], target=label, horizon=horizon, valid=valid)
    return replace(made, max_window=window)


def grid(dataset: Dataset) -> np.ndarray:
    """The labels, [T, N]; NaN where there is none."""
    found = np.full(dataset.tradable.shape, np.nan, np.float32)
    found[dataset.time, dataset.symbol] = dataset.target
    return found


def labelled(dataset: Dataset, part: str) -> np.ndarray:
    """The cells [T, N] that have a label whose whole interval is inside a part."""
    begin, stop = dataset.split.part(part)
    inside = (dataset.time >= begin) & (dataset.label_end < stop) & np.isfinite(dataset.target)
    found = np.zeros(dataset.tradable.shape, bool)
    found[dataset.time[inside], dataset.symbol[inside]] = True
    return found


def origins(dataset: Dataset, moved: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The bar and symbol [T, N] that label and return come from; −1 where there is no label."""
    before, after = dataset.forward_returns, moved.forward_returns
    labels, moved_labels = grid(dataset), grid(moved)
    where = {before[cell]: cell for cell in map(tuple, np.argwhere(np.isfinite(before)))}
    bar, symbol = np.full(before.shape, -1), np.full(before.shape, -1)
    for cell in map(tuple, np.argwhere(labelled(moved, "train") | labelled(moved, "valid"))):
        bar[cell], symbol[cell] = origin = where[after[cell]]
        assert moved_labels[cell] == labels[origin], "they stay together"
    return bar, symbol


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("symbols", [1, 2, 8])
def test_labels_are_a_permutation_within_each_part_far_from_their_bar(
    horizon: int, symbols: int
) -> None:
    dataset = daily(horizon, symbols)
    moved = placebo(dataset, 1)
    bar, symbol = origins(dataset, moved)
    least = dataset.max_window + dataset.reach
    for part in PARTS:
        begin, stop = dataset.split.part(part)
        bars = np.arange(begin, stop - dataset.reach)
        pairs = [*zip(bar[bars].ravel(), symbol[bars].ravel(), strict=True)]
        assert sorted(pairs) == [(t, n) for t in bars for n in range(symbols)]
        assert (bar[bars] == bar[bars][:, :1]).all(), "a bar's cross-section stays together"
        away = (bar[bars, 0] - bars) % len(bars)
        assert len(np.unique(away)) == 1, "one offset"
        assert least <= away[0] <= len(bars) - least
        assert np.isnan(grid(moved)[stop - dataset.reach : stop]).all()


def test_no_feature_reaches_back_to_its_own_label() -> None:
    """The last bars of a part take labels of its first, which lie before them."""
    dataset = replace(daily(symbols=1), lookback=50)
    least, nearest = dataset.max_window + dataset.reach, set()
    for seed in range(60):
        bar, _ = origins(dataset, placebo(dataset, seed))
        begin, stop = dataset.split.valid
        bars = np.arange(begin, stop - dataset.reach)
        before = bars - bar[bars, 0]
        assert (before[before < 0] <= -least).all()
        nearest.add(int(before[before > 0].min()))
    assert min(nearest) == least + 50


@pytest.mark.parametrize(("columns", "reach"), [({}, 60), (READY, 0)])
def test_the_dataset_knows_how_far_its_features_reach_back(
    columns: dict[str, Any], reach: int
) -> None:
    data = DataSettings(**columns)
    frame = tiny.ready() if columns else tiny.bars(700)
    assert build_dataset(market_from_frame(frame, data), data).lookback == reach


def test_symbols_are_drawn_for_each_bar_unless_labels_overlap() -> None:
    for horizon in (1, 5):
        dataset = daily(horizon)
        _, symbol = origins(dataset, placebo(dataset, 2))
        begin, stop = dataset.split.valid
        orders = {tuple(row) for row in symbol[begin : stop - dataset.reach]}
        assert all(sorted(order) == [*range(8)] for order in orders)
        assert len(orders) == 1 if horizon == 5 else len(orders) > 80
    dataset = daily()
    _, symbol = origins(dataset, placebo(dataset, 2))
    same = symbol[: dataset.split.train[1] - 1] == np.arange(8)
    assert same.mean() == pytest.approx(1 / 8, abs=4 * np.sqrt(7 / 64 / same.size))


def test_a_label_and_what_is_earned_beside_it_stay_together() -> None:
    dataset = daily()
    moved = placebo(dataset, 3)
    for part in PARTS:
        here = labelled(dataset, part)
        assert moved.forward_returns[here] == pytest.approx(grid(moved)[here], rel=1e-6)
        assert not np.isin(moved.forward_returns[here], dataset.forward_returns[~here]).any()


def test_a_label_of_five_days_is_of_what_is_earned_on_the_five_days() -> None:
    """But for those few that begin in the rotation's end and end in its beginning."""
    dataset = daily(5)
    moved = placebo(dataset, 4)
    of_days = compounded(moved.forward_returns, 5)
    for part in PARTS:
        here = labelled(dataset, part)
        off = ~np.isclose(of_days[here], grid(moved)[here], rtol=1e-4, atol=1e-7)
        assert 0 < off.sum() <= 4 * 8
    assert np.isfinite(horizon_targets(dataset, [1, 5])).any()


def test_everything_else_stays() -> None:
    dataset = daily()
    dataset = replace(dataset, quality={"leak_warnings": ["f0"], "suspicious_features": ["f0"],
                                        "rows": 7})  # fmt: skip
    moved = placebo(dataset, 5)
    for name in ("features", "time", "symbol", "age", "label_end", "tradable", "train_rows",
                 "valid_rows", "split", "session_ends", "sold", "timestamps"):  # fmt: skip
        assert getattr(moved, name) is getattr(dataset, name), name
    later = slice(dataset.split.gate[0], None)
    assert np.array_equal(moved.forward_returns[later], dataset.forward_returns[later])
    assert np.array_equal(grid(moved)[later], grid(dataset)[later], equal_nan=True)
    assert np.array_equal(past_returns(moved), past_returns(dataset), equal_nan=True)
    assert moved.quality == {"rows": 7}, "nothing is said of real labels"
    scored, before = (scoring(each, each.valid_rows) for each in (moved, dataset))
    assert np.array_equal(scored.timestamps, before.timestamps)
    assert np.array_equal(scored.labelled, before.labelled)
    assert sorted(scored.returns.ravel()) == sorted(before.returns.ravel())


def test_the_same_seed_gives_the_same_placebo_and_another_another() -> None:
    dataset = daily()
    first, again, other = (placebo(dataset, seed) for seed in (6, 6, 7))
    assert np.array_equal(first.target, again.target, equal_nan=True)
    assert np.array_equal(first.forward_returns, again.forward_returns, equal_nan=True)
    assert not np.array_equal(first.target, other.target, equal_nan=True)


def test_what_features_know_of_labels_is_lost_and_the_cross_section_kept() -> None:
    dataset = planted.market(0, symbols=10, ic=0.2)
    moved = placebo(dataset, 8)
    for rows in (dataset.train_rows, dataset.valid_rows[:-10]):
        known = dataset.features[rows, 0].astype(float)
        before, after = (np.corrcoef(known, each.target[rows])[0, 1] for each in (dataset, moved))
        assert before == pytest.approx(0.2, abs=0.03)
        assert abs(after) < 4 / np.sqrt(len(rows))
        spread = [np.std(each.target[rows]) for each in (dataset, moved)]
        assert spread[1] == pytest.approx(spread[0], rel=0.02)


@st.composite
def markets(draw: st.DrawFn) -> Dataset:
    """Symbols that come, go and lack bars."""
    bars, symbols = 160, draw(st.integers(1, 6))
    horizon, lag = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    present = rng.random((bars, symbols)) > draw(st.sampled_from([0.0, 0.1, 0.4]))
    for n in range(1, symbols):
        first, last = sorted(rng.integers(0, bars, 2))
        present[: first // 2, n] = False
        present[bars - (bars - last) // 3 :, n] = False
    present[::2, 0] = True
    present[80, :] = True
    returns = rng.normal(0.0, 0.01, (bars, symbols))
    made = panel(
        returns,
        target=rng.normal(0.0, 0.01, (bars, symbols)),
        present=present,
        horizon=horizon,
        lag=lag,
        valid=(70, 150),
    )
    return replace(made, max_window=3)


def in_part(dataset: Dataset, part: str) -> np.ndarray:
    """The bars of a part, [T, 1]."""
    begin, stop = dataset.split.part(part)
    bars = np.arange(len(dataset.timestamps))[:, None]
    return (bars >= begin) & (bars < stop)


def earned_until(dataset: Dataset) -> np.ndarray:
    """The bar [T, N] at which the return of each cell ends."""
    found = np.full(dataset.tradable.shape, len(dataset.timestamps))
    for n, present in enumerate(dataset.tradable.T):
        own = np.flatnonzero(present)
        for place, bar in enumerate(own):
            after = place + dataset.lag + 1
            found[bar, n] = own[after] if after < len(own) else dataset.sold[n]
    return found


@settings(max_examples=60, deadline=None)
@given(markets(), st.integers(0, 9))
def test_symbols_that_come_and_go(dataset: Dataset, seed: int) -> None:
    moved = placebo(dataset, seed)
    bar, symbol = origins(dataset, moved)
    least = dataset.max_window + dataset.reach
    for part in PARTS:
        begin, stop = dataset.split.part(part)
        here = labelled(dataset, part)
        assert np.array_equal(labelled(moved, part), here), "the same cells have labels"
        for t in np.flatnonzero(here.any(axis=1)):
            (source,) = np.unique(bar[t][here[t]])
            assert begin <= source < stop
            assert abs(source - t) >= least
            wanted, offered = here[t].sum(), here[source].sum()
            dealt = np.bincount(symbol[t][here[t]], minlength=len(dataset.symbols))
            assert here[source][dealt > 0].all()
            assert (dealt > 0).sum() == min(wanted, offered), "all are dealt once before a second"
            for n in np.flatnonzero(here[t]):
                earned = dataset.forward_returns[source, symbol[t, n]]
                assert moved.forward_returns[t, n] == earned
        changed = moved.forward_returns != dataset.forward_returns
        taken = moved.forward_returns[changed & dataset.tradable & in_part(dataset, part)]
        inside = in_part(dataset, part) & (earned_until(dataset) < stop)
        assert np.isin(taken, dataset.forward_returns[inside]).all(), "no return ends elsewhere"
    assert np.array_equal(np.isfinite(moved.forward_returns), dataset.tradable)


def intraday(session: int, bars: int, overnight: str, lag: int = 1, horizon: int = 2) -> Dataset:
    market = make_market(bars, 3, intraday=True, session=session, closes_only=True, seed=3)
    return build_dataset(market, DataSettings(lag=lag, horizon=horizon, overnight=overnight), 5)


@pytest.mark.parametrize("overnight", ["flat", "hold"])
def test_sessions_of_equal_length_keep_the_time_of_the_day(overnight: str) -> None:
    dataset = intraday(60, 60 * 40, overnight)
    moved = placebo(dataset, 9)
    begin, stop = dataset.split.valid
    before, after = (each.forward_returns for each in (dataset, moved))
    sessions = before[begin:stop].reshape(-1, 60, 3)
    used = after[begin:stop].reshape(-1, 60, 3)
    inside = (earned_until(dataset)[begin:stop] < stop).reshape(-1, 60, 3)
    last = slice(0, -1)  # of the last session some returns end in the next part
    for minute in range(60):
        possible = sessions[:, minute][inside[:, minute]]
        assert np.isin(used[last, minute], possible).all(), minute
    assert np.array_equal(
        np.isfinite(grid(moved)[begin:stop]), labelled(dataset, "valid")[begin:stop]
    )
    assert np.isfinite(moved.target[moved.train_rows]).all()
    bar, _ = origins(dataset, moved)
    away = (bar - np.arange(len(bar))[:, None])[labelled(dataset, "valid")]
    assert (away % 60 == 0).all()
    assert (away != 0).all()


def test_sessions_of_other_lengths_leave_no_row_without_its_label() -> None:
    market = make_market(2400, 3, intraday=True, session=60, closes_only=True, seed=3)
    early = np.isin(np.arange(2400) // 60, (3, 17, 25, 26)) & (np.arange(2400) % 60 >= 35)
    kept = ~early
    market = replace(
        market,
        timestamps=market.timestamps[kept],
        fields={"close": market.fields["close"][kept]},
        present=market.present[kept],
        bad_ticks=market.bad_ticks[kept],
    )
    dataset = build_dataset(market, DataSettings(lag=1, horizon=2), 5)
    moved = placebo(dataset, 10)
    assert np.isfinite(moved.target[moved.train_rows]).all()
    for part in PARTS:
        assert np.array_equal(labelled(moved, part), labelled(dataset, part))
    scoring(moved, moved.valid_rows)
    scoring(moved, train_eval_rows(moved))
    bar, _ = origins(dataset, moved)
    some = bar >= 0
    assert (np.abs(bar - np.arange(len(bar))[:, None])[some] >= 5 + 3).all()


def test_bad_ticks_no_longer_stand_beside_their_returns() -> None:
    dataset = daily()
    dataset = replace(dataset, bad_ticks=noise(*dataset.tradable.shape) > 0.01)
    moved = placebo(dataset, 11)
    assert scoring(dataset, dataset.valid_rows).suspect.any()
    assert not scoring(moved, moved.valid_rows).suspect.any()


def test_a_part_that_is_too_short_is_refused() -> None:
    dataset = replace(daily(), max_window=45)
    with pytest.raises(UserError, match="the validation part has labels on 89 bars, which cannot"):
        placebo(dataset, 0)
    assert placebo(replace(daily(), max_window=43), 0).max_window == 43


def test_overlapping_labels_still_choose_what_earns() -> None:
    """As in noise: of useless predictions those with the higher IC have the higher Sharpe ratio.

    So choosing by labels helps a placebo as much as a search that finds nothing.
    """
    dataset, rng = daily(5, bars=700), np.random.default_rng(0)
    x = rng.normal(size=(16, 700, 8))
    for t in range(1, 700):
        x[:, t] = 0.9 * x[:, t - 1] + np.sqrt(1 - 0.9**2) * x[:, t]
    for each in (dataset, placebo(dataset, 12)):
        valid, train = (
            x[:, each.time[rows], each.symbol[rows]] for rows in (each.valid_rows, each.train_rows)
        )
        scores = score(scoring(each, each.valid_rows), valid, train)
        found = np.array([[one.values["ic"], one.values["sharpe"]] for one in scores], float)
        assert np.corrcoef(found.T)[0, 1] > 0.9
