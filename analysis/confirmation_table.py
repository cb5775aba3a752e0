"""The tables of a confirmation: what each finalist earned on folds, and where it stood on each."""

from collections.abc import Mapping

from rich import box
from rich.table import Table

from analysis.verdict.confirmed import Book, Confirmation, Confirmed

NARROWEST = 100  # columns, from which the table shows everything
PLACES = "Rank by walk-forward fold"
LEFT_OUT = ("ranking", "± se", "spread", "symbols")  # of a narrow table


def confirmation_tables(found: Confirmation, width: int = NARROWEST) -> list[Table]:
    """Returns the finalists' and baselines' figures, and their ranks by walk-forward fold.

    Args:
        found: what trainings say.
        width: columns of the console; a narrow one gets fewer columns of the table.
    """
    rows = [_cells(one) for one in found.finalists]
    rows += [_baseline(name, book) for name, book in found.baselines.items()]
    names = [name for name in rows[0] if width >= NARROWEST or name not in LEFT_OUT]
    table = _table(*names)
    for row in rows:
        table.add_row(*(row.get(name, "") for name in names))
    tables = [table]
    folds = list(found.finalists[0].ranks)
    if len(found.finalists) > 1 and folds:
        places = _table("trial", *(_dated(found, fold) for fold in folds))
        for one in found.finalists:
            ranks = ("–" if one.ranks[fold] is None else str(one.ranks[fold]) for fold in folds)
            places.add_row(str(one.number), *ranks)
        places.title, places.title_justify = PLACES, "left"
        tables.append(places)
    return tables


def _cells(one: Confirmed) -> dict[str, str]:
    before = one.before
    return {
        "#": str(one.rank),
        "trial": str(one.number),
        "ranking": _number(one.searched),
        "before": _number(None if before is None else before.sharpe),
        "± se": _number(None if before is None else before.error),
        "p": _number(one.p, 3),
        "valid": _number(None if one.valid is None else one.valid.sharpe),
        "median": _number(one.median),
        "spread": _number(one.spread),
        "> 0": "–" if one.above is None else f"{one.above:.0%}",
        "symbols": _number(one.symbols),
    }


def _baseline(name: str, book: Book | None) -> Mapping[str, str]:
    return {
        "trial": name.replace("_", " "),
        "before": _number(None if book is None else book.sharpe),
        "± se": _number(None if book is None else book.error),
    }


def _dated(found: Confirmation, fold: str) -> str:
    return found.folds[fold][2][:7]


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold", vertical="bottom")
    return table


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")
