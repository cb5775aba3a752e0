"""The luck line of so many trials is what correlated ones really reach, by simulation."""

from math import sqrt

import numpy as np
import pytest

from analysis.statistics.snooping.effective_trials import effective_trials
from analysis.statistics.snooping.luck_line import luck_line


def loadings(family: str, N: int, correlation: float) -> np.ndarray:
    """Returns what N trials hold of independent sources, [N, sources], each of variance 1."""
    own = sqrt(1 - correlation) * np.eye(N)
    if family == "one factor":
        shared = np.ones((N, 1))
    elif family == "blocks":  # of eight
        shared = np.repeat(np.eye(N // 8), 8, axis=0)
    else:  # half of them alike, half independent
        shared = np.r_[np.ones((N // 2, 1)), np.zeros((N - N // 2, 1))]
        own = np.diag(np.r_[np.full(N // 2, sqrt(1 - correlation)), np.ones(N - N // 2)])
    return np.hstack([sqrt(correlation) * shared, own])


def reached(mixing: np.ndarray, T: int | None) -> float:
    """Returns the mean highest ratio of useless trials, in deviations; T None: of many days."""
    rng = np.random.default_rng(0)
    if T is None:
        return float((mixing @ rng.standard_normal((mixing.shape[1], 8000))).max(axis=0).mean())
    best = []
    for _ in range(500):
        returns = mixing @ rng.standard_normal((mixing.shape[1], T))
        best.append((returns.mean(axis=1) / returns.std(axis=1, ddof=1)).max() * sqrt(T))
    return float(np.mean(best))


def line(number: float | None) -> float:
    assert number is not None
    return luck_line(number, 1, 1)


def by_participation(R: np.ndarray) -> float:
    return len(R) ** 2 / float((R**2).sum())


def by_li_and_ji(R: np.ndarray) -> float:
    eigenvalues = np.linalg.eigvalsh(R).clip(0)
    return float(((eigenvalues >= 1) + eigenvalues % 1).sum())


def by_galwey(R: np.ndarray) -> float:
    eigenvalues = np.linalg.eigvalsh(R).clip(0)
    return float(np.sqrt(eigenvalues).sum() ** 2 / eigenvalues.sum())


def by_mean_correlation(R: np.ndarray) -> float:
    mean = (R.sum() - len(R)) / (len(R) * (len(R) - 1))
    return float(mean + (1 - mean) * len(R))


FORMULAS = [by_participation, by_li_and_ji, by_galwey, by_mean_correlation]
FAMILIES = [
    ("one factor", 0.0),
    ("one factor", 0.3),
    ("one factor", 0.9),
    ("blocks", 0.6),
    ("blocks", 1.0),
    ("half", 0.95),
]


@pytest.mark.parametrize(("family", "correlation"), FAMILIES)
@pytest.mark.parametrize(("N", "T"), [(64, 750), (64, 60), (16, 300)])
def test_the_luck_line_of_the_number_is_what_they_reach(
    family: str, correlation: float, N: int, T: int
) -> None:
    mixing = loadings(family, N, correlation)
    found = []
    for seed in range(3):
        noise = np.random.default_rng(seed).standard_normal((T, mixing.shape[1]))
        found.append(line(effective_trials(0.01 * noise @ mixing.T, seed)))
    short = T < 100  # their ratios have the tails of Student's t
    wanted = reached(mixing, T if short else None)
    assert np.mean(found) == pytest.approx(wanted, abs=0.14 if short else 0.06)


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_formula_of_the_correlations_is_right_for_all(formula) -> None:
    errors, ours = [], []
    for family, correlation in FAMILIES:
        mixing = loadings(family, 64, correlation)
        returns = np.random.default_rng(7).standard_normal((750, mixing.shape[1])) @ mixing.T
        wanted = reached(mixing, None)
        errors.append(abs(line(max(1.0, formula(np.corrcoef(returns.T)))) - wanted))
        ours.append(abs(line(effective_trials(returns)) - wanted))
    assert max(errors) > 0.6
    assert max(ours) < 0.1


def test_a_copy_adds_nothing_and_order_and_size_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    returns = rng.standard_normal((200, 20)) + 2 * rng.standard_normal((200, 1))
    found = effective_trials(returns)
    assert found is not None
    assert 1 < found < 10
    assert effective_trials(np.hstack([returns, returns[:, :7]])) == pytest.approx(found, rel=1e-6)
    assert effective_trials(3 * returns[:, ::-1] + 1) == pytest.approx(found, rel=1e-6)


def test_trials_that_never_trade_do_not_count() -> None:
    returns = np.random.default_rng(2).standard_normal((300, 12))
    found = effective_trials(returns)
    assert effective_trials(np.hstack([returns, np.zeros((300, 5))])) == found
    assert found is not None
    assert 10 < found <= 12
    assert effective_trials(np.zeros((300, 5))) is None
    assert effective_trials(np.zeros((300, 0))) is None
    assert effective_trials(np.zeros((0, 4))) is None


def test_one_trial_and_its_copies_are_one() -> None:
    returns = np.random.default_rng(3).standard_normal((50, 1))
    assert effective_trials(returns) == 1
    assert effective_trials(np.repeat(returns, 30, axis=1)) == pytest.approx(1, abs=1e-9)


def test_opposite_trials_are_no_more_than_there_are() -> None:
    """One of the two always gains, so their best reaches more than that of independent ones."""
    returns = np.random.default_rng(4).standard_normal((50, 1))
    assert effective_trials(np.hstack([returns, -returns])) == 2
