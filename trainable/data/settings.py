"""The `data.*` settings of every command, and the checks of their values."""

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from trainable.cli.errors import UserError, unknown
from trainable.cli.options import split
from trainable.cli.paths import PathText
from trainable.data.file_types import is_table

FREQUENCIES = ("day", "minute")  # of the bars of a generated market
OVERNIGHT = ("flat", "hold")  # what a position does between two sessions
MIN_SYNTHETIC_BARS = 50


@dataclass(frozen=True)
class SyntheticSettings:
    """The generated market (`data=synthetic`)."""

    signal: float = 0.15  # correlation of the planted index with the next bar's standardised return
    symbols: int = 20  # number of symbols
    bars: int = 8000  # bars per symbol
    frequency: str = "day"  # day or minute
    seed: int = 0  # seed of the generator
    bad_ticks: int = 0  # number of bad ticks to plant


@dataclass(frozen=True)
class DataSettings:
    """The market, its labels and its split."""

    source: str = "us20"  # a named source: us20, sp500, synthetic
    path: PathText | None = None  # a CSV or Parquet file instead of a named source
    horizon: int = 1  # label: return from t+lag to t+lag+horizon, in the symbol's own bars
    lag: int | None = (
        None  # bars between decision and entry; unset: 0 for daily bars, 1 for intraday
    )
    features: str | None = None  # ready features: a column pattern such as 'feat_*'
    target: str | None = None  # ready features: the label's column, of what follows from t+lag on
    returns: str | None = (
        None  # ready features: column of one bar's simple return, t to t+1 on the row of t
    )
    groups: str | None = None  # column of each symbol's group, such as its sector, for graph models
    cost_bps: float = 1.0  # cost per unit turned over, in basis points
    overnight: str | None = (
        None  # intraday bars with sessions: flat (the default; both trades charged) or hold
    )
    delisting_return: float = 0.0  # return after a symbol's last bar, where the file has none: -0.6
    periods_per_year: float | None = None  # bars a year; unset: inferred from the timestamps
    symbols: tuple[str, ...] | None = None  # use only these symbols
    holdout_symbols: float = 0.0  # chance of each symbol to be held out, by a hash of its name
    fraction: float = 1.0  # most recent share of the dates
    valid_from: str | None = None  # first validation date; unset: after 60 % of the dates
    gate_from: str | None = None  # first date of the gate window; unset: after 75 %
    test_from: str | None = None  # first date of the sealed test; unset: after 85 %
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)


def check_data_settings(settings: DataSettings) -> None:
    """Raises `UserError` for a value that is out of its range, whatever the data hold."""
    _require(settings.horizon >= 1, "horizon", settings.horizon, "at least 1", 1)
    _require(settings.lag is None or settings.lag >= 0, "lag", settings.lag, "at least 0", 0)
    _require(settings.cost_bps >= 0, "cost_bps", settings.cost_bps, "at least 0", 1.0)
    if settings.overnight is not None and settings.overnight not in OVERNIGHT:
        raise unknown("data.overnight", settings.overnight, OVERNIGHT)
    lost = settings.delisting_return
    _require(-1 <= lost <= 0, "delisting_return", lost, "from -1 to 0, a decimal return", -0.6)
    years = settings.periods_per_year
    _require(years is None or years > 0, "periods_per_year", years, "above 0", 252)
    part, held = settings.fraction, settings.holdout_symbols
    _require(0 < part <= 1, "fraction", part, "above 0 and at most 1", 0.8)
    _require(0 <= held < 1, "holdout_symbols", held, "at least 0 and below 1", 0.2)
    if is_table(settings.source):
        name = settings.source
        raise UserError(f"data={name} names no source; a file is data.path={name}")
    check_synthetic_settings(settings.synthetic)


def check_synthetic_settings(settings: SyntheticSettings) -> None:
    """Raises `UserError` for a value that no market can be generated with."""
    signal, bars = settings.signal, settings.bars
    _require(0 <= signal < 1, "synthetic.signal", signal, "at least 0 and below 1", 0.15)
    _require(settings.symbols >= 1, "synthetic.symbols", settings.symbols, "at least 1", 20)
    enough = f"at least {MIN_SYNTHETIC_BARS}"
    _require(bars >= MIN_SYNTHETIC_BARS, "synthetic.bars", bars, enough, 8000)
    if settings.frequency not in FREQUENCIES:
        raise unknown("frequency", settings.frequency, FREQUENCIES)
    _require(settings.seed >= 0, "synthetic.seed", settings.seed, "at least 0", 0)
    _require(settings.bad_ticks >= 0, "synthetic.bad_ticks", settings.bad_ticks, "at least 0", 0)


def expand_source(tokens: Sequence[str]) -> list[str]:
    """Returns the tokens of a command line with `data=NAME` replaced by `data.source=NAME`.

    Raises:
        UserError: they name two sources.
    """
    pairs = [split(token) for token in tokens]
    refuse_two_sources({key for key, _ in pairs})
    return [f"data.source={text}" if key == "data" else f"{key}={text}" for key, text in pairs]


def refuse_two_sources(keys: Set[str]) -> None:
    """Raises `UserError` where the keys of a command line name two sources of data."""
    for source in ("data", "data.source"):
        if {source, "data.path"} <= keys:
            raise UserError(f"{source}= and data.path= name two sources: keep one of them")
    if {"data", "data.source"} <= keys:
        raise UserError("data= and data.source= are the same key: keep one of them")


def _require(good: bool, key: str, value: float | None, wanted: str, works: float) -> None:
    # From Python, a value may be NaN or infinite although the command line refuses both.
    if not good or (isinstance(value, float) and not math.isfinite(value)):
        raise UserError(f"data.{key}={value} must be {wanted}; data.{key}={works} works")
