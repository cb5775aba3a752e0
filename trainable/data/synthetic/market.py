"""A generated market with a planted signal of known strength: what a search must be able to find.

The return of the next bar that a decision can earn is volatility × (s·z + √(1 − s²)·ε), where the
index z is a function of the present bar's OHLCV: 0.8 × standardised `close_location` + 0.6 ×
standardised `volume_ratio`. It is planted at the default lag: on minute bars z predicts the bar
after the next.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import SyntheticSettings, check_synthetic_settings
from trainable.data.synthetic.process import HISTORY, LAG, VOLATILITY, Draws, draw

SESSION = 390  # minute bars of a trading day
PERIODS_PER_YEAR = {"day": 252.0, "minute": 252.0 * SESSION}
FIRST_DAY = np.datetime64("1990-01-02", "D")
LAST_DAY = np.datetime64("2262-01-01", "D")  # timestamps in nanoseconds end soon after

TICK_SPACING = 5  # bars between two possible bad ticks of a symbol, so that each one can revert
TICK_SIZE = (25.0, 40.0)  # in typical volatilities; 15 robust deviations are about 12 of these


@dataclass(frozen=True)
class Continuation:
    """Fresh bars of a generated market, with the bars before them that features look back on.

    Attributes:
        market: `history` bars that end the first market, then the fresh ones.
        history: number of leading bars that are not fresh.
    """

    market: Market
    history: int


def generate(settings: SyntheticSettings) -> Market:
    """Generates the market of `settings`; the same settings give the same market.

    `quality` records the strength planted, its lag and every planted bad tick; `expected` is the
    conditional expectation of the return that a decision at t earns, [T, N].
    """
    _check(settings)
    return _market(settings, settings.bars, first=0)


def continuation(settings: SyntheticSettings, bars: int, history: int = 250) -> Continuation:
    """Generates the `bars` bars that follow `generate(settings)`: what a longer one would hold.

    No bad ticks are planted among the fresh bars.

    Args:
        settings: of the first market.
        bars: number of fresh bars.
        history: bars of the first market to begin with, at most all of them.
    """
    _check(settings)
    if bars < 1 or history < 0:
        raise UserError(f"continuation of {bars} bars after {history}: needs at least 1 after 0")
    history = min(history, settings.bars)
    market = _market(settings, settings.bars + bars, first=settings.bars - history)
    return Continuation(market, history)


def _check(settings: SyntheticSettings) -> None:
    check_synthetic_settings(settings)
    places = _tick_slots(settings) * settings.symbols
    if settings.bad_ticks > places:
        raise UserError(
            f"data.synthetic.bad_ticks={settings.bad_ticks}: between 0 and {places} on "
            f"{settings.bars} bars of {settings.symbols} symbols"
        )


def _market(settings: SyntheticSettings, bars: int, first: int) -> Market:
    """Bars `first` … `bars` of the market."""
    timestamps = clock(settings.frequency, bars)
    lag = LAG[settings.frequency]
    draws = draw(settings.seed, settings.frequency, bars, settings.symbols)
    returns, expected = _returns(draws, settings, lag)
    fields = _bars(draws, returns)
    bad = _plant_bad_ticks(fields, settings, HISTORY)
    keep = slice(HISTORY + first, None)
    fields = {name: np.ascontiguousarray(values[keep]) for name, values in fields.items()}
    bad, timestamps = bad[keep], timestamps[first:]
    digits = max(4, len(str(settings.symbols)))
    symbols = tuple(f"S{i:0{digits}d}" for i in range(settings.symbols))
    ticks = [
        {"timestamp": str(timestamps[t].astype("datetime64[s]")), "symbol": symbols[i]}
        for t, i in np.argwhere(bad)
    ]
    return Market(
        timestamps=timestamps,
        symbols=symbols,
        fields=fields,
        present=np.ones(bad.shape, dtype=bool),
        bad_ticks=bad,
        intraday=settings.frequency == "minute",
        periods_per_year=PERIODS_PER_YEAR[settings.frequency],
        name="synthetic",
        sha256=_hash(timestamps, fields),
        quality={
            "rows": bad.size,
            "planted_signal": settings.signal,
            "planted_lag": lag,
            "planted_bad_ticks": ticks,
        },
        expected=np.ascontiguousarray(expected[keep]),
    )


def clock(frequency: str, bars: int) -> np.ndarray:
    """Timestamps [bars] datetime64[ns]: business days, or the minutes of their sessions in UTC."""
    per_day = SESSION if frequency == "minute" else 1
    days = np.busday_offset(FIRST_DAY, np.arange(-(-bars // per_day)), roll="forward")
    if days[-1] > LAST_DAY:
        raise UserError(
            f"data.synthetic.bars={bars}: ends after the year 2262; at most "
            f"{np.busday_count(FIRST_DAY, LAST_DAY) * per_day} bars, or frequency=minute"
        )
    timestamps = days.astype("datetime64[ns]")
    if frequency == "minute":
        opening = np.timedelta64(14 * 60 + 30, "m")
        minutes = opening + np.arange(SESSION) * np.timedelta64(1, "m")
        timestamps = (timestamps[:, None] + minutes).reshape(-1)
    return timestamps[:bars]


def _returns(draws: Draws, settings: SyntheticSettings, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Simple returns into each bar and the expectation of the one a decision earns, [T, N]."""
    # Half the variance: without it, compounding alone would sink every price in the long run.
    drift = 0.58 * VOLATILITY[settings.frequency] ** 2
    planted = draws.volatility * settings.signal * draws.index
    noise = np.sqrt(1.0 - settings.signal**2) * draws.innovation
    ahead = lag + 1
    returns = drift + draws.volatility[0] * draws.innovation
    returns[ahead:] = drift + planted[:-ahead] + draws.volatility[:-ahead] * noise[ahead:]
    return returns, drift + planted


