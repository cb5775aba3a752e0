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
