"""The first page: what a run says in plain words, in the sentences that the ranking has."""

import shlex
from collections.abc import Mapping
from math import isnan
from typing import Any

from analysis.ranking import LONG_ONLY, outcome, sharpe_of, summarise
from analysis.report.content import Block, Code, Ranked, Section, Words, of
from analysis.report.results import interval
from analysis.verdict.alarms import survivor_sentences
from analysis.verdict.confirm_folder import confirm_command, windows
from analysis.verdict.ensemble import ensemble
from analysis.verdict.skill import p_text
from trainable.cli.started import as_started
from trainable.cli.text import counted, listed, signed

NAMED = 8  # symbols that are named
OVERNIGHT = {
    "flat": "nothing is held overnight",
    "hold": "positions are held overnight",
}


def first_page(ranked: Ranked) -> list[Section]:
    """Returns what a person reads first: alarms, luck, belief, what was traded, what next."""
    said = summarise(ranked.run, ranked.ranking, ranked.tested)
    held: list[Block] = [Words(said.confirmed)] if said.confirmed else []
    alarms = [Section("alarms", "Look into this first", [Words(said.alarms)])]
    return [
        *(alarms if said.alarms else []),
        *([Section("confirmed", "Does it hold elsewhere?", held)] if held else []),
        Section("luck", "Is it above luck?", [Words([*said.verdict, *said.luck])]),
        Section("belief", "What do we believe, and how surely?", _earned(said.earned)),
        Section("traded", "What was traded?", [Words(traded(ranked))]),
        Section("next", "What next?", [*_more(said.more), _commands(ranked)]),
    ]


def heading(ranked: Ranked) -> str:
    """Returns how many configurations were tried, and whether the search is over."""
    said = outcome(ranked.run)
    if ranked.run.run.get("state") == "running":
        when = str(ranked.run.run.get("so_far") or "that time")[:16].replace("T", " ")
        return f"{said} The search was running: this is what was known at {when} (UTC)."
    if ranked.run.run.get("interrupted"):
        return f"{said} The search was interrupted: what follows may change when it goes on."
    return said


def key_figures(ranked: Ranked) -> list[tuple[str, str, str]]:
    """Returns the figures at the top: what it is, its value, and what belongs to it."""
    found = _confirmed(ranked)
    if ranked.tested is not None and ranked.tested.testable:
        found.append(("chance alone", f"p {p_text(ranked.tested.p)}", "how often it earns as much"))
    together = ensemble(ranked.run) if ranked.tested is None else ranked.tested.ensemble
    if together is not None and ranked.finalists:
        around = f"± {together.error:.2f}, {counted(together.seeds, 'training')}"
        found.append(("all finalists", signed(together.sharpe), around))
    if ranked.finalists:
        best = ranked.finalists[0]
        around = interval(best)
        within = "" if around is None else f"95 %: {signed(around[0])} to {signed(around[1])}"
        found.append((f"trial {best['number']}, the first", signed(sharpe_of(best)), within))
    if ranked.chance is not None and ranked.chance.tries.total > 1:
        tries = f"best of {counted(ranked.chance.tries.total, 'try', 'tries')}"
        found.append(("luck line", f"{ranked.chance.one_seed:.2f}", tries))
    known = [row for row in ranked.run.baseline_rows if not isnan(row["sharpe"])]
    if known:
        best_one = max(known, key=lambda row: row["sharpe"])
        name = str(best_one["params.model/name"])
        market = ", the market" if name == LONG_ONLY else ""
        found.append(("best baseline", signed(best_one["sharpe"]), f"{name}{market}"))
    return found


def _confirmed(ranked: Ranked) -> list[tuple[str, str, str]]:
    """Returns what finalists earn where nothing was chosen: on folds, and on what was opened."""
    kept = ranked.confirmed
    folds = None if kept is None or kept.found is None else kept.found.together
    found = [] if folds is None else [("on other folds", folds, folds.p)]
    for name, gate in windows(ranked.run).items():
        if gate is not None and gate.book is not None:
            where = "on the gate" if name == "gate" else "on the sealed test"
            found.append((where, gate.book, gate.p))
    return [
        (where, signed(book.sharpe), f"± {book.error:.2f}, p {p_text(p)}")
        for where, book, p in found
    ]


def traded(ranked: Ranked) -> list[str]:
    """Returns what was traded, when, and what it was charged; what is not recorded is left out."""
    record, run = ranked.run.run, ranked.run
    data = of(record, "data")
    symbols = [str(name) for name in data.get("symbols") or []]
    said: list[str] = []
    if symbols:
        more = len(symbols) - NAMED
        names = listed(symbols) if more <= 0 else f"{', '.join(symbols[:NAMED])} and {more} more"
        name = f"{data['name']}: " if data.get("name") else ""
        said.append(f"{name}{counted(len(symbols), 'symbol')} ({names}).")
    split = of(record, "split").get("valid")
    if isinstance(split, list) and len(split) == 2 and run.days:
        said.append(
            f"Every figure is of the validation part, {str(split[0])[:10]} to "
            f"{str(split[1])[:10]}: positions of {counted(run.days, 'day')}, whose returns end "
            "within it. These dates chose the epochs, the finalists and their order."
        )
    said += _positions(data)
    return [*said, *survivor_sentences(run)]


def _positions(data: Mapping[str, Any]) -> list[str]:
    parts = []
    if isinstance(data.get("horizon"), int):
        parts.append(f"a label of {counted(data['horizon'], 'bar')}")
    if isinstance(data.get("lag"), int):
        parts.append(f"positions entered {counted(data['lag'], 'bar')} after their bar"
                     if data["lag"] else "positions entered at the end of their bar")  # fmt: skip
    if isinstance(data.get("cost_bps"), int | float):
        parts.append(f"{data['cost_bps']:g} bps charged a unit turned over")
    if data.get("overnight") in OVERNIGHT:
        parts.append(OVERNIGHT[str(data["overnight"])])
    if isinstance(data.get("periods_per_year"), int | float):
        parts.append(f"{data['periods_per_year']:g} bars a year")
    if not parts:
        return []
    sentence = ", ".join(parts)
    return [f"{sentence[0].upper()}{sentence[1:]}."]


def _earned(sentences: list[str]) -> list[Block]:
    return [Words(sentences or ["No finalist has a Sharpe ratio, so nothing was earned."])]


def _more(sentences: list[str]) -> list[Block]:
    return [Words(sentences)] if sentences else []


def _commands(ranked: Ranked) -> Block:
    folder = shlex.quote(str(ranked.run.folder))
    lines = [as_started(f"python -m analysis.rank {folder}")]
    kept = ranked.confirmed
    known = kept is not None and kept.whole and kept.is_of(ranked.ranking)
    said = "The ranking in a terminal"
    if ranked.finalists and not known and not ranked.goes_on:
        said += "; finalists again, on folds that did not choose them"
        lines.append(confirm_command(ranked.run))
    return Code(f"{said}:", "\n".join(lines))
