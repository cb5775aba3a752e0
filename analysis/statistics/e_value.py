"""Evidence of skill that stays valid at every look, however often one looks and whenever one stops.

A window of new days is opened once. Whoever goes on looking at an ordinary p until it is small
finds it small at last; the value of a fair bet does not grow by being looked at.
"""

import numpy as np

WORST = 20.0  # standard deviations; a day that loses more is taken for impossible
WEIGHT = 250  # days that what was expected counts for


def e_process(
    returns: np.ndarray,
    deviation: float,
    expected: float = 0.0,
    weight: float = WEIGHT,
    worst: float = WORST,
) -> np.ndarray:
    """Returns the e-value after each day, [T]: what 1 has become that was bet on the strategy.

    E_t = Π(1 + λ_i·r_i/σ). If the strategy is worth nothing, so that no day's return is expected to
    be above 0 given the days before, E is a nonnegative supermartingale, and the probability that
    it ever reaches 1/α is at most α (Ville 1939; Ramdas, Grünwald, Vovk and Shafer 2023).

    λ_i is the Sharpe ratio per day that is believed before day i, which about maximises the growth
    of the bet (Kelly 1956; Waudby-Smith and Ramdas 2024): the mean of the days before it and of
    `weight` days of the expected ratio. It is at least 0 and at most 1 ÷ `worst`, so that no factor
    is negative. A wrong σ, expectation or weight costs evidence, and is never an error. At a true
    annual Sharpe ratio of S the logarithm grows by S²/2 a year at best, so that 20 takes about
    6 ÷ S² years.

    Args:
        returns: [T] net returns of the window in their order, finite.
        deviation: σ, of returns before the window, above 0.
        expected: Sharpe ratio per day that is expected before the window is opened.
        weight: days that the expectation counts for, above 0.
        worst: the largest loss that a day can bring, in σ, above 0. A larger one ends the bet at 0.

    Raises:
        ValueError: deviation, weight or worst is not above 0.
    """
    if not (deviation > 0 and weight > 0 and worst > 0):
        raise ValueError(f"deviation={deviation}, weight={weight}, worst={worst}")
    x = np.asarray(returns, dtype=np.float64) / deviation
    before = np.concatenate([[0.0], np.cumsum(x)[:-1]])[: len(x)]
    believed = (weight * expected + before) / (weight + np.arange(len(x)))
    bets = np.clip(believed, 0.0, 1 / worst)
    return np.cumprod(np.maximum(1 + bets * x, 0.0))


def anytime_p(values: np.ndarray) -> float:
    """Returns the p that an e-process has reached, 1 ÷ its highest value and at most 1.

    It is valid at any time, at the last day that was looked at as at any before (Ville 1939).

    Args:
        values: [T] as of `e_process`; 1 where there are none yet.
    """
    return 1 / max(1.0, float(np.max(values, initial=1.0)))
