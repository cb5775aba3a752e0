"""Rows after the data: sums (`Total` in place of a date), and text or nothing in an empty row."""

import re

from trainable.data.ingest.columns import time_column
from trainable.data.ingest.roles.column_values import is_text
from trainable.data.ingest.table import Table

MOST = 12  # rows at the end that are looked at
WORD = re.compile(r"[^\W\d_]{4,}")
SUMS = re.compile(
    r"(?i)((grand|sub)[ -]?)?(totals?|sums?|averages?|avg|means?|medians?|min(imum)?|max(imum)?|"
    r"count|std|st\. ?dev|change|high(est)?|low(est)?|summe|gesamt|insgesamt|mittel(wert)?|"
    r"durchschnitt|somme|moyenne|totale|media|suma|promedio|toplam|totaal|gemiddelde|итого|合计|合計|평균|총계)"
    r"[ :.*]*"
)


def without_footer(table: Table) -> Table:
    """Returns the table without the rows after its data; those before must be dates or so.

    Such a row sums the others up, or holds text or nothing in place of a date and nothing else.

    Args:
        table: with its column of timestamps.
    """
    name = time_column(table)
    column = table.read(name)
    least = max(table.rows - MOST, 0)
    last = ["" if cell is None else str(cell).strip() for cell in column.slice(least).to_pylist()]
    texts = is_text(column.type)
    rows = table.rows
    while rows > least + 1:
        cell = last[rows - 1 - least]
        words = not cell or (texts and WORD.search(cell))
        if not (texts and SUMS.fullmatch(cell)) and not (words and _alone(table, name, rows - 1)):
            break
        rows -= 1
    if rows == table.rows:
        return table
    found = [repr(cell) if cell else "nothing" for cell in last[rows - least :]]
    count = table.rows - rows
    what = "a row" if count == 1 else f"{count} rows"
    names = ", ".join(dict.fromkeys(found))
    return table.first(rows, f"{what} after the data skipped: {names} in place of a date")


def _alone(table: Table, name: str, row: int) -> bool:
    """Whether a row has no cell but that of its timestamp."""
    others = (key for key in (*table.columns, *table.unnamed) if key != name)
    return all(table.read(key)[row].as_py() in (None, "") for key in others)
