"""The comparison as the README shows it: a Markdown table made of the JSON file alone."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

KINDS = {"strong": "with a signal", "none": "without one"}
SIDES = {"optuna": "Optuna alone", "asharpe": "this project"}

Searches = Sequence[Mapping[str, Any]]


def table(result: Mapping[str, Any]) -> str:
    """Returns the table of a result of `benchmarks.peers`; its figures are means over markets."""
    columns: list[Searches] = [result["searches"][kind][side] for kind in KINDS for side in SIDES]
    head = [f"{market}: {side}" for market in KINDS.values() for side in SIDES.values()]
    lines = [f"| mean of {len(columns[0])} planted markets | {' | '.join(head)} |"]
    lines.append("|---|" + "---|" * len(columns))
    rows = {
        "seconds, start-up included (CPU)": [_seconds(each) for each in columns],
        "configurations, epochs trained": [
            f"{_mean(each, 'configurations'):.0f}, {_mean(each, 'epochs'):.0f}" for each in columns
        ],
        "blew up, or predict a constant": [f"{_mean(each, 'broken'):.1f}" for each in columns],
        "… of these it says so": [_told(each) for each in columns],
        "Sharpe ratio claimed for the winner": [_ratio(each, "claimed") for each in columns],
        "its true Sharpe ratio": [_ratio(each, "true") for each in columns],
        "all finalists in equal shares: claimed": [_ratio(each, "book") for each in columns],
        "… their true Sharpe ratio": [_ratio(each, "book_true") for each in columns],
        "says that it is more than chance": [_found(each) for each in columns],
    }
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines)


def source(result: Mapping[str, Any]) -> str:
    """Returns what the table rests on, in one sentence; where the file lies is no part of it."""
    machine, command = result["machine"], result["command"].partition(" --out ")[0]
    searches = [
        one for kind in result["searches"].values() for side in kind.values() for one in side
    ]
    others = fmean(one["others_cpu_seconds"] for one in searches)
    return (
        f"Measured {result['date'][:10]} by `{command}` on {machine['cores']} cores of "
        f"{machine['cpu']}, while other work took {others:.0f} seconds of CPU beside each search."
    )


def _mean(searches: Searches, name: str) -> float:
    return fmean(each[name] for each in searches)


def _seconds(searches: Searches) -> str:
    return f"{_mean(searches, 'seconds'):.0f} ({_mean(searches, 'cpu_seconds'):.0f})"


def _told(searches: Searches) -> str:
    broken = sum(each["broken"] for each in searches)
    return "–" if not broken else f"{sum(each['told'] for each in searches) / broken:.0%}"


def _ratio(searches: Searches, name: str) -> str:
    known = [each[name] for each in searches if each.get(name) is not None]
    return f"{fmean(known):.2f}" if known else "–"


def _found(searches: Searches) -> str:
    told = [each["found"] for each in searches if each.get("found") is not None]
    return f"{sum(told)} of {len(told)}" if told else "says nothing"
