"""Prints the ranking of a run: `python -m analysis.rank runs/NAME [top=10] [--json]`.

First what to read first, then the ranking, what it rests on, parameters, baselines, statistics.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.load import load_run
from analysis.result import Result, as_record, result_of
from analysis.robustness import BEST_DAYS, YEAR
from analysis.verdict.figures import Figure, in_words
from analysis.verdict.neighbours import COUNT
from analysis.verdict.winner_minus_default import MARK, MEANING
from trainable.cli.answers import answering
from trainable.cli.commands import parse_after_run, process_status, status_of
from trainable.cli.errors import UserError
from trainable.cli.output import NARROWEST, output_console

USAGE = "python -m analysis.rank runs/NAME [key=value …] [--json]"
PARAMS_A_TABLE = 6
COLUMNS = (
    "#", "trial", "Sharpe", "seeds", "spread", "± se", "luck", "IC", "rank IC", "val_loss",
    "turnover", "epochs",
)  # fmt: skip
LEFT_OUT = ("spread", "rank IC", "turnover")  # of a narrow table
ROBUST = {
    "sharpe_mean": ("Sharpe", 2),
    "one_bar_later": ("one bar\nlater", 2),
    "break_even_bps": ("break-even\nbps", 1),
    "without_best_days": (f"{BEST_DAYS} best\ndays out", 2),
    "neighbours": (f"nearest\n{COUNT}", 2),
    "distance": ("their\ndistance", 2),
}  # headings of columns, and their digits
ROBUSTNESS, BY_YEAR = "Robustness: Sharpe ratios", "By calendar year"
WHO, A_YEAR = 12, 7  # columns of the console that rank and number take, and that a year takes

Row = Mapping[str, Any]


@dataclass(frozen=True)
class RankSettings:
    """What the command line can say."""

    top: int = 10  # rows of the ranking to print


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the ranking; returns the exit status: 0, or 2 with one line for the person."""
    words = sys.argv[1:] if argv is None else argv
    return status_of(lambda: _rank(words))


def show(found: Result, top: int, console: Console) -> None:
    """Prints what to read first, ranking, robustness, baselines, statistics and what is left."""
    run, finalists = found.run, found.finalists
    console.print(Text.assemble((run.name, "bold"), f": {found.outcome}"))
    for sentence in found.sentences:
        console.print(Text(sentence))
    if finalists:
        console.print(ranking_table(finalists[:top], run.default, console.width))
        if len(finalists) > top:
            console.print(Text(f"  … {len(finalists) - top} more: top={len(finalists)}\n"))
    for sentence in found.notes:
        console.print(Text(sentence))
    if finalists:
        rests_on = found.rests_on.head(top)
        for table in robustness_tables(rests_on, console.width) if len(rests_on) else ():
            console.print(table)
        for table in parameter_tables(finalists[:top], found.params, console.width):
            console.print(table)
    if found.baselines:
        console.print(baseline_table(found.baselines))
    if found.statistics is not None and (said := in_words(run, found.statistics)):
        console.print(statistics_table(said))
    for line in (*found.asides, *_ending(found)):
        console.print(Text(line))


def ranking_table(
    finalists: Sequence[Row], default: int | None = None, width: int = NARROWEST
) -> Table:
    """Returns the finalists' metrics as a table, in which the default is marked.

    Args:
        finalists: rows of `analysis.ranking.rank`.
        default: number of the default; None: there is none.
        width: columns of the console; a narrow one gets fewer columns of the table.
    """
    columns = [name for name in COLUMNS if width >= NARROWEST or name not in LEFT_OUT]
    table = _table(*columns)
    for row in finalists:
        cells = _cells(row, default)
        table.add_row(*(cells[name] for name in columns))
    if any(row["number"] == default for row in finalists):
        table.caption, table.caption_justify = MEANING, "left"
    return table


def _cells(row: Row, default: int | None) -> dict[str, str]:
    of = f" of {row['sharpe_seeds'] + row['failed_seeds']}" if row["failed_seeds"] else ""
    above = row["above_luck"]
    return {
        "#": str(row["rank"]),
        "trial": f"{row['number']}{MARK if row['number'] == default else ''}",
        "Sharpe": _number(row["sharpe_mean"]),
        "seeds": f"{row['sharpe_seeds']}{of}",
        "spread": _number(row["sharpe_sd"]),
        "± se": _number(row["sharpe_mean_se"]),
        "luck": "–" if pd.isna(above) else "above" if above else "below",
        "IC": _number(row["ic"], 4),
        "rank IC": _number(row["rank_ic"], 4),
        "val_loss": _number(row["val_loss"], 4),
        "turnover": _number(row["turnover"]),
        "epochs": str(row["epochs"]),
    }


