"""`deterministic=true`: whatever the order and the speed of the workers, a seed is one search."""

import json
import random
import time
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from search.backend.local import Local, LocalWorker, unmeasured_worker
from search.backend.workers import WorkerSpec
from search.session.observer import SearchObserver
from tests.fixtures import tiny
from tests.fixtures.here import interrupt_after, search_here
from trainable import executors
from trainable.data.dataset.dataset import Dataset
from trainable.models import MODELS
from trainable.models.mlp import Mlp
from trainable.report import Report
from trainable.worker.assignment import Instructions

SPACE = '''"""Tiny networks of two shapes."""

EPOCHS = 6


def space(trial):
    trial.suggest_categorical("model/hidden_dims", ["4", "6"])
    trial.suggest_float("model/dropout", 0.1, 0.3)
    trial.suggest_float("optimizer/lr", 1e-3, 3e-1, log=True)
    return {"model/name": "mlp", "train/batch_size": 32, "train/patience": 3}
'''
WORDS = {key: word for key, word in tiny.WORDS.items() if key not in ("cohort", "max_concurrent")}
WORDS |= {"trials": 20, "finalist_seeds": 2, "rungs": "1,3", "reduction_factor": 2}
TIMES = ["seconds", "started", "ended"]


class Hurried:
    """A worker whose step ends after a while of its own, and which is asked at odd moments."""

    def __init__(self, worker: LocalWorker, chance: random.Random) -> None:
        self.worker, self.chance = worker, chance

    @property
    def live(self) -> Sequence[int]:
        return self.worker.live

    def step(self, until: float) -> list[Report]:
        return self.worker.step(time.monotonic() + self.chance.choice([0.0, 0.003, 1.0]))

    def follow(self, instructions: Instructions) -> None:
        self.worker.follow(instructions)


def search(
    folder: Path, name: str, workers: int = 2, speed: int = 0, status: int = 0, **words: object
) -> Path:
    """Runs a search whose workers take their turns at random; returns its run folder."""
    chance = random.Random(speed)

    def make(dataset: Dataset, spec: WorkerSpec, members: int) -> LocalWorker:
        return Hurried(unmeasured_worker(dataset, spec, members), chance)

    def some(slots: Sequence[int]) -> Sequence[int]:
        return chance.sample(slots, chance.randint(0, len(slots)))

    asked = {**WORDS, "name": name, "max_concurrent": workers, **words}
    with chdir(folder):
        found = search_here(
            *(f"{key}={value}" for key, value in asked.items()),
            make=lambda: Local(cpus=8, make_worker=make, order=some),
        )
    assert found == status
    return folder / "runs" / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one")
    tiny.write_inputs(path, space=SPACE)
    return path


@pytest.fixture(scope="module")
def wanted(folder: Path) -> Path:
    return search(folder, "wanted", speed=0, deterministic="true")


def differs(one: Path, other: Path, but: Sequence[str] = ()) -> list[str]:
    """Returns the columns in which two runs differ, times and those named left out."""
    found = []
    for name in ("trials", "epochs", "predictions"):
        a, b = tiny.table(one, name), tiny.table(other, name)
        if len(a) != len(b) or set(a) != set(b):
            return [f"{name}: {len(a)} and {len(b)} rows"]
        out = {*TIMES, "steps_per_s", "tokens_per_s", *but}
        found += [f"{name}.{key}" for key in a if key not in out and not a[key].equals(b[key])]
    return found


@pytest.mark.parametrize("speed", [1])
def test_the_order_in_which_reports_arrive_makes_no_difference(
    speed: int, folder: Path, wanted: Path
) -> None:
    run = search(folder, f"speed{speed}", speed=speed, deterministic="true")
    assert differs(run, wanted) == []
    models = [
        {file.relative_to(one): file.read_bytes() for file in one.glob("best/members/*/*")}
        for one in (run, wanted)
    ]
    assert models[0] == models[1] != {}


def test_without_it_the_order_of_arrival_makes_another_search(folder: Path) -> None:
    first = search(folder, "free0", speed=0)
    others = (search(folder, f"free{speed}", speed=speed) for speed in (1, 2))
    assert any(differs(run, first, ["batch", "cohort"]) for run in others)
    assert record(first)["exactly"] is False


