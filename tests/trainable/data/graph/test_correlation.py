"""Correlations of past returns: against a second implementation, and of nothing later."""

import numpy as np
import pytest
import torch

from tests.fixtures.markets import holes, make_market
from tests.fixtures.panels import noise, panel
from trainable.data.dataset.build import build_dataset
from trainable.data.graph.correlation import SHRINKAGE, correlations, past_returns
from trainable.data.settings import DataSettings

WINDOW = 12


def some_returns(missing: float, bars: int = 40, symbols: int = 5) -> np.ndarray:
    draw = np.random.default_rng(3)
    found = 1e-3 + 0.01 * (draw.normal(size=(bars, symbols)) + draw.normal(size=(bars, 1)))
    found[draw.random(found.shape) < missing] = np.nan
    return found


def one_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """The weighted correlation of two series up to the present bar, from its definition."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < WINDOW * 2 // 3:
        return np.nan
    weights = 0.5 ** (np.arange(WINDOW)[::-1] / (WINDOW / 2))[-len(a) :][both]
    covariance = np.cov(a[both], b[both], aweights=weights, ddof=0)
    return (1 - SHRINKAGE) * covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_they_are_weighted_and_pairwise(missing: float) -> None:
    returns = some_returns(missing)
    found = correlations(torch.from_numpy(returns), 0, len(returns), WINDOW).numpy()
    assert np.isnan(found[: WINDOW * 2 // 3 - 1]).all()
    for t in range(len(returns)):
        part = returns[max(t + 1 - WINDOW, 0) : t + 1]
        for i in range(returns.shape[1]):
            for j in range(returns.shape[1]):
                if i != j:
                    expected = one_correlation(part[:, i], part[:, j])
                    np.testing.assert_allclose(found[t, i, j], expected, atol=1e-9)


def test_parts_are_the_whole() -> None:
    returns = torch.from_numpy(some_returns(0.1))
    whole = correlations(returns, 0, 40, WINDOW)
    parts = [correlations(returns, first, first + 8, WINDOW) for first in range(0, 40, 8)]
    torch.testing.assert_close(torch.cat(parts), whole, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_return_that_never_moves_is_correlated_with_nothing(dtype: torch.dtype) -> None:
    returns = torch.from_numpy(some_returns(0.0)).to(dtype)
    returns[:, 1] = 0.0
    returns[:, 2] = 0.0123
    found = correlations(returns, 0, 40, WINDOW)
    assert found[:, 1].isnan().all()
    assert found[:, 2].isnan().all()
    assert found[WINDOW:, 0, 3].isfinite().all()


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_the_past_return_ends_at_its_bar(lag: int) -> None:
    market = holes(make_market(300, 4), 0.1)
    dataset = build_dataset(market, DataSettings(lag=lag))
    past, close = past_returns(dataset), market.fields["close"]
    for n in range(4):
        bars = np.flatnonzero(market.present[:, n])
        own = close[bars, n]
        expected = own[1 + lag :] / own[lag:-1] - 1
        np.testing.assert_allclose(past[bars[1 + lag :], n], expected)
        assert np.isnan(past[bars[: 1 + lag], n]).all()
        assert np.isnan(past[~market.present[:, n], n]).all()


def test_a_return_after_the_last_bar_is_nobodys_past() -> None:
    present = np.ones((60, 2), bool)
    present[40:, 1] = False
    dataset = panel(noise(60, 2), present=present)
    assert past_returns(dataset).shape == (60, 2)
    assert np.isfinite(past_returns(dataset)[1:41, 0]).all()
    assert np.isfinite(past_returns(dataset)[:, 1]).sum() == 39


def test_one_symbol_has_no_pair() -> None:
    returns = torch.from_numpy(past_returns(panel(noise(60, 1))))
    assert correlations(returns, 0, 60, WINDOW).shape == (60, 1, 1)
