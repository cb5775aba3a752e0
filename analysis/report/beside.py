"""A second run beside the first: what was searched, what was earned, and what luck reaches."""

import numpy as np

from analysis.load import Run
from analysis.ranking import outcome, sharpe_of
from analysis.report.content import (
    Block,
    Figure,
    Missing,
    Ranked,
    Section,
    Table,
    axis,
    of,
    plain,
    short,
)
from analysis.report.results import book, wealth_of
from analysis.verdict.ensemble import Ensemble, ensemble
from analysis.verdict.skill import p_text
from trainable.cli.text import signed

MOST_POINTS = 1_000


def beside(first: Ranked, second: Ranked) -> Section:
    """Returns a section of two runs: the one of the report, and the other."""
    names = _names(first.run, second.run)
    columns = [_column(ranked) for ranked in (first, second)]
    table = Table(
        "Two runs",
        ("what", *names),
        [[what, columns[0][what], columns[1][what]] for what in columns[0]],
        note="Figures of different data, or of different dates, are not to be compared.",
    )
    return Section("beside", f"Beside {names[1]}", [table, _equity(first, second, names)])


def _column(ranked: Ranked) -> dict[str, str]:
    run, together = ranked.run, _together(ranked)
    best = ranked.finalists[0] if ranked.finalists else None
    chance, tested = ranked.chance, ranked.tested
    known = tested is not None and tested.testable
    return {
        "configurations": outcome(run),
        "data": str(of(run.run, "data").get("name") or "not stored"),
        "validation days": f"{run.days:,}" if run.periods else "–",
        "more than chance": f"p {p_text(tested.p)}" if tested is not None and known else "no test",
        "all finalists": "–" if together is None
        else f"{signed(together.sharpe)} ± {together.error:.2f} ({together.seeds} trainings)",
        "first of the ranking": "–" if best is None
        else f"trial {best['number']}: {signed(sharpe_of(best))} ({best['sharpe_seeds']} seeds)",
        "luck line": "–" if chance is None
        else f"{chance.one_seed:.2f} ({chance.tries.total:,} tries)",
    }  # fmt: skip


def _together(ranked: Ranked) -> Ensemble | None:
    return ensemble(ranked.run) if ranked.tested is None else ranked.tested.ensemble


def _names(first: Run, second: Run) -> tuple[str, str]:
    if first.name != second.name:
        return first.name, second.name
    return str(first.folder), str(second.folder)


def _equity(first: Ranked, second: Ranked, names: tuple[str, str]) -> Block:
    """Draws the books of all finalists of both."""
    traces = []
    for ranked, name, colour in zip((first, second), names, ("@blue", "@orange"), strict=True):
        everyone = [int(s["number"]) for seeds in ranked.seeds.values() for s in seeds]
        found = book(ranked.run, everyone) if ranked.run.periods else None
        if found is None:
            continue
        places = np.unique(np.linspace(0, len(found[0]) - 1, MOST_POINTS).round().astype(int))
        traces.append({
            "name": plain(name), "mode": "lines",
            "x": [str(stamp)[:16] for stamp in found[0][places]],
            "y": short(100 * wealth_of(found[1])[places]), "line": {"color": colour, "width": 1.8},
        })  # fmt: skip
    if not traces:
        return Missing("Neither run has finalists with returns.")
    return Figure(
        "All finalists of both",
        "Compounded net returns of every finalist's seeds in equal shares, as in each run's own "
        "verdict.",
        f"Equity of {' and '.join(names)}.",
        traces,
        {"xaxis": {"type": "date"}, "yaxis": axis("return, %"), "hovermode": "x"},
    )
