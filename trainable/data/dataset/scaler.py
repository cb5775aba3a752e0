"""Scaling of features: winsorised, centred and divided, fitted on the training rows only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.gather import columns_on, sampled

KINDS = ("robust", "standard")
SAMPLE = 1_000_000  # rows that percentiles are taken from, at most
NO_LIMIT = float(np.finfo(np.float32).max)  # finite, so that it can be written as JSON
NORMAL_IQR = 1.3489795  # interquartile range of a normal distribution of deviation 1


@dataclass(frozen=True)
class Scaler:
    """z = (clip(x, low, high) − centre) ÷ scale, per feature.

    Attributes:
        names: F feature names; empty where none were given.
        kind: robust (median, interquartile range ÷ 1.349) or standard (mean, deviation).
        winsorise: percent cut at either end.
        low, high, centre, scale: [F] float32.
    """

    names: tuple[str, ...]
    kind: str
    winsorise: float
    low: np.ndarray
    high: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Returns x [..., F] scaled, as float32; NaN stays NaN."""
        if x.shape[-1] != len(self.scale):
            raise ValueError(f"{x.shape[-1]} features, but the scaler has {len(self.scale)}")
        z = np.clip(x.astype(np.float32, copy=False), self.low, self.high)
        z -= self.centre
        z /= self.scale
        return z

    def to_dict(self) -> dict[str, Any]:
        """Returns the scaler as JSON-able values."""
        return {
            "names": list(self.names),
            "kind": self.kind,
            "winsorise": self.winsorise,
            **{key: getattr(self, key).tolist() for key in ("low", "high", "centre", "scale")},
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "Scaler":
        """Returns the scaler that `to_dict` wrote; its arrays are bit-identical."""
        arrays = {
            key: np.asarray(values[key], np.float32) for key in ("low", "high", "centre", "scale")
        }
        return Scaler(tuple(values["names"]), values["kind"], float(values["winsorise"]), **arrays)


def fit_scaler(
    x: np.ndarray,
    kind: str = "robust",
    winsorise: float = 1.0,
    names: Sequence[str] = (),
    rows: np.ndarray | None = None,
    columns: np.ndarray | None = None,
) -> Scaler:
    """Fits a scaler; the caller passes training rows only.

    Above a million rows everything is estimated from a fixed sample of a million. A column whose
    percentiles coincide (mostly one value) is not winsorised, or it would become constant. Where
    the interquartile range is 0 the standard deviation takes its place; where that is 0 too (a
    constant) the scale is 1 and every value becomes 0.

    Args:
        x: [n, F] values; NaN is left out.
        kind: `robust` or `standard`.
        winsorise: percent cut at either end, 0 … 25.
        names: feature names, kept with the scaler.
        rows: indices of the training rows; None: all.
        columns: indices of the features; None: all.

    Raises:
        UserError: an unknown kind, a percentage outside 0 … 25, or a column without a value.
    """
    if kind not in KINDS:
        raise UserError(f"data/scaler {kind!r} is unknown; available: {', '.join(KINDS)}")
    if not 0.0 <= winsorise <= 25.0:
        raise UserError(f"data/winsorise must be 0 … 25 percent, not {winsorise}")
    features = x.shape[1] if columns is None else len(columns)
    if names and len(names) != features:
        raise ValueError(f"{len(names)} names for {features} features")
    rows = sampled(np.arange(len(x)) if rows is None else rows, SAMPLE)
    fitted = np.empty((4, features), np.float64)
    for j, values in enumerate(columns_on(x, rows, columns)):
        column = values[np.isfinite(values)].astype(np.float64)
        if not len(column):
            raise UserError(f"feature {names[j] if names else j!r} has no value on the rows given")
        fitted[:, j] = _fit_column(column, kind, winsorise)
    low, high, centre, scale = fitted.astype(np.float32)
    return Scaler(tuple(names), kind, float(winsorise), low, high, centre, scale)


def _fit_column(x: np.ndarray, kind: str, winsorise: float) -> tuple[float, float, float, float]:
    """Returns low, high, centre and scale of one column [n] float64."""
    percents = [winsorise, 25.0, 50.0, 75.0, 100.0 - winsorise]
    low, lower, median, upper, high = np.percentile(x, percents)
    if winsorise == 0.0 or not _distinct(low, high):
        low, high = -NO_LIMIT, NO_LIMIT
    clipped = np.clip(x, low, high)
    deviation = float(clipped.std())
    if not _distinct(float(clipped.min()), float(clipped.max())):
        deviation = 1.0
    if kind == "standard":
        return low, high, float(clipped.mean()), deviation
    wide = _distinct(lower, upper)
    return low, high, median, (upper - lower) / NORMAL_IQR if wide else deviation


def _distinct(a: float, b: float) -> bool:
    """Returns whether two numbers are still different, by some margin, in float32."""
    return abs(b - a) > 4e-7 * max(abs(a), abs(b))
