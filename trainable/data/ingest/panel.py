"""Long tables (a row per timestamp and symbol) → grids [T, N]."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import squashed
from trainable.data.ingest.columns import (
    Columns,
    choose_columns,
    numbers,
    symbol_codes,
    time_column,
)
from trainable.data.ingest.day_and_time import probable_time, times_of, with_time_of_day
from trainable.data.ingest.footer import without_footer
from trainable.data.ingest.groups import symbol_groups
from trainable.data.ingest.roles.column_values import value_codes
from trainable.data.ingest.roles.contracts import CONTRACTS, roll_note
from trainable.data.ingest.roles.fields import with_fields
from trainable.data.ingest.roles.symbols import with_symbol
from trainable.data.ingest.roles.time_column import with_time
from trainable.data.ingest.selection import choose_symbols, first_bar
from trainable.data.ingest.table import Table
from trainable.data.ingest.timestamps import Times, show_time
from trainable.data.ingest.wide import long_form
from trainable.data.settings import DataSettings
from trainable.data.times.alignment import on_one_grid
from trainable.data.times.clock_change import clock_change
from trainable.data.times.misread.origins import refuse_odd_weeks
from trainable.data.times.misread.swapped_days import refuse_swapped_days
from trainable.data.times.misread.trading_days import refuse_clocks_that_run_back
from trainable.data.times.misread.twelve_hours import refuse_twelve_hours
from trainable.data.times.years import Where

MAX_SPARSITY = 50  # grid cells per row of the file, beyond which timestamps plainly do not agree
SMALL_GRID = 10**8  # cells; below it sparsity does not matter


@dataclass(frozen=True)
class Panel:
    """Columns on a grid, as read, before any check of their values.

    Attributes:
        file: what errors call the source.
        sha256: hash of the content.
        timestamps: [T] datetime64[ns], increasing, unique.
        symbols: N names, sorted.
        fields: open, high, low, close, volume, the adjusted ones, split and dividend where the
            source has them: [T, N] float64.
        extra: further number columns by name, [T, N] float32.
        target, returns: [T, N] float64, ready features only.
        beside: [T, N] float64, a close that the file of ready features has, to compare with.
        symbol_group: [N] int32, the group of each symbol; −1: unknown. None: there are none.
        rows: [T, N] bool, the source has a row.
        cell: [R] int64, flat grid cell by kept row of the file; None for sources without rows.
        row: [R] int64, 1-based data row of the file by kept row.
        notes: what was found while reading, for `Market.quality`.
        written: the name of a field's column in the file, by its role.
    """

    file: str
    sha256: str
    timestamps: np.ndarray
    symbols: tuple[str, ...]
    fields: dict[str, np.ndarray]
    rows: np.ndarray
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    target: np.ndarray | None = None
    returns: np.ndarray | None = None
    beside: np.ndarray | None = None
    symbol_group: np.ndarray | None = None
    cell: np.ndarray | None = None
    row: np.ndarray | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)

    def first(self, mask: np.ndarray) -> tuple[str, tuple[int, int]]:
        """The file's first row inside `mask` ([T, N] bool): where it is, and its (bar, symbol)."""
        if self.cell is None or self.row is None:
            flat, where = int(np.argmax(mask)), self.file
        else:
            k = int(np.argmax(mask.ravel()[self.cell]))
            flat, where = int(self.cell[k]), f"{self.file}: data row {self.row[k]}"
        bar, symbol = divmod(flat, len(self.symbols))
        return f"{where} ({show_time(self.timestamps[bar])}, {self.symbols[symbol]})", (bar, symbol)


