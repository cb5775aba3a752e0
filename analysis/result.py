"""What a run has found, as one value: the screen and the JSON document are both made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.load import Run
from analysis.ranking import (
    baselines,
    note_sentences,
    outcome,
    rank,
    stop_reasons,
    summary_sentences,
    varied_params,
)
from analysis.regret import Regret, regret_of, regret_sentences
from analysis.robustness import robustness
from analysis.seeds import Row
from analysis.verdict.alarms import too_good
from analysis.verdict.ensemble import Ensemble, ensemble
from analysis.verdict.figures import Statistics, record, statistics
from analysis.verdict.skill import Skill, skill, verdict


@dataclass(frozen=True)
class Result:
    """What a run has found.

    Attributes:
        run: the run.
        outcome: how many configurations were tried, and how they ended, in a sentence.
        sentences: what to read first.
        notes: what to know of the ranking.
        finalists: rows of `analysis.ranking.rank` that are COMPLETE, the best first.
        params: columns of the searched parameters.
        tested: whether there is skill; None where that cannot be tested.
        alarmed: something is better than anyone is believed to be.
        together: all finalists in equal shares; None where they earn nothing that varies.
        rests_on: rows of `analysis.robustness.robustness`.
        baselines: the best first.
        statistics: None where no finalist has a Sharpe ratio.
        regret: what was finished on the side; None where nothing was.
        asides: the same in sentences.
        reasons: how many configurations ended by each reason.
        model: folder of the best model; None where none was written.
    """

    run: Run
    outcome: str
    sentences: Sequence[str]
    notes: Sequence[str]
    finalists: Sequence[Row]
    params: Sequence[str]
    tested: Skill | None
    alarmed: bool
    together: Ensemble | None
    rests_on: pd.DataFrame
    baselines: Sequence[Row]
    statistics: Statistics | None
    regret: Regret | None
    asides: Sequence[str]
    reasons: dict[str, int]
    model: Path | None

    @property
    def best(self) -> Row | None:
        """The first of the ranking; None where no finalist has a Sharpe ratio."""
        ranked = [row for row in self.finalists if row["sharpe_mean"] == row["sharpe_mean"]]
        return ranked[0] if ranked else None


def result_of(run: Run) -> Result:
    """Returns what a run has found."""
    ranking, tested = rank(run), skill(run)
    finalists = ranking.query("state == 'COMPLETE'").to_dict("records")
    ranked = ranking.dropna(subset=["sharpe_mean"]).to_dict("records")
    model = run.folder / "best"
    there = any((model / name).exists() for name in ("model.safetensors", "members"))
    return Result(
        run=run,
        outcome=outcome(run),
        sentences=summary_sentences(run, ranking, tested),
        notes=note_sentences(run, ranking),
        finalists=finalists,
        params=varied_params(run),
        tested=tested,
        alarmed=too_good(run, ranked),
        together=ensemble(run) if tested is None else tested.ensemble,
        rests_on=robustness(run, ranking),
        baselines=baselines(run).to_dict("records"),
        statistics=statistics(run, ranked[0], tested) if ranked else None,
        regret=regret_of(run),
        asides=regret_sentences(run),
        reasons=stop_reasons(run),
        model=model if there else None,
    )


def as_record(found: Result, top: int | None = None) -> dict[str, Any]:
    """Returns a result as numbers and sentences by name, for JSON.

    Args:
        found: the result.
        top: finalists of the ranking, at most; None: all.
    """
    run, together = found.run, found.together
    return {
        "run": run.name,
        "folder": run.folder,
        "interrupted": run.run.get("interrupted"),
        "outcome": found.outcome,
        "sentences": found.sentences,
        "verdict": None if found.tested is None else _verdict(found.tested, found.alarmed),
        "winner": found.best,
        "all_finalists": None
        if together is None
        else {
            "sharpe": together.sharpe,
            "error": together.error,
            "members": together.members,
        },
        "default": run.default,
        "ranking": list(found.finalists)[:top],
        "notes": found.notes,
        "robustness": found.rests_on.head(len(found.rests_on) if top is None else top),
        "baselines": found.baselines,
        "statistics": None if found.statistics is None else record(run, found.statistics),
        "regret": found.regret,
        "stop_reasons": found.reasons,
        "best_model": found.model,
    }


def _verdict(tested: Skill, alarmed: bool) -> dict[str, Any]:
    return {
        "sentence": verdict(tested, alarmed),
        "more_than_chance": tested.found,
        "beyond_belief": alarmed,
    }
