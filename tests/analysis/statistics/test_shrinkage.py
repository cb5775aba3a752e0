"""Shrunk means: planted groups, and what theory says of the best estimate."""

import numpy as np
import pytest

from analysis.statistics.shrinkage import pooled_variance, shrunk_means


def test_the_pooled_variance_is_that_within_groups() -> None:
    groups = [[1.0, 3.0], [10.0], [5.0, 5.0, 8.0]]
    within = sum(float(np.sum((np.array(g) - np.mean(g)) ** 2)) for g in groups) / 3
    assert pooled_variance(groups, 9.0, 0.0) == pytest.approx(within)
    assert pooled_variance([[1.0], [2.0]], 0.25, 4.0) == 0.25
    assert pooled_variance([[1.0]], 0.25, 0.0) == 0.25


def test_means_that_differ_by_no_more_than_their_errors_become_one() -> None:
    found = shrunk_means(np.array([0.1, 0.2, 0.15]), np.array([0.04, 0.04, 0.04]))
    assert found == pytest.approx([0.15] * 3)
    assert shrunk_means(np.array([0.7]), np.array([1.0])).tolist() == [0.7]


def test_the_less_certain_one_is_shrunk_more() -> None:
    means = np.array([2.0, 2.0, -2.0, 0.0])
    found = shrunk_means(means, np.array([0.01, 1.0, 0.1, 0.1]))
    assert 2.0 > found[0] > found[1] > 0


def test_they_are_nearer_to_the_truth_than_the_means() -> None:
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(200):
        truth = rng.normal(0.5, 0.3, 30)
        errors = rng.choice([0.04, 0.16], 30)
        means = truth + np.sqrt(errors) * rng.standard_normal(30)
        best = 0.5 + 0.09 / (0.09 + errors) * (means - 0.5)  # knowing centre and spread
        plain, shrunk, ideal = (
            float(np.mean((each - truth) ** 2))
            for each in (means, shrunk_means(means, errors), best)
        )
        gains.append((plain, shrunk, ideal))
    plain, shrunk, ideal = np.mean(gains, axis=0)
    assert ideal < shrunk < plain
    assert shrunk - ideal < 0.1 * (plain - ideal)
