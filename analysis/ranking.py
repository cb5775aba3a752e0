"""Ranks a run: finalists by the mean over their seeds, everything else behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, sqrt
from typing import Any

import numpy as np
import pandas as pd

from analysis.load import Run
from analysis.order import Entrant, ordered
from analysis.seeds import Row, further_seeds, scored_seeds
from analysis.statistics.snooping.luck_line import luck_verdict
from analysis.verdict.alarms import (
    LONG_ONLY,
    alarm_sentences,
    is_neutral,
    survivor_sentences,
    too_good,
)
from analysis.verdict.confirm_folder import first_sentences
from analysis.verdict.ensemble import ensemble, ensemble_sentences, winner_sentences
from analysis.verdict.luck import Luck, luck
from analysis.verdict.more_trials import more_trials_sentences
from analysis.verdict.placebo import nature_sentences, placebo_sentences
from analysis.verdict.skill import Skill, skill, verdict
from analysis.verdict.winner_minus_default import default_sentences
from trainable.cli.text import counted, signed

SHOWN = ("sharpe", "sharpe_se", "ic", "rank_ic", "val_loss", "turnover", "break_even_bps")
COLUMNS = {
    "rank": "Int64",
    "number": "int64",
    "state": "str",
    "stop_reason": "str",
    "sharpe_mean": "float64",
    "sharpe_shrunk": "float64",
    "sharpe_seeds": "int64",
    "sharpe_sd": "float64",
    "sharpe_mean_se": "float64",
    "failed_seeds": "int64",
    **dict.fromkeys(SHOWN, "float64"),
    "epochs": "int64",
    "above_luck": "boolean",
}


def rank(run: Run) -> pd.DataFrame:
    """Returns one row a searched configuration, the best first.

    Finalists (state COMPLETE) come first, by `sharpe_shrunk`: their `sharpe_mean` shrunk towards
    those of the others, the more the fewer seeds it is of (`analysis.statistics.shrinkage`), and
    then by `sharpe_mean` itself: the mean Sharpe ratio over the configuration's seeds, the first
    included, each at its epoch of lowest validation loss. One whose seed failed numerically or took
    no position (`failed_seeds`) ranks below all without: the mean of the seeds that survived says
    nothing about the next time it is trained. Those without a defined Sharpe ratio are last. Then,
    without a `rank`, follow the pruned by how far they came, the failed, and the unfinished. Seeds
    lost with their worker, or still running, do not count.

    Columns: `COLUMNS`, then those of `varied_params`. `sharpe_seeds` is the number of seeds in the
    mean, `sharpe_sd` their standard deviation (ddof 1, NaN for fewer than two), `sharpe_mean_se`
    the standard error of the mean over days and seeds: that of the first seed, less what seeds
    whose returns do not wholly correlate save. The metrics and `epochs` are of the first.
    `above_luck`: `sharpe_mean` is above the luck line of all configurations tried on these data, in
    other runs too, for means of as many seeds; NA where there is no mean.
    """
    params = varied_params(run)
    records = _ranked(run, run.searched_rows, further_seeds(run), luck(run), params)
    return pd.DataFrame(records, columns=[*COLUMNS, *params]).astype(COLUMNS)


def ranks_beside(run: Run, trials: Sequence[Row]) -> list[int]:
    """Returns the rank that each of some further trials would have, as `rank` gives it.

    Each stands alone beside the finalists, with the one seed that it was trained with.

    Args:
        run: the run.
        trials: rows of `run.trials` that are COMPLETE and not ranked.
    """
    seeds = further_seeds(run)
    finalists = [row for row in run.searched_rows if row["state"] == "COMPLETE"]
    ranks = []
    for trial in trials:
        order = [row["number"] for row in _ranked(run, [*finalists, trial], seeds, None)]
        ranks.append(1 + order.index(trial["number"]))
    return ranks


def _ranked(
    run: Run,
    firsts: Sequence[Row],
    seeds: Mapping[int, Sequence[Row]],
    chance: Luck | None,
    params: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Returns the records of some configurations, the best first, with these columns added."""
    entrants, records = [], {}
    for first in firsts:
        number = int(first["number"])
        scored, failed = scored_seeds(first, seeds.get(number, []))
        sharpes = tuple(float(seed["sharpe"]) for seed in scored)
        sharpe = None if isnan(first["sharpe"]) else float(first["sharpe"])
        epochs = 0 if isnan(first["epochs"]) else int(first["epochs"])
        entrants.append(Entrant(number, first["state"], sharpe, epochs, sharpes, failed))
        record = _record(first, entrants[-1], chance)
        records[number] = record | {column: first[column] for column in params}
    error = sqrt(run.periods_per_year / run.periods) if run.periods else None
    ranked = []
    for rank, place in enumerate(ordered(entrants, error), start=1):
        finished = place.entrant.state == "COMPLETE"
        own = {"rank": rank if finished else None, "sharpe_shrunk": place.shrunk}
        ranked.append(records[place.entrant.number] | own)
    return ranked


