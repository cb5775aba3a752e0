"""Whether a search found skill: one test, chosen beforehand, and what stands beside it.

The test is cross-fitted (`analysis.statistics.snooping.cross_fit`): the trials that most of the
days speak for must earn on the other days. It asks the same of one trial and of a thousand, so it
finds more than a test of the best. `docs/verdict.md` says what it errs by.
"""

from dataclasses import dataclass
from math import ceil, expm1, log1p

import numpy as np

from analysis.load import Run
from analysis.statistics.snooping.bootstrap import FEWEST
from analysis.statistics.snooping.cross_fit import CrossFit, cross_fit
from analysis.statistics.snooping.model_confidence import model_confidence
from analysis.statistics.snooping.reality_check import RealityCheck, reality_check
from analysis.verdict.ensemble import Ensemble, ensemble

LEVEL = 0.05
FEWEST_RESAMPLES, MOST_RESAMPLES = 2_000, 40_000
RESAMPLES_A_SEARCH = 40  # twice what the smallest p needs to be below the level of so many searches
MOST_COMPARED = 100  # finalists, of which the model confidence set takes two seconds and 0.5 GB


@dataclass(frozen=True)
class Skill:
    """What the trials of a run say of their skill.

    Attributes:
        ensemble: the book of all finalists.
        choice: what the trials earn on days that had no part in choosing them.
        best: what the best single trial reaches by luck.
        searches: tries on these data, over those of this run; at least 1.
        alike: numbers of the finalists that cannot be told apart from the best; None: unknown.
    """

    ensemble: Ensemble
    choice: CrossFit
    best: RealityCheck
    searches: float
    alike: tuple[int, ...] | None

    @property
    def p(self) -> float:
        """How often useless trials, tried as often over all runs, would have earned as much.

        1 − (1 − p)^s for s searches of this size (Šidák 1967).
        """
        return self.over_all_tries(self.choice.p)

    def over_all_tries(self, p: float) -> float:
        """Returns the p of a test of this search, if all as large as it had been tested."""
        return 1.0 if p >= 1 else -expm1(self.searches * log1p(-p))

    @property
    def found(self) -> bool:
        """Whether there is more than chance."""
        return self.p <= LEVEL

    @property
    def level(self) -> float:
        """The level of one search of this size at which all of them together err in 5 %."""
        return -expm1(log1p(-LEVEL) / self.searches)

    @property
    def testable(self) -> bool:
        """Whether so many tries leave room for any proof."""
        return self.level >= 1 / (len(self.choice.without_skill) + 1)

    @property
    def provable(self) -> float:
        """The smallest true annual Sharpe ratio that these days show in four of five searches."""
        return self.choice.provable(self.level)


def skill(run: Run) -> Skill | None:
    """Returns what the trials of a run say of their skill.

    None where no finalist has returns that vary, or there are fewer than 20 validation days.
    """
    returns = trial_returns(run)
    if returns is None or len(returns) < FEWEST:
        return None
    together, searches = ensemble(run), max(1.0, run.tries.total / max(1, run.tries.here))
    resamples = min(MOST_RESAMPLES, max(FEWEST_RESAMPLES, ceil(RESAMPLES_A_SEARCH * searches)))
    choice = cross_fit(returns, run.days_per_year, resamples)
    best = reality_check(returns, run.days_per_year)
    if together is None or choice is None or best is None:
        return None
    return Skill(together, choice, best, searches, _alike(run, together))


def verdict(found: Skill, too_good: bool = False) -> str:
    """Returns the verdict in one sentence, by the rule of `docs/verdict.md`.

    Args:
        found: what the trials say.
        too_good: something is better than anyone is believed to be.
    """
    choice = found.choice
    if choice.sharpe is None:
        return (
            "Not told from chance: no trial has a Sharpe ratio above 0 on four fifths of the days, "
            "so none would be chosen."
        )
    if not found.testable:
        return (
            f"Not told from chance: this is one of {found.searches:,.0f} such searches on these "
            "data, after which nothing could be."
        )
    word = "Not told from chance"
    if found.found:
        word = "More than chance, as a leak is too" if too_good else "More than chance"
    earned = "cross-validated, the trials earn nothing"
    if choice.sharpe > 0:
        earned = f"cross-validated Sharpe ratio {choice.sharpe:.2f} ± {choice.error:.2f}"
    return f"{word} (p {p_text(found.p)}): {earned}."


def p_text(p: float) -> str:
    """Returns `= 0.31` or `< 0.001`; near 5 % with as many digits as tell on which side."""
    if p < 0.001:
        return "< 0.001"
    if abs(p - LEVEL) < 0.0005:
        return f"= {p:.4f}"
    return f"= {p:.2f}" if p >= 0.095 else f"= {p:.3f}"


def _alike(run: Run, together: Ensemble) -> tuple[int, ...] | None:
    """Returns the model confidence set, at 5 %, of configurations with seeds in equal shares."""
    if not 1 < len(together.members) <= MOST_COMPARED:
        return None
    kept = model_confidence(together.books)
    return None if kept is None else tuple([*together.members][column] for column in kept.kept)


def trial_returns(run: Run) -> np.ndarray | None:
    """Returns the daily net returns [days, N] of the searched trials that have any."""
    known = [run.daily_returns(int(number)) for number in run.searched["number"]]
    columns = [returns for returns in known if returns is not None]
    return np.column_stack(columns) if columns else None
