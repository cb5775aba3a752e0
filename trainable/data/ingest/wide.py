"""Wide tables, a column a symbol or a field and symbol, → long ones, a row a bar and symbol."""

import ast
import re
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from trainable.cli.errors import UserError
from trainable.data.ingest.cells import to_numbers
from trainable.data.ingest.column_names import (
    FIELD_NAMES,
    TIME_NAMES,
    canonical,
    listed,
    role_of,
)
from trainable.data.ingest.table import Table
from trainable.data.ingest.wide_headers import refuse_times_as_names

TICKER = re.compile(r"[\^$]?[A-Z0-9][A-Z0-9.\-/=_:& ]*$")
NO_TICKERS = (  # before or after `close` they tell which close it is
    *("bid", "ask", "mid", "adj", "raw", "prev", "previous", "next", "day", "daily", "week"),
    *("weekly", "month", "monthly", "last", "first", "avg", "mean", "max", "min", "log", "lag"),
    *("spot", "future", "usd", "eur", "price"),
)
SEPARATORS = "_. /|:-"
WANDERS_BELOW = 0.35  # a price's change a bar, in deviations of its level; that of noise is 1.41
ORDERED_BARS = 20  # so many by which one column is never above another are no chance
ONE_PRICE_WITHIN = 1.2  # high ÷ low of a bar, by the median
CHANGES_BELOW = 0.1  # median relative change of a price a bar
NO_SYMBOLS = re.compile(
    r"(?i)(rsi|macd|sma|ema|ma|atr|adx|cci|obv|vwap|bb|signal|target|label|y|ret|return|returns|"
    r"feat|feature|volatility|vol|momentum|index|id)[_ .-]?\d*([_ .-].*)?$"
)


@dataclass(frozen=True)
class _Column:
    """A column of a wide table: what it holds of which symbol."""

    key: str
    field: str
    symbol: str


def long_form(table: Table) -> Table:
    """Returns the table with a row per timestamp and symbol; a long table as it is.

    Raises:
        UserError: columns that look like those of a wide table, but not surely.
    """
    times = [name for name in TIME_NAMES if name in table.columns]
    keys = [key for key in table.columns if key not in times]
    columns = _two_levels(table, keys)
    if columns is not None:
        symbols = list(dict.fromkeys(column.symbol for column in columns))
        refuse_times_as_names(symbols, None, table.file)
        fields = list(dict.fromkeys(column.field for column in columns))
        note = f"a wide table of columns by symbol: {listed(fields)}"
    elif (columns := _closes(table, keys)) is not None:
        symbols = [column.symbol for column in columns]
        note = f"a wide table, a column a symbol, read as closes of {listed(symbols)}"
    else:
        return table
    return _melted(table, times, columns, note)


def _two_levels(table: Table, keys: list[str]) -> list[_Column] | None:
    """Fields and symbols from names such as `('close', 'AAA')`, `AAPL.Close` or `Close_AAPL`."""
    names = [table.columns[key] for key in keys]
    if names and all(name.startswith("('") and name.endswith("')") for name in names):
        try:
            pairs = [tuple(str(part) for part in ast.literal_eval(name)) for name in names]
        except (ValueError, SyntaxError):
            return None
        if any(len(pair) != 2 for pair in pairs):
            return None
        levels = [[pair[level] for pair in pairs] for level in (0, 1)]
        known = [sum(_field(name) is not None for name in set(level)) for level in levels]
        closes = [any(_field(n) in ("close", "adj_close") for n in level) for level in levels]
        if not any(closes):
            return None
        first = 0 if closes[0] and (not closes[1] or known[0] >= known[1]) else 1
        return [
            _Column(key, _field(pair[first]) or pair[first], pair[1 - first])
            for key, pair in zip(keys, pairs, strict=True)
        ]
    if any(_field(name) for name in names):
        return None
    for split in (_field_first, _field_last):
        found = [split(name) for name in names]
        if any(pair is None or pair[1].lower() in NO_TICKERS for pair in found):
            continue
        if {"close", "adj_close"} & {pair[0] for pair in found if pair}:
            return [_Column(key, *pair) for key, pair in zip(keys, found, strict=True) if pair]
    return None


