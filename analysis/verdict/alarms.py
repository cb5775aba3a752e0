"""What should be looked into before a ranking is believed: too good, turned round, survivors only.

The words follow from the run folder alone; suspicious features are those that the search named
before it trained (`data_quality.suspicious_features` of `run.json`), and those that the
first-ranked model rests on (`permutation`, written at the end where something was too good).
"""

from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from analysis.load import Run
from analysis.seeds import Row, further_seeds, scored_seeds
from analysis.statistics.best_mix import Mix, best_mix
from trainable.cli.text import listed, signed
from trainable.run_format import PANEL_SYMBOLS, SEARCHED

LONG_ONLY = "equal_weight"  # the baseline that holds the market
FITTED = ("ridge", "trees")  # baselines whose sign is learnt; the others' is a rule
BELIEVED = 4.0  # annual Sharpe ratio, beyond which a leak is the likelier cause
# IC likewise. "Good" is 0.05, "great" 0.1, "world-class" 0.15, and beyond 0.2 a test is faulty
# (Grinold and Kahn 2000, chapter 10), of a few bets a year. An IC of daily bets is worth more.
BELIEVED_IC = {12.0: 0.2, np.inf: 0.1}  # by periods a year, at most
NEGATIVE = 3.0  # standard errors below 0, at least, that say that a sign is wrong
CHANCE = 0.05  # of a false alarm over all tries (Bonferroni)
NAMED = 5  # features that are named
SHOWN = 2  # trials likewise
RESTS_ON = 0.25  # share of the IC that permuting a feature costs, from which on it is named


def alarm_sentences(run: Run, finalists: Sequence[Row]) -> list[str]:
    """Returns what to look into before anything else is read; none where nothing is suspicious.

    Args:
        run: the run.
        finalists: rows of `analysis.ranking.rank` with a mean Sharpe ratio.
    """
    return [*_too_good(run, finalists), *_turned(run)]


def too_good(run: Run, finalists: Sequence[Row]) -> bool:
    """Says whether something is better than anyone is believed to be; see `alarm_sentences`."""
    return bool(_beyond_belief(run, finalists)[0])


def survivor_sentences(run: Run) -> list[str]:
    """Says that no symbol ends before the data do."""
    quality, symbols = _of(run, "data_quality"), _of(run, "data").get("symbols") or []
    ended = quality.get("symbols_ended") != [] or bool(quality.get("carried_on"))
    if len(symbols) < 2 or "planted_signal" in quality or ended:
        return []
    return [
        "Survivors only: every symbol lasts to the end of the data, which flatters whoever buys; "
        "data.delisting_return has nothing to act on."
    ]


def premium(run: Run, best: Row) -> str | None:
    """Returns what the best adds to equal weight, which is no bar for a dollar-neutral book.

    None where the book is not known to be neutral, equal weight has earned nothing, or their days
    are not the same.

    Args:
        run: the run.
        best: the first row of `analysis.ranking.rank`, a finalist with a Sharpe ratio.
    """
    market = [row for row in run.baseline_rows if row["params.model/name"] == LONG_ONLY]
    if not is_neutral(run) or not market or not market[0]["sharpe"] > 0:
        return None
    mixes = _mixes(run, int(best["number"]), int(market[0]["number"]))
    if not mixes:
        return None
    error = sqrt(run.periods_per_year / run.periods)
    own, correlation, gain, both = (
        float(np.mean(values))
        for values in zip(
            *((one.own, one.correlation, one.sharpe - one.alone, one.sharpe) for one in mixes),
            strict=True,
        )
    )
    said = (
        f"trial {best['number']} earns {signed(own)} ± {error:.2f} of its own beside its "
        f"{signed(market[0]['sharpe'])} (correlation {signed(correlation)})"
    )
    if own <= 0:
        return f"{said}, so it adds nothing"
    return f"{said}; the best mix has {both:.2f}, {gain:.2f} more"


def is_neutral(run: Run) -> bool:
    """Says whether positions sum to 0 at each bar: with five or more symbols, as far as known."""
    symbols = _of(run, "data").get("symbols")
    return isinstance(symbols, list) and len(symbols) >= PANEL_SYMBOLS


def _too_good(run: Run, finalists: Sequence[Row]) -> list[str]:
    found, most = _beyond_belief(run, finalists)
    if not found:
        return []
    return [
        f"Too good, so look for a leak first: {_few(found, SHOWN)}. A Sharpe ratio above "
        f"{BELIEVED:g} or an IC above {most:g} is hardly ever honest. {_suspects(run)}"
    ]


def _beyond_belief(run: Run, finalists: Sequence[Row]) -> tuple[list[str], float]:
    """Names what is better than anyone is believed to be, beyond what luck explains.

    Returns also the IC that is believed at most.
    """
    year = run.periods_per_year if run.periods else 1.0
    most = next(ic for periods, ic in BELIEVED_IC.items() if year <= periods)
    if not run.periods or _of(run, "data_quality").get("planted_signal"):
        return [], most
    horizon, fitted = _of(run, "data").get("horizon") or 1, run.baseline_rows
    beyond = _quantile(CHANCE / (2 * max(1, len(run.searched) + len(fitted))))
    sharpe = max(BELIEVED, beyond * sqrt(year / run.periods))
    ic = max(most, beyond * sqrt(horizon / run.periods))
    everyone = [
        (f"trial {row['number']}", float(row["sharpe_mean"]), float(row["ic"])) for row in finalists
    ] + [(str(row["params.model/name"]), float(row["sharpe"]), float(row["ic"])) for row in fitted]
    found = [
        f"{who} (Sharpe {signed(one_sharpe)}, IC {signed(one_ic)})"
        if isfinite(one_ic)
        else f"{who} (Sharpe {signed(one_sharpe)})"
        for who, one_sharpe, one_ic in everyone
        if one_sharpe > sharpe or (one_sharpe > 0 and abs(one_ic) > ic)
    ]
    return found, most