def read_panel(table: Table, settings: DataSettings) -> Panel:
    """Puts the chosen symbols and dates of a table on a grid.

    Raises:
        UserError: missing columns, unreadable or missing timestamps, duplicates, text cells.
    """
    file_rows = table.rows
    table = timed = with_time_of_day(without_footer(with_time(table)))
    if settings.features is None:
        table = with_fields(long_form(table))
    time_name = time_column(table)
    table, symbol_name = with_symbol(table, time_name)
    nameless = [key for key in timed.unnamed if timed.read(key).null_count < timed.rows]
    if table.file_rows is None:  # else a wide table, whose index is left behind
        nameless = [key for key in nameless if key in table.unnamed]
    kept_columns = choose_columns(table, settings, time_name, symbol_name)
    names, codes = symbol_codes(table, symbol_name)

    def at(row: int) -> str:
        return f"{table.file}: data row {table.data_row(row)} ({names[codes[row]]})"

    times = times_of(table, time_name, at)
    if times.zone is None:
        refuse_twelve_hours(times.values, times.index, codes, at)
    refuse_odd_weeks(times.values.astype(np.int64), table.columns[time_name], at(0), epochs=False)
    refuse_swapped_days(times.values, times.index, codes, at)
    refuse_clocks_that_run_back(times.values, times.index, codes, at, times.zone is not None)
    # Row numbers in errors are those of the whole file.
    notes: dict[str, Any] = {"rows_in_file": file_rows, "unsorted_rows": _unsorted(times, codes)}
    if table.notes:
        notes["read_as"] = list(table.notes)
    if nameless:
        left = [{"column": "(no name)", "why": "a saved index, or row numbers"} for _ in nameless]
        notes["left_out_columns"] = left
    if times.zone is not None:
        notes["time_zone"] = times.zone
    if times.read_as is not None:
        notes.setdefault("read_as", []).append(f"timestamps: {times.read_as}")

    def where(row: int) -> str:
        time = show_time(times.values[times.index[row]])
        return f"{table.file}: data row {table.data_row(row)} ({time}, {names[codes[row]]})"

    kept_names, kept, kept_codes, row = _narrow(table, settings, names, times, codes, notes)
    values, index, aligned = on_one_grid(
        kept.values, kept.index, kept_codes, kept_names, table.file
    )
    kept = replace(kept, values=values, index=index)
    if aligned is not None:
        notes.setdefault("read_as", []).append(aligned)
    T, N = len(kept.values), len(kept_names)
    if T * N > SMALL_GRID and MAX_SPARSITY * len(row) < T * N:
        raise UserError(
            f"{table.file}: {N} symbols share few of the {T} timestamps; bring them to one "
            "grid of bars"
        )
    cell = kept.index * N + kept_codes
    rows = np.zeros((T, N), bool)
    rows.ravel()[cell] = True
    panel = Panel(
        table.file,
        table.sha256,
        kept.values,
        kept_names,
        {},
        rows,
        cell=cell,
        row=(row if table.file_rows is None else table.file_rows[row]) + 1,
        notes=notes,
    )
    _refuse_duplicates(panel, table, symbol_name)
    return _fill(panel, table, kept_columns, where, row)