def _record(first: Row, entrant: Entrant, chance: Luck | None) -> dict[str, Any]:
    values, mean = entrant.seeds, entrant.mean
    line = None if chance is None else chance.line(len(values))
    return {
        "number": first["number"],
        "state": first["state"],
        "stop_reason": first["stop_reason"],
        "sharpe_mean": mean,
        "sharpe_seeds": len(values),
        "sharpe_sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "sharpe_mean_se": None
        if chance is None or not values
        else float(first["sharpe_se"]) * chance.share(len(values)),
        "failed_seeds": entrant.failed_seeds,
        **{metric: first[metric] for metric in SHOWN},
        "epochs": entrant.epochs,
        "above_luck": None if mean is None or line is None else mean > line,
    }


def sharpe_of(row: Row) -> float:
    """Returns the Sharpe ratio at which a row of the ranking is shown; NaN where undefined.

    Of a finalist the mean over its seeds, of any other trial that of its ranking epoch.
    """
    return float(row["sharpe_mean"] if row["state"] == "COMPLETE" else row["sharpe"])


def baselines(run: Run) -> pd.DataFrame:
    """Returns the baselines, the best first: `name`, `number`, `SHOWN`."""
    records = [{"name": row["params.model/name"], **row} for row in run.baseline_rows]
    records.sort(key=lambda row: (isnan(row["sharpe"]), -row["sharpe"]))
    return pd.DataFrame(records, columns=["name", "number", *SHOWN])


def varied_params(run: Run) -> list[str]:
    """Returns the columns `params.*` in which searched configurations differ, seeds left out."""
    searched = run.searched
    columns = [c for c in searched if c.startswith("params.") and c != "params.train/seed"]
    return [c for c in columns if len(searched[c].unique()) > 1]


def stop_reasons(run: Run) -> dict[str, int]:
    """Returns how many searched configurations ended with each reason, the most frequent first."""
    counts = run.searched["stop_reason"].value_counts()
    return {str(reason): int(count) for reason, count in counts.items()}


def trained_lengths(run: Run) -> dict[int, int]:
    """Returns how many searched configurations there are by the epochs of their full training.

    They differ where a run went on with other `epochs`. Those that are unfinished do not count, nor
    do those of a folder that does not say for how long they were to be trained.
    """
    column = "params.train/epochs"
    if column not in run.searched:
        return {}
    ended = run.searched.loc[run.searched["state"] != "RUNNING"].dropna(subset=[column])
    lengths = ended[[column, "epochs"]].max(axis="columns")  # one that went on is longer, if old
    counts = lengths.astype("int64").value_counts().sort_index()
    return {int(length): int(count) for length, count in counts.to_dict().items()}


def outcome(run: Run) -> str:
    """Returns how many configurations were tried, and how they ended, in one sentence."""
    states = [str(state) for state in run.searched["state"]]
    running = states.count("RUNNING")
    said = (
        f"{counted(len(states), 'configuration')} tried: {states.count('COMPLETE')} finished, "
        f"{states.count('PRUNED')} pruned, {states.count('FAIL')} failed"
    )
    return f"{said}, {running} unfinished." if running else f"{said}."


@dataclass(frozen=True)
class Summary:
    """What a person should read first, in its order: each sentence under what it is about.

    Attributes:
        alarms: what to look into before anything else is believed.
        confirmed: whether finalists earn on dates that did not choose them; nothing before
            `search.confirm` has looked, or a gate was opened.
        verdict: whether there is more than chance; of placebos, too.
        earned: what all finalists and the first of them earn, beside default and baselines.
        luck: what luck alone is expected to reach.
        more: what as many trials again would be worth.
    """

    alarms: list[str]
    verdict: list[str]
    earned: list[str] = field(default_factory=list)
    luck: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)

    @property
    def sentences(self) -> list[str]:
        """All of them."""
        first = [*self.alarms, *self.confirmed, *self.verdict]
        return [*first, *self.earned, *self.luck, *self.more]


def summarise(
    run: Run, ranking: pd.DataFrame | None = None, tested: Skill | None = None
) -> Summary:
    """Returns what a person should read first: alarms, verdicts, what was earned, luck, what next.

    Args:
        run: the run.
        ranking: `rank(run)`, where it is known.
        tested: `analysis.verdict.skill.skill(run)`, likewise.
    """
    ranking = rank(run) if ranking is None else ranking
    finalists = ranking.dropna(subset=["sharpe_mean"]).to_dict("records")
    alarms = [*nature_sentences(run), *alarm_sentences(run, finalists)]
    if not finalists:
        return Summary(alarms, [_nothing_to_rank(run)])
    best = finalists[0]
    tested = skill(run) if tested is None else tested
    unbelievable = too_good(run, finalists)
    judged = _about_luck_alone(run, best) if tested is None else [verdict(tested, unbelievable)]
    judged += placebo_sentences(run, ranking)
    earned = ensemble_sentences(run, best, ensemble(run))
    if best["sharpe_mean"] < 0:
        earned.append("To hold nothing would have been better.")
    earned += [*default_sentences(run, best), *_about_baselines(run, best)]
    confirmed = first_sentences(run, ranking, unbelievable)
    more = more_trials_sentences(run)
    return Summary(alarms, judged, earned, _about_luck(run), more, confirmed)


