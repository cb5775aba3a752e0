"""Features that know the future: equal to the label, or suspiciously close to it."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from trainable.errors import UserError

IDENTICAL = 0.999  # |correlation| beyond which a feature is the label
SUSPICIOUS = 0.2  # … and beyond which it deserves a look: honest features stay far below
RANK_SAMPLE = 100_000  # rows for the rank correlation, at most: its error is then 0.003


def find_leaks(x: np.ndarray, label: np.ndarray, names: Sequence[str], where: str) -> list[str]:
    """Compares each feature with the label on the training rows.

    Args:
        x: [F, n] features on the training rows, finite.
        label: [n] their labels, finite.
        names: F names.
        where: the data's name, for messages.

    Returns:
        A warning for each feature whose Pearson or Spearman correlation exceeds 0.2.

    Raises:
        UserError: a feature is the label, its rank, or a multiple of it.
    """
    sample = np.arange(len(label))
    if len(label) > RANK_SAMPLE:
        chosen = np.random.default_rng(0).choice(len(label), RANK_SAMPLE, replace=False)
        sample = np.sort(chosen)
    values, ranks = _unit(label), _unit(rankdata(label[sample]))
    warnings = []
    for name, column in zip(names, x, strict=True):
        found = {
            "correlation": float(_unit(column) @ values),
            "rank correlation": float(_unit(rankdata(column[sample])) @ ranks),
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
    length = float(np.sqrt(x @ x))
    return x / length if length > 0 else x