def _bars(draws: Draws, returns: np.ndarray) -> dict[str, np.ndarray]:
    """Consistent OHLCV: the close lies at `location` of a range that contains the open."""
    close = draws.base * np.cumprod(1.0 + returns, axis=0)
    before = np.concatenate((draws.base[None], close[:-1]))
    width = 1.6 * draws.volatility * np.exp(0.3 * draws.range_noise) + 0.8 * np.abs(returns)
    low = close * (1.0 - draws.location * width)
    high = close * (1.0 + (1.0 - draws.location) * width)
    opening = np.clip(before * (1.0 + 0.3 * draws.volatility * draws.gap), low, high)
    return {"open": opening, "high": high, "low": low, "close": close, "volume": draws.volume}


def _tick_slots(settings: SyntheticSettings) -> int:
    return settings.bars // TICK_SPACING - 2


def _plant_bad_ticks(
    fields: dict[str, np.ndarray], settings: SyntheticSettings, offset: int
) -> np.ndarray:
    """Spikes single closes, in place, and returns where, [T, N]: the next bar knows nothing of it.

    The low or the high follows the wrong close.
    """
    bad = np.zeros(fields["close"].shape, dtype=bool)
    if settings.bad_ticks == 0:
        return bad
    rng = np.random.default_rng([settings.seed, 3])
    places = rng.choice(
        _tick_slots(settings) * settings.symbols, size=settings.bad_ticks, replace=False
    )
    slot, symbol = np.divmod(places, settings.symbols)
    bar = offset + (slot + 1) * TICK_SPACING
    size = rng.uniform(*TICK_SIZE, len(places)) * rng.choice((-1.0, 1.0), len(places))
    close = fields["close"]
    close[bar, symbol] *= np.exp(size * VOLATILITY[settings.frequency])
    np.minimum(fields["low"], close, out=fields["low"])
    np.maximum(fields["high"], close, out=fields["high"])
    bad[bar, symbol] = True
    return bad


def _hash(timestamps: np.ndarray, fields: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(timestamps.tobytes())
    for name in sorted(fields):
        digest.update(name.encode())
        digest.update(fields[name].data)
    return digest.hexdigest()
