"""Sharpe ratio, turnover and costs of whole searches, recomputed from predictions and prices."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.load import load_run
from tests.fixtures.here import search_here
from tests.fixtures.recomputed import Rules, recompute, recompute_equal_weight
from tests.fixtures.searches import TINY
from trainable import predict

DAYS = pd.date_range("2020-01-01", periods=620)
WORDS = (
    "space=tiny.py",
    "name=run",
    "trials=2",
    "epochs=2",
    "finalist_seeds=1",
    "max_concurrent=1",
)


def long(close: np.ndarray, stamps: pd.DatetimeIndex) -> pd.DataFrame:
    """A row per timestamp and symbol; no row where there is no close."""
    names = [f"S{n}" for n in range(close.shape[1])]
    frame = pd.DataFrame(close, stamps, names).rename_axis("timestamp").reset_index()
    return frame.melt("timestamp", names, "symbol", "close").dropna(ignore_index=True)


def walk(bars: int, symbols: int, scale: float = 0.02) -> np.ndarray:
    steps = np.random.default_rng(3).normal(2e-4, scale, (bars, symbols))
    return 50.0 * np.exp(np.cumsum(steps, axis=0))


def broken(symbols: int, stocks: int = 0) -> pd.DataFrame:
    """Halts within and at the borders of the validation part, weekends of stocks, an end."""
    close = walk(len(DAYS), symbols)
    close[np.ix_(np.asarray(DAYS.day_of_week) >= 5, np.arange(symbols) < stocks)] = np.nan
    close[400:405, 0] = np.nan
    close[405:, 0] *= 0.2  # reopens 80 % lower
    close[np.random.default_rng(4).random(close.shape[0]) < 0.1, 1] = np.nan
    close[455:475, 1] = np.nan  # over the end of validation
    close[365:376, 2] = np.nan  # over its beginning
    close[430:, -1] = np.nan
    return long(close, DAYS)


def minutes() -> pd.DataFrame:
    """Six symbols, seven hours a day; one of them often without a bar, also at the close."""
    days = pd.bdate_range("2024-01-01", periods=90)
    stamps = pd.DatetimeIndex([d + pd.Timedelta(hours=14 + h) for d in days for h in range(7)])
    close = walk(len(stamps), 6, 0.005)
    close[np.random.default_rng(5).random(len(stamps)) < 0.2, 0] = np.nan
    return long(close, stamps)


CASES = {
    "panel": (broken(8, stocks=4), {"data.delisting_return": -0.6, "data.cost_bps": 20}),
    "panel, horizon 5": (
        broken(8, stocks=4),
        {"data.delisting_return": -0.6, "data.cost_bps": 20, "data.horizon": 5, "data.lag": 1},
    ),
    "one symbol": (long(walk(620, 1), DAYS).drop(index=range(400, 405)), {}),
    "one symbol, horizon 5": (long(walk(620, 1), DAYS), {"data.horizon": 5, "data.cost_bps": 10}),
    "four symbols, horizon 5": (
        broken(4),
        {"data.horizon": 5, "data.lag": 2, "data.delisting_return": -0.3},
    ),
    "flat overnight": (minutes(), {"data.cost_bps": 2}),
    "hold overnight": (minutes(), {"data.overnight": "hold", "data.horizon": 3}),
}


@pytest.mark.parametrize("case", CASES)
def test_sharpe_turnover_and_costs_follow_from_predictions_and_prices(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices, settings = CASES[case]
    monkeypatch.chdir(tmp_path)
    Path("tiny.py").write_text(TINY)
    prices.to_csv("prices.csv", index=False)
    words = (f"{key}={value}" for key, value in settings.items())
    assert search_here(*WORDS, "data.path=prices.csv", *words) == 0
    run = load_run(Path("runs/run"))
    finalists: Any = run.trials.query("state == 'COMPLETE' and kind == 'search'").set_index(
        "number"
    )
    assert len(finalists) > 0
    assert set(finalists.index) == set(run.predictions["number"])
    baselines: Any = run.trials.query("kind == 'baseline'").set_index("params.model/name")
    long_only = baselines.loc["equal_weight"]
    for number, trial in finalists.to_dict("index").items():
        epoch = int(trial["ranking_epoch"])
        key = f"number == {number} and epoch == {epoch}"
        (said,) = run.epochs.query(key).to_dict("records")
        data = run.run["data"]
        assert settings == {key: data[key.removeprefix("data.")] for key in settings}
        few = len(data["symbols"]) < 5
        rules = Rules(
            data["horizon"],
            data["lag"],
            data["cost_bps"],
            data["periods_per_year"],
            data["delisting_return"],
            data["overnight"] == "flat",
            (said["position_std"], said["position_mean"]) if few else None,
        )
        if number == run.run["best"]:  # what is needed forward, without the tables
            facts = predict.load(Path("runs/run/best")).facts
            known = (facts["position_std"], facts["position_mean"]) if few else None
            assert rules == Rules(
                facts["horizon"],
                facts["lag"],
                facts["cost_bps"],
                facts["periods_per_year"],
                facts["delisting_return"],
                facts["overnight"] == "flat",
                known,
            )
        found = recompute(prices, run.predictions.query(f"number == {number}"), rules)
        table: Any = pd.read_parquet("runs/run/returns.parquet").query(key).set_index("timestamp")
        assert found.net.index.equals(table.index)
        np.testing.assert_allclose(found.net, table["net_return"], rtol=0, atol=1e-12)
        assert trial["sharpe"] == pytest.approx(found.sharpe, abs=1e-9)
        assert trial["turnover"] == pytest.approx(found.turnover, abs=1e-9)
        gross = trial["break_even_bps"] * 1e-4 * trial["turnover"] * len(found.net)
        assert gross - table["net_return"].sum() == pytest.approx(found.cost, abs=1e-9)
        # A trial that always predicts the same for each symbol is entered and unwound like this.
        market = recompute_equal_weight(prices, run.predictions.query(f"number == {number}"), rules)
        assert long_only["sharpe"] == pytest.approx(market.sharpe, abs=1e-9)
        assert long_only["turnover"] == pytest.approx(market.turnover, abs=1e-9)
