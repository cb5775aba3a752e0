"""Shows what a search would make of a file or source: `python -m trainable.data.check FILE`."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainable.cli.answers import answering
from trainable.cli.commands import process_status, status_of
from trainable.cli.errors import UserError
from trainable.cli.options import parse, print_usage
from trainable.cli.paths import expand_home
from trainable.cli.text import counted
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.splits import PARTS
from trainable.data.ingest.table import cache_if_usable
from trainable.data.ingest.timestamps import show_time
from trainable.data.market import Market
from trainable.data.reading_notes import extreme_line
from trainable.data.settings import DataSettings
from trainable.data.sources import SOURCES, load_market
from trainable.data.times.bar_calendar import calendar_words
from trainable.metrics.suspicious_features import suspicion_lines, with_suspicious_features
from trainable.metrics.traded import ended_line, traded_line

USAGE = """usage: python -m trainable.data.check FILE|SOURCE [data.KEY=VALUE …] [--json]

Reads and checks market data as a search would, and prints what it found:
repairs, extreme moves, features, possible leaks and the split. FILE is CSV or
Parquet; SOURCE is one of {sources}. Keys are those
of `python -m search.run --help data`: data.horizon=5 data.valid_from=2015-01-01 …"""

PLAIN_WIDTH = 110  # columns where there is no terminal

REPAIRS = {
    "unsorted_rows": "rows out of order: sorted",
    "rows_without_close": "rows without a close: missing bars",
    "bar_out_of_range": "bars with open or close outside high and low: widened",
    "bars_dropped": "bars without any symbol: dropped",
}


def main(argv: Sequence[str] | None = None, console: Console | None = None) -> int:
    """Prints the check; returns the exit status: 0, or 2 where the data cannot be used."""
    given = sys.argv[1:] if argv is None else argv
    return status_of(lambda: _answer(given, console))


def show_market(market: Market, console: Console) -> None:
    """Prints what the source holds, what was repaired and which moves are extreme."""
    quality = market.quality
    columns = [*market.fields, *market.extra]
    facts = [
        ("data", market.name),
        ("sha256", market.sha256[:16]),
        ("rows in the file", quality.get("rows_in_file")),
        ("bars with a close" if market.target is None else "rows used", quality["rows"]),
        ("symbols", f"{len(market.symbols)}: {_few(market.symbols, 8)}"),
        ("dates", f"{quality['first']} to {quality['last']} ({counted(quality['bars'], 'bar')})"),
        ("bars a year", calendar_words(market.periods_per_year, quality)),
        ("columns", f"{len(columns)}: {_few(columns, 12)}"),
        ("time zone", quality.get("time_zone")),
        *[("read as", note) for note in quality.get("read_as", [])],
        ("held out", quality.get("held_out_symbols")),
        ("missing bars", quality["missing_bars"]),
        ("zero-volume bars", quality.get("zero_volume_bars")),
    ]
    if "zero_returns" in quality:
        share = quality["zero_return_share"]
        facts.append(("zero returns", f"{quality['zero_returns']:,} ({share:.1%})"))
    facts += [(f"empty cells in {n}", c) for n, c in quality["empty_cells"].items() if c]
    _print_table(console, "Data", ["", ""], facts)
    _print_table(console, "Repaired", ["what", "count"], _repairs(quality))
    if "extreme_moves" in quality:
        _show_moves(quality, console)
    if moves := extreme_line(quality):
        console.print(Text(f"warning: {moves}", style="yellow"))
        console.print()


def show_traded(dataset: Dataset, generated: bool, console: Console) -> None:
    """Prints what a search would trade, in the words of its plan."""
    facts: list[tuple[Any, ...]] = [("traded", traded_line(dataset))]
    if dataset.overnight is not None:
        sessions = int(dataset.session_ends[:-1].sum()) + 1
        facts.append(("sessions", f"{sessions:,}"))
    facts.append(("symbols that end", ended_line(dataset, generated)))
    facts.append(("which", _few(dataset.ended, 8) or None))
    _print_table(console, "Traded", ["", ""], facts)


def show_dataset(dataset: Dataset, console: Console) -> None:
    """Prints features, possible leaks and the split."""
    quality = dataset.quality
    rows = [
        (
            figures["group"],
            name,
            f"{figures['mean']:.4g}",
            f"{figures['std']:.4g}",
            f"{figures['max_abs_z']:.1f}",
            f"{figures['winsorised_share']:.1%}",
        )
        for name, figures in sorted(quality["features"].items(), key=lambda i: i[1]["group"])
    ]
    heads = ["group", "feature", "mean", "std", "largest |z|", "winsorised"]
    _print_table(console, "Features on the training rows", heads, rows, numbers_from=2)
    left_out = [(entry["feature"], entry["why"]) for entry in quality["left_out"]]
    _print_table(console, "Features left out", ["feature", "why"], left_out)
    warnings = [(text,) for text in _warnings(quality)]
    _print_table(console, "Leak?", ["warning"], warnings, empty="no feature resembles the target")
    parts = [(*dates, f"{rows_in_part:,}") for *dates, rows_in_part in _split(dataset)]
    title = f"Split (label: return from t+{dataset.lag} to t+{dataset.lag + dataset.horizon})"
    _print_table(console, title, ["part", "first", "last", "rows"], parts, numbers_from=3)


def as_record(market: Market, dataset: Dataset, generated: bool) -> dict[str, Any]:
    """Returns what is printed of a market and its dataset, by name, for JSON."""
    names = ("part", "first", "last", "rows")
    return {
        "data": market.name,
        "sha256": market.sha256,
        "symbols": market.symbols,
        "columns": [*market.fields, *market.extra],
        "periods_per_year": market.periods_per_year,
        "horizon": dataset.horizon,
        "lag": dataset.lag,
        "split": [dict(zip(names, row, strict=True)) for row in _split(dataset)],
        "traded": traded_line(dataset),
        "symbols_that_end": dataset.ended,
        "said_of_them": ended_line(dataset, generated),
        "warnings": [*([extreme_line(market.quality)] if extreme_line(market.quality) else [])],
        "leaks": _warnings(dataset.quality),
        "quality": {**market.quality, **dataset.quality},
    }


def _split(dataset: Dataset) -> list[tuple[str, str, str, int]]:
    """Returns name, first and last date, and rows of each part."""
    found: list[tuple[str, str, str, int]] = []
    for part in PARTS:
        first, last = dataset.dates(part)
        found.append((part, show_time(first), show_time(last), len(dataset.rows_of(part))))
    return found


def _warnings(quality: Mapping[str, Any]) -> list[str]:
    """Returns what looks as if it knew the target."""
    return [*quality["leak_warnings"], *suspicion_lines(quality)]


def _answer(argv: Sequence[str], console: Console | None) -> int:
    with answering(argv) as (words, answer):
        if words and words[0] in ("-h", "--help", "help"):
            print_usage(USAGE.format(sources=", ".join(SOURCES)))
            return 0
        shown = Console(quiet=True) if answer.json else console or _console()
        answer.value = _check(words, shown)
    return 0


def _check(words: list[str], console: Console) -> dict[str, Any]:
    """Prints what was found; returns it by name, for JSON."""
    words = [words[0].removeprefix("data.path="), *words[1:]] if words else words
    if not words or not words[0]:
        raise UserError("no file or source named; usage: python -m trainable.data.check FILE")
    settings = _settings(words[0], words[1:])
    with cache_if_usable():
        market = load_market(settings)
        show_market(market, console)
        dataset, generated = build_dataset(market, settings), market.expected is not None
        dataset = replace(dataset, quality=with_suspicious_features(dataset, generated))
        show_traded(dataset, generated, console)
        show_dataset(dataset, console)
        return as_record(market, dataset, generated)


def _settings(what: str, rest: list[str]) -> DataSettings:
    settings, what = parse(DataSettings, rest, prefix="data."), expand_home(what)
    if any(word.startswith(("data.path=", "data.source=")) for word in rest):
        raise UserError(f"the data is {what!r} already; leave out data.path and data.source")
    if what in SOURCES:
        return replace(settings, source=what)
    if Path(what).suffix or "/" in what or Path(what).exists():
        return replace(settings, path=what)
    return replace(settings, source=what)  # a misspelt source: load_market says so


def _repairs(quality: dict[str, Any]) -> list[tuple[str, str]]:
    found = [(text, f"{quality[key]:,}") for key, text in REPAIRS.items() if quality.get(key)]
    for entry in quality.get("left_out_columns", []):
        found.append((f"column {entry['column']!r} left out: {entry['why']}", "1"))
    if names := quality.get("ignored_columns"):
        found.append((f"columns without numbers ignored: {_few(names, 8)}", str(len(names))))
    if names := quality.get("symbols_without_bars"):
        found.append((f"symbols without any bar: {_few(names, 8)}", str(len(names))))
    return found


def _show_moves(quality: dict[str, Any], console: Console) -> None:
    moves, ticks = quality["extreme_moves"], quality["bad_ticks"]
    rows = [
        (
            move["timestamp"],
            move["symbol"],
            f"{move['return']:+.1%}",
            f"{move['robust_z']:+.1f}",
            {None: "", "reverted": "bad tick: reverts", "stale": "bad tick: stale price before"}[
                move["bad_tick"]
            ],
        )
        for move in moves["largest"]
    ]
    title = (
        f"Extreme moves: {moves['count']:,} beyond 15 robust deviations, of these "
        f"{counted(ticks['reverted'] + ticks['stale'], 'bad tick')} (prices are not altered)"
    )
    _print_table(console, title, ["date", "symbol", "return", "robust z", ""], rows)


def _print_table(
    console: Console,
    title: str,
    heads: list[str],
    rows: Iterable[tuple[Any, ...]],
    numbers_from: int = 99,
    empty: str = "none",
) -> None:
    table = Table(box=None, pad_edge=False, show_header=any(heads), header_style="dim")
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i >= numbers_from else "left", overflow="fold")
    for row in rows:
        if row[-1] is not None:
            table.add_row(*[Text(f"{c:,}" if isinstance(c, int) else _text(c)) for c in row])
    console.print(Text(title, style="bold"))
    console.print(table if table.row_count else Text(empty, style="dim"))
    console.print()


def _text(cell: Any) -> str:
    return _few(cell, 12) if isinstance(cell, list) else str(cell)


def _few(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _console() -> Console:
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(process_status(main))
