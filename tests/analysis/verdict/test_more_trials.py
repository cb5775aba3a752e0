"""What more trials are expected to be worth: drawn again and again, and said in words."""

import numpy as np
import pytest

from analysis.statistics.signal_share import WORTH, SignalShare
from analysis.verdict.more_trials import expected_rise, more_trials_sentences
from tests.analysis.test_ranking import Run, row, run_of, seed
from tests.analysis.verdict.test_luck import with_returns

DAYS = 500


def returns_of(ratios: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Daily returns [K, DAYS] with these true Sharpe ratios a day; half of the noise is shared."""
    noise = rng.standard_normal((1, DAYS)) + rng.standard_normal((len(ratios), DAYS))
    return 0.01 * (noise / np.sqrt(2) + ratios[:, None])


@pytest.mark.parametrize("signal", [0.0, 0.03, 0.06])
def test_the_expected_rise_is_what_the_best_of_more_is_worth(signal: float) -> None:
    rng = np.random.default_rng(0)
    expected, found = [], []
    for _ in range(150):
        true = signal * rng.standard_normal(128)
        returns = returns_of(true, rng)
        seen = returns.mean(axis=1) / returns.std(axis=1)
        spread = SignalShare()
        for one in returns[:64]:
            spread.add(one)
        expected.append(spread.expected_rise(64, 64, 252))
        found.append(np.sqrt(252) * (true[seen.argmax()] - true[seen[:64].argmax()]))
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(expected) == pytest.approx(np.mean(found), abs=2 * error + 0.02)


def test_few_trials_say_nothing() -> None:
    rng = np.random.default_rng(1)
    spread = SignalShare()
    for one in returns_of(0.1 * rng.standard_normal(31), rng):
        spread.add(one)
    assert spread.expected_rise(31, 64, 252) is None
    spread.add(rng.standard_normal(DAYS))
    assert spread.expected_rise(32, 64, 252) is not None


def searched(
    count: int,
    settings: dict | None = None,
    reason: str = "asha_rung",
    strength: float = 0.05,
) -> Run:
    """A run of so many searched trials, one seed and a failure, with returns of all."""
    rng = np.random.default_rng(2)
    rows = [row(n, 0.1 * n, "PRUNED", reason) for n in range(1, count)]
    rows += [row(0, 0.1), seed(900, 0, 0.2), row(901, 0.3, "PRUNED", "nan_explosion")]
    numbers = [*range(count), 900, 901]
    ratios = strength * rng.standard_normal(len(numbers))
    ratios[-2:] = 50.0  # neither the seed nor the failure may count
    run = with_returns(run_of(*rows), dict(zip(numbers, returns_of(ratios, rng), strict=True)))
    run.run["settings"] = settings
    return run


def test_a_run_is_told_what_as_many_trials_again_are_worth() -> None:
    run = searched(63)
    spread = SignalShare()
    for number in range(63):
        spread.add(run.curve(number)["net_return"].to_numpy())
    rise = expected_rise(run, 64)
    assert rise is not None
    assert rise == pytest.approx(spread.expected_rise(64, 64, 252))
    assert rise > WORTH
    assert more_trials_sentences(run) == [
        f"Another 64 trials should add {rise:.2f} to the best's true ratio: worth it."
    ]
    assert more_trials_sentences(searched(20)) == []
    assert expected_rise(run_of(row(0, 0.1)), 64) is None


def test_little_to_expect_is_said_to_be_hardly_worth_it() -> None:
    (said,) = more_trials_sentences(searched(63, strength=0.0))
    assert said.endswith("true ratio: hardly worth it.")


def test_a_search_that_asked_for_fewer_says_so() -> None:
    settings = {"trials": 200, "patience_trials": 16}
    said = more_trials_sentences(searched(63, settings))
    assert said[0].startswith("64 of 200 trials were asked for: 16 more were expected to raise the")
    assert len(more_trials_sentences(searched(63, settings | {"trials": 64}))) == 1
    assert len(more_trials_sentences(searched(63, settings | {"patience_trials": None}))) == 1
    assert len(more_trials_sentences(searched(63, settings, "time_budget"))) == 1
    interrupted = searched(63, settings)
    interrupted.run["interrupted"] = True
    assert len(more_trials_sentences(interrupted)) == 1
