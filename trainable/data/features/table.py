"""The table of features, and the matrix of all that a market can have.

Every feature is computed per symbol from that symbol's own bars up to and with the present one, and
is relative: multiplying all prices of a symbol changes nothing. Adding one is a function
`(bars) -> [n] float64` and a line in `FEATURES`; its conformance tests come for nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from trainable.cli.errors import UserError, look_up
from trainable.data.features import calendar, price, volatility, volume
from trainable.data.features.bars import FIELDS, Bars
from trainable.data.gather import by_symbol, symbol_blocks
from trainable.data.market import Market

KINDS_OF_BARS = ("any", "daily", "intraday")
FOREIGN_WARMUP = 60  # bars that a column of the source may be undefined at a symbol's start


@dataclass(frozen=True)
class Feature:
    """One line of the table.

    Attributes:
        group: price, volume, volatility or calendar.
        warmup: bars of a symbol before the first value.
        function: from a symbol's n bars to [n] float64, NaN where undefined, never infinite.
        needs: fields of the market, besides `close`.
        bars: `any`, or only `daily` (a day and longer), or only `intraday` bars.
    """

    group: str
    warmup: int
    function: Callable[[Bars], np.ndarray]
    needs: tuple[str, ...] = ()
    bars: str = "any"


@dataclass(frozen=True)
class FeatureTable:
    """What a market's rows look like before any choice; rows sorted by symbol, then time.

    Attributes:
        values: [R, F] float32, NaN where undefined.
        names, groups: F each.
        warmups: F numbers of bars at a symbol's start that may be undefined.
        symbol, time: [R] int32, indices into the market's symbols and timestamps.
        age: [R] int32, rows of the symbol up to and with this one.
        left_out: what could not be computed, as {"feature", "why"}.
    """

    values: np.ndarray
    names: tuple[str, ...]
    groups: tuple[str, ...]
    warmups: tuple[int, ...]
    symbol: np.ndarray
    time: np.ndarray
    age: np.ndarray
    left_out: tuple[dict[str, str], ...]


def feature_table(market: Market, names: Sequence[str] | None = None) -> FeatureTable:
    """Returns the features of every bar present.

    Args:
        market: the checked panel.
        names: the features wanted, in this order (prediction with a trained model); None: all.

    Raises:
        UserError: a wanted feature is unknown or cannot be computed from this market; a column has
            the name of a built-in feature; there is nothing to compute.
    """
    built_in, foreign, left_out = _available(market)
    if names is not None:
        why = {
            entry["column"]: entry["why"] for entry in market.quality.get("left_out_columns", [])
        }
        why |= {entry["feature"]: entry["why"] for entry in left_out}
        for name in names:
            if name in why:
                raise UserError(f"{market.name}: feature {name!r} cannot be computed: {why[name]}")
            look_up({**built_in, **foreign}, name, "feature")
        order = tuple(names)
    else:
        order = (*built_in, *foreign)
    if not order:
        raise UserError(f"{market.name}: no features: neither prices nor further numeric columns")

    symbol, time, age = _rows(market.present)
    values = np.empty((len(symbol), len(order)), np.float32)
    own = {name: built_in[name] for name in order if name in built_in}
    if own:
        _compute(market, own, order, values)
    for name in order:
        if name in foreign:
            values[:, order.index(name)] = by_symbol(market.extra[name], market.present)
    return FeatureTable(
        values=values,
        names=order,
        groups=tuple(built_in[n].group if n in built_in else foreign[n] for n in order),
        warmups=tuple(built_in[n].warmup if n in built_in else FOREIGN_WARMUP for n in order),
        symbol=symbol,
        time=time,
        age=age,
        left_out=tuple(left_out),
    )


def _available(
    market: Market,
) -> tuple[dict[str, Feature], dict[str, str], list[dict[str, str]]]:
    """Returns the features this market can have, its own columns by group, and the rest."""
    foreign = dict.fromkeys(market.extra, "extra" if market.fields else "ready")
    if not market.fields:
        return {}, foreign, []
    for name in foreign:
        if name in FEATURES:
            raise UserError(
                f"{market.name}: column {name!r} has the name of a built-in feature; rename it"
            )
    built_in: dict[str, Feature] = {}
    left_out: list[dict[str, str]] = []
    for name, feature in FEATURES.items():
        if not _of_such_bars(feature, market):
            continue
        if missing := _missing(feature, market):
            left_out.append({"feature": name, "why": f"the source has no {', '.join(missing)}"})
        else:
            built_in[name] = feature
    return built_in, foreign, left_out


def is_possible(feature: Feature, market: Market) -> bool:
    """Says whether a market has what a feature is computed from."""
    return bool(market.fields) and _of_such_bars(feature, market) and not _missing(feature, market)


def _of_such_bars(feature: Feature, market: Market) -> bool:
    return feature.bars in ("any", "intraday" if market.intraday else "daily")


def _missing(feature: Feature, market: Market) -> list[str]:
    """Returns the fields that a feature needs and a market lacks."""
    return [need for need in feature.needs if need not in market.fields]


def _rows(present: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns symbol, time and age of each row, [R] int32, by symbol, then time."""
    bars, symbols = present.shape
    grid = np.broadcast_to(np.arange(bars, dtype=np.int32)[:, None], present.shape)
    counts = present.sum(axis=0)
    ages = [np.arange(1, count + 1, dtype=np.int32) for count in counts]
    symbol = np.repeat(np.arange(symbols, dtype=np.int32), counts)
    return symbol, by_symbol(grid, present), np.concatenate(ages)