@pytest.mark.parametrize("workers", [3])
def test_nor_does_the_number_of_workers_where_models_train_together(
    workers: int, folder: Path, wanted: Path
) -> None:
    run = search(folder, f"of{workers}", workers, speed=9, deterministic="true")
    assert differs(run, wanted, ["cohort"]) == []


class Noisy(Mlp):
    """A perceptron that draws a number in a way of its own: it cannot be fused."""

    def forward(self, x: Tensor) -> Tensor:
        prediction = super().forward(x)
        return prediction + 1e-3 * torch.rand(1) if self.training else prediction


@pytest.mark.parametrize("executor", ["serial", "solo", "vmapped"])
def test_nor_where_each_model_trains_for_itself(
    executor: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As do those that are large, and those that cannot be fused; nor where vmap fuses them."""
    if executor == "serial":
        monkeypatch.setattr(executors, "LARGE", 10)
    else:
        build = {"solo": Noisy, "vmapped": Mlp}[executor]
        monkeypatch.setitem(MODELS, "mlp", replace(MODELS["mlp"], build=build, batched=None))
    words: dict[str, Any] = {"deterministic": "true", "trials": 6}
    one = search(folder, f"{executor}1", 1, speed=1, **words)
    with monkeypatch.context() as patched:
        patched.setattr(SearchObserver, "tick", interrupt_after(3))
        search(folder, f"{executor}3", 2, speed=5, status=130, **words)
    again = search(folder, f"{executor}3", 1, speed=6, **words, resume="true")
    assert differs(again, one, ["cohort"]) == []


@pytest.mark.parametrize("shards", [1, 6])
def test_a_search_that_was_interrupted_is_the_same_one(
    shards: int, folder: Path, wanted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"cut{shards}"
    with monkeypatch.context() as patched:
        patched.setattr(SearchObserver, "tick", interrupt_after(shards))
        search(folder, name, speed=5, status=130, deterministic="true")
    run = search(folder, name, speed=6, deterministic="true", resume="true")
    assert differs(run, wanted, ["cohort"]) == []


def test_the_search_of_these_tests_has_every_kind_of_end(wanted: Path) -> None:
    trials = tiny.table(wanted, "trials").query("kind == 'search'")
    assert {"asha_rung", "completed"} < set(trials["stop_reason"])
    assert len(set(trials["stop_reason"])) > 2, set(trials["stop_reason"])
    assert (tiny.table(wanted, "trials")["kind"] == "seed").any()


def record(run: Path) -> Any:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))["repeats"]


def test_the_record_says_which(wanted: Path) -> None:
    assert record(wanted) == {
        "deterministic": True, "workers": 2, "exactly": True, "doubts": [],
    }  # fmt: skip


def test_a_time_budget_that_was_used_up_is_a_doubt(folder: Path) -> None:
    run = search(folder, "late", deterministic="true", time_budget_s=0.5, trials=2000)
    assert record(run)["exactly"] is False
    assert "the time was up: where, depends on the machine" in record(run)["doubts"]
    trials = tiny.table(run, "trials").query("kind != 'baseline'")
    assert "time_budget" in set(trials["stop_reason"])
    counts = tiny.table(run, "epochs").groupby("number").size()
    assert trials.set_index("number")["epochs"][counts.index].tolist() == counts.tolist()


def test_a_worker_that_is_lost_ends_no_search(folder: Path) -> None:
    lost: list[int] = []

    class Lossy(Hurried):
        def step(self, until: float) -> list[Report]:
            if len(lost) < 2 and self.live and self.chance.random() < 0.2:
                lost.append(len(self.live))
                raise OSError("gone")
            return super().step(until)

    chance = random.Random(1)

    def make(dataset: Dataset, spec: WorkerSpec, members: int) -> LocalWorker:
        return Lossy(unmeasured_worker(dataset, spec, members), chance)

    with chdir(folder):
        words = {**WORDS, "name": "lossy", "max_concurrent": 2, "deterministic": "true"}
        found = search_here(
            *(f"{key}={value}" for key, value in words.items()),
            make=lambda: Local(cpus=8, make_worker=make),
        )
    assert found == 0
    assert len(lost) == 2
    run = folder / "runs" / "lossy"
    trials = tiny.table(run, "trials").query("kind == 'search'")
    assert set(trials["state"]) <= {"COMPLETE", "PRUNED"}
    assert record(run)["exactly"] is False