def _field(name: str) -> str | None:
    """The role of a price or volume; in a table of two levels an alias is as sure as a spelling."""
    if len(name.strip()) < 2:
        return None  # a class of shares
    role = canonical(name) if canonical(name) in FIELD_NAMES else role_of(name)
    return role if role in FIELD_NAMES else None


def _field_first(name: str) -> tuple[str, str] | None:
    for i in range(len(name) - 1, 0, -1):
        if name[i] in SEPARATORS and (field := _field(name[:i])) and name[i + 1 :].strip():
            return field, name[i + 1 :].strip()
    return None


def _field_last(name: str) -> tuple[str, str] | None:
    for i in range(1, len(name) - 1):
        if name[i] in SEPARATORS and (field := _field(name[i + 1 :])) and name[:i].strip():
            return field, name[:i].strip()
    return None


def _closes(table: Table, keys: list[str]) -> list[_Column] | None:
    """The columns of a table of closes: all are called like tickers and move like prices."""
    names = [table.columns[key] for key in keys]
    sure = {"close", "adj_close"} & set(keys) or any(_field(n) == "close" for n in names)
    parts = any(_field_first(name) or _field_last(name) for name in names)  # `bid_close`
    fields = [key for key in keys if key in FIELD_NAMES]
    if (
        sure
        or parts
        or len(keys) < 2
        or 2 * len(fields) >= len(keys)
        or {"symbol", "ticker"} & set(keys)
    ):
        return None
    columns = [_price(table, key) for key in keys]
    odd = [name for name in names if NO_SYMBOLS.match(name)]
    if odd and not fields and not _may_be_tickers(table, names, columns):
        return None
    good = [_is_close(name, values) for name, values in zip(names, columns, strict=True)]
    tickers = all(TICKER.match(name) for name in names)
    prices = [values is not None and _moves_like_a_price(values) for values in columns]
    if not all(prices) or (fields and not tickers):
        if sum(good) >= 2 and 2 * sum(good) >= len(good):
            odd = next(name for name, price in zip(names, good, strict=True) if not price)
            raise UserError(
                f"{table.file}: no 'close' column; it looks like a wide table, a column of closes "
                f"a symbol, but {odd!r} is no such column; remove it, or give "
                "one row per timestamp and symbol"
            )
        return None
    if not tickers:
        steps = [_step(values) for values in columns if values is not None]
        if float(np.median(steps)) > WANDERS_BELOW or max(steps) > 2 * WANDERS_BELOW:
            return None
    refuse_times_as_names(names, [c for c in columns if c is not None], table.file)
    _refuse_parts_of_one_price(table, names, columns)
    return [_Column(key, "close", name) for key, name in zip(keys, names, strict=True)]


def _may_be_tickers(table: Table, names: list[str], columns: list[np.ndarray | None]) -> bool:
    """Says whether names such as `MA` and `Y`, also those of an average and a label, are tickers.

    So they are where three times as many other columns are closes of tickers, if they are in
    capitals alone and wander as prices do.

    Raises:
        UserError: so many others are, and one of them is not.
    """
    of = dict(zip(names, columns, strict=True))
    odd = [name for name in names if NO_SYMBOLS.match(name)]
    others = [name for name in names if name not in odd]
    if len(others) < 3 * len(odd) or not all(_is_close(name, of[name]) for name in others):
        return False
    for name in odd:
        values = of[name]
        wanders = values is not None and _step(values[np.isfinite(values)]) < WANDERS_BELOW
        if not (name.isupper() and name.isalpha() and _is_close(name, values) and wanders):
            raise UserError(
                f"{table.file}: no 'close' column; it looks like a wide table, a column of closes "
                f"a symbol, but {name!r} may be a label or an indicator; remove it, rename it "
                "if it is a symbol, or give one row per timestamp and symbol"
            )
    return True


