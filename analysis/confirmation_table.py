"""The tables of a confirmation: what each finalist earned on folds, and where it stood on each."""

from collections.abc import Mapping
from itertools import starmap

from rich import box
from rich.table import Table

from analysis.verdict.confirmed import Book, Confirmation, Confirmed

NARROWEST = 100  # columns, from which the table shows everything
PLACES = "Rank by walk-forward fold"
DIGITS = {"p": 3}  # of a column; of others 2
LEAST = 0.001  # a p below it is said to be so
LEFT_OUT = ("ranking", "± se", "spread", "symbols")  # of a narrow table
Row = Mapping[str, str | float | None]


def confirmation_tables(found: Confirmation, width: int = NARROWEST) -> list[Table]:
    """Returns the finalists' and baselines' figures, and their ranks by walk-forward fold.

    Args:
        found: what trainings say.
        width: columns of the console; a narrow one gets fewer columns of the table.
    """
    rows = [{name: _text(name, value) for name, value in row.items()} for row in figures_of(found)]
    names = [name for name in rows[0] if width >= NARROWEST or name not in LEFT_OUT]
    table = _table(*names)
    for row in rows:
        table.add_row(*(row.get(name, "") for name in names))
    tables = [table]
    folds = list(found.finalists[0].ranks)
    if len(found.finalists) > 1 and folds:
        places = _table("trial", *(dated(found, fold) for fold in folds))
        for one in found.finalists:
            places.add_row(str(one.number), *(_text("#", one.ranks[fold]) for fold in folds))
        places.title, places.title_justify = PLACES, "left"
        tables.append(places)
    return tables


def figures_of(found: Confirmation) -> list[Row]:
    """Returns the figures of each finalist, and then those of the baselines, by column.

    A baseline has no others than those that it has.
    """
    return [*map(_finalist, found.finalists), *starmap(_baseline, found.baselines.items())]


def _finalist(one: Confirmed) -> Row:
    return {
        "#": one.rank,
        "trial": one.number,
        "ranking": one.searched,
        **_before(one.before),
        "p": one.p,
        "valid": None if one.valid is None else one.valid.sharpe,
        "median": one.median,
        "spread": one.spread,
        "> 0": one.above,
        "symbols": one.symbols,
    }


def _baseline(name: str, book: Book | None) -> Row:
    return {"trial": name.replace("_", " "), **_before(book)}


def _before(book: Book | None) -> Row:
    known = (None, None) if book is None else (book.sharpe, book.error)
    return dict(zip(("before", "± se"), known, strict=True))


def dated(found: Confirmation, fold: str) -> str:
    """Returns the month in which a fold begins to be scored."""
    return found.folds[fold][2][:7]


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold", vertical="bottom")
    return table


def _text(name: str, value: str | float | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, str | int):
        return str(value)
    if name == "> 0":
        return f"{value:.0%}"
    if name == "p" and value < LEAST:
        return f"< {LEAST}"
    return f"{value:.{DIGITS.get(name, 2)}f}".replace("-", "−")
