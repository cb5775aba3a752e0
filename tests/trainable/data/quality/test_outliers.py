"""Extreme moves: news stays, ticks that come back are marked."""

import numpy as np
import pandas as pd
import pytest

from trainable.data.quality.outliers import LISTED, find_extremes

T = 400


def walk(seed: int = 0, symbols: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 100 * np.exp(np.cumsum(rng.normal(0, 0.01, (T, symbols)), axis=0))


def days(n: int = T) -> np.ndarray:
    return pd.bdate_range("2020-01-01", periods=n).to_numpy().astype("datetime64[ns]")


def find(close: np.ndarray, volume: np.ndarray | None = None):
    names = tuple(f"S{n}" for n in range(close.shape[1]))
    return find_extremes(days(len(close)), names, close, volume, intraday=False)


def test_a_calm_walk_has_none():
    bad, quality = find(walk(symbols=5))
    assert not bad.any()
    assert quality["extreme_moves"] == {
        "count": 0, "real": 0, "largest": [], "unsettled": [],
    }  # fmt: skip


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_price_that_comes_back_within_three_bars_is_a_bad_tick(length, factor):
    close = walk()
    close[200 : 200 + length] *= factor
    bad, quality = find(close)
    assert np.flatnonzero(bad[:, 0]).tolist() == list(range(200, 200 + length))
    assert quality["bad_ticks"] == {"reverted": 1, "stale": 0, "bars": length}
    assert quality["extreme_moves"]["count"] == 2
    first = next(m for m in quality["extreme_moves"]["largest"] if m["bad_tick"])
    assert first["timestamp"] == str(days()[200])[:10]
    assert first["symbol"] == "S0"
    assert abs(first["robust_z"]) > 15
    assert first["return"] == pytest.approx(close[200, 0] / close[199, 0] - 1)


@pytest.mark.parametrize(("bars_ago", "unsettled"), [(0, 1), (1, 1), (2, 1), (3, 0)])
def test_the_newest_moves_may_yet_be_taken_back(bars_ago, unsettled):
    close = walk()
    close[len(close) - 1 - bars_ago :] *= 2.0
    moves = find(close)[1]["extreme_moves"]
    assert (moves["count"], moves["real"], len(moves["unsettled"])) == (1, 1, unsettled)
    assert moves["unsettled"] == moves["largest"][:unsettled]


@pytest.mark.parametrize("back", [0.0, 0.4, 1.9])
def test_news_is_no_bad_tick(back):
    close = walk()
    close[200:] *= 0.5
    close[201:] *= 2.0**back  # some of it back; or more than all
    bad, quality = find(close)
    assert not bad.any()
    assert quality["extreme_moves"]["count"] >= 1


def test_a_price_that_comes_back_after_four_bars_is_no_bad_tick():
    close = walk()
    close[200:204] *= 0.5
    assert not find(close)[0].any()


def test_large_moves_to_and_fro_in_a_crisis_are_real():
    close = walk()
    rng = np.random.default_rng(3)
    wild = np.where(np.arange(60) % 2, 1.0, -1.0) * rng.uniform(0.2, 0.3, 60)
    close[200:260] *= np.exp(np.cumsum(wild))[:, None]
    close[260:] *= np.exp(wild.sum())
    bad, quality = find(close)
    assert quality["extreme_moves"]["count"] > 40
    assert len(quality["extreme_moves"]["largest"]) == LISTED
    assert not bad[205:255].any()


def test_missing_bars_do_not_hide_a_bad_tick():
    close = walk(symbols=2)
    close[200, 0] *= 2
    close[[198, 201], 0] = np.nan
    assert np.flatnonzero(find(close)[0]).tolist() == [400]


def test_a_jump_out_of_a_price_that_was_not_traded_is_a_stale_tick():
    close, volume = walk(), np.full((T, 1), 1000.0)
    close[150:200] = close[150]
    close[200:] *= 0.4
    assert find(close)[1]["bad_ticks"] == {"reverted": 0, "stale": 1, "bars": 1}
    assert find(close, volume)[1]["bad_ticks"]["stale"] == 0
    volume[150:200] = 0
    assert find(close, volume)[1]["bad_ticks"]["stale"] == 1


def test_session_gaps_are_compared_with_session_gaps():
    rng = np.random.default_rng(0)
    days_, bars = 60, 100
    stamps = np.concatenate(
        [
            np.datetime64("2024-01-01T14:30", "ns")
            + np.timedelta64(day, "D")
            + np.arange(bars) * np.timedelta64(1, "m")
            for day in range(days_)
        ]
    )
    moves = rng.normal(0, 0.0003, days_ * bars)
    moves[::bars] = rng.normal(0, 0.01, days_)  # overnight: 30 times a minute's
    close = 100 * np.exp(np.cumsum(moves))[:, None]
    assert find_extremes(stamps, ("ES",), close, None, True)[1]["extreme_moves"]["count"] == 0
    close[450] *= 1.05
    bad, _ = find_extremes(stamps, ("ES",), close, None, True)
    assert np.flatnonzero(bad).tolist() == [450]


def test_illiquid_symbols_are_measured_by_their_moves():
    close = walk()
    close[1::2] = close[::2]  # every other bar unchanged
    _, quality = find(close)
    assert quality["zero_returns"] == T // 2
    assert quality["extreme_moves"]["count"] == 0
