"""Features that move as a price does many bars later: returns over bars to come, later levels.

A forward return over k bars, log(close(t+k) / close(t)), changes at t by the bar's return k bars
later, less its own. Whatever a column is, a known one cannot follow single returns of later bars.
"""

from dataclasses import dataclass

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.dataset.leaks.leaks import ReadyColumn, or_else
from trainable.data.dataset.ready_prices import log_close
from trainable.data.least_squares import normal_inverse
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
OPEN = 0.05  # share of a change that the returns so far must leave open
PAST = 10  # returns so far: the bar's own and those before
MOST_TOLD = 0.9  # share of a later return that they tell, at most
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
        kind: _Moves.of([grid[at, n] for at, n in zip(bars, chosen, strict=True)], length)
        for kind, grid in kinds.items()
    }
    warnings = []
    for name, grid in columns.items():
        rows = [grid[start + at, n].astype(np.float64) for at, n in zip(bars, chosen, strict=True)]
        change = _Series.of([np.diff(row, prepend=np.nan) for row in rows], length)
        found = {kind: returns.lead(change) for kind, returns in moves.items()}
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
class _Series:
    """Scaled and clipped values, 0 where nothing is known, and where they are; [symbols, length].

    Attributes:
        symbols: how many have values.
    """

    values: np.ndarray
    known: np.ndarray

    @property
    def symbols(self) -> int:
        return int(self.known.any(axis=1).sum())

    @staticmethod
    def of(rows: list[np.ndarray], length: int) -> "_Series":
        """Of one array for each symbol, NaN where nothing is known."""
        values = np.zeros((len(rows), length))
        known = np.zeros((len(rows), length), bool)
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
            known[i, np.flatnonzero(finite)] = True
        return _Series(values, known)


def _usual(x: np.ndarray) -> np.ndarray:
    """Changes [n] divided by their mean size around: calm and wild times count alike."""
    size = np.convolve(np.abs(x), np.ones(AROUND), "same")
    return x / np.where(size > 0, size, 1.0)


@dataclass(frozen=True)
class _Lead:
    """The bars after which a return explains a change best, and the share that it explains."""

    bars: int
    share: float


@dataclass(frozen=True)
class _Moves:
    """Returns, and what those of a bar and before say of later ones.

    Attributes:
        series: the returns.
        past: [symbols, length, 1 + PAST] a constant and the returns of the bar and those before.
        values, squares, known: Fourier transforms of the series.
        open: [LEADS + 1] share of a return k bars later that they leave open.
        solved: by symbol and the rows that a column has, the inverse of their normal equations.
    """

    series: _Series
    past: np.ndarray
    values: np.ndarray
    squares: np.ndarray
    known: np.ndarray
    open: np.ndarray
    solved: dict[tuple[int, bytes], np.ndarray]

    @staticmethod
    def of(rows: list[np.ndarray], length: int) -> "_Moves":
        """Of the returns of each symbol, as `_Series.of` takes them."""
        series = _Series.of(rows, length)
        past = np.ones((*series.values.shape, 1 + PAST))
        for back in range(PAST):
            past[:, back:, 1 + back] = series.values[:, : length - back]
            past[:, :back, 1 + back] = 0.0
        values, known = np.fft.rfft(series.values, axis=1), np.fft.rfft(series.known, axis=1)
        squares = np.fft.rfft(series.values**2, axis=1)
        own = _products(values, values, length)[: LEADS + PAST + 1]
        own = own / np.maximum(_products(known, known, length)[: LEADS + PAST + 1], 1.0)
        open_ = np.ones(LEADS + 1)
        if own[0] > 0:
            own = own / own[0]
            at = np.arange(PAST)
            inverse = np.linalg.pinv(own[np.abs(at[:, None] - at)], rcond=1e-6, hermitian=True)
            later = own[np.arange(LEADS + 1)[:, None] + at]
            told = np.einsum("ki,ij,kj->k", later, inverse, later)
            open_ = 1.0 - np.clip(told, 0.0, MOST_TOLD)
        return _Moves(series, past, values, squares, known, open_, {})

    def lead(self, change: _Series) -> _Lead:
        """The lead that explains most of what the returns so far leave open of a change.

        What they explain is taken out of the change, symbol by symbol, and what they tell of a
        later return out of that: the square of the partial correlation (Yule, 1907). A column that
        follows its own bar follows the next one as far as returns depend on the ones before.
        """
        length = change.values.shape[1]
        left = np.zeros(change.values.shape)
        for i in np.flatnonzero(change.known.any(axis=1)):
            at = np.flatnonzero(change.known[i])
            terms, values = self.past[i, at], change.values[i, at]
            key = (int(i), at.tobytes())
            if key not in self.solved:
                self.solved[key] = normal_inverse(terms)
            weights = np.einsum("ij,j->i", self.solved[key], np.einsum("ij,i->j", terms, values))
            left[i, at] = values - np.einsum("ij,j->i", terms, weights)
        known = np.fft.rfft(change.known, axis=1)
        rows = _products(known, self.known, length)[: LEADS + 1]
        size = _products(np.fft.rfft(left**2, axis=1), self.known, length)[: LEADS + 1]
        scale = size * _products(known, self.squares, length)[: LEADS + 1] * self.open
        usable = (rows > ROWS * min(change.symbols, self.series.symbols)) & (scale > 1e-6)
        together = _products(np.fft.rfft(left, axis=1), self.values, length)[: LEADS + 1]
        shares = np.where(usable, together**2 / np.where(usable, scale, 1.0), 0.0)
        total = float((change.values**2).sum())
        unexplained = float((left**2).sum()) / total if total > 0 else 0.0
        lead = int(np.argmax(shares[1:])) + 1
        if unexplained < OPEN or shares[lead] * unexplained < LEAST:
            return _Lead(lead, 0.0)
        return _Lead(lead, min(float(shares[lead]), 1.0))


def _products(a: np.ndarray, b: np.ndarray, length: int) -> np.ndarray:
    """Returns the sums over rows and symbols of a(t) · b(t + k), for k = 0 …, of transforms."""
    return np.fft.irfft(np.einsum("ij,ij->j", np.conj(a), b), length)
