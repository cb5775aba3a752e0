"""Features that know the future: equal to the label, or suspiciously close to it."""

from collections.abc import Iterable, Sequence

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.gather import sampled

IDENTICAL = 0.999  # |correlation| beyond which a feature is the label
SUSPICIOUS = 0.2  # … and beyond which it deserves a look: honest features stay far below
RANK_SAMPLE = 100_000  # rows for the rank correlation, at most: its error is then 0.003


def find_leaks(
    columns: Iterable[np.ndarray], label: np.ndarray, names: Sequence[str], where: str
) -> list[str]:
    """Compares each feature with the label on the training rows.

    Args:
        columns: F features [n] on the training rows, finite.
        label: [n] their labels, finite.
        names: F names.
        where: the data's name, for messages.

    Returns:
        A warning for each feature whose Pearson or Spearman correlation exceeds 0.2.

    Raises:
        UserError: a feature is the label, its rank, or a multiple of it.
    """
    sample = sampled(np.arange(len(label)), RANK_SAMPLE)
    values, ranked = _unit(label), _unit(ranks(label[sample]))
    warnings = []
    for name, column in zip(names, columns, strict=True):
        found = {
            "correlation": _product(_unit(column), values),
            "rank correlation": _product(_unit(ranks(column[sample])), ranked),
        }
        kind = max(found, key=lambda k: abs(found[k]))
        if abs(found[kind]) > IDENTICAL:
            raise UserError(
                f"{where}: feature {name!r} is the label itself ({kind} {found[kind]:.4f} on "
                f"{len(label)} training rows); remove the column"
            )
        if abs(found[kind]) > SUSPICIOUS:
            warnings.append(
                f"feature {name!r} has {kind} {found[kind]:.2f} with the label on {len(label)} "
                "training rows: does it know the future?"
            )
    return warnings


def _unit(x: np.ndarray) -> np.ndarray:
    """Returns x [n] as float64, centred and of length 1 (0 for a constant)."""
    x = x.astype(np.float64)
    x -= x.mean()
    length = np.sqrt(_product(x, x))
    if length > 0:
        x /= length
    return x


def _product(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the scalar product, not by BLAS: its threads wait longer than they work."""
    return float(np.einsum("i,i->", a, b))


def ranks(x: np.ndarray) -> np.ndarray:
    """Returns the ranks 1 … n of x [n]; equal values have their average.

    Those of `correlation.ranks`, which has a mask and takes three times as long for many ties.
    """
    order = np.argsort(x)
    ordered = x[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(starts, append=len(x))
    out = np.empty(len(x))
    out[order] = np.repeat(starts + (counts + 1) / 2, counts)
    return out
