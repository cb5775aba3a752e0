"""Ready columns over several bars: recognised, and refused with the horizon that fits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.overlap import horizon_of
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

SYMBOL = np.repeat(np.arange(4), 500)


def one_bar(seed: int = 0) -> np.ndarray:
    """Returns [R] of four symbols that move together, with fat tails."""
    rng = np.random.default_rng(seed)
    common = rng.standard_t(4, 500)
    return np.concatenate([0.01 * (common + rng.standard_t(4, 500)) for _ in range(4)])


def over(bars: int, returns: np.ndarray) -> np.ndarray:
    """The return compounded over so many bars from each row on; NaN at the end of a symbol."""
    found = []
    for part in np.split(returns, 4):
        wealth = np.concatenate([[1.0], np.cumprod(1.0 + part)])
        found.append(np.full(len(part), np.nan))
        found[-1][: len(part) + 1 - bars] = wealth[bars:] / wealth[:-bars] - 1.0
    return np.concatenate(found)


@pytest.mark.parametrize("bars", [1, 2, 5, 21])
def test_the_bars_of_a_label_are_found(bars: int) -> None:
    returns = one_bar()
    assert horizon_of(over(bars, returns), SYMBOL, 60) == bars


@pytest.mark.parametrize("persistence", [0.5, 0.9, 0.99])
def test_a_label_that_merely_persists_is_not_taken_for_a_sum(persistence: float) -> None:
    rng = np.random.default_rng(1)
    label = np.zeros(2000)
    for t in range(1, 2000):
        label[t] = persistence * label[t - 1] + rng.normal()
    assert horizon_of(label, SYMBOL, 60) is None
    season = np.sin(np.arange(2000) * 2 * np.pi / 7) + 0.1 * rng.normal(size=2000)
    assert horizon_of(season, SYMBOL, 60) is None


def frame(bars: int) -> pd.DataFrame:
    returns = one_bar()
    days = np.tile(pd.bdate_range("2020-01-01", periods=500), 4)
    return pd.DataFrame(
        {
            "date": days,
            "symbol": [f"S{n}" for n in SYMBOL],
            "feat_a": np.random.default_rng(2).normal(size=2000),
            "fwd": over(bars, returns),
            "fwd_1": returns,
        }
    )


READY = DataSettings(features="feat_*", target="fwd")


def test_an_overlapping_target_without_horizon_is_refused_with_the_one_that_fits() -> None:
    for settings in (READY, replace(READY, returns="fwd_1", horizon=2)):
        with pytest.raises(UserError, match=r"'fwd' is made of 5 bars .*data\.horizon=5") as raised:
            build_dataset(market_from_frame(frame(5), settings), settings)
        assert "\n" not in str(raised.value)
    fits = replace(READY, returns="fwd_1", horizon=5)
    assert build_dataset(market_from_frame(frame(5), fits), fits).horizon == 5
    assert build_dataset(market_from_frame(frame(1), READY), READY).horizon == 1


@pytest.mark.parametrize("bars", [2, 5, 21])
def test_returns_of_many_bars_are_refused(bars: int) -> None:
    """Booked at each bar, every return would be earned that often."""
    table = frame(bars).assign(rank=lambda f: f.groupby("date")["fwd_1"].rank())
    for target in ("fwd_1", "rank"):
        settings = replace(READY, target=target, returns="fwd")
        with pytest.raises(UserError, match=rf"data\.returns=fwd is made of {bars} bars"):
            build_dataset(market_from_frame(table, settings), settings)


def test_returns_that_are_smoothed_a_little_are_one_bars() -> None:
    returns = one_bar()
    smooth = returns + 0.4 * np.append(0.0, returns[:-1])
    table = frame(1).assign(fwd_1=smooth, fwd=smooth)
    settings = replace(READY, returns="fwd_1")
    assert build_dataset(market_from_frame(table, settings), settings).horizon == 1


def test_returns_in_another_unit_than_the_target_are_refused() -> None:
    table = frame(1).assign(more=lambda f: np.clip(10.0 * f["fwd_1"], -0.99, None))
    settings = replace(READY, returns="more")
    with pytest.raises(UserError, match="is 10 times what the target 'fwd' says"):
        build_dataset(market_from_frame(table, settings), settings)
    # A target in percent is only another scale of what is predicted.
    settings = replace(READY, target="percent", returns="fwd_1")
    percent = frame(1).assign(percent=lambda f: 100.0 * f["fwd_1"])
    assert build_dataset(market_from_frame(percent, settings), settings).horizon == 1


@pytest.mark.parametrize("bars", [3, 10])
def test_the_mean_return_of_a_bar_of_the_horizon_is_a_target(bars: int) -> None:
    table = frame(bars).assign(mean=lambda f: f["fwd"] / bars)
    settings = replace(READY, target="mean", returns="fwd_1", horizon=bars)
    assert build_dataset(market_from_frame(table, settings), settings).horizon == bars
