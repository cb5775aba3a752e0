"""Compares two runs: `python -m analysis.comparison.command runs/A runs/B`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.comparison.comparison import Comparison, Standing, compare, comparison_sentences
from analysis.comparison.differences import Change
from analysis.load import load_run
from analysis.rank import output_console
from trainable.cli.answers import JSON_LINE, answering
from trainable.cli.commands import process_status, status_of
from trainable.cli.errors import UserError
from trainable.cli.options import asks_for_help, parse, print_help
from trainable.cli.text import counted, signed

USAGE = "usage: python -m analysis.comparison.command runs/A runs/B [key=value …]"
LONGEST = 34  # characters of a value in a table


@dataclass(frozen=True)
class CompareSettings:
    """What the command line can say."""

    lines: int = 20  # of the difference between the texts of the spaces, to print


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the comparison; returns the exit status: 0, or 2 with one line for the person."""
    given = sys.argv[1:] if argv is None else argv
    return status_of(lambda: _compare(given))


def show(found: Comparison, lines: int, console: Console) -> None:
    """Prints what to read first, how each stands, and in what they differ."""
    first, second = found.runs
    console.print(Text(f"{first.name} and {second.name}", style="bold"))
    for sentence in comparison_sentences(found):
        console.print(Text(sentence))
    console.print(_standings(found.runs))
    names = first.name, second.name
    parts = {
        "Settings that differ": found.settings,
        "Data that differ": found.data,
        "Of the space was tried": found.tried,
        "The winners' parameters that differ": found.winners,
        "Versions that differ": found.versions,
    }
    for title, changes in parts.items():
        if changes:
            console.print(_changes(title, names, changes))
    if not (found.settings or found.data or found.space):
        console.print(Text("Settings, data and space are the same."))
    if found.space:
        console.print(Text("The text of the space differs:", style="bold"))
        for line in found.space[:lines]:
            console.print(Text(line))
        if len(found.space) > lines:
            left = counted(len(found.space) - lines, "more line")
            console.print(Text(f"… {left}: lines={len(found.space)}"))


def _compare(given: Sequence[str]) -> int:
    with answering(given) as (words, answer):
        if asks_for_help(words):
            print_help(CompareSettings, f"{USAGE}\n\n{JSON_LINE}")
            return 0
        folders = [word for word in words if "=" not in word]
        if len(folders) != 2:
            raise UserError(f"{counted(len(folders), 'run folder')} named, not two; {USAGE}")
        settings = parse(CompareSettings, [word for word in words if "=" in word])
        if settings.lines < 0:
            raise UserError(f"lines={settings.lines}: expected at least 0")
        found = compare(load_run(folders[0]), load_run(folders[1]))
        answer.value = {"sentences": comparison_sentences(found), "comparison": found}
        show(found, settings.lines, output_console())
        return 0


def _standings(runs: Sequence[Standing]) -> Table:
    table = _table("", *(run.name for run in runs))
    rows = {
        "configurations": [f"{run.configurations:,}" for run in runs],
        "epochs trained": [f"{run.epochs:,}" for run in runs],
        "first in the ranking": [
            "–" if run.winner is None else f"trial {run.winner.number}" for run in runs
        ],
        "its Sharpe ratio": [
            "–"
            if run.winner is None
            else f"{signed(run.winner.sharpe)} ({counted(run.winner.seeds, 'seed')})"
            for run in runs
        ],
        "all finalists in equal shares": [
            "–"
            if run.together is None or run.together_error is None
            else f"{signed(run.together)} ± {run.together_error:.2f}"
            for run in runs
        ],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _changes(title: str, names: tuple[str, str], changes: Sequence[Change]) -> Table:
    table = _table("", *names)
    table.title, table.title_justify, table.title_style = title, "left", "bold"
    for change in changes:
        table.add_row(change.name, _cut(change.first), _cut(change.second))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    return table


def _cut(text: str) -> Text:
    return Text(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


if __name__ == "__main__":
    sys.exit(process_status(main))
