"""The column of timestamps, also under another name or none."""

import re

import pyarrow as pa

from trainable.cli.errors import UserError
from trainable.data.ingest.cells import is_date
from trainable.data.ingest.column_names import (
    ALIASES,
    FIELD_NAMES,
    LETTERS,
    TIME_NAMES,
    TIMES,
    listed,
    squashed,
)
from trainable.data.ingest.csv_layout import dates_across, pairs_of_columns
from trainable.data.ingest.roles.column_values import is_clock, is_text, sample
from trainable.data.ingest.table import Table

ONE_TIME = "write one column 'timestamp' such as 2024-01-31 09:30"
CALENDAR_DIGITS = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])?")  # yyyymm(dd)
WEEKDAY = re.compile(r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,? +")
PERIOD = re.compile(r"(19|20)\d\d[-/ ]?([Qq][1-4]|[Mm]\d{1,2})|[A-Z][a-z]{2,8}[- ](19|20)\d\d")
EPOCHS_FROM = 10**8  # a whole number in a column called like a time is one from here: 1973, in s


def with_time(table: Table) -> Table:
    """Finds the column of timestamps and leaves out further columns of times.

    Raises:
        UserError: there is none, or several could be it.
    """
    _refuse_odd_shapes(table)
    table = _time(table)
    chosen = next(name for name in TIME_NAMES if name in table.columns)
    others = [
        key
        for key, name in table.columns.items()
        if key not in TIME_NAMES and squashed(name) in TIMES and _holds_times(table, key)
    ]
    if not others:
        return table
    names = ", ".join(repr(table.columns[key]) for key in others)
    written = table.columns[chosen]
    return table.without(others, f"time stands in {written!r}; {names} not used beside it")


def _refuse_odd_shapes(table: Table) -> None:
    names = list(table.columns.values())
    if len(names) < 4:
        return
    if all(map(is_date, names[1:])):
        raise UserError(f"{table.file}: {dates_across(names)}")
    keys = list(table.columns)
    if len(keys) % 2 or any(key in FIELD_NAMES for key in keys[1::2]):
        return
    alike = {re.sub(r"[\W\d_]+$", "", name) for name in names[::2]}
    in_turns = (_holds_dates(table, key) == (i % 2 == 0) for i, key in enumerate(keys))
    if (len(keys) > 5 or len(alike) == 1) and all(in_turns):
        raise UserError(f"{table.file}: {pairs_of_columns(names)}")


def _time(table: Table) -> Table:
    present = [name for name in TIME_NAMES if name in table.columns]
    if present == ["time"] and is_clock(table.read("time")):
        return _with_date(table)
    if present:
        return table
    short = {squashed(name): key for key, name in reversed(table.columns.items())}
    letters = short.keys() >= set("ohlc")
    for alias in ALIASES["timestamp"]:
        key = short.get(alias)
        if key and (alias not in LETTERS or letters) and _holds_times(table, key):
            return table.renamed(key, "timestamp", f"{table.columns[key]!r} read as timestamps")
    dated = [key for key in table.unnamed if _holds_dates(table, key)]
    if len(dated) == 1:
        return table.renamed(dated[0], "timestamp", "the column without a name read as timestamps")
    dated = [key for key in table.columns if _holds_dates(table, key)]
    if len(dated) == 1:
        name = table.columns[dated[0]]
        return table.renamed(dated[0], "timestamp", f"{name!r} read as timestamps")
    names = listed(table.columns.values())
    if dated:
        several = ", ".join(table.columns[key] for key in dated)
        raise UserError(
            f"{table.file}: no timestamp column, and {several} all hold dates; rename the one "
            "that counts to 'timestamp'"
        )
    if {"year", "month"} <= table.columns.keys():
        raise UserError(
            f"{table.file}: no timestamp column, but parts of dates in several; write one column "
            "'date' such as 2024-01-31"
        )
    raise UserError(
        f"{table.file}: no timestamp column: none is called timestamp, datetime, date or time and "
        f"none holds dates; its columns are {names}; rename the one with the times to 'timestamp'"
    )


def _with_date(table: Table) -> Table:
    """Finds the dates beside a column `time` that holds times of the day alone."""
    dated = [key for key in (*table.columns, *table.unnamed) if _holds_dates(table, key)]
    if len(dated) != 1:
        return table
    name = table.columns.get(dated[0], "a column without a name")
    return table.renamed(dated[0], "date", f"{name!r} read as the dates of 'time'")


def _holds_times(table: Table, key: str) -> bool:
    """Whether a column that is called like a time holds times, not prices of a ticker `T`."""
    kind = table.read(key).type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = sample(table, key)
        return values != [] and all(v == v // 1 for v in values) and _are_times(values)
    if is_text(kind):
        cells = [re.sub(r"\.0*$", "", cell.strip()) for cell in sample(table, key)[:20]]
        if cells and all(re.fullmatch(r"-?\d{1,19}", cell) for cell in cells):
            return _are_times([int(cell) for cell in cells])
        return all(map(_may_be_date, cells))
    return _is_temporal(kind)


def _are_times(values: list) -> bool:
    """Whether whole numbers are epochs, also before or across 1970, or digits of months or days."""
    if min(values) >= EPOCHS_FROM or all(CALENDAR_DIGITS.fullmatch(str(int(v))) for v in values):
        return True
    return max(map(abs, values)) >= EPOCHS_FROM and all(v % 60 == 0 for v in values)


def _holds_dates(table: Table, key: str) -> bool:
    kind = table.read(key).type
    if not is_text(kind):
        return _is_temporal(kind)
    cells = sample(table, key)[:20]
    return bool(cells) and all(map(_may_be_date, cells))


def _may_be_date(cell: str) -> bool:
    cell = WEEKDAY.sub("", cell.strip())
    return is_date(cell) or _is_epoch(cell) or PERIOD.fullmatch(cell) is not None


def _is_temporal(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind) or "period" in str(kind)


def _is_epoch(cell: str) -> bool:
    head = cell.strip().partition(".")[0]
    return head.isdigit() and len(head) in (10, 13, 16, 19)
