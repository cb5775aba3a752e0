"""What more trials would be worth: advice at the end of a search."""

from typing import Any

from analysis.load import Run
from analysis.statistics.signal_share import WORTH, SignalShare
from trainable.cli.text import counted
from trainable.stop_reasons import NUMERIC_FAILURES


def more_trials_sentences(run: Run) -> list[str]:
    """Returns what as many trials again would be worth, and whether the search asked for all."""
    trials = len(run.searched)
    sentences = _about_patience(run, trials)
    rise = expected_rise(run, trials)
    if rise is None:
        return sentences
    worth = "worth it" if rise >= WORTH else "hardly worth it"
    return [
        *sentences,
        f"Another {counted(trials, 'trial')} should add {rise:.2f} to the best's true ratio: "
        f"{worth}.",
    ]


def expected_rise(run: Run, more: int) -> float | None:
    """Returns by how much so many more trials are expected to raise the best's true Sharpe ratio.

    Annual; from all searched trials at their ranking epochs, those that failed numerically left
    out (`analysis.statistics.signal_share`). None where too few of them have returns.
    """
    found, days = SignalShare(), 0
    for row in run.searched_rows:
        daily = None
        if row["stop_reason"] not in NUMERIC_FAILURES:
            daily = run.daily(int(row["number"]))
        if daily is None or (days and len(daily[0]) != days):
            continue
        days = len(daily[0])
        found.add(daily[1])
    if not days:
        return None
    per_year = run.periods_per_year * days / run.periods
    return found.expected_rise(len(run.searched), more, per_year)


def _about_patience(run: Run, trials: int) -> list[str]:
    """Says that the search asked for fewer trials than it might have, since more are worth little.

    One that was interrupted, or ran out of time, says so elsewhere.
    """
    settings: dict[str, Any] = run.run.get("settings") or {}
    patience, most = settings.get("patience_trials"), settings.get("trials")
    late = bool((run.searched["stop_reason"] == "time_budget").any())
    if not patience or not most or trials >= most or run.run.get("interrupted") or late:
        return []
    return [
        f"{trials:,} of {most:,} trials were asked for: {patience} more were expected to raise the "
        f"best by less than {WORTH} Sharpe (patience_trials={patience})."
    ]
