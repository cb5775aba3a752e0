"""Who stays beside the best, against a normal test of one pair and simulations."""

from math import sqrt

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr

from analysis.statistics.paired_sharpe import sharpe_difference
from analysis.statistics.snooping.bootstrap import day_counts, drawn_days, drawn_spread
from analysis.statistics.snooping.model_confidence import ModelConfidence, model_confidence


def market(seed: int, T: int, ratios: list[float], correlation: float = 0.6) -> np.ndarray:
    """Returns of finalists, [T, K], of these daily Sharpe ratios."""
    draws = np.random.default_rng(seed).standard_t(5, (T, len(ratios) + 1)) / sqrt(5 / 3)
    z = sqrt(correlation) * draws[:, :1] + sqrt(1 - correlation) * draws[:, 1:]
    return 0.01 * (z + np.array(ratios))


def found(returns: np.ndarray, **options) -> ModelConfidence:
    result = model_confidence(returns, **options)
    assert result is not None
    return result


def test_the_best_and_its_equals_stay() -> None:
    result = found(market(0, 1000, [0.1, -0.2, 0.11, 0.1, -0.1]))
    assert result.kept == (0, 2, 3)
    assert max(result.p) == 1
    assert result.p[1] == 1 / 1001


def test_the_best_is_in_the_set_as_often_as_it_says() -> None:
    results = [
        found(market(s, 150, [0.0, 0.1, 0.08, 0.0]), resamples=99, seed=s) for s in range(90)
    ]
    assert np.mean([1 in result.kept for result in results]) >= 0.92
    assert np.mean([len(result.kept) for result in results]) < 3.8


@pytest.mark.parametrize("lead", [0.01, 0.03])
def test_two_finalists_are_a_paired_test(lead: float) -> None:
    returns = market(2, 2000, [0.05, 0.05])
    returns /= returns.std(axis=0)
    returns[:, 1] += returns[:, 0].mean() - returns[:, 1].mean() + lead
    pair = sharpe_difference(returns[:, 0], returns[:, 1])
    assert pair is not None
    p = 2 - 2 * float(ndtr(abs(pair[0]) / pair[1]))
    assert 0.01 < p < 0.9
    assert min(found(returns, resamples=2000).p) == pytest.approx(p, abs=0.04)


def test_what_is_compared_does_not_depend_on_the_leverage_or_the_order() -> None:
    returns = market(3, 400, [0.0, 0.1, 0.2])
    plain = found(returns)
    turned = found((returns * np.array([3.0, 0.2, 7.0]))[:, ::-1])
    assert turned.p[::-1] == pytest.approx(plain.p, abs=0.005)
    assert turned.kept == tuple(sorted(2 - k for k in plain.kept))


def test_equal_series_share_their_p() -> None:
    returns = market(4, 400, [0.0, 0.1, 0.2])
    result = found(np.hstack([returns, 2 * returns]))
    assert result.p[:3] == result.p[3:]
    assert result.p[:3] == found(returns).p
    assert found(np.repeat(returns[:, :1], 3, axis=1)).p == (1, 1, 1)


def test_one_finalist_is_the_best() -> None:
    assert found(market(5, 100, [0.0])).kept == (0,)


def test_what_is_undefined_is_none() -> None:
    returns = market(6, 100, [0.0, 0.1])
    assert model_confidence(np.column_stack([returns, np.zeros(100)])) is None
    assert model_confidence(returns[:19]) is None
    assert model_confidence(returns[:, :0]) is None
    assert model_confidence(returns[:0]) is None


def test_what_resamples_vary_too_little_by_is_made_good() -> None:
    """On few days that belong together; the two gain and lose in turn."""
    noise = np.random.default_rng(10).standard_normal(110)
    x = np.asarray(lfilter([1.0], [1.0, -0.8], noise))[50:]
    x = (x - x.mean()) / x.std()
    result = found(np.column_stack([x + 0.2, -x - 0.2]), resamples=4000)
    drawn = day_counts(np.concatenate([*drawn_days(60, result.block, 4000, seed=1)]), 60) @ x / 60
    spread = drawn_spread(60, result.block)
    p, too_low = np.mean(abs(drawn) / spread >= 0.2), np.mean(abs(drawn) >= 0.2)
    assert too_low < p - 0.05
    assert min(result.p) == pytest.approx(p, abs=0.03)
