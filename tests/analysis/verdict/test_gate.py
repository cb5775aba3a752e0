"""The gate: its e-value recomputed by hand, and right however many runs are opened."""

from math import sqrt

import numpy as np
import pytest

from analysis.verdict.confirmed import Book
from analysis.verdict.gate import Gate, bet_text, daily, divisor, evidence, gate_sentences


def gate(turn: int = 1, highest: float = 3.0, finalists: int = 3) -> Gate:
    book = Book(0.5, 0.4, 0.1, 200)
    baselines = {"ridge": Book(-0.3, 0.4, 0.7, 200), "equal_weight": None}
    return Gate(
        "gate", "2020-01-01T00:00:00", "2020-06-30T00:00:00", turn, 7, finalists, book, 12,
        Book(0.25, 0.4, 0.3, 200), baselines, 2.0, highest,
    )  # fmt: skip


@pytest.mark.parametrize("turn", [1, 2, 5])
def test_evidence_is_a_bet_recomputed_day_by_day(turn: int) -> None:
    rng = np.random.default_rng(3)
    returns, deviation, expected = rng.normal(0.001, 0.01, 300), 0.011, 0.05
    wealth, highest, total = 1.0, 1.0, 0.0
    for day, earned in enumerate(returns / deviation):
        stake = min(max((250 * expected + total) / (250 + day), 0.0), 1 / 20)
        wealth *= max(1 + stake * earned, 0.0)
        highest, total = max(highest, wealth), total + earned
    by = {1: 1, 2: 2, 5: 20}[turn]
    found = evidence(returns, deviation, expected, turn)
    assert len(found) == 1 + len(returns), "before the first day, and after each"
    assert (found[-1], found.max()) == pytest.approx((wealth / by, highest / by), rel=1e-9)


def test_all_openings_after_the_first_err_no_more_often_than_it() -> None:
    shares = [1 / divisor(turn) for turn in range(2, 2000)]
    assert divisor(1) == 1
    assert 0.99 < sum(shares) < 1


def test_useless_runs_pass_as_seldom_as_promised() -> None:
    """Of forty useless runs on the same dates, opened until one passes: its own luck each."""
    rng = np.random.default_rng(0)
    searches, runs, days = 400, 40, 60
    first = later = 0
    for _ in range(searches):
        market = rng.normal(size=days)
        for turn in range(1, runs + 1):
            returns = 0.6 * market + 0.8 * rng.normal(size=days)
            passes = evidence(returns, 1.0, 0.5, turn).max() >= 20
            first += passes and turn == 1
            later += passes and turn > 1
            if passes:
                break
    allowed = 0.05 + 3 * sqrt(0.05 * 0.95 / searches)
    assert first / searches <= allowed
    assert later / searches <= allowed


def test_it_says_what_it_found_in_words() -> None:
    first, second = gate_sentences(gate())
    assert first == (
        "On the gate, 2020-01-01 to 2020-06-30, all 3 of the ranking, 7 trainings in equal shares, "
        "earn a Sharpe ratio of 0.50 ± 0.40 over 200 days; trial 12, ranked first, alone 0.25 "
        "± 0.40 and ridge −0.30 ± 0.40."
    )
    assert second.startswith(
        "Not told from chance on these days alone (p = 0.33): a bet of 1 on them has become"
    )
    assert "divided" not in second
    again = gate_sentences(gate(turn=3, highest=40.0))[1]
    assert again.startswith("More than chance on these days alone (p = 0.025)")
    assert "divided by 6 since it is opening 3 of these dates" in again
    (nothing,) = gate_sentences(Gate(**{**gate().record(), "book": None}))
    assert "nothing is told" in nothing
    assert (
        "the only finalist, 7 trainings in equal shares, earns"
        in gate_sentences(gate(finalists=1))[0]
    )


def test_it_is_the_same_once_it_was_stored() -> None:
    assert Gate.of(gate().record()) == gate()
    assert gate(highest=50.0).p == pytest.approx(0.02)
    assert gate(highest=0.3).p == 1.0


def test_bars_of_a_day_are_summed() -> None:
    stamps = np.array(["2020-01-01T10", "2020-01-01T11", "2020-01-02T10"], "datetime64[h]")
    found = daily(stamps, [np.array([1.0, 2.0, 3.0]), np.array([3.0, 4.0, 5.0])])
    assert found.tolist() == [5.0, 4.0]


def test_a_bet_is_read_at_a_glance() -> None:
    said = [bet_text(value) for value in (0.873, 21.499, 99.99, 1146786.4)]
    assert said == ["0.87", "21.50", "99.99", "1,146,786"]
