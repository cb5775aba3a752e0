"""Random markets for the tests of the data part."""

from dataclasses import replace

import numpy as np
import pandas as pd

from trainable.data.features import feature_table
from trainable.data.market import Market

DAY = np.timedelta64(1, "D")
MINUTE = np.timedelta64(1, "m")


def make_market(
    bars: int = 400,
    symbols: int = 3,
    *,
    seed: int = 0,
    intraday: bool = False,
    closes_only: bool = False,
    session: int = 390,
) -> Market:
    """Random bars: business days, or minutes in sessions of `session` bars."""
    rng = np.random.default_rng(seed)
    shape = (bars, symbols)
    scale = 0.0005 if intraday else 0.01
    close = 50.0 * np.exp(np.cumsum(rng.standard_t(5, shape) * scale, axis=0))
    opened = close * np.exp(rng.normal(0, scale / 2, shape))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0, scale / 2, shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0, scale / 2, shape)))
    volume = np.round(np.exp(rng.normal(10, 1, shape)))
    start = np.datetime64("2001-01-01T14:30", "ns")
    if intraday:
        index = np.arange(bars)
        timestamps = start + (index // session) * DAY + (index % session) * MINUTE
    else:
        timestamps = pd.bdate_range("2001-01-01", periods=bars).to_numpy()
    fields = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return Market(
        timestamps=timestamps.astype("datetime64[ns]"),
        symbols=tuple(f"S{i:02d}" for i in range(symbols)),
        fields={"close": close} if closes_only else fields,
        present=np.ones(shape, bool),
        bad_ticks=np.zeros(shape, bool),
        intraday=intraday,
        periods_per_year=98_280.0 if intraday else 252.0,
        name="made",
        sha256="0" * 64,
    )


def without(market: Market, hidden: np.ndarray) -> Market:
    """The market with the bars where `hidden` [T, N] missing."""
    fields = {name: np.where(hidden, np.nan, x) for name, x in market.fields.items()}
    return replace(market, fields=fields, present=market.present & ~hidden)


def column(market: Market, name: str) -> np.ndarray:
    return feature_table(market, [name]).values[:, 0]


def holes(market: Market, share: float = 0.03) -> Market:
    hidden = np.random.default_rng(5).random(market.present.shape) < share
    return without(market, hidden)