def robustness_tables(rests_on: pd.DataFrame, width: int = NARROWEST) -> list[Table]:
    """Returns what the finalists' Sharpe ratios rest on; columns of nothing are left out.

    Calendar years have a table of their own where all together would be too wide; the newest that
    fit are shown.

    Args:
        rests_on: rows of `analysis.robustness.robustness`.
        width: columns of the console.
    """
    known = [name for name in map(str, rests_on) if np.isfinite(rests_on[name].to_numpy()).any()]
    figures_of = [name for name in ROBUST if name in known]
    years = [name for name in known if name.startswith(YEAR)]
    used = sum(2 + max(map(len, ROBUST[name][0].split("\n"))) for name in figures_of)
    if WHO + used + A_YEAR * len(years) <= width:
        return [_robustness(ROBUSTNESS, rests_on, [*figures_of, *years])]
    years = years[-max(1, (width - WHO) // A_YEAR) :]
    tables = [_robustness(ROBUSTNESS, rests_on, figures_of)]
    return [*tables, _robustness(BY_YEAR, rests_on, years)] if years else tables


def _robustness(title: str, rests_on: pd.DataFrame, columns: Sequence[str]) -> Table:
    shown = [ROBUST.get(name, (name.removeprefix(YEAR), 2)) for name in columns]
    table = _titled(title, "#", "trial", *(heading for heading, _ in shown))
    for row in rests_on.to_dict("records"):
        cells = (
            _number(row[name], digits) for name, (_, digits) in zip(columns, shown, strict=True)
        )
        table.add_row(str(row["rank"]), str(row["number"]), *cells)
    if "distance" in columns:
        far = _number(rests_on["median_distance"].iloc[0])
        table.caption = f"any two finalists are {far} apart in the median"
        table.caption_justify = "left"
    return table


def statistics_table(found: Sequence[Figure]) -> Table:
    """Returns the statistics of a run as a table of names and values."""
    table = _titled("Statistics", "", "")
    table.show_header = False
    for column in table.columns:
        column.justify, column.vertical = "left", "top"
    for name, value in found:
        table.add_row(name, value)
    return table


def parameter_tables(
    finalists: Sequence[Row], params: Sequence[str], width: int = NARROWEST
) -> list[Table]:
    """Returns the finalists' searched parameters, as many tables as number and width need."""
    tables = []
    most = PARAMS_A_TABLE if width >= NARROWEST else PARAMS_A_TABLE // 2
    for start in range(0, len(params), most):
        some = params[start : start + most]
        table = _table("#", "trial", *(_heading(column) for column in some))
        for row in finalists:
            cells = (_param(row[column]) for column in some)
            table.add_row(str(row["rank"]), str(row["number"]), *cells)
        tables.append(table)
    return tables


def baseline_table(known: Sequence[Row]) -> Table:
    """Returns the baselines as a table."""
    table = _table("baseline", "Sharpe", "± se", "IC", "rank IC", "turnover")
    table.columns[0].justify = "left"
    for row in known:
        table.add_row(
            row["name"],
            *(_number(row[metric]) for metric in ("sharpe", "sharpe_se")),
            *(_number(row[metric], 4) for metric in ("ic", "rank_ic")),
            _number(row["turnover"]),
        )
    return table


def _rank(argv: Sequence[str]) -> int:
    with answering(argv) as (words, answer):
        given = parse_after_run(RankSettings, words, USAGE)
        if given is None:
            return 0
        folder, settings = given
        if settings.top < 1:
            raise UserError(f"top={settings.top}: expected at least 1")
        found = result_of(load_run(folder))
        if answer.json:
            answer.value = as_record(found, settings.top)
        else:
            show(found, settings.top, output_console())
    return 0


def _ending(found: Result) -> list[str]:
    reasons = ", ".join(f"{reason} {count}" for reason, count in found.reasons.items())
    folder = found.run.folder / "best"
    best = f"none was written to {folder}" if found.model is None else str(folder)
    return [f"How trials ended: {reasons}", f"Best model: {best}"]


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold", vertical="bottom")
    return table


def _titled(title: str, *columns: str) -> Table:
    table = _table(*columns)
    table.title, table.title_justify, table.title_style = title, "left", "bold"
    return table


def _heading(column: str) -> str:
    return column.removeprefix("params.").replace("/", "\n", 1)


def _number(value: float, digits: int = 2) -> str:
    return "–" if isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def _param(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return str(int(value))  # a whole number, read as a float where another trial has none
    if isinstance(value, float):
        return "–" if isnan(value) else f"{value:.3g}"
    return "–" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(process_status(main))
