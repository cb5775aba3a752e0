"""A table or a file as the search would have read it, held against what the models know."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trainable.cli.errors import UserError
from trainable.cli.text import counted, listed
from trainable.data.dataset.build import prediction_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.ingest.timestamps import show_time
from trainable.data.market import Market, of_symbols
from trainable.data.reading_notes import unsettled_line
from trainable.data.sources import new_market
from trainable.data.times.bar_calendar import bar_calendar
from trainable.prediction.facts import Facts
from trainable.prediction.positions import LATE

OTHER_UNIT = 30.0  # times as widely spread as in training, or as little: no drift, another unit
FEWEST = 60  # values that a spread is told from
FAR = 10.0  # training deviations from the mean, beyond which a newest value is named …
FARTHER = 2.0  # … if it is so many times as far as any before it
OTHER_CALENDAR = 1.25  # times as many bars a year
NAMED = 5  # symbols
FRAME = "frame"  # what a table in memory is called


@dataclass(frozen=True)
class NewRows:
    """Rows to predict on.

    Attributes:
        dataset: its `valid_rows` are those that can be predicted.
        notes: what to say of it.
    """

    dataset: Dataset
    notes: tuple[str, ...]


def new_rows(data: object, facts: Facts, strict: bool = True) -> NewRows:
    """Reads rows to predict on.

    Args:
        data: a table in memory, the path of a file, the name of a source, or None: what the search
            was on.
        facts: of the search.
        strict: whether columns that the search did not know, another unit and another calendar are
            refused; else they are noted.

    Raises:
        UserError: the data cannot be read; or they are not such as the search was on.
    """
    market, name = _read(data, facts)
    market, notes = _of_known_symbols(market, facts, name)
    for found in (_columns(market, facts, name), _calendar(market, facts, name)):
        notes += _refused(found, strict)
    missing = [column for column in facts.needed if not _has(market, column)]
    if missing:
        raise UserError(
            f"{name} lacks {_columns_text(missing)}, which the models were trained on{_why(market)}"
        )
    settings = replace(facts.settings, overnight=None if not market.intraday else facts.overnight)
    dataset = prediction_dataset(market, settings, facts.features, facts.max_window)
    notes += _refused(_units(dataset, facts, name), strict)
    notes += _refused(_newest_moves(market, name), strict)
    _check_history(dataset, facts, name)
    return NewRows(
        dataset, tuple([*notes, *_far_out(dataset, facts), *_without_a_row(dataset, name)])
    )


def _read(data: object, facts: Facts) -> tuple[Market, str]:
    """Returns the market, and what messages call it."""
    settings = facts.settings
    if data is None and settings.path is None and settings.source == FRAME:
        raise UserError(
            "the search was on a table in memory, which is not stored: give the data to predict on"
        )
    if data is None:
        return new_market(None, settings, ""), settings.path or settings.source
    settings = replace(settings, fraction=1.0)
    if not isinstance(data, str | Path):
        return new_market(data, settings, FRAME), FRAME
    text = str(data)
    if Path(text).suffix or "/" in text:
        return new_market(None, replace(settings, path=text), text), text
    return new_market(None, replace(settings, path=None, source=text), text), text


def _of_known_symbols(market: Market, facts: Facts, name: str) -> tuple[Market, list[str]]:
    """Returns the market of the symbols that were searched on, and what to say of others."""
    if len(market.symbols) == len(facts.symbols) == 1 and _of_file(market, facts):
        market = replace(market, symbols=facts.symbols)
    here = np.flatnonzero(np.isin(market.symbols, facts.symbols))
    if not len(here):
        raise UserError(
            f"{name} holds {_few(market.symbols)}, and the models were trained on "
            f"{_few(facts.symbols)}: none of them is there"
        )
    notes = []
    if len(here) < len(market.symbols):
        others = [symbol for symbol in market.symbols if symbol not in facts.symbols]
        notes.append(f"Left out, as the search was not on them: {_few(others)}.")
        market = of_symbols(market, here)
    if absent := [symbol for symbol in facts.symbols if symbol not in market.symbols]:
        notes.append(f"Searched on, and not in {name}: {_few(absent)}.")
    return market, notes


def _of_file(market: Market, facts: Facts) -> bool:
    """Says whether both took the name of their one symbol from that of their file."""
    return market.symbols[0] in (_stem(market.name), FRAME) and facts.symbols[0] in (
        _stem(facts.name), FRAME,
    )  # fmt: skip


def _stem(name: str) -> str:
    return name.partition(".")[0]


def _columns(market: Market, facts: Facts, name: str) -> str | None:
    others = [column for column in (*market.fields, *market.extra) if column not in facts.known]
    if not others or not facts.known:
        return None
    return (
        f"{name} has {_columns_text(others)}, which the data of the search ({facts.name}) did not "
        "have"
    )


def _calendar(market: Market, facts: Facts, name: str) -> str | None:
    found = bar_calendar(market.timestamps, market.present)
    if found.intraday != facts.intraday:
        kinds = ("daily or longer", "intraday")
        return (
            f"{name} has {kinds[found.intraday]} bars, and the models were trained on "
            f"{kinds[facts.intraday]} ones"
        )
    ratio = found.bars_a_year / facts.bars_a_year
    if max(ratio, 1 / ratio) > OTHER_CALENDAR and found.counted is not None:
        return (
            f"{name} has {found.bars_a_year:,.6g} bars a year, and the models were trained on "
            f"{facts.bars_a_year:,.6g}: another calendar"
        )
    return None


def _units(dataset: Dataset, facts: Facts, name: str) -> str | None:
    """Returns what to say of the first column whose spread is that of another unit."""
    for column, (mean, std) in facts.usual.items():
        values = dataset.features[:, dataset.feature_names.index(column)]
        values = values[np.isfinite(values)].astype(np.float64)
        if len(values) < FEWEST or not std > 0:
            continue
        wide = float(values.std()) / std
        size = float(np.abs(values).mean()) / (abs(mean) + std)
        if (wide > OTHER_UNIT and size > OTHER_UNIT / 3) or (
            wide < 1 / OTHER_UNIT and size < 3 / OTHER_UNIT
        ):
            return (
                f"{name}: the spread of column {column!r} is {wide:.2g} times that in "
                f"{facts.name}, on which the models were trained: another unit"
            )
    return None


def _newest_moves(market: Market, name: str) -> str | None:
    """Returns what to say of newest prices that are hardly prices."""
    moves = unsettled_line(market.quality)
    if moves is None:
        return None
    return (
        f"{name}: {moves} among the newest bars, which every weight would follow: a bad tick, or "
        "prices that are not adjusted; correct them or leave these rows out"
    )


def _far_out(dataset: Dataset, facts: Facts) -> list[str]:
    """Returns what to say of columns whose newest values are far outside of all before them."""
    newest = dataset.time == len(dataset.timestamps) - 1
    said = []
    for column, (mean, std) in facts.usual.items():
        if not std > 0:
            continue
        values = dataset.features[:, dataset.feature_names.index(column)].astype(np.float64)
        far = np.abs(values - mean) / std
        before = np.fmax.reduce(far[~newest], initial=0.0)
        out = newest & (far > FAR) & (far > FARTHER * before)
        if out.any():
            names = [dataset.symbols[n] for n in dataset.symbol[out]]
            said.append(
                f"At the newest bar {column!r} of {_few(names)} is {np.nanmax(far[out]):,.0f} "
                f"standard deviations from its mean in training, and was {before:,.1f} at most "
                "before: the weights follow it."
            )
    return said


def _refused(found: str | None, strict: bool) -> list[str]:
    """Returns what was found as a note; raises `UserError` with it where it is refused."""
    if found is None:
        return []
    if strict:
        raise UserError(f"{found}; strict=false predicts all the same")
    return [f"{found}."]


def _check_history(dataset: Dataset, facts: Facts, name: str) -> None:
    """Raises `UserError` where no symbol has enough bars for its newest position."""
    newest = dataset.time == len(dataset.timestamps) - 1
    have = int(dataset.age[newest].max())
    if have < facts.bars_needed:
        h = facts.horizon + facts.lag - 1
        parts = [
            (facts.lookback, "for the features"),
            (facts.max_window, "for the window"),
            (h, "for earlier positions that are still held"),
        ]
        made_of = ", ".join(f"{count} {what}" for count, what in parts if count)
        raise UserError(
            f"{name}: {counted(have, 'bar')} up to the newest one, and at least "
            f"{facts.bars_needed} of a symbol are needed: {made_of}; give earlier bars, too"
        )
    if not (dataset.time[dataset.valid_rows] == len(dataset.timestamps) - 1).any():
        empty = [
            column
            for j, column in enumerate(dataset.feature_names)
            if not np.isfinite(dataset.features[newest, j]).any()
        ]
        what = f"{_columns_text(empty)} empty there" if empty else "features are undefined there"
        raise UserError(
            f"{name}: nothing can be predicted at the newest bar, "
            f"{show_time(dataset.timestamps[-1])}: {what}; complete these rows or leave them out"
        )


def _without_a_row(dataset: Dataset, name: str) -> list[str]:
    """Returns what to say of symbols without a prediction at the newest bar."""
    newest = len(dataset.timestamps) - 1
    rows = dataset.valid_rows
    there = set(dataset.symbol[rows[dataset.time[rows] == newest]].tolist())
    lacking, late = [], []
    for n, symbol in enumerate(dataset.symbols):
        if dataset.tradable[newest, n] and n not in there:
            lacking.append(symbol)
        elif not dataset.tradable[newest, n] and dataset.sold[n] > newest - LATE:
            late.append(symbol)  # not one that has ended before
    when, said = show_time(dataset.timestamps[newest]), []
    if late:
        said.append(
            f"{name} has no row at the newest bar, {when}, of {_few(late)}: taken for late, and "
            "what is held of it stays."
        )
    if lacking:
        said.append(
            f"No prediction at the newest bar, {when}, of {_few(lacking)}: a feature lacks there."
        )
    return said


def _has(market: Market, column: str) -> bool:
    return column in market.fields or column in market.extra


def _why(market: Market) -> str:
    """Returns which columns are there and were left out as they were read."""
    left_out = market.quality.get("left_out_columns", [])
    each = [f"{entry['column']!r}: {entry['why']}" for entry in left_out]
    return f" (left out: {'; '.join(each)})" if each else ""


def _columns_text(names: Sequence[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {listed([repr(name) for name in names])}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
