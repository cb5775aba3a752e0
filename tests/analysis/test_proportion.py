import pytest
from scipy.stats import binom, binomtest

from analysis.statistics.proportion import clopper_pearson


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("draws", [1, 2, 6, 40, 1000])
def test_it_is_the_exact_interval_of_scipy(draws: int, confidence: float) -> None:
    for hits in {0, 1, draws // 3, draws - 1, draws}:
        wanted = binomtest(hits, draws).proportion_ci(confidence, method="exact")
        found = clopper_pearson(hits, draws, confidence)
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
        clopper_pearson(hits, draws, confidence)
