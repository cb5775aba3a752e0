"""The metrics against a slow plain-Python reading of the contract, on random small panels."""

import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.fixtures.panels import on_rows, panel
from trainable.data.dataset.dataset import Dataset
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring


def pstd(values: list[float]) -> float:
    mean = fmean(values)
    return math.sqrt(fmean([(v - mean) ** 2 for v in values]))


def flat(values: list[float], train_std: float) -> bool:
    return pstd(values) <= 1e-6 * (abs(fmean(values)) + train_std)


def slow_weights(
    dataset: Dataset, cells: dict[tuple[int, int], float], train: list[float], demeaned: bool
) -> dict[tuple[int, int], float]:
    """Weights by (bar, symbol), read off the contract sentence by sentence."""
    sigma = pstd(train)
    weights: dict[tuple[int, int], float] = {}
    if len(dataset.symbols) >= 5:
        for bar in sorted({t for t, _ in cells}):
            day = {cell: p for cell, p in cells.items() if cell[0] == bar}
            mean = fmean(day.values()) if demeaned else 0.0
            total = sum(abs(p - mean) for p in day.values())
            if (demeaned and flat(list(day.values()), sigma)) or total == 0.0:
                continue
            weights |= {cell: (p - mean) / total for cell, p in day.items()}
        return weights

    def position(p: float) -> float:
        return max(-1.0, min(1.0, p / sigma))

    if demeaned and (flat(list(cells.values()), sigma) or flat(train, sigma)):
        return {}
    if demeaned and pstd([position(p) for p in cells.values()]) <= 1e-6:
        return {}
    mean = fmean(position(p) for p in train) if demeaned else 0.0
    for (bar, symbol), p in cells.items():
        weights[bar, symbol] = (position(p) - mean) / int(dataset.tradable[bar].sum())
    return weights


def slow_net_returns(
    dataset: Dataset, weights: dict[tuple[int, int], float], first: int, last: int
) -> list[float] | None:
    """Walks bar by bar through the closes at which trades happen."""
    h, lag, T = dataset.horizon, dataset.lag, len(dataset.timestamps)
    symbols = range(len(dataset.symbols))
    own = [[t for t in range(first, T) if dataset.tradable[t, s]] for s in symbols]
    held, at_stake = [0.0 for _ in symbols], [0.0 for _ in symbols]
    net, ever = [], False
    for close in range(first + lag, last + lag + 1):
        turnover = 0.0
        for s in symbols:
            wanted = held[s]
            if close in own[s] and own[s].index(close) >= lag:
                k = own[s].index(close) - lag
                decided = own[s][max(0, k - h + 1) : k + 1]
                ages = min(h, close - lag - first + 1)
                wanted = sum(weights.get((t, s), 0.0) for t in decided) / ages
                at_stake[s] = float(dataset.forward_returns[own[s][k], s])
            elif close == dataset.sold[s]:
                wanted = 0.0
            turnover += abs(wanted - held[s])
            held[s] = wanted
        ever = ever or any(w != 0.0 for w in held)
        # What trades at the next close, or was not there any more, books what it has earned.
        books = [close + 1 in own[s] or close + 1 == dataset.sold[s] for s in symbols]
        earned = sum(held[s] * at_stake[s] for s in symbols if books[s] and held[s] != 0.0)
        net.append(earned - dataset.cost_bps * 1e-4 * turnover)
    return net if ever else None


def slow_sharpe(net: list[float] | None, periods_per_year: float) -> float | None:
    if net is None or len(net) < 2:
        return None
    std = math.sqrt(sum((r - fmean(net)) ** 2 for r in net) / (len(net) - 1))
    if std <= 1e-12 * max(abs(r) for r in net):
        return None
    return fmean(net) / std * math.sqrt(periods_per_year)


