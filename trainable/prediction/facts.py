"""What predictions and positions of a search need besides its models."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from trainable.data.dataset.dataset import Dataset
from trainable.data.features.table import FEATURES
from trainable.data.market import Market
from trainable.data.settings import DataSettings, SyntheticSettings
from trainable.data.times.bar_calendar import bar_calendar

# How the data are read, and what of them is traded; the rest says which dates and symbols.
READ = (
    "source", "path", "horizon", "lag", "features", "target", "returns", "groups", "cost_bps",
    "overnight", "delisting_return", "fraction", "synthetic",
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """The data of a search as its models were trained on them.

    Attributes:
        name, sha256: of the data.
        symbols: that were searched on.
        panel: there were five or more of them: positions are relative to the bar's mean.
        intraday, periods_per_year: the bars. bars_a_year: as found, also where it was set.
        horizon, lag, cost_bps, overnight, delisting_return: what is traded (`Dataset`).
        features: names of the features that the search kept: a row that lacks one is not traded.
        max_window: rows of its symbol that a row needs, itself included.
        lookback: bars before a row's that its built-in features are made of.
        needed: columns that the features are made of.
        known: all columns of the data, those that were left out included.
        usual: mean and standard deviation of each column that is a feature, on the training rows.
        read: how the file is read, by the fields of `DataSettings` in `READ`.
    """

    name: str
    sha256: str
    symbols: tuple[str, ...]
    panel: bool
    intraday: bool
    periods_per_year: float
    bars_a_year: float
    horizon: int
    lag: int
    cost_bps: float
    overnight: str | None
    delisting_return: float
    features: tuple[str, ...]
    max_window: int
    lookback: int
    needed: tuple[str, ...]
    known: tuple[str, ...]
    usual: Mapping[str, tuple[float, float]]
    read: Mapping[str, Any]

    @property
    def settings(self) -> DataSettings:
        """The settings that the data of the search are read by."""
        given = {key: value for key, value in self.read.items() if key in READ}
        made = SyntheticSettings(**given.pop("synthetic", {}))
        return replace(DataSettings(**given), lag=self.lag, synthetic=made)

    @property
    def bars_needed(self) -> int:
        """Bars of a symbol up to its newest that a whole position at that bar is made of."""
        return self.lookback + self.max_window + self.horizon - 1 + self.lag

    def record(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Returns what `record` returned."""
        values = {field.name: record[field.name] for field in fields(cls)}
        lists = ("symbols", "features", "needed", "known")
        tuples = {name: tuple(values[name]) for name in lists}
        usual = {name: (mean, std) for name, (mean, std) in values["usual"].items()}
        return cls(**{**values, **tuples, "usual": usual})


def facts_of(dataset: Dataset, market: Market, settings: DataSettings) -> Facts:
    """Returns the facts of a search's data.

    Args:
        dataset: of the search.
        market: that it was built from.
        settings: that the market was loaded by.
    """
    notes = market.quality
    left_out = [entry["column"] for entry in notes.get("left_out_columns", [])]
    known = [*market.fields, *market.extra, *left_out, *notes.get("ignored_columns", [])]
    described = dataset.quality.get("features", {})
    return Facts(
        name=dataset.name,
        sha256=dataset.sha256,
        symbols=dataset.symbols,
        panel=dataset.panel,
        intraday=dataset.intraday,
        periods_per_year=dataset.periods_per_year,
        bars_a_year=bar_calendar(market.timestamps, market.present).bars_a_year,
        horizon=dataset.horizon,
        lag=dataset.lag,
        cost_bps=dataset.cost_bps,
        overnight=dataset.overnight,
        delisting_return=dataset.delisting_return,
        features=dataset.feature_names,
        max_window=dataset.max_window,
        lookback=dataset.lookback,
        needed=columns_of(dataset.feature_names),
        known=tuple(dict.fromkeys(known)),
        usual={
            name: (described[name]["mean"], described[name]["std"])
            for name in dataset.feature_names
            if name in market.extra and name in described
        },
        read={name: value for name, value in asdict(settings).items() if name in READ},
    )


def columns_of(features: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the columns that features are made of: their own, or prices and volume."""
    found: dict[str, None] = {}
    for name in features:
        built_in = FEATURES.get(name)
        own = (name,) if built_in is None else ("close", *built_in.needs)
        found |= dict.fromkeys(own)
    return tuple(found)
