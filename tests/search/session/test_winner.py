"""One whole search, held against its inputs: who won, what is kept of whom, what the tables say.

What predictions earn is worked out once more from the closes, with pandas alone.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from tests.fixtures import tiny
from trainable import predict

WORDS = tiny.WORDS | {
    "trials": 8, "epochs": 4, "rungs": "1,2,3", "reduction_factor": 2, "finalist_seeds": 3,
    "cohort": 1, "steps_per_epoch": 12, "seed": 5,
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A run folder, its trials, the finalists by the mean over their seeds, and what was said."""

    run: Path
    trials: Any
    ranked: list[int]
    said: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads((self.run / "run.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("winner")
    tiny.write_inputs(folder)
    run, said = tiny.search_and_listen(folder, WORDS)
    trials = tiny.table(run, "trials").set_index("number", drop=False)
    means = {
        int(number): trials[(trials["number"] == number) | (trials["parent"] == number)][
            "sharpe"
        ].mean()
        for number in trials.query("kind == 'search' and state == 'COMPLETE'")["number"]
    }
    return Found(run, trials, sorted(means, key=lambda n: -means[n]), said)


def test_the_exported_model_is_that_of_the_first_of_the_ranking(found: Found) -> None:
    """Who is neither the first nor the last that finished, nor the best before its seeds."""
    first, *others = found.ranked
    assert len(others) >= 2
    assert first != min(found.ranked)
    assert first != found.trials.loc[found.ranked, "sharpe"].idxmax()
    assert found.json["best"] == first
    best = found.run / "best"
    ensemble = json.loads((best / "config.json").read_text(encoding="utf-8"))
    assert ensemble["first"] == ensemble["members"][0]["configuration"] == first
    config = json.loads((best / f"members/{first}/config.json").read_text(encoding="utf-8"))
    assert config["facts"]["number"] == first
    assert config["facts"]["epoch"] == found.trials.loc[first, "ranking_epoch"]
    assert config["params"]["train/seed"] == found.trials.loc[first, "seed"]
    parts = f"best/members/{first}", f"trials/{first}", f"trials/{others[-1]}"
    models = [load_file(found.run / part / "model.safetensors") for part in parts]
    best, own, last = models
    assert all(best[name].equal(own[name]) for name in own)
    assert not all(best[name].equal(last[name]) for name in last)
    assert f"Trial {first} ranks first: " in found.said


def test_the_exported_model_has_all_that_its_positions_need(found: Found) -> None:
    facts = predict.load(found.run / "best").facts
    epoch = found.trials.loc[found.ranked[0], "ranking_epoch"]
    assert facts["ranking_epoch"] == facts["epoch"] == epoch
    assert facts["position_std"] is None  # of fewer than five symbols only: test_recomputed.py
    data = found.json["data"]
    kept = ("symbols", "cost_bps", "periods_per_year", "overnight", "delisting_return")
    assert {key: facts[key] for key in kept} == {key: data[key] for key in kept}
    assert facts["symbols"] == list(tiny.SYMBOLS)


def test_the_live_best_is_the_first_of_the_ranking(found: Found) -> None:
    """Not the highest seed, nor the epoch with the highest Sharpe ratio, though both are higher."""
    first = found.ranked[0]
    seeds = found.trials.query("parent == @first or number == @first")["sharpe"]
    assert found.trials.query("kind == 'seed'")["sharpe"].max() > seeds.mean() + 0.1
    lines = re.findall(r"best trial (\d+): .*?([0-9.]+) on these days \(mean of (\d)", found.said)
    assert lines[-1] == (str(first), f"{seeds.mean():.2f}", str(len(seeds)))


def test_a_trials_figures_are_those_of_its_lowest_validation_loss(found: Found) -> None:
    epochs = tiny.table(found.run, "epochs")
    trained = found.trials.query("kind != 'baseline'")
    moved = 0
    for _, trial in trained.iterrows():
        own = epochs[epochs["number"] == trial["number"]]
        lowest = own.loc[own["val_loss"].idxmin()]
        assert trial["ranking_epoch"] == lowest["epoch"]
        for name in ("val_loss", "sharpe", "ic", "rank_ic", "accuracy"):
            assert trial[name] == lowest[name], name
        assert trial["best_sharpe"] == own["sharpe"].max()
        assert trial["best_epoch"] == own.loc[own["sharpe"].idxmax(), "epoch"]
        assert trial["first_val_loss"] == own.iloc[0]["val_loss"]
        assert trial["epochs"] == own["epoch"].max()
        moved += trial["best_epoch"] != trial["ranking_epoch"]
    assert moved > 0


def test_models_are_kept_of_finalists_and_of_nobody_else(found: Found) -> None:
    trained = found.trials.query("kind != 'baseline'")
    ended = trained[trained["state"] == "COMPLETE"]
    assert 0 < len(ended) < len(trained)
    kept = {int(path.parent.name) for path in found.run.glob("trials/*/model.safetensors")}
    assert kept == set(ended["number"])
    assert kept == {int(path.parent.name) for path in found.run.glob("trials/*/config.json")}


def test_seeds_of_finalists_are_held_to_no_rung(found: Found) -> None:
    """Some would have been cut: they begin below the median of the searched."""
    first = tiny.table(found.run, "epochs").query("epoch == 1").set_index("number")["sharpe"]
    kinds = found.trials.query("kind != 'baseline'")["kind"]
    seeds, searched = (first[kinds.index[kinds == kind]] for kind in ("seed", "search"))
    assert (seeds < searched.median()).sum() >= 2
    ended = found.trials.loc[seeds.index]
    assert set(ended["state"]) == {"COMPLETE"}
    assert set(ended["stop_reason"]) == {"completed"}
    assert set(ended["epochs"]) == {4}


def closes() -> pd.DataFrame:
    return tiny.wide(tiny.bars(), "close")


def test_predictions_returns_and_figures_stand_at_their_day_and_symbol(found: Found) -> None:
    """Were symbols or days misaligned, the same predictions would earn something else."""
    predictions, returns = (tiny.table(found.run, name) for name in ("predictions", "returns"))
    ended = found.trials.query("state == 'COMPLETE' and kind != 'baseline'")
    assert set(predictions["number"]) == set(ended["number"])
    for number, own in predictions.groupby("number"):
        wide = own.pivot(index="timestamp", columns="symbol", values="prediction")
        assert list(wide.columns) == list(tiny.SYMBOLS)
        assert wide.notna().all(axis=None)
        net = tiny.earned(wide.astype(float), closes().shift(-1) / closes() - 1)
        epoch = found.trials.loc[number, "ranking_epoch"]
        stored = returns[(returns["number"] == number) & (returns["epoch"] == epoch)]
        assert list(stored["timestamp"]) == list(net.index)
        np.testing.assert_allclose(stored["net_return"], net, atol=1e-9)
        sharpe = net.mean() / net.std() * np.sqrt(252)
        assert found.trials.loc[number, "sharpe"] == pytest.approx(sharpe)


def test_predictions_are_those_of_the_kept_model(found: Found) -> None:
    """The hint is the one feature that has a value on the day itself only."""
    predictions = tiny.table(found.run, "predictions")
    number = found.ranked[0]
    own = predictions[predictions["number"] == number]
    wide = own.pivot(index="timestamp", columns="symbol", values="prediction")
    wanted = tiny.predicted(found.run / "best", tiny.bars()).loc[wide.index, wide.columns]
    np.testing.assert_allclose(wide, wanted, atol=1e-5)


def test_days_and_parts_are_those_of_the_dates(found: Found) -> None:
    """60, 75 and 85 % of the bars; the last validation label ends within its part."""
    days = closes().index
    cuts = [int(share * len(days)) for share in (0.6, 0.75, 0.85)]
    parts = zip(("train", "valid", "gate", "test"), [0, *cuts], [*cuts, len(days)], strict=True)
    wanted = {
        name: [f"{days[a]:%Y-%m-%dT%H:%M:%S}", f"{days[b - 1]:%Y-%m-%dT%H:%M:%S}"]
        for name, a, b in parts
    }
    assert found.json["split"] == wanted
    scored = pd.DatetimeIndex(tiny.table(found.run, "predictions")["timestamp"].unique())
    assert list(scored) == list(days[cuts[0] : cuts[1] - 1])
