"""The interval of a paired difference of Sharpe ratios, against simulations and closed forms."""

from itertools import pairwise
from math import sqrt
from statistics import NormalDist, fmean, variance

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import t

from analysis.statistics.paired_sharpe import Side, difference_of_means, influence

YEAR = 252.0
TRUTH = 0.6  # of the simulated difference, annual


def sharpes(returns: np.ndarray) -> list[float]:
    """Annual Sharpe ratios of [seeds, T] returns."""
    return (returns.mean(axis=1) / returns.std(axis=1, ddof=1) * sqrt(YEAR)).tolist()


def sides(
    rng: np.random.Generator,
    seeds: tuple[int, int] = (3, 3),
    days: int = 500,
    autocorrelation: float = 0.0,
    shared: float = 0.6,
    own: float = 0.2,
    seed_sd: float = 0.15,
) -> tuple[Side, Side]:
    """Returns two configurations on the same days, whose Sharpe ratios differ by `TRUTH`.

    Args:
        rng: of the draws.
        seeds: of each.
        days: of returns.
        autocorrelation: of all returns, at a lag of one day.
        shared: correlation of the two configurations.
        own: share of the variance that is each seed's own.
        seed_sd: standard deviation of the true annual Sharpe ratios of seeds.
    """
    noise = rng.standard_normal((3 + sum(seeds), days + 50))
    unit = [sqrt(1 - autocorrelation**2)]
    noise = np.asarray(lfilter(unit, [1.0, -autocorrelation], noise, axis=1))[:, 50:]
    market, apart, of_seeds = noise[0], noise[1:3], np.split(noise[3:], [seeds[0]])
    made = []
    for k, mean in enumerate((0.4 + TRUTH, 0.4)):
        base = sqrt(shared) * market + sqrt(1 - shared) * apart[k]
        returns = sqrt(1 - own) * base + sqrt(own) * of_seeds[k]
        true = mean + seed_sd * rng.standard_normal((seeds[k], 1))
        returns = 0.01 * (returns + true / sqrt(YEAR))
        made.append(Side(sharpes(returns), returns))
    return made[0], made[1]