def summary_sentences(
    run: Run, ranking: pd.DataFrame | None = None, tested: Skill | None = None
) -> list[str]:
    """Returns the sentences of `summarise`, whose arguments it takes."""
    return summarise(run, ranking, tested).sentences


def note_sentences(run: Run, ranking: pd.DataFrame | None = None) -> list[str]:
    """Returns what to know of a ranking beside its table: who stands where, and what is not in it.

    Args:
        run: the run.
        ranking: `rank(run)`, where it is known.
    """
    ranking = rank(run) if ranking is None else ranking
    finalists = ranking.dropna(subset=["sharpe_mean"]).to_dict("records")
    sentences = [*winner_sentences(run), *_about_lengths(run), *run.tries.not_read()]
    if not finalists:
        return sentences
    failed = [str(row["number"]) for row in finalists if row["failed_seeds"]]
    if failed:
        sentences.append(
            f"Ranked below the others, because a seed failed or took no position: "
            f"{'trial' if len(failed) == 1 else 'trials'} {', '.join(failed)}."
        )
    better = [row["name"] for row in _as_good(run, finalists[0])]
    if LONG_ONLY in better:
        sentences.append(
            f"{LONG_ONLY} is long only: its Sharpe ratio is the market's own. Trials hold no "
            f"market; compare them with {_market_neutral(run)} and the luck line."
        )
    return [*sentences, *_about_shrinkage(finalists), *survivor_sentences(run)]


def _about_lengths(run: Run) -> list[str]:
    lengths = trained_lengths(run)
    if len(lengths) < 2:
        return []
    each = ", ".join(
        f"{counted(count, 'trial')} for at most {counted(length, 'epoch')}"
        for length, count in lengths.items()
    )
    return [
        f"Trained for different lengths, since the search went on with other epochs: {each}. They "
        "are ranked together."
    ]


def _as_good(run: Run, best: Row) -> list[dict[str, Any]]:
    """Returns the baselines at least as good as the best.

    Of a book that holds no market the market is none of them.
    """
    rows = [b for b in baselines(run).to_dict("records") if b["sharpe"] >= best["sharpe_mean"]]
    return [b for b in rows if b["name"] != LONG_ONLY or not is_neutral(run)]


def _about_baselines(run: Run, best: Row) -> list[str]:
    better = [f"{row['name']} ({signed(row['sharpe'])})" for row in _as_good(run, best)]
    return [f"These baselines are at least as good: {', '.join(better)}."] if better else []


def _market_neutral(run: Run) -> str:
    """Returns the baselines that hold no market either, with their Sharpe ratios."""
    rows = [row for row in baselines(run).to_dict("records") if row["name"] != LONG_ONLY]
    known = [f"{row['name']} ({signed(row['sharpe'])})" for row in rows if not isnan(row["sharpe"])]
    return ", ".join(known) or "no position at all (0)"


def _nothing_to_rank(run: Run) -> str:
    states = set(run.searched["state"])
    if "COMPLETE" in states:
        return "No finalist has a defined Sharpe ratio: none of them took a position."
    if "RUNNING" in states and run.run.get("state") == "running":
        return "No trial has finished yet."
    if "RUNNING" in states:
        return "No trial has finished yet: resume the search."
    reasons = ", ".join(f"{reason} {count}" for reason, count in stop_reasons(run).items())
    return f"No trial survived ({reasons}): there is nothing to rank."


def _about_shrinkage(finalists: Sequence[Row]) -> list[str]:
    """Says why one with a higher mean stands behind the best."""
    best = finalists[0]
    higher = [
        f"{row['number']} ({signed(row['sharpe_mean'])} of {counted(row['sharpe_seeds'], 'seed')})"
        for row in finalists
        if row["sharpe_mean"] > best["sharpe_mean"] and not row["failed_seeds"]
    ]
    if not higher:
        return []
    who = f"{'Trial' if len(higher) == 1 else 'Trials'} {', '.join(higher)}"
    stands = "stands" if len(higher) == 1 else "stand"
    return [
        f"{who} {stands} behind trial {best['number']}: the fewer seeds a mean is of, the more it "
        "is shrunk towards the others."
    ]


def _about_luck(run: Run) -> list[str]:
    """Says what luck is expected to reach, and of which tries."""
    chance = luck(run)
    if chance is None or chance.tries.total == 1:
        return []
    tries = chance.tries
    of = "" if tries.made_of is None else f": {tries.made_of}"
    return [
        f"Luck alone is expected to bring the best of {tries.total:,} tries to "
        f"{chance.one_seed:.2f}{of}."
    ]


def _about_luck_alone(run: Run, best: Row) -> list[str]:
    """Says where the best stands beside the luck line, where no test gives a verdict."""
    chance = luck(run)
    if chance is None:
        return []
    line = chance.line(best["sharpe_seeds"])
    error = None if isnan(best["sharpe_mean_se"]) else float(best["sharpe_mean_se"])
    said = luck_verdict(best["sharpe_mean"], error, line)
    return [f"{said[0].upper()}{said[1:]}."]
