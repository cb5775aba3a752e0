"""Which rows a search is scored on, in a few numbers: whoever shares some of them shares rows.

The smallest hashes of a set are a fair sample of it, and two sets that overlap have the smallest of
what they share in common (Broder 1997, "On the resemblance and containment of documents"). So two
runs can be compared by their `run.json` alone, whatever their files are called and hold besides.
"""

import hashlib

import numpy as np

from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.splits import rows_inside

KEPT = 128  # hashes; of two sets that share a tenth of their rows about 13 are the same
KEPT_A_MONTH = 8  # of the rows that were read
_DRAWN = 64.0  # rows of a month that its smallest hashes are looked for among, on average
_LEFT_OUT = 6  # bits of a float32 that prices which were adjusted anew, or rounded, may differ in


def row_hashes(dataset: Dataset, part: str = "valid") -> list[str]:
    """Returns the smallest hashes of the rows of a part, at most `KEPT`, as hexadecimal text.

    A row is a time, a symbol, what a position earns until its next bar (before costs) and the
    label, both to five digits; neither features nor windows nor costs are part of it. Rows whose
    whole label does not lie inside the part are left out, and those that earn exactly nothing,
    which unlike data may share. A file without a column of symbols is one symbol, whose name
    does not count: it is the file's.
    """
    rows = np.flatnonzero(rows_inside(dataset.time, dataset.label_end, dataset.split.part(part)))
    time, symbol = dataset.time[rows], dataset.symbol[rows]
    earned, label = dataset.forward_returns[time, symbol], dataset.target[rows]
    known = np.isfinite(earned) & np.isfinite(label) & (earned != 0)
    stamps = dataset.timestamps[time[known]].astype(np.int64).view(np.uint64)
    found = _mixed(stamps)
    for value in (_names(dataset)[symbol[known]], _digits(earned[known]), _digits(label[known])):
        found = _mixed(found ^ value)
    return [f"{number:016x}" for number in np.unique(found)[:KEPT]]


def seen_hashes(dataset: Dataset, part: str) -> list[str]:
    """Returns the smallest hashes of the rows of each month of a part, `KEPT_A_MONTH` each.

    By these one finds who has read some dates, for whatever purpose, so neither the label nor the
    lag is part of a row: it is a time, a symbol and the symbol's simple returns to its next bar and
    between the three up to it, all inside the part. A long part has more hashes than a short one,
    and each month its own, so that a few months are found in many years. Real returns, also of a
    placebo. Rows without these returns, or that earn exactly nothing, are left out.
    """
    returns = dataset.forward_returns if dataset.known_returns is None else dataset.known_returns
    time, symbol, lag = dataset.time, dataset.symbol, dataset.lag
    earned = np.full(len(time), np.nan)  # from a row's bar to the next of the symbol
    decided = max(len(time) - lag, 0)
    same = symbol[:decided] == symbol[lag:]
    earned[lag:][same] = returns[time[:decided], symbol[:decided]][same]
    start, stop = dataset.split.part(part)
    fits = (time >= start) & (time < stop)
    last = np.flatnonzero(fits)  # of four bars in a row
    last = last[last >= 3]
    last = last[(symbol[last - 3] == symbol[last]) & fits[last - 3]]
    several = [earned[last - ago] for ago in (3, 2, 1)]
    known = np.isfinite(several).all(axis=0) & (several[-1] != 0)
    stamps = dataset.timestamps[time[last[known] - 1]]  # of the bar that the last one begins at
    found = _mixed(stamps.astype(np.int64).view(np.uint64))
    for value in (_names(dataset)[symbol[last[known]]], *(_digits(x[known]) for x in several)):
        found = _mixed(found ^ value)
    _, month, count = np.unique(
        stamps.astype("datetime64[M]"), return_inverse=True, return_counts=True
    )
    small = found < 2.0**64 * np.minimum(1.0, _DRAWN / count)[month]
    found, month = found[small], month[small]
    order = np.lexsort((found, month))
    found, month = found[order], month[order]
    place = np.arange(len(found)) - np.searchsorted(month, month)
    return [f"{number:016x}" for number in found[place < KEPT_A_MONTH]]


def _names(dataset: Dataset) -> np.ndarray:
    """Returns a number [N] uint64 for the name of each symbol; 0 where it is only the file's."""
    first, *others = dataset.symbols
    if not others and dataset.name.startswith(first):
        return np.zeros(1, np.uint64)
    digests = [hashlib.sha256(name.encode()).digest() for name in dataset.symbols]
    return np.array([int.from_bytes(digest[:8]) for digest in digests], np.uint64)


def _digits(values: np.ndarray) -> np.ndarray:
    """Returns about the first five digits of each value, as a number of uint64."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    return (bits + np.uint64(1 << _LEFT_OUT - 1)) >> np.uint64(_LEFT_OUT)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Returns numbers of uint64 in which every bit depends on every bit (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
