"""A column of groups of symbols, such as sectors: one group a symbol, at all times."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.data.ingest.roles.column_values import is_text, value_codes
from trainable.data.ingest.table import Table


def symbol_groups(
    table: Table, key: str, symbols: Sequence[str], codes: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, str]:
    """Returns the group [N] int32 of each symbol, −1 for unknown, and how it was read, in words.

    Args:
        table: as read.
        key: canonical name of the column; text or numbers.
        symbols: N names.
        codes: [R] symbol of each kept row.
        rows: [R] 0-based rows of the table that are kept.

    Raises:
        UserError: a symbol that is of several groups, or nobody has one.
    """
    column, written = _stripped(table.read(key)), table.columns[key]
    groups = value_codes(column)[rows]
    known = groups >= 0
    found = np.full(len(symbols), -1, np.int64)
    first = np.full(len(symbols), -1, np.int64)
    # The first row of each symbol that has a group: written last, since they go backwards.
    at = np.flatnonzero(known)[::-1]
    found[codes[at]], first[codes[at]] = groups[at], at
    other = np.flatnonzero(known & (groups != found[codes]))
    if len(other):
        row, symbol = int(other[0]), int(codes[other[0]])
        before = int(first[symbol])
        values = [repr(column[int(rows[i])].as_py()) for i in (before, row)]
        raise UserError(
            f"{table.file}: data row {table.data_row(int(rows[row]))}: {written!r} of "
            f"{symbols[symbol]} is {values[1]}, and {values[0]} in data row "
            f"{table.data_row(int(rows[before]))}; data.groups needs one group a symbol at all "
            "times: what it is later is not known before, so give each symbol its first one"
        )
    if not known.any():
        raise UserError(f"{table.file}: the column {written!r} of data.groups is empty")
    names, group = np.unique(found[found >= 0], return_inverse=True)
    found[found >= 0] = group
    note = f"{written!r} read as {counted(len(names), 'group')} of symbols"
    if missing := int((found < 0).sum()):
        note += f"; {counted(missing, 'symbol')} without one"
    return found.astype(np.int32), note


def _stripped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns texts without blanks around them, and nothing for empty ones and for NaN."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if is_text(column.type):
        column = pc.utf8_trim_whitespace(column)
        return pc.if_else(pc.equal(column, ""), None, column)
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    return column
