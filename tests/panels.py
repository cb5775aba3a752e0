"""Small datasets with given returns, for tests of metrics and baselines."""

import numpy as np

from trainable.data.dataset import Dataset
from trainable.data.splits import Split
from trainable.metrics import Scores, score
from trainable.scoring import scoring


def panel(
    returns: np.ndarray,
    *,
    present: np.ndarray | None = None,
    target: np.ndarray | None = None,
    features: np.ndarray | None = None,
    bad_ticks: np.ndarray | None = None,
    valid: tuple[int, int] | None = None,
    horizon: int = 1,
    lag: int = 0,
    cost_bps: float = 1.0,
    periods_per_year: float = 252.0,
) -> Dataset:
    """A dataset whose forward returns are `returns`, [T, N]; everything outside `valid` trains."""
    T, N = returns.shape
    present = np.ones((T, N), bool) if present is None else present
    valid = valid or (T // 2, T)
    target = returns if target is None else target
    symbol, time = (a.astype(np.int32) for a in np.nonzero(present.T))
    x = np.zeros((len(time), 1)) if features is None else features[time, symbol]
    by_time = np.lexsort((symbol, time))
    inside = (time >= valid[0]) & (time + lag + horizon < valid[1])
    training = time + lag + horizon < valid[0]
    age = np.concatenate([np.arange(1, column.sum() + 1) for column in present.T])
    return Dataset(
        features=x.astype(np.float32),
        feature_names=tuple(f"f{i}" for i in range(x.shape[1])),
        feature_groups=("price",) * x.shape[1],
        target=target[time, symbol].astype(np.float32),
        time=time,
        symbol=symbol,
        age=age.astype(np.int32),
        timestamps=np.datetime64("2020-01-01", "ns") + np.arange(T) * np.timedelta64(1, "D"),
        symbols=tuple(f"S{i}" for i in range(N)),
        forward_returns=np.where(present, returns, np.nan),
        tradable=present,
        bad_ticks=np.zeros((T, N), bool) if bad_ticks is None else bad_ticks,
        split=Split((0, valid[0]), valid, (valid[1], T), (T, T)),
        train_rows=by_time[training[by_time]],
        valid_rows=by_time[inside[by_time]],
        horizon=horizon,
        lag=lag,
        cost_bps=cost_bps,
        periods_per_year=periods_per_year,
        intraday=False,
        max_window=1,
        name="made",
        sha256="",
    )


def on_rows(dataset: Dataset, grid: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The values of a [T, N] grid on rows, as one member's predictions [1, m]."""
    return grid[dataset.time[rows], dataset.symbol[rows]][None]


def noise(T: int, N: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.01, (T, N))


def scored(dataset: Dataset, grid: np.ndarray) -> Scores:
    """The scores of predictions on the [T, N] grid, on the validation rows."""
    predictions = on_rows(dataset, grid, dataset.valid_rows)
    training = on_rows(dataset, grid, dataset.train_rows)
    return score(scoring(dataset, dataset.valid_rows), predictions, training)[0]
