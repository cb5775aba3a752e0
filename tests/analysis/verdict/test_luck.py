"""What luck reaches: single seeds are held against single seeds, means against means."""

import numpy as np
import pandas as pd
import pytest

from analysis.load import Run
from analysis.ranking import rank, summary_sentences
from analysis.statistics.snooping.luck_line import luck_line, share_of_seeds
from analysis.verdict.figures import figures
from analysis.verdict.luck import luck, seed_correlation
from tests.analysis.test_ranking import row, run_of, seed

DAYS = 1247


def with_returns(run: Run, returns: dict[int, np.ndarray]) -> Run:
    """Returns the run with these net returns, by trial, at its only epoch."""
    frames = [
        pd.DataFrame({"number": n, "epoch": 1, "timestamp": range(len(r)), "net_return": r})
        for n, r in sorted(returns.items())
    ]
    run.__dict__["returns"] = pd.concat(frames, ignore_index=True)
    return run


@pytest.mark.parametrize(("seeds", "correlation"), [(1, 0.3), (3, 0.0), (3, 0.4), (8, 0.9)])
def test_the_best_of_useless_means_reaches_the_line_of_means(seeds: int, correlation: float):
    rng = np.random.default_rng(0)
    shared = np.sqrt(correlation) * rng.standard_normal((4000, 64, 1))
    own = np.sqrt(1 - correlation) * rng.standard_normal((4000, 64, seeds))
    sharpes = np.sqrt(252 / DAYS) * (shared + own).mean(axis=2)
    line = luck_line(64, DAYS, 252) * share_of_seeds(seeds, correlation)
    assert sharpes.max(axis=1).mean() == pytest.approx(line, rel=0.02)


def test_the_correlation_is_that_of_the_pairs_of_seeds():
    rng = np.random.default_rng(1)
    shared = rng.standard_normal((2, 1, 300))
    a, b = 0.01 * (shared + rng.standard_normal((2, 3, 300)))
    run = run_of(row(0, 1.0), row(1, 0.9), seed(2, 0, 1.0), seed(3, 0, 1.0), seed(4, 1, 0.5))
    run = with_returns(run, {0: a[0], 2: a[1], 3: a[2], 1: b[0], 4: b[1]})
    of_a, of_b = np.corrcoef(a), np.corrcoef(b)
    expected = np.mean([of_a[0, 1], of_a[0, 2], of_a[1, 2], of_b[0, 1]])
    assert seed_correlation(run) == pytest.approx(expected)


def test_a_mean_is_held_against_means_and_its_error_is_that_of_a_mean():
    rng = np.random.default_rng(2)
    returns = dict(enumerate(0.01 * rng.standard_normal((4, DAYS))))
    rows = [row(0, 0.95), seed(1, 0, 0.95), seed(2, 0, 0.95), row(3, 0.94)]
    run = with_returns(run_of(*rows, *(row(n, None, "FAIL") for n in range(4, 66))), returns)
    chance = luck(run)
    assert chance is not None
    assert chance.one_seed == luck_line(64, DAYS, 252) == chance.line(1)
    assert chance.line(3) == pytest.approx(1.07 * np.sqrt(1 / 3), abs=0.05)
    ranking = rank(run).set_index("number")
    above = ranking["above_luck"].to_dict()
    assert (above[0], above[3]) == (True, False)
    said = " ".join(summary_sentences(run))
    assert "bring the best of 64 tries to 1.07." in said
    assert "standard errors" not in said, "that is for days too few to test anything else"
    beside = dict(figures(run, rank(run).to_dict("records")[0]))
    assert beside["luck line, 3 seeds"].startswith(f"{chance.line(3):.2f}; two seeds correlate by ")


def test_of_days_too_few_for_a_test_the_luck_line_is_all_that_is_said():
    returns = {0: np.array([0.01, -0.02] * 5)}
    run = with_returns(run_of(row(0, 9.0), periods=10), returns)
    said = " ".join(summary_sentences(run))
    assert "above the luck line, by 22.5 standard errors" in said
    assert "chance" not in said


def test_seeds_of_which_nothing_is_known_lower_no_line():
    run = run_of(row(0, 1.0), row(1, 0.5))
    assert seed_correlation(run) == 1.0
    lost = with_returns(run_of(row(0, 1.0), seed(1, 0, 0.5)), {0: np.full(9, 0.01)})
    assert seed_correlation(lost) == 1.0, "the seed has no returns"
    still = with_returns(run_of(row(0, 1.0), seed(1, 0, 0.5)), {0: np.ones(9), 1: np.ones(9)})
    assert seed_correlation(still) == 1.0, "constant returns correlate with nothing"
    chance = luck(run)
    assert chance is not None
    assert chance.line(3) == chance.one_seed
