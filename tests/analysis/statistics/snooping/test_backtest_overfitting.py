"""Splits counted one by one, ffn beside it, and simulations."""

from itertools import combinations
from math import comb, log

import numpy as np
import pandas as pd
import pytest
from ffn.core import calc_prob_backtest_overfitting
from scipy.stats import rankdata

from analysis.statistics.snooping import backtest_overfitting as module
from analysis.statistics.snooping.backtest_overfitting import (
    BacktestOverfitting,
    backtest_overfitting,
)


def useless(seed: int, finalists: int, epochs: int, T: int) -> list[np.ndarray]:
    """Returns of finalists without skill, whose epochs resemble each other."""
    rng = np.random.default_rng(seed)
    own, noise = rng.standard_normal((2, T, finalists, epochs))
    return [*np.moveaxis(0.01 * (own[:, :, :1] + 0.5 * noise) + 0.0002, 1, 0)]


def found(finalists: list[np.ndarray], blocks: int = 16) -> BacktestOverfitting:
    result = backtest_overfitting(finalists, blocks)
    assert result is not None
    return result


@pytest.mark.parametrize(("finalists", "epochs", "blocks"), [(5, 1, 8), (3, 4, 6), (2, 1, 2)])
def test_it_is_ffns(finalists: int, epochs: int, blocks: int) -> None:
    returns = useless(0, finalists, epochs, 20 * blocks)
    result = found(returns, blocks)
    other = calc_prob_backtest_overfitting(
        pd.DataFrame(np.hstack(returns)), blocks, full_output=True
    )
    assert isinstance(other, dict)
    assert result.logits == pytest.approx(np.asarray(other["logits"]), abs=1e-12)
    at_the_median = np.mean(np.asarray(other["logits"]) == 0)
    assert result.probability == pytest.approx(other["pbo"] - at_the_median / 2)


def test_ties_share_their_rank_as_ffns_do() -> None:
    returns = [*useless(1, 3, 1, 96), *useless(1, 3, 1, 96)]
    other = calc_prob_backtest_overfitting(pd.DataFrame(np.hstack(returns)), 6, full_output=True)
    assert isinstance(other, dict)
    assert found(returns, 6).logits == pytest.approx(np.asarray(other["logits"]), abs=1e-12)


def test_every_split_by_hand_on_days_that_no_number_of_blocks_divides() -> None:
    returns, blocks, T = [each - 0.0008 for each in useless(2, 3, 2, 107)], 6, 107
    borders = [k * T // blocks for k in range(blocks + 1)]
    columns = np.hstack(returns)
    before, after, logits, chosen = [], [], [], []
    for half in combinations(range(blocks), blocks // 2):
        inside = np.zeros(T, dtype=bool)
        for block in half:
            inside[borders[block] : borders[block + 1]] = True
        ratio = [
            columns[days].mean(axis=0) / columns[days].std(axis=0, ddof=1)
            for days in (inside, ~inside)
        ]
        best = int(ratio[0].argmax())
        share = rankdata(ratio[1])[best] / 7
        before.append(ratio[0][best])
        after.append(ratio[1][best])
        logits.append(log(share / (1 - share)))
        chosen.append(best // 2)
    result = found(returns, blocks)
    assert len(result.logits) == comb(6, 3)
    assert result.logits == pytest.approx(logits, abs=1e-12)
    middle = np.abs(logits) < 1e-12
    below = np.mean((np.array(logits) < 0) & ~middle)
    assert result.probability == pytest.approx(below + middle.mean() / 2)
    assert result.loss == np.mean(np.array(after) < 0)
    assert 0 < result.loss < 1
    assert result.slope == pytest.approx(np.polyfit(before, after, 1)[0])
    assert result.chosen == pytest.approx(np.bincount(chosen, minlength=3) / 20)


def test_of_useless_finalists_it_is_a_half_and_pruned_ones_hide_that() -> None:
    alone, beside = [], []
    for seed in range(40):
        returns = useless(seed, 16, 1, 320)
        pruned = [each - 0.004 for each in useless(1000 + seed, 48, 1, 320)]
        alone.append(found(returns, 8).probability)
        beside.append(found(returns + pruned, 8).probability)
    assert np.mean(alone) == pytest.approx(0.5, abs=0.08)
    assert np.mean(beside) < 0.15


@pytest.mark.parametrize("N", [2, 3, 5, 8])
def test_of_few_useless_finalists_it_is_a_half_too_also_of_an_odd_number(N: int) -> None:
    shares = [found(useless(seed, N, 1, 120), 6).probability for seed in range(300)]
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) == pytest.approx(0.5, abs=3 * error)
    assert error < 0.02


def test_the_median_of_three_counts_as_half() -> None:
    """On the other half what was best is between the second and the one that is best there."""
    first, second, third = useless(9, 3, 1, 40)
    good, bad = np.repeat([0.05, -0.05], 20)[:, None], np.repeat([-0.05, 0.05], 20)[:, None]
    result = found([first + good, second - 0.2, third + bad], 2)
    assert result.logits == pytest.approx([0.0, 0.0])
    assert result.probability == 0.5


def test_skill_lasts() -> None:
    returns = useless(3, 8, 3, 640)
    returns[5] = returns[5] + 0.005
    result = found(returns)
    assert result.probability < 0.02
    assert result.loss < 0.01
    assert result.chosen[5] > 0.99
    assert result.chosen.sum() == pytest.approx(1)
    assert len(result.logits) == 12_870


def test_the_same_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = useless(4, 4, 2, 100)
    returns[2][50:, 1] = 0.0  # has no ratio in one half, of one batch
    whole = found(returns, 8)
    monkeypatch.setattr(module, "BATCH", 50)
    assert found(returns, 8).logits == pytest.approx(whole.logits)


def test_an_epoch_without_a_ratio_in_some_half_is_left_out() -> None:
    returns = useless(5, 3, 2, 120)
    started = returns[0][:, :1].copy()
    started[:60] = 0.0
    more = [np.hstack([returns[0], started]), *returns[1:], np.zeros((120, 1))]
    assert found(more, 6).logits == pytest.approx(found(returns, 6).logits)
    assert found(more, 6).chosen[3] == 0
    never = np.full((120, 1), 0.01 / 3)
    assert found([*returns, never], 6).logits == pytest.approx(found(returns, 6).logits)


def test_a_slope_over_nothing_is_undefined() -> None:
    """Every block earns the same, so every half does."""
    block = useless(6, 2, 1, 10)
    result = found([np.tile(each, (4, 1)) for each in block], 4)
    assert result.slope is None


def test_what_is_undefined_is_none() -> None:
    returns = useless(7, 2, 1, 40)
    assert backtest_overfitting([], 4) is None
    assert backtest_overfitting(returns[:1], 4) is None
    assert backtest_overfitting([returns[0], np.zeros((40, 1))], 4) is None
    assert backtest_overfitting([each[:31] for each in returns], 16) is None
    assert backtest_overfitting([each[:32] for each in returns], 16) is not None


def test_what_cannot_be_is_refused() -> None:
    returns = useless(8, 2, 1, 40)
    for blocks in (0, 3):
        with pytest.raises(ValueError, match=f"even, not {blocks}"):
            backtest_overfitting(returns, blocks)
    with pytest.raises(ValueError, match=r"differ: \[39, 40\]"):
        backtest_overfitting([returns[0], returns[1][1:]], 4)