def _compute(
    market: Market, features: dict[str, Feature], order: Sequence[str], values: np.ndarray
) -> None:
    """Writes the built-in features into their columns of `values`."""
    begin = 0
    for part in symbol_blocks(len(market.symbols)):
        fields = {n: np.ascontiguousarray(market.fields[n][:, part].T) for n in market.fields}
        for n, present in enumerate(np.ascontiguousarray(market.present[:, part].T)):
            columns = {name: fields[name][n][present] for name in FIELDS if name in fields}
            stamps = market.timestamps[present]
            block = values[begin : begin + len(stamps)]
            for name, column in _symbol_features(columns, stamps, features).items():
                block[:, order.index(name)] = column
            begin += len(stamps)


def _symbol_features(
    columns: dict[str, np.ndarray], stamps: np.ndarray, features: dict[str, Feature]
) -> dict[str, np.ndarray]:
    """Returns the [n] values of each feature of one symbol's n bars.

    A feature sees the bars on which everything it needs is known, as if there were no others: one
    cell without volume must not make every later average of the volume unknown.
    """
    prepared: dict[tuple[str, ...], tuple[np.ndarray, Bars]] = {}
    out: dict[str, np.ndarray] = {}
    for name, feature in features.items():
        if feature.needs not in prepared:
            prepared[feature.needs] = _bars(columns, stamps, feature.needs)
        known, bars = prepared[feature.needs]
        if known.all():
            out[name] = feature.function(bars)
        else:
            out[name] = np.full(len(known), np.nan)
            out[name][known] = feature.function(bars)
    return out


def _bars(
    columns: dict[str, np.ndarray], stamps: np.ndarray, needs: tuple[str, ...]
) -> tuple[np.ndarray, Bars]:
    used = ("close", *needs)
    known = np.all([np.isfinite(columns[name]) for name in used], axis=0)
    kept = {name: np.ascontiguousarray(columns[name][known]) for name in used}
    unit = kept["close"][0] if len(kept["close"]) else 1.0
    scaled = {name: x if name == "volume" else x / unit for name, x in kept.items()}
    for column in scaled.values():
        column.setflags(write=False)  # a feature that changed them would change the others'
    return known, Bars(timestamp=stamps[known], **scaled)


_RANGE = ("high", "low")
_TRADES = ("high", "low", "volume")

FEATURES: dict[str, Feature] = {
    "momentum_1": Feature("price", 1, partial(price.momentum, n=1)),
    "momentum_3": Feature("price", 3, partial(price.momentum, n=3)),
    "momentum_5": Feature("price", 5, partial(price.momentum, n=5)),
    "acceleration": Feature("price", 6, price.acceleration),
    "ma_10": Feature("price", 9, partial(price.moving_average, n=10)),
    "ma_50": Feature("price", 49, partial(price.moving_average, n=50)),
    "ema_20": Feature("price", 19, partial(price.exponential_average, n=20)),
    "rsi_14": Feature("price", 14, price.relative_strength),
    "macd_cross": Feature("price", 33, price.macd_cross),
    "bollinger_position": Feature("price", 19, price.bollinger_position),
    "distance_high_20": Feature("price", 19, price.distance_high),
    "distance_low_20": Feature("price", 19, price.distance_low),
    "close_open": Feature("price", 0, price.close_open, ("open",)),
    "stochastic": Feature("price", 13, price.stochastic, _RANGE),
    "volume_ratio": Feature("volume", 20, volume.volume_ratio, ("volume",)),
    "volume_surge": Feature("volume", 19, volume.volume_surge, ("volume",)),
    "volume_price_divergence": Feature("volume", 39, volume.volume_price_divergence, ("volume",)),
    "vwap_5": Feature("volume", 4, partial(volume.vwap_deviation, n=5), _TRADES, "daily"),
    "vwap_15": Feature("volume", 14, partial(volume.vwap_deviation, n=15), _TRADES, "intraday"),
    "vwap_20": Feature("volume", 19, partial(volume.vwap_deviation, n=20), _TRADES, "daily"),
    "vwap_60": Feature("volume", 59, partial(volume.vwap_deviation, n=60), _TRADES),
    "vwap_720": Feature("volume", 719, partial(volume.vwap_deviation, n=720), _TRADES, "intraday"),
    "volatility_20": Feature("volatility", 20, volatility.volatility),
    "volatility_regime": Feature("volatility", 60, volatility.volatility_regime),
    "volatility_trend": Feature("volatility", 20, volatility.volatility_trend),
    "bollinger_width": Feature("volatility", 19, volatility.bollinger_width),
    "high_low": Feature("volatility", 0, volatility.high_low, _RANGE),
    "range_ratio": Feature("volatility", 19, volatility.range_ratio, _RANGE),
    "close_location": Feature("volatility", 0, volatility.close_location, _RANGE),
    "atr_ratio": Feature("volatility", 14, volatility.average_true_range, _RANGE),
    "weekday_sin": Feature("calendar", 0, calendar.weekday_sin),
    "weekday_cos": Feature("calendar", 0, calendar.weekday_cos),
    "time_of_day_sin": Feature("calendar", 0, calendar.time_of_day_sin, bars="intraday"),
    "time_of_day_cos": Feature("calendar", 0, calendar.time_of_day_cos, bars="intraday"),
}
