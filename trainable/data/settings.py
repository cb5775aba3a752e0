"""What a person can say about the data: the `data.*` keys of every command."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trainable.cli.errors import UserError
from trainable.cli.options import split


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
    path: str | None = None  # a CSV or Parquet file instead of a named source
    horizon: int = 1  # label: return from t+lag to t+lag+horizon, in bars
    lag: int | None = (
        None  # bars between decision and entry; unset: 0 for daily bars, 1 for intraday
    )
    features: str | None = None  # ready features: a column pattern such as 'feat_*'
    target: str | None = None  # ready features: the label's column
    returns: str | None = None  # ready features: next period's simple return, where target is not
    cost_bps: float = 1.0  # cost per unit turned over, in basis points
    periods_per_year: float | None = None  # bars a year; unset: inferred from the timestamps
    symbols: tuple[str, ...] | None = None  # use only these symbols
    holdout_symbols: float = 0.0  # share of symbols never shown to a search
    fraction: float = 1.0  # most recent share of the dates
    valid_from: str | None = None  # first validation date; unset: after 60 % of the dates
    gate_from: str | None = None  # first date of the gate window; unset: after 75 %
    test_from: str | None = None  # first date of the sealed test; unset: after 85 %
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)


def written_out(tokens: Sequence[str]) -> list[str]:
    """Returns the tokens of a command line with `data=NAME` as `data.source=NAME`.

    Raises:
        UserError: they name two sources.
    """
    pairs = [split(token) for token in tokens]
    keys = {key for key, _ in pairs}
    for source in ("data", "data.source"):
        if {source, "data.path"} <= keys:
            raise UserError(f"{source}= and data.path= name two sources: keep one of them")
    if {"data", "data.source"} <= keys:
        raise UserError("data= and data.source= are the same key: keep one of them")
    return [f"data.source={text}" if key == "data" else f"{key}={text}" for key, text in pairs]
