"""Which finalists beat a baseline, against a normal test of one pair and simulations."""

from math import sqrt

import numpy as np
import pytest
from arch.bootstrap import StepM
from scipy.signal import lfilter
from scipy.special import ndtr

from analysis.statistics.paired_sharpe import newey_west_variance, sharpe_difference
from analysis.statistics.snooping.bootstrap import day_counts, drawn_days, drawn_spread
from analysis.statistics.snooping.superior_ability import SuperiorAbility, superior_ability


def market(seed: int, T: int, leads: list[float], correlation: float = 0.5) -> np.ndarray:
    """Returns of a baseline and then of finalists, [T, 1 + K], `leads` in daily Sharpe ratios."""
    draws = np.random.default_rng(seed).standard_t(5, (T, len(leads) + 2)) / sqrt(5 / 3)
    z = sqrt(correlation) * draws[:, :1] + sqrt(1 - correlation) * draws[:, 1:]
    return 0.01 * (z + np.array([0.0, *leads]))


def found(returns: np.ndarray, **options) -> SuperiorAbility:
    result = superior_ability(returns[:, 1:], returns[:, 0], **options)
    assert result is not None
    return result


def test_who_is_better_is_found_and_nobody_else() -> None:
    result = found(market(0, 1000, [0.0, 0.2, 0.0, 0.3, -0.2]))
    assert result.better == (1, 3)
    assert result.p == 1 / 1001


def test_all_are_found_where_all_are_better_in_two_steps() -> None:
    """The third is found once the others are known; arch itself fails then: nobody is left."""
    returns = market(0, 1000, [0.4, 0.4, 0.0])
    returns /= returns.std(axis=0)
    lead = returns[:, 3] - returns[:, 0]
    error = sqrt(newey_west_variance(lead))
    returns[:, 3] += 1.85 * error - lead.mean()
    alone = returns[:, [0, 3]]
    assert found(alone).better == (0,)
    assert 0.02 < found(alone).p < 0.05
    useless = np.column_stack([alone, market(1, 1000, [-0.02, -0.02])[:, 1:]])
    assert found(useless).better == ()
    assert found(returns).better == (0, 1, 2)


def test_one_finalist_is_a_paired_test() -> None:
    returns = market(4, 2000, [0.0])
    returns /= returns.std(axis=0)
    returns[:, 1] += returns[:, 0].mean() - returns[:, 1].mean() + 0.02
    pair = sharpe_difference(returns[:, 0], returns[:, 1])
    assert pair is not None
    p = 1 - float(ndtr(pair[0] / pair[1]))
    assert 0.05 < p < 0.5
    assert found(returns, resamples=2000).p == pytest.approx(p, abs=0.03)


def test_useless_finalists_seldom_pass() -> None:
    p = [found(market(s, 150, [0.0] * 4), resamples=99, seed=s).p for s in range(90)]
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.1
    assert 0.4 <= np.mean(p) <= 0.6


def test_a_sure_lead_counts_for_more_than_a_large_one() -> None:
    """Without its error, arch sees the large lead of the uncertain finalist alone."""
    rng = np.random.default_rng(5)
    base = rng.standard_normal(600)
    sure = base + 0.1 * rng.standard_normal(600) + 0.03
    noise = rng.standard_normal((600, 12))
    returns = np.column_stack([base, sure, noise])
    assert found(returns).better == (0,)
    scaled = returns / returns.std(axis=0)
    raw = StepM(-scaled[:, 0], -scaled[:, 1:], 0.05, 9, 1000, seed=0)
    raw.compute()
    assert raw.superior_models == []


def test_what_is_compared_does_not_depend_on_the_leverage() -> None:
    returns = market(6, 300, [0.1, 0.05, 0.0])
    levered = found(returns * np.array([2.0, 5.0, 0.1, 3.0]))
    plain = found(returns)
    assert (levered.better, levered.block) == (plain.better, plain.block)
    assert levered.p == pytest.approx(plain.p, abs=0.002)


def test_no_position_is_a_baseline_of_0() -> None:
    finalists = market(7, 800, [0.2, -0.1, 0.0])[:, 1:]
    result = superior_ability(finalists, np.zeros(800))
    assert result is not None
    assert result.better == (0,)


def test_who_has_no_ratio_or_is_the_baseline_is_left_out() -> None:
    returns = market(8, 500, [0.3, 0.0])
    idle = np.column_stack([returns[:, 0], np.zeros(500), returns[:, 0], returns[:, 1:]])
    assert found(idle).better == (2,)
    assert found(idle).p == found(returns).p


def test_what_is_undefined_is_none() -> None:
    returns = market(9, 100, [0.0, 0.1])
    assert superior_ability(returns[:, 1:], np.full(100, 0.01)) is None
    assert superior_ability(returns[:, :1], returns[:, 0]) is None
    assert superior_ability(returns[:, :0], returns[:, 0]) is None
    assert superior_ability(returns[:19, 1:], returns[:19, 0]) is None
    assert superior_ability(returns[:0, 1:], returns[:0, 0]) is None


def test_other_days_are_a_defect() -> None:
    returns = market(9, 100, [0.0, 0.1])
    with pytest.raises(ValueError, match="different periods"):
        superior_ability(returns[1:, 1:], returns[:, 0])


def test_what_resamples_vary_too_little_by_is_made_good() -> None:
    """On few days that belong together."""
    noise = np.random.default_rng(10).standard_normal(110)
    x = np.asarray(lfilter([1.0], [1.0, -0.8], noise))[50:]
    x = (x - x.mean()) / x.std()
    results = [
        superior_ability(x[:, None] + 0.3, np.zeros(60), resamples=4000, seed=seed)
        for seed in range(3)
    ]
    found_p = np.mean([each.p for each in results if each is not None])
    drawn = day_counts(np.concatenate([*drawn_days(60, 11, 20_000, seed=9)]), 60) @ x / 60
    spread = drawn_spread(60, 11)
    p, too_low = np.mean(drawn / spread >= 0.3), np.mean(drawn >= 0.3)
    assert too_low < p - 0.04
    assert found_p == pytest.approx(p, abs=0.02)
