"""Where markets come from: named sources, files, frames."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from trainable.cli.errors import UserError, look_up
from trainable.data.ingest.cells import one_line
from trainable.data.ingest.column_names import canonical
from trainable.data.ingest.in_memory import arrow_table
from trainable.data.ingest.panel import Panel, narrow, read_panel
from trainable.data.ingest.selection import choose_symbols, first_bar
from trainable.data.ingest.table import Table, open_table, table_of
from trainable.data.market import Market
from trainable.data.quality.quality import checked, described
from trainable.data.settings import DataSettings, check_data_settings


def load_market(settings: DataSettings) -> Market:
    """Loads, checks and describes the market that the settings name.

    Returns:
        The market, narrowed to `symbols` without the held-out ones and to the most recent
        `fraction` of the dates.

    Raises:
        UserError: an unknown source or symbol, a setting out of range, or data that cannot be used.
    """
    check_data_settings(settings)
    if settings.path is not None:
        return _market_of_file(settings)
    if settings.features is not None or settings.target is not None:
        raise UserError("data.features and data.target need data.path: a file with ready features")
    if settings.groups is not None:
        raise UserError(
            f"data.groups={settings.groups} needs data.path: data={settings.source} has no such "
            "column"
        )
    return look_up(SOURCES, settings.source, "data source")(settings)


def market_from_frame(frame: object, settings: DataSettings, name: str = "frame") -> Market:
    """Makes a market of a table in memory as if it were a Parquet file of the same columns.

    Args:
        frame: a table of pandas (a named index, or several, counts as columns), polars or pyarrow:
            a row per timestamp and symbol, a wide table, or ready features.
        settings: as for a file; `source` and `path` are not read.
        name: the market's name, also in errors.

    Raises:
        UserError: no table, or data that cannot be used.
    """
    check_data_settings(settings)
    arrow = arrow_table(frame)
    with _said_plainly(name):
        content = pa.BufferOutputStream()
        with pa.ipc.new_stream(content, arrow.schema) as writer:
            writer.write_table(arrow)
        table = table_of(arrow, name, name, hashlib.sha256(content.getvalue()).hexdigest())
        return checked(read_panel(table, settings), settings, name)


def new_market(data: object, settings: DataSettings, name: str) -> Market:
    """Makes a market to predict on: a table, or a file, as a search read it, of any symbols.

    Of ready features it may lack the label and the returns, which nobody knows yet.

    Args:
        data: a table in memory; None: what the settings name.
        settings: as a search read its own data.
        name: of a table in memory.

    Raises:
        UserError: as `load_market` and `market_from_frame`.
    """
    settings = replace(settings, symbols=None, holdout_symbols=0.0)
    if data is None and settings.path is None:
        return load_market(settings)
    check_data_settings(settings)
    if data is not None:
        arrow = arrow_table(data)
        table = table_of(arrow, name, name, "")
    else:
        assert settings.path is not None
        table, name = open_table(settings.path), Path(settings.path).name
    with _said_plainly(name):
        missing = [
            column
            for column in dict.fromkeys((settings.target, settings.returns))
            if column is not None and _has_no_number(table, column)
        ]
        for column in missing:
            table = _with_stand_in(table, column)
        market = checked(read_panel(table, settings), settings, name)
    unknown = np.full(market.present.shape, np.nan)
    target = unknown if settings.target in missing else market.target
    returns = unknown if (settings.returns or settings.target) in missing else market.returns
    return replace(market, target=target, returns=returns)


def _has_no_number(table: Table, column: str) -> bool:
    key = canonical(column)
    return key not in table.columns or table.read(key).null_count == table.rows


def _with_stand_in(table: Table, column: str) -> Table:
    """Returns the table with small returns, which nobody uses, where a label would be."""
    key = canonical(column)
    made = pa.chunked_array([np.random.default_rng(0).normal(0.0, 0.01, table.rows)])
    return replace(
        table,
        columns={**table.columns, key: column},
        read=lambda name: made if name == key else table.read(name),
    )


@contextmanager
def _said_plainly(name: str) -> Iterator[None]:
    """Turns an error of pyarrow or pandas about the data into one line for the person."""
    try:
        yield
    except (pa.ArrowException, pd.errors.OutOfBoundsDatetime) as error:
        raise UserError(f"{name}: a column cannot be read: {one_line(error)}") from error


def _market_of_file(settings: DataSettings) -> Market:
    assert settings.path is not None
    with _said_plainly(settings.path):
        panel = read_panel(open_table(settings.path), settings)
        return checked(panel, settings, Path(settings.path).name)


def _us20(settings: DataSettings) -> Market:
    """20 US stocks, daily adjusted closes 1990–2022, from skfolio."""
    from skfolio.datasets import load_sp500_dataset

    return _wide("us20", {"close": load_sp500_dataset()}, {}, settings)


def _sp500(settings: DataSettings) -> Market:
    """The S&P 500, daily OHLCV 1999–2018, with the VIX known by each close, from arch."""
    from arch.data import sp500, vix

    bars = sp500.load().rename(columns=lambda c: c.lower().replace(" ", "_"))
    fear = vix.load()["vix"].dropna()
    known = fear.reindex(bars.index, method="ffill")  # as-of backward; NaN before it begins
    fields = {str(name): bars[name].to_frame("SP500") for name in bars.columns}
    return _wide("sp500", fields, {"vix": known.to_frame("SP500")}, settings)


def _synthetic(settings: DataSettings) -> Market:
    """The generated market with a planted signal."""
    from trainable.data.synthetic.market import generate

    market = generate(settings.synthetic)
    notes = dict(market.quality)
    kept = np.flatnonzero(choose_symbols(market.symbols, settings, market.name, notes))
    start = first_bar(len(market.timestamps), settings.fraction)

    def cut(grid: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(grid[start:, kept])

    def maybe(grid: np.ndarray | None) -> np.ndarray | None:
        return None if grid is None else cut(grid)

    narrowed = replace(
        market,
        timestamps=market.timestamps[start:],
        symbols=tuple(market.symbols[i] for i in kept),
        fields={name: cut(grid) for name, grid in market.fields.items()},
        extra={name: cut(grid) for name, grid in market.extra.items()},
        present=cut(market.present),
        bad_ticks=cut(market.bad_ticks),
        expected=maybe(market.expected),
        periods_per_year=settings.periods_per_year or market.periods_per_year,
        quality=notes,
    )
    return described(narrowed)


def _wide(
    name: str,
    fields: Mapping[str, pd.DataFrame],
    extra: Mapping[str, pd.DataFrame],
    settings: DataSettings,
) -> Market:
    """A market of frames with a row per bar and a column per symbol."""
    frames = {n: frame.sort_index(axis=1) for n, frame in {**fields, **extra}.items()}
    first = next(iter(frames.values()))
    timestamps = first.index.to_numpy().astype("datetime64[ns]")
    grids = {n: frame.to_numpy(np.float64) for n, frame in frames.items()}
    digest = hashlib.sha256(timestamps.tobytes())
    for n, grid in grids.items():
        digest.update(n.encode() + grid.tobytes())
    panel = Panel(
        file=name,
        sha256=digest.hexdigest(),
        timestamps=timestamps,
        symbols=tuple(str(s) for s in first.columns),
        fields={n: grids[n] for n in fields},
        extra={n: grids[n].astype(np.float32) for n in extra},
        rows=np.ones(first.shape, bool),
    )
    return checked(narrow(panel, settings), settings, name)


SOURCES: dict[str, Callable[[DataSettings], Market]] = {
    "us20": _us20,
    "sp500": _sp500,
    "synthetic": _synthetic,
}
