"""Days drawn in blocks: closed forms of a drawn mean, and the length of the blocks."""

import numpy as np
import pytest
from scipy.signal import lfilter

from analysis.statistics.snooping.bootstrap import block_length, block_signs, day_counts, drawn_days


@pytest.mark.parametrize("block", [1.0, 4.0, 15.0])
def test_a_drawn_mean_varies_as_politis_and_romano_say(block: float) -> None:
    """Var(mean*) = (γ₀ + 2Σ(1 − i/T)·((1 − p)^i ...)γᵢ) ÷ T of circular autocovariances γ."""
    T = 60
    x = np.asarray(lfilter([1.0], [1.0, -0.6], np.random.default_rng(7).standard_normal(T)))
    x -= x.mean()
    drawn = day_counts(np.concatenate([*drawn_days(T, block, 30_000, seed=0)]), T)
    assert (drawn.sum(axis=1) == T).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(T), abs=0.05)
    lags = np.arange(1, T)
    circular = np.array([x @ np.roll(x, -lag) for lag in lags]) / T
    closed = (x @ x / T + 2 * ((1 - lags / T) * (1 - 1 / block) ** lags) @ circular) / T
    assert (drawn @ x / T).var() == pytest.approx(closed, rel=0.04)


def test_batches_hold_all_resamples() -> None:
    sizes = [len(batch) for batch in drawn_days(100_000, 5.0, 45, seed=0)]
    assert sizes == [20, 20, 5]


def test_blocks_are_longer_where_days_belong_together() -> None:
    draws = np.random.default_rng(8).standard_t(4, (830, 6))
    together, apart = (
        np.asarray(lfilter([1.0], [1.0, -a], draws, axis=0))[30:] for a in (0.8, 0.0)
    )
    assert block_length(apart) == pytest.approx(800 ** (1 / 3), rel=0.5)
    assert block_length(together) > 2 * block_length(apart)
    assert block_length(np.random.default_rng(0).standard_normal((800, 1))) >= 800 ** (1 / 3)


@pytest.mark.parametrize("block", [1.0, 5.0])
def test_signs_are_as_often_either_and_change_once_a_block(block: float) -> None:
    signs = np.concatenate([*block_signs(200, block, 4000, seed=0)])
    assert signs.shape == (4000, 200)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    assert signs.mean() == pytest.approx(0.0, abs=0.01)
    changes = (signs[:, 1:] != signs[:, :-1]).mean()
    assert changes == pytest.approx(0.5 / block, rel=0.03), "half of all borders change the sign"
    assert [len(batch) for batch in block_signs(100_000, 5.0, 45, seed=0)] == [20, 20, 5]
