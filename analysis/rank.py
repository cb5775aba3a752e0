"""Prints the ranking of a run: `python -m analysis.rank runs/NAME [top=10]`."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.load import Run, load_run
from analysis.ranking import baselines, rank, stop_reasons, summary_sentences, varied_params
from analysis.regret import regret_sentences
from analysis.winner_minus_default import MARK, MEANING
from trainable.cli.commands import parse_after_run, status_of
from trainable.cli.errors import UserError

USAGE = "python -m analysis.rank runs/NAME [key=value …]"
NARROWEST = 100
PARAMS_A_TABLE = 6

Row = Mapping[str, Any]


@dataclass(frozen=True)
class RankSettings:
    """What the command line can say."""

    top: int = 10  # rows of the ranking to print


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the ranking; returns the exit status: 0, or 2 with one line for the person."""
    words = sys.argv[1:] if argv is None else argv
    return status_of(lambda: _rank(words))


def show(run: Run, top: int, console: Console) -> None:
    """Prints summary, ranking, baselines, stop reasons and the place of the best model."""
    ranking = rank(run)
    finalists = ranking.query("state == 'COMPLETE'").to_dict("records")
    console.print(Text(run.name, style="bold"))
    for sentence in (*summary_sentences(run, ranking), *regret_sentences(run)):
        console.print(Text(sentence))
    if finalists:
        console.print(ranking_table(finalists[:top], run.default))
        if len(finalists) > top:
            console.print(Text(f"  … {len(finalists) - top} more: top={len(finalists)}\n"))
        for table in parameter_tables(finalists[:top], varied_params(run)):
            console.print(table)
    known = baselines(run).to_dict("records")
    if known:
        console.print(baseline_table(known))
    for line in _ending(run):
        console.print(Text(line))


def ranking_table(finalists: Sequence[Row], default: int | None = None) -> Table:
    """Returns the finalists' metrics as a table, in which the default is marked."""
    table = _table(
        "#", "trial", "Sharpe", "seeds", "spread", "± se", "luck", "IC", "rank IC",
        "val_loss", "turnover", "epochs",
    )  # fmt: skip
    for row in finalists:
        of = f" of {row['sharpe_seeds'] + row['failed_seeds']}" if row["failed_seeds"] else ""
        above = row["above_luck"]
        table.add_row(
            str(row["rank"]),
            f"{row['number']}{MARK if row['number'] == default else ''}",
            _number(row["sharpe_mean"]),
            f"{row['sharpe_seeds']}{of}",
            _number(row["sharpe_sd"]),
            _number(row["sharpe_se"]),
            "–" if pd.isna(above) else "above" if above else "below",
            *(_number(row[metric], 4) for metric in ("ic", "rank_ic", "val_loss")),
            _number(row["turnover"]),
            str(row["epochs"]),
        )
    if any(row["number"] == default for row in finalists):
        table.caption, table.caption_justify = MEANING, "left"
    return table


def parameter_tables(finalists: Sequence[Row], params: Sequence[str]) -> list[Table]:
    """Returns the finalists' searched parameters, as many tables as their number needs."""
    tables = []
    for start in range(0, len(params), PARAMS_A_TABLE):
        some = params[start : start + PARAMS_A_TABLE]
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


def _rank(words: Sequence[str]) -> int:
    given = parse_after_run(RankSettings, words, USAGE)
    if given is None:
        return 0
    folder, settings = given
    if settings.top < 1:
        raise UserError(f"top={settings.top}: expected at least 1")
    show(load_run(folder), settings.top, _console())
    return 0


def _ending(run: Run) -> list[str]:
    reasons = ", ".join(f"{reason} {count}" for reason, count in stop_reasons(run).items())
    model = run.folder / "best" / "model.safetensors"
    best = str(model.parent) if model.is_file() else f"none was written to {model.parent}"
    return [f"How trials ended: {reasons}", f"Best model: {best}"]


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold", vertical="bottom")
    return table


def _heading(column: str) -> str:
    return column.removeprefix("params.").replace("/", "\n", 1)


def _number(value: float, digits: int = 2) -> str:
    return "–" if isnan(value) else f"{value:.{digits}f}"


def _param(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return str(int(value))  # a whole number, read as a float where another trial has none
    if isinstance(value, float):
        return "–" if isnan(value) else f"{value:.3g}"
    return "–" if value is None else str(value)


def _console() -> Console:
    console = Console(highlight=False, markup=False)
    # A pipe has no width of its own; rich would take 80 columns and fold the table.
    return (
        console if console.is_terminal else Console(highlight=False, markup=False, width=NARROWEST)
    )


if __name__ == "__main__":
    sys.exit(main())