def slow_ic(
    dataset: Dataset, rows: np.ndarray, p: list[float], train: list[float], rank: bool
) -> float | None:
    groups: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        if math.isfinite(dataset.target[row]):
            key = 0 if len(dataset.symbols) == 1 else int(dataset.time[row])
            groups.setdefault(key, []).append(i)
    measure = stats.spearmanr if rank else stats.pearsonr
    found = []
    for members in groups.values():
        x = [p[i] for i in members]
        y = [float(dataset.target[rows[i]]) for i in members]
        if len(x) < 2 or flat(x, pstd(train)) or max(y) == min(y):
            continue
        found.append(float(np.asarray(measure(x, y))[0]))
    return fmean(found) if found else None


@st.composite
def cases(draw: st.DrawFn) -> tuple[Dataset, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    T, N = draw(st.integers(14, 34)), draw(st.integers(1, 7))
    horizon, lag = draw(st.integers(1, 5)), draw(st.integers(0, 2))
    present = rng.random((T, N)) >= draw(st.sampled_from([0.0, 0.2, 0.6]))
    present[[0, -1]] = True
    middle = int(T * 0.4)
    present[[1, middle, middle + 1]] = True
    target = rng.normal(0.0, 0.01, (T, N))
    target[rng.random((T, N)) < 0.1] = np.nan
    target[rng.random((T, N)) < 0.1] = 0.0
    dataset = panel(
        rng.normal(0.0, 0.02, (T, N)),
        present=present,
        target=target,
        valid=(middle, T - draw(st.integers(0, 2))),
        horizon=horizon,
        lag=lag,
        cost_bps=draw(st.sampled_from([0.0, 1.0, 25.0])),
    )
    scale = draw(st.sampled_from([1e-6, 1.0, 1e3]))
    shift = draw(st.sampled_from([0.0, 0.5, 5.0]))
    decimals = draw(st.sampled_from([0, 1, 6]))  # 0: many ties and constant days
    grid = (np.round(rng.normal(shift, 1.0, (T, N)), decimals) * scale).astype(np.float32)
    return dataset, grid, dataset.valid_rows


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(cases())
def test_every_metric_equals_the_contract_read_slowly(
    case: tuple[Dataset, np.ndarray, np.ndarray],
) -> None:
    dataset, grid, rows = case
    if len(rows) == 0 or len(dataset.train_rows) == 0:
        return
    p32, train32 = on_rows(dataset, grid, rows), on_rows(dataset, grid, dataset.train_rows)
    train, p = [float(v) for v in train32[0]], [float(v) for v in p32[0]]
    if pstd(train) <= 1e-5 * abs(fmean(train)):
        return  # a constant on the training rows has tests of its own
    got = score(scoring(dataset, rows), p32, train32)[0]

    cells = {
        (int(dataset.time[r]), int(dataset.symbol[r])): v for r, v in zip(rows, p, strict=True)
    }
    first, last = min(t for t, _ in cells), max(t for t, _ in cells)
    # Until the last label has ended, which is inside the part.
    last = max(last, int(dataset.label_end[rows].max()) - dataset.lag - 1)
    net = slow_net_returns(dataset, slow_weights(dataset, cells, train, True), first, last)
    exposed = slow_net_returns(dataset, slow_weights(dataset, cells, train, False), first, last)
    expected = {
        "sharpe": slow_sharpe(net, 252.0),
        "sharpe_clean": slow_sharpe(net, 252.0),
        "sharpe_exposure": slow_sharpe(exposed, 252.0),
        "ic": slow_ic(dataset, rows, p, train, rank=False),
        "rank_ic": slow_ic(dataset, rows, p, train, rank=True),
        "prediction_std": pstd(p),
    }
    for name, value in expected.items():
        if value is None:
            assert got.values[name] is None, name
        else:
            assert got.values[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name
    if net is None:
        assert got.net_returns is None
    else:
        assert got.net_returns == pytest.approx(net, rel=1e-9, abs=1e-14)
    assert all(v is None or math.isfinite(v) for v in got.values.values())
