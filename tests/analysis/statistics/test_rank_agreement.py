"""Kendall's W: worked by hand, beside Friedman's test, and against all orders there are."""

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare, spearmanr

from analysis.statistics.rank_agreement import rank_agreement


def test_of_equal_orders_it_is_1_and_of_opposite_ones_0() -> None:
    same = rank_agreement(np.tile(np.arange(4.0), (3, 1)))
    assert same is not None
    assert (same.w, same.spearman, same.judges) == (1.0, 1.0, 3)
    opposite = rank_agreement(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    assert opposite is not None
    assert (opposite.w, opposite.spearman, opposite.p) == (0.0, -1.0, 1.0)


@given(st.integers(2, 6), st.integers(3, 7), st.integers(0, 10**6), st.booleans())
def test_it_is_friedmans_statistic_and_the_mean_correlation(
    m: int, n: int, seed: int, ties: bool
) -> None:
    """χ² = m·(n − 1)·W, with ties as well; without them the mean of Spearman's correlations."""
    x = np.random.default_rng(seed).normal(size=(m, n))
    if ties:
        x = x.round()
    found = rank_agreement(x)
    if found is None:
        assert all(len(np.unique(line)) == 1 for line in x)
        return
    if m > 2:
        expected = friedmanchisquare(*x.T).statistic
        assert m * (n - 1) * found.w == pytest.approx(expected, rel=1e-9, abs=1e-9)
    if not ties:
        pairs = [(a, b) for a in range(m) for b in range(a)]
        tests: list[Any] = [spearmanr(x[a], x[b]) for a, b in pairs]
        each = [test.statistic for test in tests]
        assert found.spearman == pytest.approx(np.mean(each), abs=1e-9)


def test_its_chance_is_that_of_all_orders() -> None:
    x = np.array([[1.0, 2, 3, 4], [1, 2, 4, 3], [2, 1, 3, 4]])
    found = rank_agreement(x)
    assert found is not None
    sums = [
        np.sum((np.sum(orders, axis=0) - 7.5) ** 2)
        for orders in product(permutations((1, 2, 3, 4)), repeat=2)
        for orders in [(*orders, (1, 2, 3, 4))]
    ]
    w = 12 * np.array(sums) / (9 * 60)
    assert found.p == pytest.approx((w >= found.w - 1e-9).mean(), abs=0.02)
    assert (w > found.chance).mean() <= 0.05
    assert (w >= found.chance).mean() == pytest.approx(0.05, abs=0.02)


def test_what_has_no_value_everywhere_is_left_out() -> None:
    x = np.array([[1.0, np.nan, 3.0, 2.0], [1.0, 2.0, 3.0, 2.5]])
    found = rank_agreement(x)
    assert found is not None
    assert found.w == 1.0
    assert rank_agreement(x[:, :2]) is None
    assert rank_agreement(x[:1]) is None
    assert rank_agreement(np.ones((3, 3))) is None
