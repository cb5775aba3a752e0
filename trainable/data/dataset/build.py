"""From a market to the dataset of a search: split first, then choose, label and describe."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.data.dataset.dataset import Dataset, defined, learned_rows, scored_rows
from trainable.data.dataset.leaks.leads import find_leads
from trainable.data.dataset.leaks.leaks import ReadyColumn, find_later_prices, find_leaks
from trainable.data.dataset.leaks.whole_periods import refuse_whole_periods
from trainable.data.dataset.scaler import fit_scaler
from trainable.data.dataset.splits import PARTS, Split, split_by_date
from trainable.data.dataset.targets import label_interval, make_targets
from trainable.data.features.screen import screen
from trainable.data.features.table import FEATURES, FeatureTable, feature_table
from trainable.data.gather import columns_on, release_memory
from trainable.data.market import Market
from trainable.data.settings import DataSettings, check_data_settings

MIN_TRAIN_ROWS = 200
MIN_VALID_BARS = 20

_NO_ROWS = np.empty(0, np.int64)


def build_dataset(market: Market, settings: DataSettings, max_window: int = 1) -> Dataset:
    """Builds what every trial of a search trains on.

    Features are chosen, leaks looked for and scales described on training rows only; validation,
    gate and sealed test are neither fitted on nor looked at.

    Args:
        market: the checked panel.
        settings: horizon, lag, costs, bars a year and the split's dates are read.
        max_window: the largest window that a trial may use, in bars of a symbol.

    Raises:
        UserError: settings that do not fit the data, too few rows, or a feature that is the label.
    """
    check_data_settings(settings)
    release_memory()  # of reading and checking
    horizon, lag = label_interval(settings, market.intraday)
    split = split_by_date(market.timestamps, settings, market.intraday)
    table = feature_table(market)
    kept, rejected = screen(table, split.train)
    left_out = [*table.left_out, *rejected]
    if not kept:
        whys = "; ".join(f"{entry['feature']}: {entry['why']}" for entry in left_out)
        raise UserError(f"{market.name}: no feature can be used: {whys}")
    dataset = _assemble(market, settings, table, kept, split, (horizon, lag), max_window)
    dataset = replace(
        dataset,
        train_rows=learned_rows(dataset, split.train),
        valid_rows=scored_rows(dataset, split.valid),
    )
    _check_size(dataset)
    label = dataset.target[dataset.train_rows]
    columns = columns_on(dataset.features, dataset.train_rows)
    target, returns = _ready_columns(market, settings, horizon, lag)
    warnings = find_leaks(columns, label, dataset.feature_names, market.name, target)
    own = {name: market.extra[name] for name in dataset.feature_names if name in market.extra}
    warnings += find_later_prices(market, own, split.train[1], returns)
    warnings += find_leads(market, own, split.train[1], returns)
    refuse_whole_periods(market, own, split.train[1], returns)
    quality = {
        **market.quality,
        "left_out": left_out,
        "symbols_ended": list(dataset.ended),
        "leak_warnings": warnings,
        "features": describe(dataset),
        "train_rows": len(dataset.train_rows),
        "valid_rows": len(dataset.valid_rows),
        "split": {part: [f"{date:.19}" for date in dataset.dates(part)] for part in PARTS},
    }
    release_memory()
    return replace(dataset, quality=quality)


def _ready_columns(
    market: Market, settings: DataSettings, horizon: int, lag: int
) -> tuple[ReadyColumn | None, ReadyColumn | None]:
    """Returns the ready target and the ready returns; None where they are made of prices."""
    if market.fields or settings.target is None:
        return None, None
    target = ReadyColumn(settings.target, lag + horizon, lag)
    return target, target if settings.returns is None else ReadyColumn(settings.returns, 1)


def evaluation_dataset(
    market: Market,
    settings: DataSettings,
    features: Sequence[str],
    max_window: int = 1,
    first: int = 0,
) -> Dataset:
    """Builds a dataset only to score a trained model on: continuation, hold-out symbols.

    Nothing is chosen or fitted and there are no training rows; all bars from `first` on are the
    validation part.

    Args:
        market: the checked panel, with enough history before `first` for the features.
        settings: horizon, lag, costs and bars a year are read.
        features: names of the features that the model was trained on, in its order.
        max_window: as in training.
        first: index of the first bar to score.

    Raises:
        UserError: a feature that this market cannot have, or no row to score.
    """
    check_data_settings(settings)
    interval = label_interval(settings, market.intraday)
    end = len(market.timestamps)
    split = Split((0, first), (first, end), (end, end), (end, end))
    table = feature_table(market, features)
    kept = list(range(len(table.names)))
    dataset = _assemble(market, settings, table, kept, split, interval, max_window)
    dataset = replace(dataset, valid_rows=scored_rows(dataset, split.valid))
    if not len(dataset.valid_rows):
        raise UserError(f"{market.name}: no row to score after bar {first} of {end}")
    return dataset


def prediction_dataset(
    market: Market, settings: DataSettings, features: Sequence[str], max_window: int
) -> Dataset:
    """Builds a dataset only to predict on: its `valid_rows` are all that can be predicted.

    They are those of `scored_rows` whatever their label, sorted by (time, symbol): also the newest
    ones, whose label is not known yet. There may be none.

    Args:
        market: the checked panel.
        settings: horizon, lag, costs and nights are read.
        features: names of the features that a search kept, in its order.
        max_window: of the search.

    Raises:
        UserError: a feature that this market cannot have.
    """
    end = len(market.timestamps)
    dataset = _of_features(market, settings, features, max_window, Split(*[(0, end)] * 4))
    rows = np.flatnonzero(dataset.age >= max_window)
    rows = rows[defined(dataset.features, rows)]
    return replace(dataset, valid_rows=rows[np.lexsort((dataset.symbol[rows], dataset.time[rows]))])


def refit_dataset(
    market: Market, settings: DataSettings, features: Sequence[str], max_window: int
) -> Dataset:
    """Builds a dataset only to train on: all rows of the market whose label it knows.

    Nothing is chosen: the features are those that a search kept.

    Args:
        market: the checked panel, which ends where training is to end.
        settings: horizon, lag, costs and nights are read.
        features: names of the features, in the order of the search.
        max_window: of the search.

    Raises:
        UserError: a feature that this market cannot have, or too few rows.
    """
    end = len(market.timestamps)
    split = Split((0, end), (end, end), (end, end), (end, end))
    dataset = _of_features(market, settings, features, max_window, split)
    rows = learned_rows(dataset, split.train)
    # A symbol that is silent at the end has not ended: its last labels may reach beyond it.
    later = np.minimum(rows + dataset.reach, len(dataset.symbol) - 1)
    own = (rows + dataset.reach == later) & (dataset.symbol[later] == dataset.symbol[rows])
    dataset = replace(dataset, train_rows=rows[own])
    if len(dataset.train_rows) < MIN_TRAIN_ROWS:
        raise UserError(
            f"{market.name}: {len(dataset.train_rows)} rows to learn from, at least "
            f"{MIN_TRAIN_ROWS} are needed; a later date works"
        )
    return dataset


def _of_features(
    market: Market,
    settings: DataSettings,
    features: Sequence[str],
    max_window: int,
    split: Split,
) -> Dataset:
    """Returns the dataset of a trained model, without its rows chosen."""
    check_data_settings(settings)
    interval = label_interval(settings, market.intraday)
    table = feature_table(market, features)
    kept = list(range(len(table.names)))
    return _assemble(market, settings, table, kept, split, interval, max_window, trained=True)


def _assemble(
    market: Market,
    settings: DataSettings,
    table: FeatureTable,
    kept: list[int],
    split: Split,
    interval: tuple[int, int],
    max_window: int,
    trained: bool = False,
) -> Dataset:
    """Returns the dataset without its rows chosen."""
    if max_window < 1:
        raise UserError(f"data/window must be at least 1 bar, not {max_window}")
    horizon, lag = interval
    targets = make_targets(market, settings, trained)
    everything = len(kept) == len(table.names)
    return Dataset(
        features=table.values if everything else np.ascontiguousarray(table.values[:, kept]),
        feature_names=tuple(table.names[j] for j in kept),
        feature_groups=tuple(table.groups[j] for j in kept),
        target=targets.target.astype(np.float32),
        time=table.time,
        symbol=table.symbol,
        age=table.age,
        label_end=targets.label_end,
        timestamps=market.timestamps,
        symbols=market.symbols,
        forward_returns=targets.forward_returns,
        tradable=market.present,
        sold=targets.sold,
        own_last=targets.own_last,
        session_ends=targets.session_ends,
        overnight=targets.overnight,
        bad_ticks=market.bad_ticks,
        split=split,
        train_rows=_NO_ROWS,
        valid_rows=_NO_ROWS,
        horizon=horizon,
        lag=lag,
        cost_bps=settings.cost_bps,
        delisting_return=settings.delisting_return,
        periods_per_year=settings.periods_per_year or market.periods_per_year,
        intraday=market.intraday,
        max_window=max_window,
        name=market.name,
        sha256=market.sha256,
        quality=dict(market.quality),
        symbol_group=market.symbol_group,
        lookback=max((table.warmups[j] for j in kept if table.names[j] in FEATURES), default=0),
    )


def _check_size(dataset: Dataset) -> None:
    """Raises `UserError` where a part is too small to learn from or to be judged on."""
    bars = len(np.unique(dataset.time[dataset.valid_rows]))
    for part, found, least, key in (
        ("training rows", len(dataset.train_rows), MIN_TRAIN_ROWS, "train"),
        ("validation bars", bars, MIN_VALID_BARS, "valid"),
    ):
        if found < least:
            start, stop = dataset.split.part(key)
            inside = np.flatnonzero((dataset.time >= start) & (dataset.time < stop))
            if len(inside) and not np.isfinite(dataset.target[inside]).any():
                _refuse_short_sessions(dataset)
            missing = (~np.isfinite(dataset.features[inside])).mean(axis=0)
            worst = int(missing.argmax())
            undefined = f" and {dataset.feature_names[worst]} undefined on {missing[worst]:.0%}"
            raise UserError(
                f"{dataset.name}: {found} {part}, at least {least} are needed: "
                f"{counted(stop - start, 'bar')} and {counted(len(inside), 'row')} in that part, "
                f"less a window of {dataset.max_window}, a label of {counted(dataset.reach, 'bar')}"
                f"{undefined if missing[worst] else ''}; use more data, a shorter "
                "window or horizon, or set data.valid_from, data.gate_from and data.test_from"
            )


def _refuse_short_sessions(dataset: Dataset) -> None:
    """Raises `UserError` where no session is long enough for a label."""
    ends = np.flatnonzero(dataset.session_ends)
    if not len(ends):
        return
    longest = int(np.max(np.diff(ends, prepend=-1, append=len(dataset.timestamps) - 1)))
    if longest > dataset.reach:
        return
    shorter = longest > dataset.horizon and dataset.lag > 0
    raise UserError(
        f"{dataset.name}: sessions have {longest} bars at most, and a label ends {dataset.reach} "
        f"bars after its own (data.lag={dataset.lag}, data.horizon={dataset.horizon}), in the next "
        f"session, where none is defined; {'set data.lag=0, or ' if shorter else ''}use daily bars"
    )


def describe(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Returns each feature's figures on the training rows, for `run.json`.

    Mean and standard deviation of the raw values; the largest |z| before winsorising and the share
    of rows that winsorising alters, with the default scaler (robust, 1 % at either end).
    """
    rows = dataset.train_rows
    scaler = fit_scaler(dataset.features, names=dataset.feature_names, rows=rows)
    figures: dict[str, dict[str, Any]] = {}
    for j, x in enumerate(columns_on(dataset.features, rows)):
        low, high, centre = scaler.low[j], scaler.high[j], float(scaler.centre[j])
        farthest = max(float(x.max()) - centre, centre - float(x.min()))
        figures[dataset.feature_names[j]] = {
            "group": dataset.feature_groups[j],
            "mean": float(x.mean(dtype=np.float64)),
            "std": float(x.std(dtype=np.float64)),
            "max_abs_z": farthest / float(scaler.scale[j]),
            "winsorised_share": float(((x < low) | (x > high)).mean()),
        }
    return figures
