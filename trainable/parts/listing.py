"""Every part of every table, as a table for people: settings, ranges, defaults, cohorts."""

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, cast

from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text

from trainable.cli.text import counted
from trainable.config import FIELDS, PER_MEMBER
from trainable.hyperparameter import Hyperparameter
from trainable.parts.registration import owner_of
from trainable.parts.tables import TABLES, Table

WIDE = 120  # columns of a terminal from which meanings are shown, too
WORDS = {"a number": "number", "a whole number": "whole number"}


def listing(width: int, names: Sequence[str] = ()) -> Group:
    """Returns the parts of all tables, or of those named, to be printed in so many columns."""
    tables = [table for table in TABLES.values() if not names or table.name in names]
    return Group(*(_of_table(table, width) for table in tables if table.entries))


def as_record(names: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the parts of all tables, or of those named, for JSON: by table, then by name."""
    tables = [table for table in TABLES.values() if not names or table.name in names]
    return {table.name: {name: _entry(table, name) for name in table.entries} for table in tables}


def _entry(table: Table, name: str) -> dict[str, Any]:
    """Returns what the listing says of one part."""
    entry, owner = table.entries[name], owner_of(table, name)
    of = {"file": None if owner is None else owner.shown}
    if table.group:
        return of | {"settings": [*_settings_of(table, entry.config)]}
    if table.name == "FEATURES":
        needs = ["close", *entry.needs]
        return of | {
            "group": entry.group, "warmup": entry.warmup, "needs": needs, "bars": entry.bars,
        }  # fmt: skip
    return of | {"meaning": entry.meaning}


@dataclass(frozen=True)
class PartSetting:
    """One setting of a part.

    Attributes:
        setting: `GROUP/FIELD`.
        default: None where it must be given.
        values: what it takes, in words.
        in_a_cohort: whether members share it.
        meaning: in words.
    """

    setting: str
    default: Any
    values: str
    in_a_cohort: str
    meaning: str


def _of_table(table: Table, width: int) -> Group:
    many = counted(len(table.entries), table.one, table.name.lower())
    title = Text(f"\n{table.name}  {many}", style="bold")
    return Group(title, _settings(table, width) if table.group else _plain(table))


def _settings(table: Table, width: int) -> Grid:
    """Returns the settings of each entry; a narrow terminal has no room for meanings."""
    wide = width >= WIDE
    grid = Grid(box=None, pad_edge=False, show_edge=False)
    for heading in ("setting", "default", "values", "in a cohort"):
        grid.add_column(heading, overflow="fold")
    if wide:
        grid.add_column("meaning", overflow="fold")
    for name, entry in table.entries.items():
        grid.add_row(Text(_named(table, name), style="bold"))
        for one in _settings_of(table, entry.config):
            default = "" if one.default is None else _shown(one.default)
            row = (f"  {one.setting}", default, one.values, one.in_a_cohort)
            grid.add_row(*row, *([one.meaning] if wide else []))
    return grid


def _settings_of(table: Table, config: type) -> Iterator[PartSetting]:
    """Yields the settings of a part, in the order of its fields."""
    for spec in fields(cast(Any, config)):
        if spec.name == "name":
            continue
        key = f"{table.group}/{spec.name}"
        known = FIELDS[key]
        default = None if spec.default is MISSING else spec.default
        cohort = "per member" if key in PER_MEMBER else "shared"
        yield PartSetting(key, default, _values(known), cohort, known.meaning)


def _plain(table: Table) -> Grid:
    grid = Grid(box=None, pad_edge=False, show_edge=False)
    features = table.name == "FEATURES"
    grid.add_column(table.one, no_wrap=True)
    if features:
        for heading in ("group", "warm-up", "needs", "bars"):
            grid.add_column(heading)
    else:
        grid.add_column("meaning", overflow="fold")
    for name, entry in table.entries.items():
        if features:
            needs = ", ".join(("close", *entry.needs))
            row = (entry.group, f"{entry.warmup}", needs, entry.bars)
        else:
            row = (entry.meaning,)
        grid.add_row(_named(table, name), *row)
    return grid


def _named(table: Table, name: str) -> str:
    owner = owner_of(table, name)
    return name if owner is None else f"{name} ({owner.shown})"


def _values(known: Hyperparameter) -> str:
    """Returns what values a field takes: `number 0 … 0.9`, `whole number ≥ 1`, `text`."""
    if known.choices:
        return " or ".join(known.choices)
    kind = WORDS.get(known.kind.words(), known.kind.words())
    if known.low is not None and known.high is not None:
        return f"{kind} {known.low:g} … {known.high:g}"
    signs = (("≥", known.low), (">", known.above), ("≤", known.high))
    limits = [f"{sign} {limit:g}" for sign, limit in signs if limit is not None]
    return " ".join([kind, ", ".join(limits)]).strip()


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