@pytest.mark.parametrize(
    "market",
    [
        {"autocorrelation": 0.2},
        {"autocorrelation": 0.2, "shared": 0.8, "own": 0.05},
        {"days": 750, "seed_sd": 0.3},
        {"days": 1250, "shared": 0.9, "own": 0.3, "seed_sd": 0.5},
        {"seeds": (3, 1), "own": 0.1},
        {"seeds": (1, 1), "own": 0.0, "autocorrelation": 0.2},
        {"seeds": (9, 9), "days": 1000, "autocorrelation": 0.1, "seed_sd": 0.3},
    ],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(market: dict) -> None:
    rng = np.random.default_rng(0)
    between = market.get("seed_sd", 0.15) ** 2
    found = [difference_of_means(*sides(rng, **market), YEAR, between) for _ in range(1000)]
    covered = fmean(one is not None and one.low <= TRUTH <= one.high for one in found)
    assert 0.92 <= covered <= 0.98
    assert fmean(one.value for one in found if one is not None) == pytest.approx(TRUTH, abs=0.1)


@pytest.mark.parametrize("correlation", [-0.3, 0.0, 0.5, 0.95])
def test_on_independent_normal_days_it_is_memmels_closed_form(correlation: float) -> None:
    T = 200_000
    rng = np.random.default_rng(1)
    common, own = rng.standard_normal((2, T))
    x = 0.1 + common
    y = -0.05 + correlation * common + sqrt(1 - correlation**2) * own
    first, second = (Side([r.mean() / r.std()], r[None]) for r in (x, y))
    found = difference_of_means(first, second, 1.0, 0.0)
    assert found is not None
    a, b = first.sharpes[0], second.sharpes[0]
    rho = float(np.corrcoef(x, y)[0, 1])
    memmel = (2 - 2 * rho + (a**2 + b**2 - 2 * a * b * rho**2) / 2) / T
    reach = NormalDist().inv_cdf(0.975) * sqrt(memmel)
    assert (found.high - found.low) / 2 == pytest.approx(reach, rel=0.02)
    assert (found.high + found.low) / 2 == pytest.approx(a - b)


def by_hand(first: list[list[float]], second: list[list[float]]) -> tuple[float, float, float]:
    """Returns difference, variance over days and freedom of two seeds each, in plain Python."""
    psis, ratios = [], []
    for side in (first, second):
        psi_of, ratio_of = [], []
        for returns in side:
            T, mean = len(returns), fmean(returns)
            sd = sqrt(fmean((r - mean) ** 2 for r in returns))
            z, ratio = [(r - mean) / sd for r in returns], mean / sd
            psi_of.append([each - ratio / 2 * (each**2 - 1) for each in z])
            ratio_of.append(ratio)
        psis.append([fmean(day) for day in zip(*psi_of, strict=True)])
        ratios.append(ratio_of)
    d = [a - b for a, b in zip(*psis, strict=True)]
    T = len(d)
    assert int(4 * (T / 100) ** (2 / 9)) == 2
    centred = [each - fmean(d) for each in d]
    gamma = [sum(a * b for a, b in zip(centred[k:], centred, strict=False)) for k in (0, 1, 2)]
    days = (gamma[0] + 2 * (2 / 3 * gamma[1] + 1 / 3 * gamma[2])) / T**2
    parts = [variance(ratio) / 2 for ratio in ratios]
    total = days + sum(parts)
    freedom = total**2 / sum(part**2 for part in parts)
    return fmean(ratios[0]) - fmean(ratios[1]), total, freedom


def test_six_days_by_hand() -> None:
    first = [[0.01, -0.02, 0.03, 0.00, 0.02, 0.01], [0.02, -0.01, 0.02, -0.01, 0.03, 0.00]]
    second = [[0.00, -0.02, 0.01, 0.01, 0.02, -0.01], [0.01, -0.03, 0.01, 0.00, 0.01, 0.01]]
    value, total, freedom = by_hand(first, second)
    arrays = [np.array(side) for side in (first, second)]
    made = [Side([found[0] for r in side if (found := influence(r))], side) for side in arrays]
    found = difference_of_means(made[0], made[1], 1.0, 9.9)
    assert found is not None
    reach = float(t.ppf(0.975, freedom)) * sqrt(total)
    assert (found.value, found.low, found.high) == pytest.approx(
        (value, value - reach, value + reach), rel=1e-12
    )


def test_the_unit_of_the_returns_does_not_matter_and_their_number_a_year_does() -> None:
    first, second = sides(np.random.default_rng(2))
    scaled = Side(first.sharpes, 3.7 * first.returns)
    plain, other = (difference_of_means(one, second, YEAR, 0.0) for one in (first, scaled))
    assert plain is not None
    assert other is not None
    assert (other.low, other.high) == pytest.approx((plain.low, plain.high))


def test_the_other_way_round_all_signs_are_turned() -> None:
    first, second = sides(np.random.default_rng(3))
    one, other = (
        difference_of_means(*pair, YEAR, 0.0) for pair in ((first, second), (second, first))
    )
    assert one is not None
    assert other is not None
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_the_less_is_known_the_wider_it_is() -> None:
    returns = sides(np.random.default_rng(4), own=0.0, seed_sd=0.0)
    between = [0.0, 0.04, 0.25]
    one = [Side(side.sharpes[:1], side.returns[:1]) for side in returns]
    found = [difference_of_means(one[0], one[1], YEAR, each) for each in between]
    widths = [each.high - each.low for each in found if each is not None]
    assert all(a < b for a, b in pairwise(widths))
    assert len(widths) == 3


@pytest.mark.parametrize("bad", ["constant", "none", "one day"])
def test_what_is_undefined_has_no_interval(bad: str) -> None:
    first, second = sides(np.random.default_rng(5))
    broken = {
        "constant": np.vstack([first.returns[:2], np.full((1, 500), 0.01)]),
        "none": first.returns[:0],
        "one day": first.returns,
    }[bad]
    if bad == "one day":
        broken, second = broken[:, :1], Side(second.sharpes, second.returns[:, :1])
    assert difference_of_means(Side([1.0, 1.1, 1.2], broken), second, YEAR, 0.0) is None


def test_returns_of_other_days_are_a_defect() -> None:
    first, second = sides(np.random.default_rng(6))
    with pytest.raises(ValueError, match="paired"):
        difference_of_means(first, Side(second.sharpes, second.returns[:, 1:]), YEAR, 0.0)
