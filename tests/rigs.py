"""A driver with a study in memory, a run folder, and reports made by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import optuna

from search.cohorts import Sizes
from search.driver import Driver
from search.events import Events
from search.folder import RunFolder
from search.merge import Scored
from search.pruning import Judge
from search.results import Results
from search.study import Asked, SearchStudy
from search.trials import NothingLeftError
from trainable.report import Report, Stop

DAYS = np.arange("2020-01-01", "2020-02-10", dtype="datetime64[D]").astype("datetime64[ns]")
SCORED = Scored(DAYS, DAYS, np.full(len(DAYS), "A", dtype=object))
LEVELS = (1, 4)


def space(trial: optuna.Trial) -> dict:
    trial.suggest_float("optimizer/lr", 1e-4, 1e-1, log=True)
    return {"model/name": "mlp", "model/hidden_dims": "8"}


class Asker:
    """Asks when it is called: a `Prefetcher` without its thread."""

    def __init__(self, study: SearchStudy, budget: int) -> None:
        self.study, self.budget = study, budget
        self.error: Exception | None = None
        self.busy = False
        self.ready: list[Asked] = []
        self.held: list[int] = []

    def _ask(self) -> Asked:
        self.budget -= 1
        return self.study.ask(space)

    def want(self, n: int) -> None:
        if self.error is not None:
            raise self.error

    def hold(self, n: int) -> None:
        self.held.append(n)

    def take(self, n: int) -> list[Asked]:
        while len(self.ready) < n and self.budget > 0:
            try:
                self.ready.append(self._ask())
            except NothingLeftError:
                self.budget = 0
        taken, self.ready = self.ready[:n], self.ready[n:]
        return taken

    @property
    def exhausted(self) -> bool:
        return not self.ready and self.budget <= 0

    def close(self) -> list[Asked]:
        left, self.ready, self.budget = self.ready, [], 0
        return left


class Rig:
    """A study, a run folder, and as many drivers, one after another, as a test wants.

    Args:
        path: where the run folder is made, or is.
        study: that other rigs share; None: one in memory.
    """

    def __init__(self, path: Path, study: SearchStudy | None = None) -> None:
        shared, resumed = study is not None, (path / "run").exists()
        self.folder = RunFolder.create(path, "run", resumed, shared)
        self.study = study or SearchStudy.create(None, "run", seed=0)
        self.asker = Asker(self.study, 0)
        self.large = False  # models have a slot each

    def driver(
        self, trials: int, *, slots: int = 1, members: int = 4, seeds: int = 3, untold: int = 16
    ) -> Driver:
        """A driver that takes up whatever there is; nobody is cut by a rung before five values."""
        judge = Judge(LEVELS, DAYS, 252.0)
        left = trials - self.study.searched
        self.asker = Asker(self.study, left)
        asker: Any = self.asker
        sizes = Sizes(slots, untold, members, slots)
        results = Results(self.folder, SCORED, shared=self.study.shared)
        events = Events(self.folder.path)
        driver = Driver(
            self.study, judge, results, events, asker, sizes, seeds, lambda asked: 7, LEVELS[-1],
            why_alone=lambda config: "too large" if self.large else None,
        )  # fmt: skip
        driver.go_on()
        return driver

    def ends(self) -> dict[int, tuple[str, str | None]]:
        return {row.number: (row.state, row.reason) for row in self.study.rows()}


def report(number: int, epoch: int, stop: Stop | None = None, **values: float) -> Report:
    rng = np.random.default_rng((number, epoch))
    known = {"val_loss": 1 / epoch + number / 1000, "sharpe": number + epoch / 10, "ic": 0.01}
    return Report(
        number,
        epoch,
        steps=10 * epoch,
        values={**known, **values},
        seconds=0.5,
        net_returns=rng.normal(0.001, 0.01, len(DAYS)),
        stop=stop,
    )


def filled(driver: Driver) -> tuple[int, list[int]]:
    """Opens a slot and fills it; returns it with its members."""
    slot = driver.open()
    assert slot is not None
    return slot, [asked.number for asked in driver.fill(slot)]


def finish_all(driver: Driver) -> None:
    """Trains whoever there is in one slot, epoch by epoch, each to its last."""
    slot = driver.open()
    assert slot is not None
    driver.fill(slot)
    while not driver.finished:
        reports = []
        for number in sorted(driver.running[slot]):
            epoch = driver.results.last_epoch(number) + 1
            stop = Stop("completed") if epoch == LEVELS[-1] else None
            reports.append(report(number, epoch, stop))
        driver.take(slot, reports)
        driver.moved(slot)
        driver.fill(slot)
    driver.closed(slot)
