"""Whether a search found skill: one test, chosen beforehand, and what stands beside it.

The test is of the ensemble of all finalists (`analysis.ensemble`): whether its Sharpe ratio is more
than as many finalists would reach by luck, had they been chosen from these very trials by their
Sharpe ratio (`analysis.statistics.reality_check`). `docs/verdict.md` says why, and how often it
errs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import expm1, log1p, sqrt
from typing import Any

import numpy as np

from analysis.ensemble import Ensemble, ensemble
from analysis.load import Run
from analysis.statistics.backtest_overfitting import BacktestOverfitting, backtest_overfitting
from analysis.statistics.model_confidence import model_confidence
from analysis.statistics.reality_check import RealityCheck, reality_check
from analysis.statistics.superior_ability import superior_ability
from trainable.cli.text import counted, listed

LEVEL = 0.05
POWER_Z = 0.8416  # Φ⁻¹(0.8): a ratio that is proved in four of five searches


@dataclass(frozen=True)
class Verdict:
    """What the trials of a run say of their skill.

    Attributes:
        ensemble: the book of all finalists.
        luck: what as many finalists, chosen by their Sharpe ratio, reach without skill.
        best: what the single trial with the highest Sharpe ratio reaches without skill.
        searches: tries on these data, over those of this run; at least 1.
        provable: the smallest true annual Sharpe ratio of the ensemble that these days would prove
            in four of five searches.
        better_than: names of the baselines that the ensemble is better than, and not.
        no_better_than: of the others; those whose returns are unknown are in neither.
    """

    ensemble: Ensemble
    luck: RealityCheck
    best: RealityCheck
    searches: float
    provable: float
    better_than: tuple[str, ...]
    no_better_than: tuple[str, ...]

    @property
    def p(self) -> float:
        """How often useless trials, tried as often over all runs, would have reached as much.

        1 − (1 − p)^s for s searches of this size (Šidák 1967).
        """
        return -expm1(self.searches * log1p(-self.luck.p_of(self.ensemble.sharpe)))

    @property
    def skill(self) -> bool:
        """Whether that is told from chance."""
        return self.p <= LEVEL


def verdict(run: Run, searches: float = 1.0) -> Verdict | None:
    """Returns the verdict on a run; None where no finalist has returns that vary, or too few.

    Args:
        run: the run.
        searches: tries on these data over all runs, over those of this one.
    """
    together, returns = ensemble(run), _trial_returns(run)
    if together is None or returns is None:
        return None
    test = partial(reality_check, returns, run.periods_per_year)
    luck, best = test(chosen=len(together.members)), test()
    if luck is None or best is None:
        return None
    level = -expm1(log1p(-LEVEL) / searches)
    error = sqrt(run.periods_per_year / run.periods)
    better, others = _against_baselines(run, together.returns)
    return Verdict(
        ensemble=together,
        luck=luck,
        best=best,
        searches=searches,
        provable=_point(luck, level) + POWER_Z * error,
        better_than=better,
        no_better_than=others,
    )


def _point(check: RealityCheck, level: float) -> float:
    """Returns the point of a level; of a level too small for the resamples, their highest."""
    return check.point(max(level, 2 / (len(check.maxima) + 1)))


def told_apart(run: Run, found: Ensemble) -> list[int] | None:
    """Returns the finalists that cannot be told apart from the best; None where nothing is known.

    The model confidence set at 5 %, of each configuration's seeds in equal shares.
    """
    books = [_mean_returns(run, seeds) for seeds in found.members.values()]
    kept = model_confidence(np.column_stack(books)) if len(books) > 1 else None
    return None if kept is None else [[*found.members][column] for column in kept.kept]


def overfitting(run: Run, found: Ensemble) -> BacktestOverfitting | None:
    """Returns how far choosing a finalist and its epoch is overfitted; None where it is unknown."""
    columns = []
    for number in found.members:
        rows = run.returns.loc[run.returns["number"] == number]
        epochs = rows.pivot_table(index="timestamp", columns="epoch", values="net_return")
        table = epochs.to_numpy(dtype=np.float64)
        if len(table) != run.periods or not np.isfinite(table).all():
            return None
        columns.append(table)
    return backtest_overfitting(columns) if len(columns) > 1 else None


def _against_baselines(
    run: Run, returns: np.ndarray
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of the baselines that returns [T] are better than, and of the others."""
    better, others = [], []
    for row in run.trials.loc[run.trials["kind"] == "baseline"].to_dict("records"):
        known = run.net_returns(int(row["number"]))
        found = None if known is None else superior_ability(returns[:, None], known)
        if found is not None:
            (better if found.p <= LEVEL else others).append(str(row["params.model/name"]))
    return tuple(better), tuple(others)


def _trial_returns(run: Run) -> np.ndarray | None:
    """Returns the net returns [T, N] of the searched trials that have any."""
    known = [run.net_returns(int(number)) for number in run.searched["number"]]
    columns = [returns for returns in known if returns is not None]
    return np.column_stack(columns) if columns else None


def _mean_returns(run: Run, numbers: Sequence[int]) -> np.ndarray:
    series = [run.net_returns(number) for number in numbers]
    return np.mean([each for each in series if each is not None], axis=0)


def verdict_sentences(run: Run, found: Verdict) -> list[str]:
    """Returns the verdict in plain words: what is believed, what luck brings, what was provable."""
    together, members = found.ensemble, found.ensemble.members
    if found.skill:
        said = f"Skill is likelier than chance (p = {_p(found.p)})"
    else:
        said = f"Nothing here is told from chance (p = {_p(found.p)})"
    who = (
        f"all {counted(len(members), 'finalist')} in equal shares ({together.seeds} trainings)"
        if len(members) > 1
        else f"the only finalist ({counted(together.seeds, 'training')})"
    )
    sentences = [
        f"{said}: {who} earn a Sharpe ratio of {together.sharpe:.2f} ± {together.error:.2f}, where "
        f"the best {len(members)} of {found.luck.trials} useless trials are expected to reach "
        f"{found.luck.expected:.2f} and reach {found.luck.point(LEVEL):.2f} in one search of twenty."
    ]
    return sentences


def _p(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.001 else "below 0.001"