def _turned(run: Run) -> list[str]:
    """Names what is significantly negative before costs: the opposite would be skill."""
    if not run.periods:
        return []
    rows = [row for row in run.rows if row["kind"] in (*SEARCHED, "seed")]
    fitted = [row for row in run.baseline_rows if row["params.model/name"] in FITTED]
    named = [
        (f"trial {row['number']}", row)
        if row["kind"] != "seed"
        else (f"a seed of trial {row['parent']:.0f} (number {row['number']})", row)
        for row in rows
    ]
    named += [(str(row["params.model/name"]), row) for row in fitted]
    error = sqrt(run.periods_per_year / run.periods)
    gross = {
        who: value / error
        for who, row in named
        if (value := sharpe_at_cost(row, _of(run, "data").get("cost_bps"))) is not None
    }
    if not gross:
        return []
    limit = max(NEGATIVE, _quantile(CHANCE / len(gross)))
    lowest = min(gross, key=lambda who: gross[who])
    if gross[lowest] > -limit:
        return []
    count = sum(value <= -limit for value in gross.values())
    also = f" ({count - 1:,} more likewise)" if count > 1 else ""
    turned = [one["feature"] for one in _suspicious(run) if one["why"] in ("turned", "changed")]
    which = f" Features whose relation changed: {_few(turned)}." if turned else ""
    return [
        f"Significantly negative: before costs {lowest} has a Sharpe ratio of "
        f"{signed(gross[lowest] * error)}, {-gross[lowest]:.1f} standard errors below 0{also}; "
        f"luck stays within {limit:.1f}. The relation turned after training, or a sign is "
        f"wrong.{which}"
    ]


def sharpe_at_cost(row: Row, cost_bps: object, at_bps: float = 0.0) -> float | None:
    """Returns the Sharpe ratio of a row if trading cost something else; None where undefined.

    Costs hardly change the spread of returns, so the ratio goes as their mean does: by
    (break-even − new cost) ÷ (break-even − cost).

    Args:
        row: of the trials, with its break-even cost.
        cost_bps: what the search charged a unit turned over.
        at_bps: what is charged instead.
    """
    sharpe, even = float(row["sharpe"]), float(row["break_even_bps"])
    if not isinstance(cost_bps, int | float) or not (isfinite(sharpe) and isfinite(even)):
        return None
    if even == cost_bps:
        return None
    return sharpe * (even - at_bps) / (even - cost_bps)


def _suspects(run: Run) -> str:
    """Names the features that were suspicious before training, and those that the best rests on."""
    names = [str(one["feature"]) for one in _suspicious(run)]
    said = [f"Suspicious since before the training: {_few(names)}."] if names else []
    found = _of(run, "permutation")
    known, without = found.get("ic"), found.get("without")
    if not known or not without:
        nothing = "No single feature is suspicious: look at how they and the label were made."
        return " ".join(said or [nothing])
    costs = {
        str(name): 1 - left / known for name, left in without.items() if isinstance(left, float)
    }
    most = sorted((name for name in costs if costs[name] >= RESTS_ON), key=lambda n: -costs[n])
    ic = f"trial {found.get('trial')}'s IC of {signed(known)}"
    if most:
        shares = [f"{name} {min(1.0, costs[name]):.0%}" for name in most]
        said.append(f"What permuting a feature costs {ic}: {_few(shares)}.")
    else:
        said.append(f"No single feature carries {ic}: look at how they and the label were made.")
    return " ".join(said)


def _mixes(run: Run, winner: int, market: int) -> list[Mix]:
    """Returns each seed of a winner mixed with the market; none where days are not the same."""
    held = run.daily(market) if run.periods else None
    if held is None:
        return []
    year = run.periods_per_year * len(held[0]) / run.periods
    found: list[Mix] = []
    for seed in scored_seeds(run.row_of[winner], further_seeds(run).get(winner, []))[0]:
        daily = run.daily(int(seed["number"]))
        same = daily is not None and np.array_equal(daily[0], held[0])
        mix = best_mix(daily[1], held[1], year) if daily is not None and same else None
        if mix is None:
            return []
        found.append(mix)
    return found


def _suspicious(run: Run) -> Sequence[Mapping[str, Any]]:
    return _of(run, "data_quality").get("suspicious_features") or []


def _of(run: Run, key: str) -> Mapping[str, Any]:
    found = run.run.get(key)
    return found if isinstance(found, Mapping) else {}


def _quantile(chance: float) -> float:
    """Returns the standard normal value that is exceeded with this chance."""
    return -NormalDist().inv_cdf(chance)


def _few(names: Sequence[str], most: int = NAMED) -> str:
    more = len(names) - most
    return listed(names) if more <= 0 else f"{', '.join(names[:most])} and {more} more"
