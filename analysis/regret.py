"""How often a trial that a rule stopped would have entered the final five, as far as is known.

With `regret=0.05` a search finishes a share of its stopped trials on the side, chosen by a hash of
their numbers: a random sample whose choice rests on no result. So the interval is valid however
the sampler learned from its own trials (conformal pruning assumes exchangeable trials; TPE's are
not).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.load import Run
from analysis.ranking import rank, ranks_beside
from analysis.statistics.proportion import clopper_pearson
from trainable.cli.text import counted
from trainable.io.json_file import loads
from trainable.stop_reasons import BY_RULE, NUMERIC_FAILURES

FINAL = 5  # places that a person looks at
CONFIDENCE = 0.95
NUMBERS = ("no", "one", "two", "three", "four", "five")
FLAT = "flat"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Regret:
    """What the trials that were finished on the side say of all that were stopped.

    Attributes:
        stopped: searched trials that a rung or the flat rule stopped.
        finished: how many of them were finished on the side, by where they were stopped: `epoch 2`,
            `epoch 8` …, `flat`.
        entered: how many of those would have entered the final places, likewise; none is left out.
        missing: those that were begun on the side and have not come to their end.
        places: final places: five, or the number of finalists where that is lower.
        interval: of the share of all stopped trials that would have entered them.
    """

    stopped: int
    finished: Mapping[str, int]
    entered: Mapping[str, int]
    missing: int
    places: int
    interval: tuple[float, float]


def regret_of(run: Run) -> Regret | None:
    """Returns the regret of a run's pruning; None where nothing says anything of it.

    A trial that was finished on the side would have entered if its rank beside the finalists is
    among the final places. One that failed numerically, or took no position, would not.
    """
    searched = run.searched
    parents = {
        int(row["number"]): row
        for row in searched.loc[searched["stop_reason"].isin(BY_RULE)].to_dict("records")
    }
    aside = run.trials.loc[run.trials["kind"] == "regret"].to_dict("records")
    complete = [row for row in aside if row["state"] == "COMPLETE"]
    failed = [row for row in aside if row["stop_reason"] in NUMERIC_FAILURES]
    if not (complete or failed):
        return None
    places = min(FINAL, len(rank(run).dropna(subset=["sharpe_mean"])))
    if not places:
        return None
    ranks = zip(complete, ranks_beside(run, complete), strict=True)
    entered = [row for row, place in ranks if place <= places]
    count = len(complete) + len(failed)
    return Regret(
        stopped=len(parents),
        finished=_by_place([*complete, *failed], parents),
        entered=_by_place(entered, parents),
        missing=len(aside) - count,
        places=places,
        interval=clopper_pearson(len(entered), count, len(parents), CONFIDENCE),
    )


def regret_sentences(run: Run) -> list[str]:
    """Returns what a person should know of the trials finished on the side; none without any."""
    found = regret_of(run)
    if found is None:
        return []
    count, entered = sum(found.finished.values()), sum(found.entered.values())
    stopped = f"{count} of {counted(found.stopped, 'stopped trial')} ({_listed(found.finished)})"
    entered_it = f"entered the final {NUMBERS[found.places]}" if found.places > 1 else "come first"
    if count == 1:
        who = "it would have" if entered else "it would not have"
    elif entered in (0, count):
        who = f"{'all' if entered else 'none'} would have"
    else:
        where = f" ({_listed(found.entered)})" if len(found.finished) > 1 else ""
        who = f"{entered} of them{where}, each alone, would have"
    sentence = f"Finished on the side: {stopped}; {who} {entered_it}"
    if count < found.stopped:
        sentence += f": with {CONFIDENCE:.0%} confidence {_between(*found.interval)}"
        sentence += " of all stopped trials would have"
    if found.missing:
        verb = "was begun and has" if found.missing == 1 else "were begun and have"
        sentence += f". {found.missing} more {verb} not come to an end"
    return [f"{sentence}."]


def _by_place(rows: Sequence[Row], parents: Mapping[int, Row]) -> dict[str, int]:
    """Counts rows by where their parents were stopped: at the rungs in order, then flat."""
    places = [_stopped_at(parents[int(row["parent"])]) for row in rows]
    ordered = sorted(set(places), key=lambda place: (place == math.inf, place))
    return {
        FLAT if place == math.inf else f"epoch {place:.0f}": places.count(place)
        for place in ordered
    }


def _stopped_at(row: Row) -> float:
    """Returns the epoch of the rung that stopped a trial; infinity for a flat one."""
    if row["stop_reason"] == "flat_sharpe":
        return math.inf
    # A rung that had too few values first stops a trial when it reports again, at a later epoch.
    text = row.get("stop_evidence")
    evidence = loads(text) if isinstance(text, str) else {}
    return float(evidence.get("level", row["stop_epoch"]))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{place}: {count}" for place, count in counts.items())


def _between(low: float, high: float) -> str:
    """Says an interval in whole per cents that hold all of it."""
    most, least = math.ceil(100 * high), math.floor(100 * low)
    if least <= 0:
        return f"at most {most}%"
    if most >= 100:
        return f"at least {least}%"
    return f"between {least}% and {most}%"
