"""The column of symbols, also under another name; columns that only look like one."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import (
    ALIASES,
    FIELD_NAMES,
    IDENTITIES,
    SYMBOL_NAMES,
    TIME_NAMES,
    is_clock_name,
    squashed,
)
from trainable.data.ingest.roles.column_values import is_digits, is_text, value_codes
from trainable.data.ingest.roles.time_column import ONE_TIME
from trainable.data.ingest.table import Table
from trainable.data.times.time_of_day import time_of_day

CLOCK = re.compile(r"h?\d{1,2}([:.h]\d\d){0,2}([:.]\d+)? ?([ap]\.?m\.?)?")
QUARTER_HOUR = 900 * 10**9  # nanoseconds
BAR_LENGTH = re.compile(r"\d{1,3} ?(m|min|h|hour|hours|d|day|days|w|week|weeks)")
NO_SYMBOLS = {
    "sides of a quote": {"bid", "ask", "mid", "offer", "buy", "sell", "b", "a", "s"},
    "parts of a day": {"morning", "afternoon", "evening", "night", "day", "am", "pm", "pre", "post",
                       "regular", "rth", "eth", "open", "close"},
    "fields of a bar": {"open", "high", "low", "close", "volume", "adj close", "adj_close", "price",
                        "last", "vwap"},
    "kinds of adjustment": {"none", "raw", "split", "splits", "dividend", "dividends", "all", "adj",
                            "adjusted", "unadjusted"},
    "days of the week": {"mon", "tue", "wed", "thu", "fri", "sat", "sun", "monday", "tuesday",
                         "wednesday", "thursday", "friday", "saturday", "sunday"},
}  # fmt: skip


def with_symbol(table: Table, time: str) -> tuple[Table, str | None]:
    """Finds the column of symbols; None: the file is one symbol.

    Args:
        table: with its column of timestamps.
        time: the column of timestamps.

    Raises:
        UserError: timestamps repeat and several columns could tell the rows apart.
    """
    for name in SYMBOL_NAMES:
        if name in table.columns:
            return _with_identity(table, name)
    if pa.types.is_nested(table.read(time).type):
        return table, None  # no time at all: it is refused as such
    times = value_codes(table.read(time))
    if time == "date" and "time" in table.columns:
        of_day = value_codes(table.read("time"))
        times = times * (int(of_day.max()) + 2) + of_day + 1
    repeated = len(np.unique(times)) < len(times)
    short = {squashed(name): key for key, name in reversed(table.columns.items())}
    for alias in ALIASES["symbol"]:
        key = short.get(alias)
        if key is None or key == time or not _may_name(table, key):
            continue
        codes = value_codes(table.read(key))
        if tells_apart(times, codes) if repeated else codes.max() == 0:
            note = f"{table.columns[key]!r} read as symbols"
            return _with_identity(table.renamed(key, "symbol", note), "symbol")
    if not repeated:
        return table, None
    found = [
        key
        for key in (*table.columns, *table.unnamed)
        if key not in (*TIME_NAMES, *FIELD_NAMES)
        and is_text(_value_type(table, key))
        and not (is_digits(table.read(key)) and is_clock_name(table.columns.get(key, "")))
        and tells_apart(times, value_codes(table.read(key)))
    ]
    for key in found:
        _refuse_no_symbols(table, key)
    if len(found) == 1:
        name = repr(table.columns[found[0]]) if found[0] in table.columns else "a nameless column"
        note = f"{name}, text that repeats from date to date, read as symbols"
        return table.renamed(found[0], "symbol", note), "symbol"
    if found:
        several = ", ".join(table.columns.get(key, "(unnamed)") for key in found)
        raise UserError(
            f"{table.file}: no symbol column, timestamps repeat, and {several} could name the "
            "symbols; rename the one that does to 'symbol'"
        )
    return table, None


def _with_identity(table: Table, name: str) -> tuple[Table, str]:
    """Takes CRSP's PERMNO for the symbol where tickers change hands; leaves other numbers out."""
    ids = [k for k, n in table.columns.items() if k != name and squashed(n) in IDENTITIES]
    if not ids:
        return table, name
    written = table.columns[name]
    permanent = next((key for key in ids if squashed(table.columns[key]) == "permno"), None)
    if permanent is not None and _may_name(table, permanent):
        codes, tickers = value_codes(table.read(permanent)), value_codes(table.read(name))
        pairs = len(np.unique(codes * (int(tickers.max()) + 2) + tickers + 1))
        one_to_one = pairs == int(codes.max()) + 1 == int(tickers.max()) + 1
        if codes.min() >= 0 and (tickers.min() < 0 or not one_to_one):
            others = [key for key in ids if key != permanent]
            number = table.columns[permanent]
            note = f"{number!r} read as symbols: {written!r} is not the same company throughout"
            return table.without([*others, name]).renamed(permanent, "symbol", note), "symbol"
    names = ", ".join(repr(table.columns[key]) for key in ids)
    return table.without(ids, f"symbols stand in {written!r}; {names} not used beside it"), name


def _refuse_no_symbols(table: Table, key: str) -> None:
    """Refuses a text that tells rows of one date apart, but plainly names no symbols."""
    texts = {str(text).strip().casefold() for text in pc.unique(table.read(key)).to_pylist()}
    name = table.columns.get(key, "(unnamed)")
    if all(CLOCK.fullmatch(text) for text in texts):
        raise UserError(
            f"{table.file}: timestamps repeat, and {name!r} holds times of the day; {ONE_TIME}"
        )
    if _may_be_times(table, key):
        raise UserError(
            f"{table.file}: timestamps repeat, and {name!r} holds evenly spaced numbers "
            f"({', '.join(sorted(texts)[:3])}): call it 'time' if they are times of the day, "
            "'symbol' if they name symbols"
        )
    lengths = all(BAR_LENGTH.fullmatch(text) for text in texts)
    if lengths and any("h" in text or "min" in text for text in texts):
        raise UserError(
            f"{table.file}: timestamps repeat, and {name!r} holds how long bars last "
            f"({', '.join(sorted(texts)[:3])}); keep the bars of one length"
        )
    for what, words in NO_SYMBOLS.items():
        if texts <= words:
            raise UserError(
                f"{table.file}: timestamps repeat, and {name!r} holds {what} "
                f"({', '.join(sorted(texts)[:3])}), no symbols; give one row per timestamp and "
                "symbol, with a column 'symbol'"
            )


def _may_be_times(table: Table, key: str) -> bool:
    """Whether a text holds numbers that are times of the day, at one or two even steps."""
    column = table.read(key)
    if not is_digits(column):
        return False
    try:
        found = time_of_day(column, "", str)
    except UserError:
        return False
    if found is None:
        return False
    steps = np.diff(np.unique(found[0]))
    return len(np.unique(steps)) in (1, 2) and (len(steps) > 2 or not np.any(steps % QUARTER_HOUR))


def _may_name(table: Table, key: str) -> bool:
    kind = _value_type(table, key)
    return is_text(kind) or pa.types.is_integer(kind)


def _value_type(table: Table, key: str) -> pa.DataType:
    kind = table.read(key).type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def tells_apart(times: np.ndarray, codes: np.ndarray) -> bool:
    """Whether a column divides the rows into symbols of unlike timestamps, of several bars each."""
    symbols = int(codes.max()) + 1
    if codes.min() < 0 or symbols < 2 or 2 * symbols > len(codes):
        return False
    pairs = times.astype(np.int64) * symbols + codes
    return len(np.unique(pairs)) == len(pairs)
