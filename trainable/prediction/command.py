"""Predicts with what a search has found: `python -m trainable.prediction.command runs/NAME`.

It prints the weights to be held from the newest bar's close on.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainable.cli.answers import answering
from trainable.cli.commands import parse_after_run, process_status
from trainable.cli.errors import UserError
from trainable.cli.paths import PathText
from trainable.cli.text import counted
from trainable.data.ingest.table import cache_if_usable
from trainable.data.ingest.timestamps import show_time
from trainable.data.settings import refuse_two_sources
from trainable.io.atomic import parquet_bytes, write_out
from trainable.prediction.predictor import STORED
from trainable.prediction.winner import Predicted, Winner, load

USAGE = "python -m trainable.prediction.command runs/NAME data.path=FILE [key=value …] [--json]"
SHOWN = 40  # rows of the newest bar: those with the largest positions
SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True)
class NewData:
    """Where the rows to predict on are."""

    path: PathText | None = None  # a CSV or Parquet file; unset: the data of the search
    source: str | None = None  # a named source: us20, sp500, synthetic


@dataclass(frozen=True)
class PredictSettings:
    """What the command line can say."""

    data: NewData = NewData()
    out: PathText | None = None  # a .parquet or .csv file for all rows
    which: str = "best"  # best, or refit: what search.refit has trained
    parts: tuple[PathText, ...] = ()  # files of parts of one's own, or stored: the text of then
    strict: bool = True  # refuse unknown columns, another unit and another calendar


def main(argv: Sequence[str]) -> int:
    """Prints the newest bar's weights, and writes those of all bars; returns the exit status."""
    with answering(argv) as (given, answer):
        words = [
            f"data.source={word.removeprefix('data=')}" if word.startswith("data=") else word
            for word in given
        ]
        asked = parse_after_run(PredictSettings, words, USAGE)
        if asked is not None:
            refuse_two_sources({word.partition("=")[0] for word in words})
            answer.value = _predict(*asked)
    return 0


def _predict(folder: Path, settings: PredictSettings) -> dict[str, Any]:
    out = _checked(settings.out)
    stored = settings.parts == (STORED,)
    winner = load(folder, settings.which, STORED if stored else settings.parts or None)
    with cache_if_usable():
        data = settings.data.path or settings.data.source
        found = winner.predicted(data, strict=settings.strict)
    if out is not None:
        write(found.table, out)
    console = Console(highlight=False, markup=False)
    for note in found.notes:
        console.print(Text(note))
    show(winner, found, console)
    if out is not None:
        console.print(Text(f"{counted(len(found.table), 'row')} in {out}"), soft_wrap=True)
    return described(winner, found, out)


def show(winner: Winner, found: Predicted, console: Console) -> None:
    """Prints the weights of the newest bar, the largest ones where there are many."""
    newest, lag = found.newest, winner.facts.lag
    size = newest["position"].abs().to_numpy()
    if lag:
        size = size + newest["ordered"].abs().to_numpy()
    first = newest.iloc[np.sort(np.argsort(-size, kind="stable")[:SHOWN])]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("symbol")
    for head in ("prediction", "position", *([f"in {counted(lag, 'bar')}"] if lag else [])):
        table.add_column(head, justify="right")
    for row in first.to_dict("records"):
        cells = [row["symbol"], _number(row["prediction"], 4), _number(row["position"], 4)]
        table.add_row(*cells, *([_number(row["ordered"], 4)] if lag else []))
    when = show_time(newest["timestamp"].to_numpy()[0])
    members = counted(len(winner.members), "model")
    console.print(
        Text(f"Positions from the close of {when} on, shares of the capital ({members}):")
    )
    console.print(table)
    if len(newest) > SHOWN:
        console.print(Text(f"… {len(newest) - SHOWN} smaller ones: out=weights.parquet has them"))
    held = newest["position"].to_numpy()
    said = f"In all {np.abs(held).sum():.4f} invested, net {_number(float(held.sum()), 4)}."
    if lag:
        said += (
            f" Decisions wait for {counted(lag, 'bar')}: the last column is what is held then, "
            "and what to order now."
        )
    console.print(Text(said))


def described(winner: Winner, found: Predicted, out: Path | None) -> dict[str, Any]:
    """Returns the newest bar's weights as `--json` prints them."""
    newest = found.newest
    return {
        "run": winner.more.get("run"),
        "folder": winner.folder,
        "first": winner.first,
        "members": len(winner.members),
        "newest": show_time(newest["timestamp"].to_numpy()[0]),
        "horizon": winner.facts.horizon,
        "lag": winner.facts.lag,
        "weights": newest.drop(columns="timestamp"),
        "rows": len(found.table),
        "out": out,
        "notes": list(found.notes),
    }


def write(table: pd.DataFrame, out: Path) -> None:
    """Writes all rows to a file, at once."""
    if out.suffix == ".csv":
        _refuse_formulas(table)
        write_out(out, table.to_csv(index=False).encode())
    else:
        write_out(out, parquet_bytes(pa.Table.from_pandas(table, preserve_index=False)))


def _refuse_formulas(table: pd.DataFrame) -> None:
    """Raises `UserError` where a spreadsheet that opens the file would run a symbol's name."""
    for symbol in table["symbol"].unique():
        if str(symbol).startswith(("=", "+", "-", "@", "\t", "\r")):
            raise UserError(
                f"symbol {str(symbol)!r}: a spreadsheet would take its name for a formula; "
                "out=NAME.parquet works"
            )


def _checked(out: str | None) -> Path | None:
    """Returns where the rows are to be written; raises `UserError` before anything is computed."""
    if out is None:
        return None
    path = Path(out)
    if path.suffix not in SUFFIXES:
        raise UserError(f"out={out}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise UserError(f"out={out}: there is no folder {path.parent}")
    return path


def _number(value: float, digits: int) -> str:
    if np.isnan(value):
        return "–"
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")  # no −0


if __name__ == "__main__":
    sys.exit(process_status(lambda: main(sys.argv[1:])))
