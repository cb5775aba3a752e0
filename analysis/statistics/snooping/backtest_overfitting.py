"""Probability of backtest overfitting: how often what is best on half the days then disappoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from analysis.statistics.paired_sharpe import standardise

BATCH = 4_000_000  # Sharpe ratios at a time


@dataclass(frozen=True)
class BacktestOverfitting:
    """What choosing the best by one half of the days is worth in the other half, over all splits.

    Attributes:
        probability: share of splits whose choice is below the median of the other half; those at it
            count as half.
        loss: share of splits whose choice has a negative Sharpe ratio in the other half.
        slope: of the choice's Sharpe ratio in the other half over that in the half it was chosen
            by; None if that is always the same. Below 0 what looks better turns out worse.
        logits: [splits] logarithm of the odds of the choice's relative rank in the other half.
        chosen: [finalists] share of splits that chose each.
    """

    probability: float
    loss: float
    slope: float | None
    logits: np.ndarray
    chosen: np.ndarray


def backtest_overfitting(
    finalists: Sequence[np.ndarray], blocks: int = 16
) -> BacktestOverfitting | None:
    """Returns how far the choice of a finalist and its epoch by their Sharpe ratio is overfitted.

    Combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado and Zhu 2017, "The
    probability of backtest overfitting"): the days are cut into blocks, and each half of the blocks
    is once what the choice is made by, the other half what it is judged by. Every epoch of every
    finalist is a column, so each half chooses the epoch as well. ω is the rank of the chosen column
    among all N in the other half, over N + 1, tied ones at the mean of their ranks; the logit is
    ln(ω ÷ (1 − ω)), and below 0 in the splits that count.

    Where it is 0, the choice is at the median itself, and the split counts as half. The paper
    counts it whole, which changes little with many columns. But of an odd number N one is the
    median, so useless ones would show 0.5 + 1 ÷ 2N: 0.67 of 3, 0.55 of 9. Counted as half, it is
    0.49 to 0.51 for each N that was tried from 2 to 40 (400 simulated searches each, ± 0.01).

    Of useless finalists it is about 0.5. Pruned trials do not belong here: they lose in every half,
    so whatever is chosen looks good beside them (0.04 with 48 pruned beside 16 useless finalists).

    Args:
        finalists: [T, epochs] net returns of each one's epochs, finite, all on the same days. An
            epoch without a Sharpe ratio in any half of the blocks is left out.
        blocks: S, even; C(S, S/2) splits, which are 12,870 for 16.

    Returns:
        None if there are fewer than two periods a block or fewer than two columns.

    Raises:
        ValueError: the number of blocks is odd or below 2, or the days of finalists differ.
    """
    if blocks < 2 or blocks % 2:
        raise ValueError(f"blocks must be even, not {blocks}")
    if len({len(each) for each in finalists}) > 1:
        raise ValueError(f"days of finalists differ: {sorted({len(each) for each in finalists})}")
    if not finalists or len(finalists[0]) < 2 * blocks:
        return None
    ratios, z = standardise(np.hstack([np.asarray(each, np.float64) for each in finalists]))
    finalist = np.repeat(np.arange(len(finalists)), [each.shape[1] for each in finalists])
    halves = _halves(blocks)
    batches = np.array_split(halves, max(1, len(halves) * len(ratios) // BATCH))
    known = ~np.isnan(ratios)
    sums = _BlockSums(ratios[known], z[:, known], blocks)
    known[known] = np.all([sums.are_known(half) for half in batches], axis=0)
    if known.sum() < 2:
        return None
    sums = _BlockSums(ratios[known], z[:, known], blocks)
    found = np.hstack([_judge(sums, half) for half in batches])
    column, before, after, below = found
    above = known.sum() + 1 - below
    chosen = np.bincount(finalist[known][column.astype(int)], minlength=len(finalists))
    return BacktestOverfitting(
        probability=float(np.mean(below < above) + np.mean(below == above) / 2),
        loss=float(np.mean(after < 0)),
        slope=_slope(before, after),
        logits=np.log(below / above),
        chosen=chosen / len(halves),
    )


class _BlockSums:
    """Sums of returns over blocks of days, of which Sharpe ratios over any blocks follow."""

    def __init__(self, ratios: np.ndarray, z: np.ndarray, blocks: int) -> None:
        borders = np.linspace(0, len(z), blocks, endpoint=False).astype(int)
        self._ratios = ratios
        self._days = np.diff(np.append(borders, len(z))).astype(np.float64)
        self._sum = np.add.reduceat(z, borders, axis=0)  # of z, so that squares lose no digits
        self._square = np.add.reduceat(z**2, borders, axis=0)

    def are_known(self, halves: np.ndarray) -> np.ndarray:
        """Says which columns have a Sharpe ratio in all halves, [splits, S] → [columns]."""
        _, variance = self._moments(halves)
        return np.all(variance > 1e-12, axis=0)

    def sharpe(self, halves: np.ndarray) -> np.ndarray:
        """Returns Sharpe ratios per period, [splits, S] → [splits, columns]."""
        mean, variance = self._moments(halves)
        return (mean + self._ratios) / np.sqrt(variance)

    def _moments(self, halves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        days = (halves @ self._days)[:, None]
        mean = halves @ self._sum / days
        return mean, (halves @ self._square / days - mean**2) * days / (days - 1)


def _halves(blocks: int) -> np.ndarray:
    """Returns every half of the blocks, [splits, S] of 0 and 1."""
    chosen = np.array([*combinations(range(blocks), blocks // 2)])
    halves = np.zeros((len(chosen), blocks))
    np.put_along_axis(halves, chosen, 1.0, axis=1)
    return halves


def _judge(sums: _BlockSums, halves: np.ndarray) -> np.ndarray:
    """Returns [4, splits]: the column chosen, its ratio by either half, its rank by the other."""
    before, after = sums.sharpe(halves), sums.sharpe(1 - halves)
    column = before.argmax(axis=1)
    splits = np.arange(len(halves))
    reached = after[splits, column]
    lower = (after < reached[:, None]).sum(axis=1)
    equal = (after == reached[:, None]).sum(axis=1)
    return np.stack([column, before[splits, column], reached, lower + (equal + 1) / 2])


def _slope(x: np.ndarray, y: np.ndarray) -> float | None:
    """Returns the slope of the least-squares line of y over x; None if x is constant."""
    centred = x - x.mean()
    spread = float(centred @ centred)
    return float(centred @ y) / spread if spread > 1e-18 * max(1.0, float(x @ x)) else None
