"""Rows after the data that sum them up: `Total`, `Average` in place of a date."""

import re

from trainable.data.ingest.columns import time_column
from trainable.data.ingest.roles.column_values import is_text
from trainable.data.ingest.table import Table

MOST = 12  # rows at the end that are looked at
SUMS = re.compile(
    r"(?i)((grand|sub)[ -]?)?(totals?|sums?|averages?|avg|means?|medians?|min(imum)?|max(imum)?|"
    r"count|std|st\. ?dev|change|high(est)?|low(est)?|summe|gesamt|insgesamt|mittel(wert)?|"
    r"durchschnitt|somme|moyenne|totale|media|suma|promedio|toplam|totaal|gemiddelde|итого|合计|合計|평균|총계)"
    r"[ :.*]*"
)


def without_footer(table: Table) -> Table:
    """Returns the table without rows of totals at its end; the rows before must be dates or so.

    Args:
        table: with its column of timestamps.
    """
    column = table.read(time_column(table))
    if not is_text(column.type):
        return table
    least = max(table.rows - MOST, 0)
    last = [str(cell or "").strip() for cell in column.slice(least).to_pylist()]
    rows = table.rows
    while rows > least + 1 and SUMS.fullmatch(last[rows - 1 - least]):
        rows -= 1
    if rows == table.rows:
        return table
    names = ", ".join(repr(cell) for cell in last[rows - least :])
    count = table.rows - rows
    what = "a row" if count == 1 else f"{count} rows"
    return table.first(rows, f"{what} after the data skipped: {names} in place of a date")
