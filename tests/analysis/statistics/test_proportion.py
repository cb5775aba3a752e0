import numpy as np
import pytest
from scipy.stats import binom, binomtest, hypergeom

from analysis.statistics.proportion import clopper_pearson


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("draws", [1, 2, 6, 40, 1000])
def test_it_is_the_exact_interval_of_scipy(draws: int, confidence: float) -> None:
    for hits in {0, 1, draws // 3, draws - 1, draws}:
        wanted = binomtest(hits, draws).proportion_ci(confidence, method="exact")
        found = clopper_pearson(hits, draws, None, confidence)
        assert found == pytest.approx((wanted.low, wanted.high), abs=1e-12), hits


@pytest.mark.parametrize("truth", [0.02, 0.3, 0.9])
def test_it_holds_the_truth_at_least_as_often_as_it_says(truth: float) -> None:
    bounds = [clopper_pearson(hits, 20) for hits in range(21)]
    held = [low <= truth <= high for low, high in bounds]
    assert sum(binom.pmf(hits, 20, truth) for hits in range(21) if held[hits]) >= 0.95


@pytest.mark.parametrize(
    ("hits", "draws", "confidence"),
    [(0, 0, 0.95), (-1, 3, 0.95), (4, 3, 0.95), (1, 3, 0.0), (1, 3, 1.0)],
)
def test_what_is_no_proportion_is_refused(hits: int, draws: int, confidence: float) -> None:
    with pytest.raises(ValueError, match=f"{hits} of {draws}"):
        clopper_pearson(hits, draws, None, confidence)


@pytest.mark.parametrize(("draws", "total"), [(1, 1), (1, 4), (6, 55), (10, 12), (40, 900)])
def test_of_finitely_many_it_is_that_of_the_hypergeometric_distribution(
    draws: int, total: int
) -> None:
    bounds = [clopper_pearson(hits, draws, total) for hits in range(draws + 1)]
    for hits, (low, high) in enumerate(bounds):
        assert hits / total <= low <= hits / draws <= high <= (total - draws + hits) / total
        more = hypergeom.sf(hits - 1, total, round(low * total) - 1, draws)
        fewer = hypergeom.cdf(hits, total, round(high * total) + 1, draws)
        assert low == hits / total or more <= 0.025
        assert high == (total - draws + hits) / total or fewer <= 0.025
    for truth in range(total + 1):
        held = [low <= truth / total <= high for low, high in bounds]
        chance = hypergeom.pmf(np.arange(draws + 1), total, truth, draws)[held].sum()
        assert chance >= 0.95 - 1e-9, truth


def test_it_is_as_if_of_infinitely_many_where_there_are_very_many() -> None:
    assert clopper_pearson(3, 20, 200_000) == pytest.approx(clopper_pearson(3, 20), abs=1e-3)
    with pytest.raises(ValueError, match="3 of 5"):
        clopper_pearson(3, 5, 4)
