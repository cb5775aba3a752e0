"""The luck line: the Sharpe ratio that the best of many useless trials would reach."""

from math import e, sqrt
from statistics import NormalDist

import numpy as np

from trainable.cli.errors import UserError
from trainable.cli.text import counted


def luck_line(trials: float, periods: int, periods_per_year: float) -> float:
    """Returns the expected highest annual Sharpe ratio of `trials` trials that know nothing.

    E[max] ≈ σ·((1 − γ)·Φ⁻¹(1 − 1/n) + γ·Φ⁻¹(1 − 1/(n·e))), with γ the Euler–Mascheroni constant and
    σ = √(periods a year ÷ periods), the deviation of a true Sharpe ratio of 0 over that many
    periods (Bailey and López de Prado, 2014, "The deflated Sharpe ratio", equation 1). The trials
    count as independent; of trials that resemble each other, say how many they are worth
    (`effective_trials`).

    Args:
        trials: configurations that were tried, at least 1; not always a whole number.
        periods: validation periods each was scored on, at least 1.
        periods_per_year: periods a year, above 0.

    Raises:
        UserError: one of them is out of range.
    """
    if not trials >= 1 or periods < 1 or not 0 < periods_per_year < float("inf"):
        raise UserError(
            f"a luck line needs at least 1 trial and 1 period and a positive number of periods a "
            f"year, not trials={trials}, periods={periods}, periods_per_year={periods_per_year}"
        )
    if trials == 1:
        return 0.0
    quantile = NormalDist().inv_cdf
    one_in_n = quantile(1 - 1 / trials)
    one_in_en = quantile(1 - 1 / (trials * e))
    expected = (1 - np.euler_gamma) * one_in_n + np.euler_gamma * one_in_en
    return max(0.0, float(expected * sqrt(periods_per_year / periods)))


def share_of_seeds(seeds: int, correlation: float) -> float:
    """Returns the standard deviation of a mean of n seeds over that of one seed.

    It is √((1 + (n − 1)ρ) ÷ n): a luck line and a standard error of single seeds, times this, are
    those of means of n seeds.

    Args:
        seeds: n, at least 1.
        correlation: ρ of two seeds of one configuration, 0 to 1.
    """
    return sqrt((1 + (seeds - 1) * correlation) / seeds)


def luck_sentence(
    best: float | None, trials: int, periods: int, periods_per_year: float, unit: str | None = None
) -> str:
    """Returns, as one clause, what the best trial reached beside what luck alone would reach.

    Args:
        best: annual Sharpe ratio of the best trial; None before there is one.
        trials: configurations that were tried.
        periods: validation periods each was scored on.
        periods_per_year: periods a year.
        unit: what a period is called, in the plural; by default `days` for up to 366 periods a year
            and more than 200, `periods` otherwise.
    """
    line = luck_line(trials, periods, periods_per_year)
    if unit is None:
        unit = "days" if 200 < periods_per_year <= 366 else "periods"
    reached = "no best yet" if best is None else f"best {best:.2f}"
    subject = counted(trials, "useless trial")
    return f"{reached}; {subject} on {periods:,} {unit} would reach {line:.2f}"


def luck_verdict(best: float, standard_error: float | None, line: float) -> str:
    """Returns whether `best` is above the luck line, and by how many standard errors, as a clause.

    The standard error is that of one Sharpe ratio (Lo, 2002): it says how far the difference can be
    trusted, not how likely the best of many is to be lucky; that is what the line itself is for.

    Args:
        best: annual Sharpe ratio of the best trial.
        standard_error: of `best`, in the same unit; None where unknown.
        line: what `luck_line` returned.
    """
    if best <= line:
        return "the best is below the luck line: nothing here is better than luck"
    if not standard_error:
        return "the best is above the luck line, by an unknown number of standard errors"
    errors = (best - line) / standard_error
    clause = f"the best is above the luck line, by {errors:.1f} standard errors"
    return clause if errors >= 2 else f"{clause}: not yet evidence"
