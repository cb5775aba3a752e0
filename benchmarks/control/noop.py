"""Training that takes no time: reports made up from the parameters, for what a search costs."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from ray import tune

from benchmarks.members import follow
from search.backend.workers import WorkerSpec
from trainable.data.dataset.dataset import Dataset
from trainable.io.file_store import FileStore
from trainable.metrics.scores import SCORE_NAMES
from trainable.metrics.scoring import scoring
from trainable.report import Report, Stop
from trainable.trial import IDLE_S, METRIC
from trainable.worker.assignment import Instructions

EPOCHS = 10
EXPLODES_ABOVE = 0.05  # learning rate
CURVES = 64  # different series of net returns
COMPONENTS = ("input", "body", "head")


def space(trial: optuna.Trial) -> dict[str, Any]:
    """Suggests eight parameters of a small network, three shapes among them."""
    trial.suggest_categorical("model/hidden_dims", ["32-16", "64-32", "64-32-16"])
    trial.suggest_float("model/dropout", 0.0, 0.4)
    trial.suggest_float("optimizer/lr", 1e-5, 3e-1, log=True)
    trial.suggest_float("optimizer/weight_decay", 1e-5, 1e-1, log=True)
    trial.suggest_float("optimizer/clip", 0.5, 1e3, log=True)
    trial.suggest_float("optimizer/beta1", 0.8, 0.95)
    trial.suggest_float("loss/delta", 0.5, 3.0)
    trial.suggest_float("schedule/floor", 0.0, 0.2)
    return {"loss/name": "huber", "schedule/name": "warmup_cosine", "train/batch_size": 32}


class NoopWorker:
    """Members that report at once: a good learning rate earns more, a high one explodes.

    Args:
        rungs: epochs at which `step` returns; the last one is the end.
        periods: validation periods, of the net returns.
        rows: validation rows, of the predictions.
    """

    def __init__(self, rungs: Sequence[int], periods: int, rows: int) -> None:
        self.params: dict[int, dict[str, Any]] = {}
        self.epochs: dict[int, int] = {}
        self.rungs = tuple(rungs)
        rng = np.random.default_rng(0)
        self._curves = rng.normal(3e-4, 0.01, (CURVES, periods))
        self._predictions = rng.normal(0.0, 0.01, rows).astype(np.float32)

    @property
    def live(self) -> list[int]:
        """Numbers of the members in training."""
        return list(self.epochs)

    def follow(self, instructions: Instructions) -> None:
        """Lets members go and takes others in."""
        follow(self.epochs, instructions)
        self.params |= {member.number: member.params for member in instructions.join}

    def step(self, until: float = math.inf) -> list[Report]:
        """Returns the epochs of every member up to its next rung, whatever the time."""
        reports: list[Report] = []
        for number in sorted(self.epochs):
            rung = next(rung for rung in self.rungs if rung > self.epochs[number])
            for epoch in range(self.epochs[number] + 1, rung + 1):
                reports.append(self._report(number, epoch))
                self.epochs[number] = epoch
                if reports[-1].stop is not None:
                    del self.epochs[number]
                    break
        return reports

    def _report(self, number: int, epoch: int) -> Report:
        params = self.params[number]
        rate, exploded = params["optimizer/lr"], params["optimizer/lr"] > EXPLODES_ABOVE
        last = epoch == self.rungs[-1]
        luck = math.sin(12.9898 * params["train/seed"] + epoch)
        sharpe = 1.0 - 0.2 * (math.log10(rate) + 3.0) ** 2 - params["model/dropout"] + 0.3 * luck
        loss = None if exploded else 1.0 + 0.1 / epoch - 0.001 * sharpe
        values: dict[str, float | None] = dict.fromkeys(SCORE_NAMES, 0.01 * luck)
        values |= dict.fromkeys((f"grad_norm.{name}" for name in COMPONENTS), 0.5 + 0.1 * luck)
        values |= {
            "sharpe": None if exploded else sharpe,
            "train_sharpe": sharpe + 0.2,
            "train_ic": 0.02 * luck,
            "val_loss": loss,
            "train_loss": loss,
            "skill": 0.001 * sharpe,
            "lr": rate,
            "grad_norm": 1.0,
            "nan_rate": 1.0 if exploded else 0.0,
            "steps_per_s": 1e5,
            "tokens_per_s": 3e6,
        }
        stop = Stop("completed", {"epoch": epoch}) if last else None
        if exploded:
            evidence = {"step": epoch, "tensor": "loss", "value": "nan", "lr": rate}
            stop = Stop("nan_explosion", evidence)
        return Report(
            number,
            epoch,
            steps=400 * epoch,
            values=values,
            seconds=1e-3,
            net_returns=None if exploded else self._curves[(7 * number + epoch) % CURVES],
            stop=stop,
            predictions=self._predictions if last and not exploded else None,
        )


class NoopTrial(tune.Trainable):
    """`CohortTrial` for Ray Tune without any training."""

    def setup(
        self, config: dict[str, Any], dataset: Dataset | None = None, files: FileStore | None = None
    ) -> None:
        """Begins without members."""
        assert dataset is not None
        self.lengths = sizes(dataset)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins anew."""
        self.worker = NoopWorker(new_config["rungs"], *self.lengths)
        return True

    def step(self) -> dict[str, Any]:
        """Returns the reports up to the next rung."""
        if not self.worker.live:
            time.sleep(IDLE_S)
        reports = self.worker.step()
        return {"reports": reports, METRIC: len(self.worker.live), "device": "cpu", "gpu": None}

    def exchange(self, instructions: Instructions) -> None:
        """Takes members out and others in."""
        self.worker.follow(instructions)


def noop_worker(dataset: Dataset, spec: WorkerSpec, members: int) -> NoopWorker:
    """Returns a worker for the `Local` back end."""
    return NoopWorker(spec.rungs, *sizes(dataset))


def sizes(dataset: Dataset) -> tuple[int, int]:
    """Returns the validation periods and rows of a dataset."""
    rows = dataset.valid_rows
    return len(scoring(dataset, rows).timestamps), len(rows)
