"""Prices and volume under other names, and names that are a slip of the keys away."""

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import (
    ALIASES,
    FIELD_NAMES,
    LETTERS,
    NOT_BESIDE,
    near_miss,
    squashed,
)
from trainable.data.ingest.roles.column_values import is_text
from trainable.data.ingest.roles.volume import with_volume
from trainable.data.ingest.table import Table


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
        and NOT_BESIDE.get(alias) not in short
        and (alias not in LETTERS or letters or (alias == "y" and forecasts))
        and not is_text(table.read(short[alias]).type)
    ]
    if role == "volume":
        return with_volume(table, found)
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