def _is_close(name: str, values: np.ndarray | None) -> bool:
    return bool(TICKER.match(name)) and values is not None and _moves_like_a_price(values)


def _refuse_parts_of_one_price(
    table: Table, names: list[str], columns: list[np.ndarray | None]
) -> None:
    """Refuses columns that lie close together, one never above and one never below the others."""
    values = np.stack([column for column in columns if column is not None])
    values = values[:, np.isfinite(values).all(axis=0)]
    if values.shape[1] < ORDERED_BARS:
        return
    low, high = values.min(axis=0), values.max(axis=0)
    lowest, highest = (values == low).all(axis=1), (values == high).all(axis=1)
    if lowest.any() and highest.any() and float(np.median(high / low)) < ONE_PRICE_WITHIN:
        raise UserError(
            f"{table.file}: {names[int(highest.argmax())]!r} is never below and "
            f"{names[int(lowest.argmax())]!r} never above the other columns, as high and low (or "
            "ask and bid) of one symbol are; call the columns open, high, low and close"
        )


def _price(table: Table, key: str) -> np.ndarray | None:
    """[R] float64, or None for a column that is no number."""
    column = _numbers(table, key, required=False)
    return None if column is None else column.to_numpy(zero_copy_only=False).astype(np.float64)


def _moves_like_a_price(values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    if not len(known):
        return True  # a symbol without a bar
    if known.min() <= 0:
        return False
    return len(known) < 3 or float(np.median(np.abs(np.diff(np.log(known))))) < CHANGES_BELOW


def _step(values: np.ndarray) -> float:
    """A change a bar in deviations of the level: small for a walk, as prices are."""
    known = np.log(values[np.isfinite(values)])
    level = float(np.std(known)) if len(known) > 2 else 0.0
    return float(np.std(np.diff(known))) / level if level else np.inf


def _numbers(table: Table, key: str, required: bool) -> pa.ChunkedArray | None:
    column = table.read(key)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):

        def where(row: int) -> str:
            return f"{table.file}: data row {row + 1}"

        column = to_numbers(
            column.cast(pa.string()), required, table.columns[key], where, table.marks
        )
        if column is None:
            return None
    elif not (
        pa.types.is_integer(column.type)
        or pa.types.is_floating(column.type)
        or pa.types.is_decimal(column.type)
        or pa.types.is_null(column.type)
    ):
        return None
    if isinstance(column, pa.Array):
        column = pa.chunked_array([column])
    return column if pa.types.is_float32(column.type) else column.cast(pa.float64())


def _melted(table: Table, times: list[str], columns: list[_Column], note: str) -> Table:
    symbols = list(dict.fromkeys(column.symbol for column in columns))
    fields = list(dict.fromkeys(column.field for column in columns))
    source = {(column.field, column.symbol): column.key for column in columns}
    if len(source) < len(columns):
        raise UserError(f"{table.file}: two columns hold the same field of the same symbol")
    rows = table.rows

    def read(name: str) -> pa.ChunkedArray:
        if name in times:
            chunks = [chunk for _ in symbols for chunk in table.read(name).chunks]
            return pa.chunked_array(chunks)
        if name == "symbol":
            codes = np.repeat(np.arange(len(symbols), dtype=np.int32), rows)
            return pa.chunked_array([pa.DictionaryArray.from_arrays(codes, pa.array(symbols))])
        parts: list[pa.Array] = []
        for symbol in symbols:
            key = source.get((name, symbol))
            column = None if key is None else _numbers(table, key, required=True)
            if column is None:
                parts.append(pa.nulls(rows, pa.float64()))
            else:
                parts.extend(column.cast(pa.float64()).chunks)
        return pa.chunked_array(parts, pa.float64())

    return replace(
        table,
        rows=rows * len(symbols),
        columns={
            **{name: table.columns[name] for name in times},
            "symbol": "symbol",
            **{field: field for field in fields},
        },
        read=read,
        unnamed=(),
        notes=(*table.notes, note),
        file_rows=np.tile(np.arange(rows), len(symbols)),
    )
