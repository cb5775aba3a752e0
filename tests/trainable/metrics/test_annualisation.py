"""√(periods a year) whatever the bars are: months, days with weekends, half hours."""

import numpy as np
import pytest

from tests.fixtures.panels import noise, on_rows, panel, scored
from trainable.metrics.baselines import baselines
from trainable.metrics.scores import score, score_weights, sharpe_and_ic, sharpe_ratio, sharpe_se
from trainable.metrics.scoring import scoring

BARS = 80
each_year = pytest.mark.parametrize("year", [12.0, 252.0, 365.0, 1638.0])
each_size = pytest.mark.parametrize("symbols", [1, 3, 6])


def annual(returns: np.ndarray, year: float) -> float:
    return float(np.mean(returns) / np.std(returns, ddof=1) * np.sqrt(year))


def error(returns: np.ndarray, year: float) -> float:
    """Lo (2002), of one period, times the root of the periods a year."""
    one = np.mean(returns) / np.std(returns, ddof=1)
    return float(np.sqrt((1 + one**2 / 2) / len(returns)) * np.sqrt(year))


@each_year
def test_of_a_series_of_returns(year: float) -> None:
    returns = np.array([0.01, -0.02, 0.03, 0.005, -0.001])
    assert sharpe_ratio(returns, year) == pytest.approx(annual(returns, year))
    assert sharpe_se(returns, year) == pytest.approx(error(returns, year))


@each_year
@each_size
@pytest.mark.parametrize("horizon", [1, 3])
def test_of_what_predictions_earn(year: float, symbols: int, horizon: int) -> None:
    dataset = panel(
        noise(BARS, symbols), cost_bps=2.0, periods_per_year=year, horizon=horizon,
        target=noise(BARS, symbols, 9),
    )  # fmt: skip
    found = scored(dataset, noise(BARS, symbols, 1))
    net = found.net_returns
    assert net is not None
    assert len(net) > 30
    assert found.values["sharpe"] == pytest.approx(annual(net, year))
    assert found.values["sharpe_se"] == pytest.approx(error(net, year))
    assert found.values["sharpe_clean"] == pytest.approx(annual(net, year))


@each_year
@each_size
def test_of_training_as_of_validation(year: float, symbols: int) -> None:
    dataset = panel(noise(BARS, symbols), periods_per_year=year)
    grid = noise(BARS, symbols, 1)
    p, t = (on_rows(dataset, grid, rows) for rows in (dataset.valid_rows, dataset.train_rows))
    ((sharpe, ic),) = sharpe_and_ic(scoring(dataset, dataset.valid_rows), p, t)
    net = score(scoring(dataset, dataset.valid_rows), p, t)[0].net_returns
    assert net is not None
    assert sharpe == pytest.approx(annual(net, year))
    assert ic == pytest.approx(scored(dataset, grid).values["ic"])


@each_year
def test_of_positions_that_are_not_demeaned(year: float) -> None:
    """Six symbols: prediction ÷ Σ|prediction|, of which every change is charged."""
    returns, grid = noise(BARS, 6), noise(BARS, 6, 1)
    dataset = panel(returns, cost_bps=3.0, periods_per_year=year)
    bars = np.unique(dataset.time[dataset.valid_rows])
    weights = grid[bars] / np.abs(grid[bars]).sum(axis=1, keepdims=True)
    turnover = np.abs(np.diff(weights, axis=0, prepend=np.zeros((1, 6)))).sum(axis=1)
    net = (weights * returns[bars]).sum(axis=1) - 3e-4 * turnover
    assert scored(dataset, grid).values["sharpe_exposure"] == pytest.approx(annual(net, year))


@each_year
def test_of_few_positions_that_are_not_demeaned(year: float) -> None:
    returns, grid = noise(BARS, 2), noise(BARS, 2, 1)
    dataset = panel(returns, cost_bps=0.0, periods_per_year=year)
    bars = np.unique(dataset.time[dataset.valid_rows])
    std = on_rows(dataset, grid, dataset.train_rows).std()
    net = (np.clip(grid[bars] / std, -1, 1) / 2 * returns[bars]).sum(axis=1)
    assert scored(dataset, grid).values["sharpe_exposure"] == pytest.approx(annual(net, year))


@each_year
def test_without_the_returns_at_bad_ticks(year: float) -> None:
    returns, grid = noise(BARS, 6), noise(BARS, 6, 1)
    bad = np.zeros((BARS, 6), bool)
    bad[60, 2] = True  # the returns that end and begin there
    dataset = panel(returns, bad_ticks=bad, cost_bps=0.0, periods_per_year=year)
    clean = returns.copy()
    clean[59:61, 2] = 0.0
    wanted = scored(panel(clean, cost_bps=0.0), grid).net_returns
    found = scored(dataset, grid).values
    assert wanted is not None
    assert found["sharpe_clean"] == pytest.approx(annual(wanted, year))
    assert found["sharpe"] != pytest.approx(found["sharpe_clean"])


@each_year
def test_of_weights_given_by_hand(year: float) -> None:
    dataset = panel(noise(BARS, 6), cost_bps=0.0, periods_per_year=year)
    on = scoring(dataset, dataset.valid_rows)
    found = score_weights(on, np.full(on.tradable.shape, 1 / 6))
    wanted = noise(BARS, 6)[np.unique(dataset.time[dataset.valid_rows])].mean(axis=1)
    assert found.net_returns == pytest.approx(wanted)
    assert found.values["sharpe"] == pytest.approx(annual(wanted, year))
    assert found.values["sharpe_se"] == pytest.approx(error(wanted, year))


@each_year
@each_size
def test_of_every_baseline(year: float, symbols: int) -> None:
    returns = noise(300, symbols)
    features = np.stack([returns + noise(300, symbols, 1), noise(300, symbols, 2)], axis=-1)
    dataset = panel(returns, features=features, periods_per_year=year)
    found = {each.name: each for each in baselines(dataset)}
    assert set(found) == {"zero", "momentum", "equal_weight", "ridge", "trees"}
    for name, each in found.items():
        if name == "zero":
            assert each.values["sharpe"] is None
            assert each.values["sharpe_se"] is None
            continue
        net = each.net_returns
        assert net is not None
        assert each.values["sharpe"] == pytest.approx(annual(net, year)), name
        assert each.values["sharpe_se"] == pytest.approx(error(net, year)), name
    long = found["equal_weight"].values
    assert long["sharpe_exposure"] == long["sharpe"]
