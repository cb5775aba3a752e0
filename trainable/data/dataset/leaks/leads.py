"""Features that move as a price does many bars later: returns over bars to come, later levels.

A forward return over k bars, log(close(t+k) / close(t)), changes at t by the bar's return k bars
later, less its own. Whatever a column is, a known one cannot follow single returns of later bars.
"""

from dataclasses import dataclass

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.dataset.leaks.leaks import ReadyColumn, or_else
from trainable.data.dataset.ready_prices import log_close
from trainable.data.market import Market

LEADS = 260  # bars: a year of daily ones
SYMBOLS = 20  # symbols looked at, at most: those with the most bars
BARS = 4096  # bars of each, at most: the last of the training part
REACH = 65_536  # bars of the grid looked at, at most: the last
ROWS = 100  # bars at which a lead is compared, at least, on average over the symbols
AROUND = 21  # bars over which changes are compared with their usual size
SOON = 2  # bars: markets that lag others follow them so late
SHARE = {True: 0.4, False: 0.25}  # of a change that one later return explains, soon or not: a leak
EARLY = {True: 0.2, False: 0.1}  # … that deserves a look
LEAST = 0.1  # share of a whole change that it must explain
OPEN = 0.05  # share of a change that the bar's own return must leave open
CLIP = 6.0  # robust deviations
AMONG = 5  # symbols at a bar, from which a return is compared with the others'


def find_leads(
    market: Market, columns: dict[str, np.ndarray], end: int, ready: ReadyColumn | None = None
) -> list[str]:
    """Looks for columns whose changes are the returns of one bar up to 260 bars later.

    The returns are those of the symbol, those less the mean of all symbols at the bar, and those
    divided by their standard deviation as well: ranks and z-scores across symbols follow them.

    Args:
        market: for its close, or its ready returns.
        columns: further columns by name, [T, N].
        end: number of the first bar after the training part; nothing from there on is looked at.
        ready: the column of the returns, where they are ready made.

    Returns:
        A warning for each column that follows later returns in part.

    Raises:
        UserError: a column that follows them for the most part.
    """
    start = max(end - REACH, 0)
    level = log_close(market, 0 if ready is None else ready.begins)
    if level is None or not columns:
        return []
    level = level[start:end]
    present = market.present[start:end] & np.isfinite(level)
    kinds = _returns(level, present)
    counts = present.sum(axis=0)
    chosen = [n for n in np.argsort(-counts, kind="stable")[:SYMBOLS] if counts[n] > ROWS]
    if not chosen:
        return []
    bars = [np.flatnonzero(present[:, n])[-BARS:] for n in chosen]
    length = 1 << int(np.ceil(np.log2(max(map(len, bars)) + LEADS + 1)))
    moves = {
        kind: _Spectra.of([grid[at, n] for at, n in zip(bars, chosen, strict=True)], length)
        for kind, grid in kinds.items()
    }
    warnings = []
    for name, grid in columns.items():
        rows = [grid[start + at, n].astype(np.float64) for at, n in zip(bars, chosen, strict=True)]
        change = _Spectra.of([np.diff(row, prepend=np.nan) for row in rows], length)
        found = {kind: _lead(change, returns) for kind, returns in moves.items()}
        kind = max(found, key=lambda kind: found[kind].share)
        lead, share = found[kind].bars, found[kind].share
        later = "1 bar" if lead == 1 else f"{lead} bars"
        what = f"as the close{kind} does {later} later"
        if share > SHARE[lead <= SOON]:
            raise UserError(
                f"{market.name}: feature {name!r} moves {what}, which explains {share:.0%} of what "
                "earlier bars leave open; remove the column, or move it to the bar at which it is "
                f"known{or_else(ready)}"
            )
        if share > EARLY[lead <= SOON]:
            warnings.append(f"feature {name!r} moves in part {what}: does it know the future?")
    return warnings


def _returns(level: np.ndarray, present: np.ndarray) -> dict[str, np.ndarray]:
    """By the words on them, [T, N] log returns since each symbol's bar before, three kinds."""
    own = np.full(level.shape, np.nan)
    for n in range(level.shape[1]):
        at = np.flatnonzero(present[:, n])
        own[at[1:], n] = np.diff(level[at, n])
    kinds = {"": own}
    known = np.isfinite(own)
    count = known.sum(axis=1)
    many = count >= AMONG
    if many.sum() > ROWS:
        divisor = np.maximum(count, 1)
        mean = np.where(known, own, 0.0).sum(axis=1) / divisor
        less = np.where(many[:, None], own - mean[:, None], np.nan)
        spread = np.sqrt((np.nan_to_num(less) ** 2).sum(axis=1) / divisor)
        spread[spread == 0] = np.nan
        kinds[" against the other symbols"] = less
        kinds[" among the symbols"] = less / spread[:, None]
    return kinds


@dataclass(frozen=True)
class _Spectra:
    """Fourier transforms of the values, their squares and their mask; [symbols, frequencies].

    Attributes:
        length: bars of the series, filled up with zeros.
        symbols: how many have values.
    """

    values: np.ndarray
    squares: np.ndarray
    known: np.ndarray
    length: int
    symbols: int

    @staticmethod
    def of(rows: list[np.ndarray], length: int) -> "_Spectra":
        """Of one array for each symbol, scaled and clipped, NaN where nothing is known."""
        values = np.zeros((len(rows), length))
        known = np.zeros((len(rows), length))
        for i, row in enumerate(rows):
            finite = np.isfinite(row)
            if finite.sum() <= ROWS:
                continue
            x = row[finite].astype(np.float64)
            x = _usual(x - np.median(x))
            deviation = 1.4826 * float(np.median(np.abs(x)))
            if deviation == 0:
                continue
            x = np.clip(x / deviation, -CLIP, CLIP)
            values[i, np.flatnonzero(finite)] = x - x.mean()
            known[i, np.flatnonzero(finite)] = 1.0
        return _Spectra(
            np.fft.rfft(values, axis=1),
            np.fft.rfft(values**2, axis=1),
            np.fft.rfft(known, axis=1),
            length,
            int(known.any(axis=1).sum()),
        )


def _usual(x: np.ndarray) -> np.ndarray:
    """Changes [n] divided by their mean size around: calm and wild times count alike."""
    size = np.convolve(np.abs(x), np.ones(AROUND), "same")
    return x / np.where(size > 0, size, 1.0)


@dataclass(frozen=True)
class _Lead:
    """The bars after which a return explains a change best, and the share that it explains."""

    bars: int
    share: float


def _lead(change: _Spectra, returns: _Spectra) -> _Lead:
    """The lead that explains most of what the bar's own return leaves open of a change."""

    def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Sums over rows and symbols of a(t) · b(t + k), for k = 0 … LEADS."""
        total = np.einsum("ij,ij->j", np.conj(a), b)
        return np.fft.irfft(total, change.length)[: LEADS + 1]

    rows = products(change.known, returns.known)
    scale = products(change.squares, returns.known) * products(change.known, returns.squares)
    usable = (rows > ROWS * min(change.symbols, returns.symbols)) & (scale > 1e-6)
    together = products(change.values, returns.values)
    squared = np.where(usable, together**2 / np.where(usable, scale, 1.0), 0.0)
    left = 1.0 - squared[0]
    lead = int(np.argmax(squared[1:])) + 1
    if left < OPEN or squared[lead] < LEAST:
        return _Lead(lead, 0.0)
    return _Lead(lead, min(float(squared[lead] / left), 1.0))
