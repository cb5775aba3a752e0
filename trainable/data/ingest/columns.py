"""Which column of a table plays which part, and its values as numbers."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError, unknown
from trainable.data.ingest.cells import to_numbers, truth_values, with_ratios, without_codes
from trainable.data.ingest.column_names import (
    CODED,
    EVENT_NAMES,
    FIELD_NAMES,
    LIKELY_CLOSE,
    TIME_NAMES,
    canonical,
    listed,
    plain,
    refuse_control_characters,
    role_of,
    squashed,
)
from trainable.data.ingest.table import Table
from trainable.data.settings import DataSettings
from trainable.data.times.years import Where


@dataclass(frozen=True)
class Columns:
    """Which of the table's columns play which part, by canonical name.

    Attributes:
        fields: prices, volume, splits, dividends.
        extra: features.
        target, returns: of ready features.
        close: a close beside ready features; None for none, or where several could be it.
        groups: of the symbols' groups.
    """

    fields: tuple[str, ...]
    extra: tuple[str, ...]
    target: str | None = None
    returns: str | None = None
    close: str | None = None
    groups: str | None = None


def time_column(table: Table) -> str:
    """Returns the column of timestamps; of several the one that says most."""
    return next(name for name in TIME_NAMES if name in table.columns)


def symbol_codes(table: Table, name: str | None) -> tuple[tuple[str, ...], np.ndarray]:
    """(N names sorted, [R] int64 position by row); without a column one, the file's stem."""
    if name is None:
        return (table.stem,), np.zeros(table.rows, np.int64)
    column = table.read(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    written = [(text or "").strip() for text in encoded.dictionary.to_pylist()]
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    blank = np.array([not text for text in written] + [True])[codes]
    if blank.any():
        row = table.data_row(int(np.argmax(blank)))
        raise UserError(
            f"{table.file}: data row {row}: the {table.columns[name]!r} cell is empty; every "
            "bar needs its symbol"
        )
    for text in written:
        refuse_control_characters(text, table.file, "a symbol")
    names, position = np.unique(np.array(written), return_inverse=True)
    return tuple(str(n) for n in names), position[codes]


def choose_columns(table: Table, settings: DataSettings, time: str, symbol: str | None) -> Columns:
    """Fields and further columns, or with `data.features` ready features, target and returns.

    Raises:
        UserError: a name that is no column, or a column that is missing.
    """
    groups = None if settings.groups is None else _named(table, settings.groups, "data.groups")
    taken = {time, symbol, groups, *TIME_NAMES}
    rest = [name for name in table.columns if name not in taken]
    if settings.features is None:
        if "close" not in rest and "adj_close" not in rest:
            likely = rest if len(rest) == 1 else [n for n in rest if LIKELY_CLOSE.fullmatch(n)]
            only = (
                f"; rename {table.columns[likely[0]]!r} to 'close' if it is one"
                if len(likely) == 1
                else ""
            )
            raise UserError(
                f"{table.file}: no 'close' column among {listed(table.columns.values())}{only}; "
                "give one row per timestamp and symbol with a close, a column of closes a symbol, "
                "or ready features with data.features and data.target"
            )
        roles = FIELD_NAMES + EVENT_NAMES
        fields = tuple(name for name in roles if name in rest)
        extra = tuple(name for name in rest if name not in roles)
        return Columns(fields, extra, groups=groups)
    if settings.target is None:
        raise UserError("data.features needs data.target: the label's column")
    target = _named(table, settings.target, "data.target")
    returns = _named(table, settings.returns, "data.returns") if settings.returns else None
    if returns is None and settings.horizon != 1:
        raise UserError(
            f"data.returns is needed with ready features and data.horizon={settings.horizon}: the "
            "column of next period's simple return"
        )
    patterns = [form(part) for part in settings.features.split(",") for form in (canonical, plain)]
    extra = tuple(
        name
        for name in rest
        if name not in (target, returns)
        and any(fnmatchcase(n, p) for p in patterns for n in (name, plain(table.columns[name])))
    )
    if not extra:
        raise unknown("data.features", settings.features, (table.columns[name] for name in rest))
    close = _close(table, [name for name in rest if name not in (target, returns)])
    return Columns((), extra, target, returns or target, close, groups)


def _close(table: Table, names: list[str]) -> str | None:
    """Returns the column of numbers that is the close, the adjusted one if there is one."""
    for role in ("adj_close", "close"):
        found = [name for name in names if name == role] or [
            name
            for name in names
            if role_of(table.columns[name]) == role and len(squashed(table.columns[name])) > 1
        ]
        if len(found) == 1 and _is_number(table.read(found[0]).type):
            return found[0]
    return None


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _named(table: Table, name: str, key: str) -> str:
    if canonical(name) not in table.columns:
        raise unknown(key, name, table.columns.values())
    return canonical(name)


def numbers(
    table: Table, name: str, required: bool, at: Where
) -> tuple[np.ndarray | None, str | None]:
    """[R] float64, or None for a column that holds something else; and how it was read, in words.

    Ratios of splits are divided (`4:1`), letters of CRSP in returns are missing, and truth values
    are 0 and 1.
    """
    column = table.read(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    written, note = table.columns[name], None
    if _is_text(column.type):
        column = column.cast(pa.string())
        if name == "split" and (divided := with_ratios(column)) is not None:
            column, note = divided, f"ratios of {written!r} such as 4:1 are new shares : old ones"
        if squashed(written) in CODED:
            column, letters = without_codes(column)
            note = f"{letters} in {written!r} is CRSP's code for no return" if letters else None
        if name not in FIELD_NAMES and (truth := truth_values(column)) is not None:
            column = truth
        else:
            column = to_numbers(column, required, written, at, table.marks)
    if column is None:
        return None, None
    kind = column.type
    if pa.types.is_boolean(kind) and name not in FIELD_NAMES:
        column, note = column.cast(pa.float64()), f"false and true in {written!r} are 0 and 1"
    elif pa.types.is_null(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        column = column.cast(pa.float64())
    elif not pa.types.is_floating(kind):
        if required:
            raise UserError(f"{table.file}: column {written!r} holds {kind}, not numbers")
        return None, None
    values = column.to_numpy(zero_copy_only=False)
    if pa.types.is_float32(kind):
        return _decimal(values), note
    return values.astype(np.float64, copy=False), note


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _decimal(values: np.ndarray) -> np.ndarray:
    """float32 → the float64 nearest to its shortest decimal, which is what a CSV of it says."""
    exact = values.astype(np.float64)
    result, open_ = exact.copy(), np.isfinite(exact)
    for digits in range(9):
        at = np.flatnonzero(open_)
        if not len(at):
            break
        rounded = np.round(exact[at], digits)
        same = rounded.astype(np.float32) == values[at]
        result[at[same]] = rounded[same]
        open_[at[same]] = False
    return result
