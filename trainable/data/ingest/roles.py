"""Which column is the time, the symbol, the close …, where it is not called so.

Each function returns the table with a column under the name of its role and a note for the plan, or
the table as it was.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError
from trainable.data.ingest.cells import SAMPLE, is_date
from trainable.data.ingest.column_names import (
    ALIASES,
    FIELD_NAMES,
    IDENTITIES,
    SYMBOL_NAMES,
    TIME_NAMES,
    TIMES,
    is_clock_name,
    listed,
    near_miss,
    squashed,
)
from trainable.data.ingest.csv_layout import dates_across, pairs_of_columns
from trainable.data.ingest.table import Table
from trainable.data.times.time_of_day import CLOCK as TIME_OF_DAY
from trainable.data.times.time_of_day import time_of_day

CLOCK = re.compile(r"h?\d{1,2}([:.h]\d\d){0,2}([:.]\d+)? ?([ap]\.?m\.?)?")
OFFSET = r" ?([Zz]|UTC|[+-]\d\d(:?\d\d)?)$"  # behind a time of day
ONE_TIME = "write one column 'timestamp' such as 2024-01-31 09:30"
CALENDAR_DIGITS = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])?")  # yyyymm(dd)
QUARTER_HOUR = 900 * 10**9  # nanoseconds
BAR_LENGTH = re.compile(r"\d{1,3} ?(m|min|h|hour|hours|d|day|days|w|week|weeks)")
WEEKDAY = re.compile(r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,? +")
PERIOD = re.compile(r"(19|20)\d\d[-/ ]?([Qq][1-4]|[Mm]\d{1,2})|[A-Z][a-z]{2,8}[- ](19|20)\d\d")
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
EPOCHS_FROM = (
    10**8
)  # an integer in a column called like a time is one from here on: 1973 in seconds
VOLUME_OF = re.compile(r"[Vv]ol(?:ume)?[ _]+[A-Z]{2,6}")  # Volume BTC, Volume USDT
TRADED = re.compile(
    r"(?i)vol|st(ü|ue|u)c?k|qty|quantit|shares|units|size|amount|turnover|base|quote|umsatz|titres"
    r"|coins|contracts|lots|pieces|titel"
)  # in the name of what may count shares or coins
LETTERS = frozenset("ohlcvty")  # one-letter aliases count only beside o, h, l and c


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


def is_clock(column: pa.ChunkedArray) -> bool:
    """Returns whether a column holds times of the day alone, such as 09:30 or 9:30 PM."""
    if pa.types.is_time(column.type):
        return True
    if not is_text(column.type) or not len(column):
        return False
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    texts = pc.replace_substring_regex(texts, OFFSET, "")
    lasts = pc.match_substring_regex(texts, r"^\d[hH]$")  # 1h, 4h: how long a bar lasts
    found = pc.and_not(pc.match_substring_regex(texts, TIME_OF_DAY), lasts)
    return bool(pc.all(pc.fill_null(found, False)).as_py())


def is_digits(column: pa.ChunkedArray) -> bool:
    """Returns whether a column of text holds whole numbers alone."""
    if not is_text(column.type) or not len(column):
        return False
    digits = pc.match_substring_regex(column.cast(pa.string()), r"^\s*\d{1,9}(\.0*)?\s*$")
    return bool(pc.all(pc.fill_null(digits, False)).as_py())


def _holds_times(table: Table, key: str) -> bool:
    """Whether a column that is called like a time holds times, not prices of a ticker `T`."""
    kind = table.read(key).type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = _sample(table, key)
        return values != [] and all(v == v // 1 for v in values) and _are_times(values)
    if is_text(kind):
        cells = [re.sub(r"\.0*$", "", cell.strip()) for cell in _sample(table, key)[:20]]
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
    cells = _sample(table, key)[:20]
    return bool(cells) and all(map(_may_be_date, cells))


def _may_be_date(cell: str) -> bool:
    cell = WEEKDAY.sub("", cell.strip())
    return is_date(cell) or _is_epoch(cell) or PERIOD.fullmatch(cell) is not None


def _is_temporal(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind) or "period" in str(kind)


def _is_epoch(cell: str) -> bool:
    head = cell.strip().partition(".")[0]
    return head.isdigit() and len(head) in (10, 13, 16, 19)


def with_fields(table: Table) -> Table:
    """Finds prices and volume under names that usually mean them.

    Raises:
        UserError: a name that is a slip of the keys away from a missing role, or several columns
            that could be the close.
    """
    for role in ("adj_close", "close", "open", "high", "low", "volume", "adj_volume", "dividend"):
        table = _alias(table, role)
    for role in FIELD_NAMES:
        if role in table.columns or (role == "close" and "adj_close" in table.columns):
            continue
        near = [n for k, n in table.columns.items() if k not in FIELD_NAMES and near_miss(n, role)]
        if near:
            raise UserError(
                f"{table.file}: no column {role!r}, but {near[0]!r}; rename it to {role!r}, or to "
                "something less like it if it is something else"
            )
    return table


def _alias(table: Table, role: str) -> Table:
    if role in table.columns or (role == "close" and "adj_close" in table.columns):
        return table
    short: dict[str, str] = {}
    for key, name in table.columns.items():
        if key not in FIELD_NAMES:
            short.setdefault(squashed(name), key)
    letters = {squashed(name) for name in table.columns.values()} >= set("ohlc")
    forecasts = {"unique_id", "ds"} & set(table.columns.values())  # the names of forecasters
    found = [
        short[alias]
        for alias in ALIASES[role]
        if alias in short
        and (alias not in LETTERS or letters or (alias == "y" and forecasts))
        and not is_text(table.read(short[alias]).type)
    ]
    if role == "volume":  # MetaTrader writes a volume of zero beside its count of ticks
        found = [key for key in found if _moves(table, key)] or found
        return _with_volume(table, found)
    if role == "adj_close" and "close" not in table.columns:
        return table
    if not found:
        return table
    if role == "close" and len(set(found)) > 1:
        several = ", ".join(repr(table.columns[key]) for key in found)
        raise UserError(
            f"{table.file}: no 'close' column, and {several} could be it; rename the one that "
            "counts to 'close'"
        )
    name = table.columns[found[0]]
    return table.renamed(found[0], role, f"{name!r} read as {role}")


def _with_volume(table: Table, found: list[str]) -> Table:
    """Takes the column in shares or coins for the volume, not the one in money beside it.

    Money ÷ shares is a price of the bar; that shows which is which, whatever they are called.

    Args:
        table: with its prices found.
        found: columns whose names usually mean the volume.
    """
    money = found or [key for key, name in table.columns.items() if VOLUME_OF.fullmatch(name)]
    pairs = [
        (unit, key)
        for key in money
        for unit, name in table.columns.items()
        if unit not in (*TIME_NAMES, *FIELD_NAMES, key)
        and TRADED.search(name)
        and _price_between(table, key, unit)
    ]
    if pairs:
        unit, written = pairs[0][0], table.columns[pairs[0][0]]
        note = (
            f"{written!r} read as volume: {table.columns[pairs[0][1]]!r} ÷ it is a price of the bar"
        )
        return table.renamed(unit, "volume", note)
    if found:
        name = table.columns[found[0]]
        return table.renamed(found[0], "volume", f"{name!r} read as volume")
    if not money:
        return table
    names = " or ".join(repr(table.columns[key]) for key in money)
    note = f"no volume: call {names} 'volume' if it is in shares or coins"
    return replace(table, notes=(*table.notes, note))


def _price_between(table: Table, money: str, units: str) -> bool:
    """Whether money ÷ units lies between low and high, or near the close, in nearly all rows."""
    low, high = ("low", "high") if {"low", "high"} <= table.columns.keys() else ("close", "close")
    columns = [_floats(table, key) for key in (money, units, low, high)]
    if any(column is None for column in columns):
        return False
    spent, bought, least, most = (column for column in columns if column is not None)
    traded = (spent > 0) & (bought > 0)
    if np.count_nonzero(traded) < 20:
        return False
    price = spent[traded] / bought[traded]
    slack = 0.002 if low != high else 0.05
    good = (price >= least[traded] * (1 - slack)) & (price <= most[traded] * (1 + slack))
    return bool(np.mean(good) >= 0.95)


def _floats(table: Table, key: str) -> np.ndarray | None:
    column = table.read(key) if key in table.columns else None
    if column is None or not (
        pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    ):
        return None
    return column.cast(pa.float64(), safe=False).to_numpy()


def _moves(table: Table, key: str) -> bool:
    values = table.read(key)
    return pc.count_distinct(values).as_py() > 1


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


def value_codes(column: pa.ChunkedArray) -> np.ndarray:
    """[R] int64, the position of each row's value among the column's; −1 where it is empty."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if isinstance(column.type, pa.BaseExtensionType):  # Arrow encodes what it is stored as only
        stored = [chunk.storage for chunk in column.chunks]
        column = pa.chunked_array(stored, column.type.storage_type)
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def tells_apart(times: np.ndarray, codes: np.ndarray) -> bool:
    """Whether a column divides the rows into symbols of unlike timestamps, of several bars each."""
    symbols = int(codes.max()) + 1
    if codes.min() < 0 or symbols < 2 or 2 * symbols > len(codes):
        return False
    pairs = times.astype(np.int64) * symbols + codes
    return len(np.unique(pairs)) == len(pairs)


def is_text(kind: pa.DataType) -> bool:
    """Returns whether a type holds texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _sample(table: Table, key: str) -> list:
    """The first filled cells of a column."""
    return [v for v in table.read(key).slice(0, SAMPLE).to_pylist() if v is not None and v != ""]
