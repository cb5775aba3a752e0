"""Years of other lengths, through a whole search: every annual figure of it says the same year."""

import json
import math
import re
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from tests.fixtures import tiny

YEAR = 365.0
FLAT = '''"""Learns at once, then hardly any more."""

EPOCHS = 24


def space(trial):
    trial.suggest_float("optimizer/lr", 0.009, 0.01)
    return {"model/name": "mlp", "model/hidden_dims": "8", "train/batch_size": 32,
            "model/dropout": 0.0, "schedule/name": "warmup_cosine", "schedule/floor": 0.001}
'''


def luck(trials: int, periods: int, year: float) -> float:
    """Bailey and López de Prado (2014), equation 1."""
    quantile, euler = NormalDist().inv_cdf, 0.5772156649015329
    high, higher = quantile(1 - 1 / trials), quantile(1 - 1 / (trials * math.e))
    return ((1 - euler) * high + euler * higher) * math.sqrt(year / periods)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("year")
    tiny.write_inputs(folder, tiny.bars(480), FLAT)
    words = tiny.WORDS | {"data.periods_per_year": YEAR, "trials": 2, "steps_per_epoch": 20,
                          "rungs": "24", "deterministic": True}  # fmt: skip
    return tiny.search_and_listen(folder, words)


def test_every_sharpe_ratio_is_annual(made: tuple[Path, str]) -> None:
    run, _ = made
    trials, returns = tiny.table(run, "trials"), tiny.table(run, "returns")
    for _, trial in trials.iterrows():
        mine = returns["number"] == trial["number"]
        net = returns[mine & (returns["epoch"] == trial["ranking_epoch"])]["net_return"]
        if net.empty:
            assert trial["params.model/name"] == "zero"
            assert pd.isna(trial["sharpe"])
            continue
        one = net.mean() / net.std()
        assert trial["sharpe"] == pytest.approx(one * math.sqrt(YEAR))
        error = math.sqrt((1 + one**2 / 2) / len(net) * YEAR)
        assert trial["sharpe_se"] == pytest.approx(error)
    assert {"ridge", "momentum", "equal_weight", "zero"} <= set(trials["params.model/name"])


def test_every_epochs_sharpe_ratio_is_annual(made: tuple[Path, str]) -> None:
    run, _ = made
    epochs, returns = tiny.table(run, "epochs"), tiny.table(run, "returns")
    nets = returns[returns["number"] >= 0].groupby(["number", "epoch"])["net_return"]
    found = epochs.set_index(["number", "epoch"])["sharpe"]
    assert len(nets) == len(found)
    for key, net in nets:
        assert found[key] == pytest.approx(net.mean() / net.std() * math.sqrt(YEAR))


def test_the_luck_line_is_annual_wherever_it_is_said(made: tuple[Path, str]) -> None:
    run, said = made
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    periods = len(tiny.table(run, "returns")["timestamp"].unique())
    line = luck(2, periods, YEAR)
    assert described["data"]["periods_per_year"] == YEAR
    assert described["data"]["validation_periods"] == periods
    assert described["luck_line"] == pytest.approx(line)
    before = re.findall(r"2 useless trials\s+on (\d+) days\s+would\s+reach\s+([0-9.]+[0-9])", said)
    meanwhile = re.findall(r"reach\s+([0-9.]+[0-9])\s+on\s+(\d+)\s+days", said)
    assert set(before) == {(str(periods), f"{line:.2f}")}
    assert set(meanwhile) == {(f"{line:.2f}", str(periods))}


def test_the_flat_rule_is_annual(made: tuple[Path, str]) -> None:
    """Of a trial that ended as flat and good: its returns of every epoch are kept."""
    run, _ = made
    trials, returns = tiny.table(run, "trials"), tiny.table(run, "returns")
    (flat,) = trials[trials["stop_reason"] == "converged"].head(1).to_dict("records")
    evidence = json.loads(flat["stop_evidence"])
    own = returns[returns["number"] == flat["number"]]
    days = own.pivot(index="epoch", columns="timestamp", values="net_return").sort_index()
    last = int(flat["stop_epoch"])
    window = 5  # the least; a fifth of 24 epochs is less
    now = days.loc[last - 2 : last].mean().to_numpy()
    before = days.loc[last - 2 - window : last - window].mean().to_numpy()
    gain = (now.mean() / now.std() - before.mean() / before.std()) * math.sqrt(YEAR)
    assert evidence["days"] == days.shape[1] >= 60
    assert evidence["improvement"] == pytest.approx(gain, abs=1e-4)
    bound = (evidence["upper_bound"] - evidence["improvement"]) / evidence["standard_error"]
    assert bound == pytest.approx(NormalDist().inv_cdf(0.9))
    apart = influence(now) - influence(before)
    error = math.sqrt(bartlett(apart - apart.mean()) * YEAR)
    assert evidence["standard_error"] == pytest.approx(error, rel=1e-3)
    assert abs(evidence["improvement"]) > 1e-3


def influence(x: np.ndarray) -> np.ndarray:
    z = (x - x.mean()) / x.std()
    return z - x.mean() / x.std() / 2 * (z**2 - 1)


def bartlett(x: np.ndarray) -> float:
    """The variance of the mean, with the weights of Newey and West (1987)."""
    lags = int(4 * (len(x) / 100) ** (2 / 9))
    sums = [(1 - lag / (lags + 1)) * (x[lag:] @ x[: len(x) - lag]) for lag in range(lags + 1)]
    return float(2 * sum(sums) - sums[0]) / len(x) ** 2