def narrow(panel: Panel, settings: DataSettings) -> Panel:
    """Applies `symbols`, `holdout_symbols` and `fraction` to a panel that came without rows."""
    if panel.cell is not None:
        raise ValueError("a panel read from rows is narrow already")
    notes = dict(panel.notes)
    kept = np.flatnonzero(choose_symbols(panel.symbols, settings, panel.file, notes))
    start = first_bar(len(panel.timestamps), settings.fraction)

    def cut(grid: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(grid[start:, kept])

    return replace(
        panel,
        timestamps=panel.timestamps[start:],
        symbols=tuple(panel.symbols[i] for i in kept),
        fields={name: cut(grid) for name, grid in panel.fields.items()},
        extra={name: cut(grid) for name, grid in panel.extra.items()},
        rows=cut(panel.rows),
        notes=notes,
    )


def _unsorted(times: Times, codes: np.ndarray) -> int:
    """Rows that are earlier than the row before them of the same symbol."""
    if np.all(times.index[1:] >= times.index[:-1]):
        return 0
    small = codes.astype(np.uint16) if codes.max() < 2**16 else codes  # sorted by radix
    order = np.argsort(small, kind="stable")
    index, symbol = times.index[order], codes[order]
    return int(np.count_nonzero((np.diff(index) < 0) & (symbol[1:] == symbol[:-1])))


def _narrow(
    table: Table,
    settings: DataSettings,
    names: tuple[str, ...],
    times: Times,
    codes: np.ndarray,
    notes: dict[str, Any],
) -> tuple[tuple[str, ...], Times, np.ndarray, np.ndarray]:
    """Keeps the rows of the chosen symbols and dates; (names, times, codes, 0-based rows)."""
    kept = choose_symbols(names, settings, table.file, notes)
    row = np.arange(table.rows)
    if not kept.all():
        row = np.flatnonzero(kept[codes])
        codes = (np.cumsum(kept) - 1)[codes[row]]
        names = tuple(n for n, k in zip(names, kept, strict=True) if k)
        bars, index = np.unique(times.index[row], return_inverse=True)
        times = Times(times.values[bars], index, times.zone)
    start = first_bar(len(times.values), settings.fraction)
    if start:
        recent = times.index >= start
        row, codes = row[recent], codes[recent]
        times = Times(times.values[start:], times.index[recent] - start, times.zone)
    return names, times, codes, row


def _refuse_duplicates(panel: Panel, table: Table, symbol_name: str | None) -> None:
    cell, row = panel.cell, panel.row
    assert cell is not None
    assert row is not None
    if np.count_nonzero(panel.rows) == len(cell):
        return
    order = np.argsort(cell, kind="stable")
    again = np.zeros(len(cell), bool)
    again[order[1:]] = cell[order[1:]] == cell[order[:-1]]
    second = int(np.argmax(again))
    first = int(np.argmax(cell == cell[second]))
    bar, symbol = divmod(int(cell[second]), len(panel.symbols))
    twice = panel.timestamps[cell[again] // len(panel.symbols)]
    if hint := clock_change(twice):
        raise UserError(
            f"{panel.file}: data row {row[second]} has the timestamp of data row {row[first]}, "
            f"{show_time(panel.timestamps[bar])}: {hint}"
        )
    advice = probable_time(table, int(row[second]) - 1, symbol_name)
    if not advice and symbol_name is None:
        advice = "; keep one, or call the column of symbols 'symbol' if there is one"
    elif not advice:
        rows = int(row[first]) - 1, int(row[second]) - 1
        advice = _blanks(table, symbol_name, *rows) or "; keep one" + _difference(table, *rows)
    raise UserError(
        f"{panel.file}: data row {row[second]} repeats data row {row[first]}: timestamp "
        f"{show_time(panel.timestamps[bar])}, symbol {panel.symbols[symbol]} "
        f"({np.count_nonzero(again)} such rows){advice}"
    )


def _blanks(table: Table, symbol: str | None, first: int, second: int) -> str:
    """Advice where the symbols of two rows differ in blanks only; empty: they do not."""
    if symbol is None:
        return ""
    column = table.read(symbol)
    written = [column[row].as_py() for row in (first, second)]
    if not all(isinstance(text, str) for text in written) or written[0] == written[1]:
        return ""
    name = table.columns[symbol]
    return (
        f"; their {name!r} cells are {written[0]!r} and {written[1]!r}, which differ in blanks at "
        "the ends: keep the rows of one, or give the other its own name"
    )


def _difference(table: Table, first: int, second: int) -> str:
    """Advice where two rows of one timestamp and symbol differ in a column of text."""
    for key, name in table.columns.items():
        column = table.read(key)
        if str(column.type) in ("string", "large_string") and column[first] != column[second]:
            return f", or make {name!r}, in which they differ, a part of the symbol"
    return ""


def _fill(panel: Panel, table: Table, columns: Columns, at: Where, kept: np.ndarray) -> Panel:
    cell = panel.cell
    assert cell is not None
    ignored: list[str] = []
    counters: list[str] = []  # a saved row number tells the date, and nothing else

    def grid(name: str, required: bool, dtype: type) -> np.ndarray | None:
        values, note = numbers(table, name, required, at)
        if note is not None:
            panel.notes.setdefault("read_as", []).append(note)
        if values is None:
            ignored.append(table.columns[name])
            return None
        if len(kept) < table.rows:
            values = values[kept]
        extra = name in columns.extra and columns.target is None
        if extra and _counts(values, cell % len(panel.symbols)):
            counters.append(table.columns[name])
            return None
        filled = np.full(panel.rows.shape, np.nan, dtype)
        with np.errstate(over="ignore"):  # beyond float32: infinite, and refused as such
            filled.ravel()[cell] = values
        return filled

    def needed(name: str) -> np.ndarray:
        filled = grid(name, True, np.float64)
        assert filled is not None
        return filled

    ready = columns.target is not None
    extra = {table.columns[name]: grid(name, ready, np.float32) for name in columns.extra}
    if counters:
        left = panel.notes.setdefault("left_out_columns", [])
        left += [{"column": name, "why": "counts the rows"} for name in counters]
    filled = replace(
        panel,
        fields={name: needed(name) for name in columns.fields},
        written={name: table.columns[name] for name in columns.fields}
        | ({"close": table.columns[columns.close]} if columns.close else {}),
        extra={name: values for name, values in extra.items() if values is not None},
        target=needed(columns.target) if columns.target else None,
        returns=needed(columns.returns) if columns.returns else None,
        beside=grid(columns.close, False, np.float64) if columns.close else None,
    )
    if ignored:
        filled.notes["ignored_columns"] = ignored
    if columns.groups is not None:
        codes = cell % len(panel.symbols)
        group, note = symbol_groups(table, columns.groups, panel.symbols, codes, kept)
        filled = replace(filled, symbol_group=group)
        filled.notes.setdefault("read_as", []).append(note)
    _note_rolls(filled, table, cell, kept)
    return filled


def _note_rolls(panel: Panel, table: Table, cell: np.ndarray, kept: np.ndarray) -> None:
    """Says at which rows the prices go over to another futures contract, or refuses the gaps."""
    close = panel.fields.get("adj_close", panel.fields.get("close"))
    for key, name in table.columns.items():
        if close is None or squashed(name) not in CONTRACTS or key in ("symbol", "ticker"):
            continue
        codes = np.full(panel.rows.shape, -1)
        codes.ravel()[cell] = value_codes(table.read(key))[kept]
        if note := roll_note(name, codes, close, panel.file):
            panel.notes.setdefault("read_as", []).append(note)
            return  # a second such column changes with the first


def _counts(values: np.ndarray, codes: np.ndarray) -> bool:
    """Whether a column counts the rows [R] of the file, or those of each symbol, to the end.

    A counter that begins anew within a symbol, each day or month, tells the time and is a feature.
    """
    if len(values) < 10 or not np.isfinite(values).all():
        return False
    if _goes_by_one(np.diff(values)):
        return True
    order = np.argsort(codes, kind="stable")
    same = codes[order][1:] == codes[order][:-1]
    return bool(same.any()) and _goes_by_one(np.diff(values[order])[same])


def _goes_by_one(steps: np.ndarray) -> bool:
    return bool(np.all(steps == 1) or np.all(steps == -1))
