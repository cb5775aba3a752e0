"""Whether features know later bars: computed again on data that are cut off, they must not change.

A column of the source cannot be computed again; `dataset/leaks/` looks at those.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainable.data.features.table import FEATURES, feature_table
from trainable.data.market import Market

SYMBOLS = 3  # looked at, at most: those with the most bars
CUTS = 5  # dates after which the bars are cut off
EARLIEST = 0.2  # share of the bars before the first of them, at least
TOLERANCE = 1e-5  # relative, of values in float32


@dataclass(frozen=True)
class Changed:
    """A feature that changes where later bars are cut off.

    Attributes:
        feature: its name.
        symbol: the symbol whose value changed.
        first: date of the first value that changed.
        cut: date of the last bar that was left.
        random: whether it changed on the very same bars.
    """

    feature: str
    symbol: str
    first: np.datetime64
    cut: np.datetime64
    random: bool


def first_changed(market: Market, names: Sequence[str], seed: int = 0) -> Changed | None:
    """Returns the first of some features that changes, with the first date that did.

    Args:
        market: the whole data.
        names: of features that this market can have; columns of the source are left out.
        seed: of the dates at which the data are cut.

    Returns:
        None where none changes.
    """
    names = [name for name in names if name in FEATURES]
    chosen = _symbols(market, max((FEATURES[name].warmup for name in names), default=0))
    if not names or chosen is None:
        return None
    most, ready = chosen
    few = _part(market, len(market.timestamps), most)
    bars = len(few.timestamps)
    earliest = max(int(EARLIEST * bars), ready + 1)
    whole = _grids(few, names)
    draws = np.random.default_rng(seed).integers(earliest, bars, CUTS)
    for cut in (bars, *sorted(int(draw) for draw in draws)):
        again = _grids(_part(few, cut, np.arange(len(most))), names)
        for name in names:
            apart = _apart(whole[name][:cut], again[name])
            if apart.any():
                bar, symbol = (int(index) for index in np.argwhere(apart)[0])
                stamps = few.timestamps
                return Changed(
                    name, few.symbols[symbol], stamps[bar], stamps[cut - 1], random=cut == bars
                )
    return None


def _symbols(market: Market, warmup: int) -> tuple[np.ndarray, int] | None:
    """Returns which symbols are looked at, and the bar from which on all of them have a value.

    Those with the most bars, fewer than `SYMBOLS` where so many never have one; None where none
    has before the last bar.
    """
    counts = market.present.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    for size in range(min(SYMBOLS, len(order)), 0, -1):
        most = np.sort(order[:size])
        # A value of its own, and one to lose: counted in bars of the symbol, which may have gaps.
        begun = np.all(np.cumsum(market.present[:, most], axis=0) > warmup + 1, axis=1)
        if begun[:-1].any():
            return most, int(np.argmax(begun))
    return None


def _part(market: Market, bars: int, symbols: np.ndarray) -> Market:
    """Returns the first bars of some symbols, without the columns of the source."""
    return replace(
        market,
        timestamps=market.timestamps[:bars],
        symbols=tuple(market.symbols[n] for n in symbols),
        fields={name: grid[:bars, symbols] for name, grid in market.fields.items()},
        present=market.present[:bars, symbols],
        bad_ticks=market.bad_ticks[:bars, symbols],
        extra={},
    )


def _grids(market: Market, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns features by name, each [T, N]; NaN where undefined."""
    table = feature_table(market, names)
    grids = {name: np.full(market.present.shape, np.nan, np.float32) for name in names}
    for column, name in enumerate(names):
        grids[name][table.time, table.symbol] = table.values[:, column]
    return grids


def _apart(before: np.ndarray, again: np.ndarray) -> np.ndarray:
    """Returns where two grids [T, N] differ by more than rounding."""
    known = np.isfinite(before)
    least = TOLERANCE * float(before[known].std(dtype=np.float64)) if known.any() else 0.0
    return ~np.isclose(before, again, rtol=TOLERANCE, atol=least, equal_nan=True)
