"""Bars of several lengths in one file: daily ones that become weekly, hours that become minutes."""

import numpy as np

from trainable.cli.errors import UserError
from trainable.cli.text import duration
from trainable.data.times.bar_calendar import DAY, INTRADAY_BELOW

ENOUGH_BARS = 20  # at either end, or one after the other, to say how long they are
FEW_EVEN_BARS, EVEN = 12, 0.9  # … or so many, where such a share of their spacings is alike
LONGER = 1.8  # times the shortest spacing, from which a bar is another one
PARTS = 40  # of the bars, in each of which their usual spacing is looked at
ALIKE = 0.2  # relative: months have 28 to 31 days, weeks with a holiday 6 to 8
MOSTLY, SHORT_MOSTLY = 0.6, 0.45  # share of alike spacings; of sessions of few bars less are
SEEN = 0.02  # share of the bars, or of the time, that bars of another length have to have
SYMBOLS = 200  # at most so many are looked at


def refuse_bars_of_several_lengths(
    timestamps: np.ndarray, present: np.ndarray, symbols: tuple[str, ...], file: str
) -> str | None:
    """Raises `UserError` where bars change their length: daily ones after weekly or monthly ones.

    They have no one number of bars a year, and what is learnt on bars of one length is judged on
    another. Bars that are missing, holidays and shorter sessions change nothing: of many bars in a
    row all have to be longer, and alike. Of several symbols more than half have to change, or all
    bars together.

    Args:
        timestamps: [T] datetime64[ns], increasing.
        present: [T, N] bool, where a symbol has a bar.
        symbols: N names.
        file: what the error calls the source.

    Returns:
        Words on the symbols whose bars change their length, where they are the fewer ones.
    """
    nanoseconds = timestamps.astype("datetime64[ns]").astype(np.int64)
    _refuse_unlike_ends(np.diff(nanoseconds), file)
    if found := _change(nanoseconds):
        raise UserError(f"{file}: bars are {found}; keep bars of one length")
    if len(symbols) == 1:
        return None
    chosen = np.unique(np.linspace(0, len(symbols) - 1, min(SYMBOLS, len(symbols))).astype(int))
    changes = {symbols[n]: _change(nanoseconds[present[:, n]]) for n in chosen}
    own = {symbol: words for symbol, words in changes.items() if words}
    if not own:
        return None
    names, words = list(own), next(iter(own.values()))
    words += f" ({names[0]})" if len(names) > 1 else ""
    who = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    if 2 * len(own) > len(chosen):
        raise UserError(f"{file}: bars of {who} are {words}; keep bars of one length")
    return f"bars of {who} are {words}; they are used as they are"


def _refuse_unlike_ends(spacing: np.ndarray, file: str) -> None:
    """Refuses intraday bars that are much longer at one end of the data than at the other.

    The tenth part of the spacings counts, so that bars which are merely missing change nothing.
    """
    quarter = len(spacing) // 4
    if quarter < ENOUGH_BARS:
        return
    ends = spacing[:quarter], spacing[-quarter:]
    first, last = (float(np.quantile(part, 0.1)) for part in ends)
    if min(first, last) < INTRADAY_BELOW and max(first, last) > 3 * min(first, last):
        raise UserError(
            f"{file}: bars are {duration(first / 1e9)} apart at the beginning and "
            f"{duration(last / 1e9)} at the end; keep bars of one length"
        )


def _change(nanoseconds: np.ndarray) -> str | None:
    """Says how far apart bars are, and when they are further apart; None: they do not change."""
    spacing = np.diff(nanoseconds)
    short = _shortest(spacing)
    if short is None:
        return None
    usual, mean = short
    longer = np.concatenate([[False], spacing >= LONGER * usual, [False]])
    begins, ends = np.flatnonzero(np.diff(longer.astype(np.int8))).reshape(-1, 2).T
    many = ends - begins >= FEW_EVEN_BARS
    for begin, end in zip(begins[many], ends[many], strict=True):
        run = spacing[begin:end]
        other, alike = _usual(run[None])
        enough = (len(run) >= ENOUGH_BARS and alike[0] >= MOSTLY) or alike[0] >= EVEN
        seen = len(run) >= SEEN * len(spacing) or run.sum() >= SEEN * spacing.sum()
        rarer = run.mean() > LONGER * mean or usual < INTRADAY_BELOW  # three days a week are no …
        unlike = other[0] > LONGER * usual and rarer  # … longer bars than five
        if enough and seen and unlike:
            first, last = (str(np.datetime64(int(nanoseconds[i]), "ns"))[:10] for i in (begin, end))
            return (
                f"{_words(usual)} apart, but {_words(float(np.median(run)))} from {first} to {last}"
            )
    return None


def _shortest(spacing: np.ndarray) -> tuple[float, float] | None:
    """The usual and the mean spacing where bars are shortest; None: they are nowhere even."""
    size = max(ENOUGH_BARS, len(spacing) // PARTS)
    count = len(spacing) // size
    if not count:
        return None
    edges = [spacing[: count * size].reshape(count, size), spacing[-size:][None]]
    parts = np.concatenate(edges)
    usual, alike = _usual(parts)
    even = np.flatnonzero(alike >= SHORT_MOSTLY)
    if not len(even):
        return None
    least = even[np.argmin(usual[even])]
    return float(usual[least]), float(parts[least].mean())


def _usual(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tenth part of the spacings by row of [k, n], and the share of those that are like it."""
    usual = np.quantile(parts, 0.1, axis=1, method="lower").astype(np.float64)
    alike = np.abs(parts / usual[:, None] - 1) <= ALIKE
    return usual, alike.mean(axis=1)


def _words(nanoseconds: float) -> str:
    days = nanoseconds / DAY
    if abs(days - round(days)) > 0.01 or days < 0.99:
        return duration(nanoseconds / 1e9)
    return "a day" if round(days) == 1 else f"{days:.0f} days"
