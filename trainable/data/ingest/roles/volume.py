"""The volume: in shares or coins, not the money that stands beside it."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.data.ingest.column_names import FIELD_NAMES, TIME_NAMES
from trainable.data.ingest.table import Table

VOLUME_OF = re.compile(r"[Vv]ol(?:ume)?[ _]+[A-Z]{2,6}")  # Volume BTC, Volume USDT
TRADED = re.compile(
    r"(?i)vol|st(ü|ue|u)c?k|qty|quantit|shares|units|size|amount|turnover|base|quote|umsatz|titres"
    r"|coins|contracts|lots|pieces|titel"
)  # in the name of what may count shares or coins
MONEY = re.compile(r"(?i)value|notional|turnover|amount|money|traded|umsatz|betrag|volum|vol")
NOT_TRADED = re.compile(r"(?i)outstand|float|cap|held|hold|own|issued|market|short|book|position")


def with_volume(table: Table, found: list[str]) -> Table:
    """Takes the column in shares or coins for the volume, not the one in money beside it.

    Money ÷ shares is a price of the bar; that shows which is which, whatever they are called.

    Args:
        table: with its prices found.
        found: columns whose names usually mean the volume.
    """
    # MetaTrader writes a volume of zero beside its count of ticks.
    found = [key for key in found if _moves(table, key)] or found
    money = found or [key for key, name in table.columns.items() if VOLUME_OF.fullmatch(name)]
    spent = money or [
        key
        for key, name in table.columns.items()
        if MONEY.search(name) and key not in (*TIME_NAMES, *FIELD_NAMES)
    ]
    pairs = [
        (unit, key)
        for key in spent
        for unit, name in table.columns.items()
        if unit not in (*TIME_NAMES, *FIELD_NAMES, key)
        and TRADED.search(name)
        and (money or not any(map(NOT_TRADED.search, (name, table.columns[key]))))
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
    """Whether a column holds more than one value."""
    values = table.read(key)
    return pc.count_distinct(values).as_py() > 1
