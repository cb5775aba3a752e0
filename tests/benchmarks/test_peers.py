"""The comparison with Optuna alone: both sides are measured alike, the table says what is so."""

from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

from analysis.load import load_run
from benchmarks.peers import plain
from benchmarks.peers.__main__ import SPACE, findings, main
from benchmarks.peers.table import source, table
from benchmarks.truth.markets import SYMBOLS, Truth, make_market
from search.space.validation import check_space, load_space
from tests.fixtures.runs import make_run
from trainable.cli.errors import UserError
from trainable.data.dataset.dataset import Dataset
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring

Market = tuple[Dataset, Truth]


@pytest.fixture(scope="module")
def market() -> Market:
    return make_market("strong", 0)


def test_the_usual_script_computes_the_sharpe_ratio_of_ours(market: Market) -> None:
    dataset, _ = market
    rows = dataset.rows_of("valid")
    predicted = np.random.default_rng(0).normal(size=len(rows))
    part = plain.part_of(dataset, "valid")
    mine = plain.sharpe_of(predicted, part.r, dataset.cost_bps * 1e-4)
    ours = score(scoring(dataset, rows), predicted[None], predicted[None])[0].values["sharpe"]
    assert mine == pytest.approx(ours, rel=1e-6)  # returns in float32


def test_its_rows_are_those_of_our_split_scaled_on_the_training_part(market: Market) -> None:
    dataset, truth = market
    train, later = plain.part_of(dataset, "train"), plain.part_of(dataset, "test")
    assert train.x.mean(dim=0).abs().max() < 1e-5
    assert (train.x.std(dim=0, correction=0) - 1).abs().max() < 1e-5
    assert later.r.shape == truth.expected.shape
    assert len(train.x) == len(dataset.train_rows)


def test_both_sides_search_the_same_space() -> None:
    facts = check_space(load_space(str(SPACE)), {}, samples=20)
    trial = optuna.create_study().ask()
    params = plain.space(trial) | trial.params
    assert facts.distributions.keys() == trial.params.keys()
    for width in ("16", "32-16"):
        network = plain.network(params | {"model/hidden_dims": width}, inputs=6)
        assert network(torch.zeros(5, 6)).shape == (5,)
    for name in ("adamw", "sgd"):
        optimizer = plain.optimizer_of(params | {"optimizer/name": name}, network)
        assert optimizer.param_groups[0]["lr"] == params["optimizer/lr"]


@pytest.mark.parametrize(
    ("predicted", "broken"),
    [([1.0, np.nan], True), ([np.inf, 1.0], True), ([0.5, 0.5], True), ([0.1, 0.2], False)],
)
def test_what_is_broken(predicted: list[float], broken: bool) -> None:
    assert plain.is_broken(np.array(predicted), np.array([1.0, -1.0])) == broken


def test_what_is_true_is_of_the_trial_that_is_claimed(market: Market) -> None:
    dataset, truth = market
    found = plain.search(dataset, truth, trials=3, epochs=1, seed=0)
    assert (found["configurations"], found["epochs"]) == (3, 3)
    study, later = optuna.create_study(direction="maximize"), dict[int, np.ndarray]()
    perfect = truth.expected.ravel()
    for value, predictions in ((0.5, -perfect), (2.0, perfect), (float("nan"), perfect)):
        trial = study.ask()
        later[trial.number] = predictions
        failed = np.isnan(value)
        study.tell(trial, None if failed else value, state=None if not failed else FAIL)
    said = plain.findings(study, later, {0, 2}, truth)
    assert said["claimed"] == 2.0
    assert said["true"] == pytest.approx(float(truth.of(perfect[None])[0][0]))
    assert said["true"] > 1
    assert (said["broken"], said["told"]) == (2, 1)
    assert said["broken_states"] == {"COMPLETE": 1, "FAIL": 1}


FAIL = optuna.trial.TrialState.FAIL


def test_what_a_run_says_is_counted_from_its_tables(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "lost", survivors=False))
    found = findings(run, "none", 0)
    assert found["configurations"] == found["broken"] == found["told"] == 24
    assert sum(found["broken_reasons"].values()) == 24
    assert (found["claimed"], found["found"]) == (None, False)


def one(**more: object) -> dict[str, object]:
    figures = {"seconds": 10.0, "cpu_seconds": 9.0, "configurations": 64, "epochs": 400}
    return {
        **figures,
        "broken": 4,
        "told": 1,
        "claimed": 2.0,
        "true": 1.0,
        "others_cpu_seconds": 3.0,
        **more,
    }


def test_the_table_is_of_means_over_markets() -> None:
    mine = [
        one(told=4, book=1.5, book_true=1.25, found=True),
        one(told=4, claimed=1.0, found=False),
    ]
    result = {
        "searches": {
            "strong": {"optuna": [one(), one(seconds=20.0, true=None)], "asharpe": mine},
            "none": {"optuna": [one(broken=0, told=0)] * 2, "asharpe": mine},
        },
        "date": "2026-11-30T12:00:00+00:00",
        "command": "python -m benchmarks.peers --out a.json",
        "machine": {"cores": 2, "cpu": "a CPU"},
    }
    rows = [line.strip("| ").split(" | ") for line in table(result).splitlines()]
    cells = {row[0]: row[1:] for row in rows[2:]}
    assert rows[0][0] == "mean of 2 planted markets"
    assert cells["seconds, start-up included (CPU)"][:2] == ["15 (9)", "10 (9)"]
    assert cells["… of these it says so"] == ["25%", "100%", "–", "100%"]
    assert cells["Sharpe ratio claimed for the winner"][:2] == ["2.00", "1.50"]
    assert cells["its true Sharpe ratio"][0] == "1.00"
    assert cells["all finalists in equal shares: claimed"][:2] == ["–", "1.50"]
    assert cells["says that it is more than chance"][:2] == ["says nothing", "1 of 2"]
    assert {len(row) for row in rows[2:]} == {1 + 4}
    assert source(result).startswith("Measured 2026-11-30 by `python -m benchmarks.peers` on 2 co")
    assert "took 3 seconds of CPU" in source(result)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(UserError, match="at least 1"):
        main(["--markets", "0"])


def test_a_market_has_a_row_for_every_symbol_each_day(market: Market) -> None:
    assert plain.part_of(market[0], "valid").r.shape[1] == SYMBOLS
