"""Searches over stored learning curves: the real controller, pruner and sampler, no training.

Time is simulated: an epoch of n members of one shape takes n + `PROGRAM` units, and the worker
whose clock is behind is the next to report.
"""

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna

from benchmarks.members import follow
from benchmarks.truth.curves import SEEN, Curves
from benchmarks.truth.curves import space as curves_space
from benchmarks.truth.nearest import NearestStrategy
from search.backend.base import Observer
from search.backend.local import Local
from search.backend.workers import WorkerSpec
from search.pruning.asha import rung_epochs
from search.pruning.flat_sharpe import FlatRule
from search.pruning.pruner import Pruner
from search.pruning.rung_rules import RULES
from search.run_folder.folder import RunFolder
from search.run_folder.long_tables import ScoredRows
from search.run_folder.reports import ReportStore
from search.sampler.sampler import Sampler, SpaceFunction
from search.sampler.strategies import strategy_of
from search.scheduling.capacity import capacity_of
from search.scheduling.cohorts import PROGRAM
from search.scheduling.controller import Controller
from search.scheduling.pace import Pace
from search.study.prefetch import Prefetcher
from search.study.study import SearchStudy
from search.study.trials import TrialRecord
from trainable.data.dataset.dataset import Dataset
from trainable.io.file_store import FileStore
from trainable.report import Report, Stop
from trainable.run_format import SEARCHED
from trainable.worker.assignment import Instructions

SLOTS = 2
DAYS_PER_YEAR = 252.0
WARMUP_ENDS = 3  # the first epoch after the longest warm-up of `curves.space`
NEVER_FLAT = FlatRule(window=1000)


@dataclass(frozen=True)
class Setup:
    """How a search is run.

    Attributes:
        rule: of `search.pruning.rung_rules.RULES`.
        first: epoch of the first rung.
        reduction_factor: about one trial in so many passes a rung.
        rungs: epochs of the rungs instead, the last one included.
        flat: the rule for a flat Sharpe; None: that of a search.
        trials: how many are searched.
        finalist_seeds: of each configuration that finishes.
        patience_trials: see `search.settings.settings`.
        sampler: suggests which configuration of the table is next; None: a random order.
    """

    rule: str = "objective"
    first: int = WARMUP_ENDS
    reduction_factor: int = 4
    rungs: tuple[int, ...] | None = None
    flat: FlatRule | None = None
    trials: int = 64
    finalist_seeds: int = 1
    patience_trials: int | None = None
    sampler: str | None = None

    def pruner(self, days: np.ndarray, epochs: int) -> Pruner:
        """Returns the rules of a search over returns of these days."""
        factor = self.reduction_factor
        return Pruner(
            self.rungs or rung_epochs(epochs, self.first, factor),
            days,
            DAYS_PER_YEAR,
            reduction_factor=factor,
            rule=RULES[self.rule],
            flat=self.flat,
            warmup_ends=WARMUP_ENDS,
        )


@dataclass(frozen=True)
class Ended:
    """A search that was replayed.

    Attributes:
        rows: its trials.
        where: row and seed of the table, by trial number.
        epochs: trained, by kind of trial.
        makespan: the time of the last report; an epoch of a member adds one unit.
    """

    rows: Sequence[TrialRecord]
    where: Mapping[int, tuple[int, int]]
    epochs: Mapping[str, int]
    makespan: float


@dataclass
class Table:
    """Gives each trial a row and a seed of the curves; nobody has those of another trial."""

    curves: Curves
    where: dict[int, tuple[int, int]] = field(default_factory=dict)
    used: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [n for n, v in self.curves.params[0].items() if len(self._all(n)) > 1]
        self.names = tuple(names)
        self.rows = {self._key(params): row for row, params in enumerate(self.curves.params)}

    def enter(self, number: int, params: Mapping[str, Any]) -> None:
        """Gives a trial the row of its configuration, with the next seed of it."""
        if number in self.where:
            return
        row = self.row(params)
        seed = self.used.get(row, 0)
        self.used[row] = seed + 1
        self.where[number] = row, seed

    def shape(self, number: int) -> Hashable:
        """Returns what the members of a trial's cohort share."""
        return self.curves.params[self.where[number][0]]["model/hidden_dims"]

    def row(self, params: Mapping[str, Any]) -> int:
        """Returns the row of a configuration."""
        return self.rows[self._key(params)]

    def _all(self, name: str) -> set[Any]:
        return {params[name] for params in self.curves.params}

    def _key(self, params: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(params[name] for name in self.names)


class ReplayWorker:
    """Members whose reports are read from the table, one epoch of each a step."""

    def __init__(self, table: Table) -> None:
        self.table, self.clock = table, 0.0
        self.epochs: dict[int, int] = {}

    @property
    def live(self) -> list[int]:
        """Numbers of the members in training."""
        return list(self.epochs)

    def follow(self, instructions: Instructions) -> None:
        """Lets members go and takes others in."""
        follow(self.epochs, instructions)
        for member in instructions.join:
            self.table.enter(member.number, member.params)

    def step(self, until: float = math.inf) -> list[Report]:
        """Returns the next epoch of every member, whatever the time."""
        sizes = Counter(self.table.shape(number) for number in self.epochs)
        self.clock += len(self.epochs) + PROGRAM * len(sizes)
        reports = []
        for number in list(self.epochs):
            self.epochs[number] += 1
            share = 1.0 + PROGRAM / sizes[self.table.shape(number)]
            reports.append(report_of(self.table, number, self.epochs[number], share))
            if reports[-1].stop is not None:
                del self.epochs[number]
        return reports


def report_of(table: Table, number: int, epoch: int, seconds: float = 1.0) -> Report:
    """Returns the report of a trial's epoch, as its training had sent it."""
    curves, (row, seed) = table.curves, table.where[number]
    at = row, seed, epoch - 1
    values = {n: float(v) if math.isfinite(v := curves.values[n][at]) else None for n in SEEN}
    stop = None
    reason, last = curves.stops.get((row, seed), ("completed", curves.returns.shape[1]))
    if epoch == last:
        stop = Stop(reason, {"epoch": epoch})
    returns = curves.returns[row, epoch - 1].astype(float) if seed == 0 else None
    if returns is not None and not np.isfinite(returns).all():
        returns = None
    return Report(number, epoch, epoch, dict(values), seconds, returns, stop)


class _Clock:
    """The workers of a replay; the one whose clock is behind steps next."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.workers: list[ReplayWorker] = []
        self._latest: ReplayWorker | None = None  # that has stepped

    @property
    def now(self) -> float:
        """The time at which the latest step ended."""
        return 0.0 if self._latest is None else self._latest.clock

    def open(self, dataset: Dataset, spec: WorkerSpec, members: int) -> ReplayWorker:
        """Opens a worker, which begins now."""
        self.workers.append(ReplayWorker(self.table))
        return self.workers[-1]

    def next(self, slots: Sequence[int]) -> Sequence[int]:
        """Returns the slot that steps next; idle ones wait for the others."""
        busy = [slot for slot in slots if self.workers[slot - 1].live]
        if not busy:
            return slots
        first = min(busy, key=lambda slot: self.workers[slot - 1].clock)
        idle = [slot for slot in slots if slot not in busy]
        for slot in idle:
            now = self.workers[first - 1].clock
            self.workers[slot - 1].clock = max(self.workers[slot - 1].clock, now)
        self._latest = self.workers[first - 1]
        return [*idle, first]


class _Watch:
    """Calls a function between two events.

    Args:
        look: the function.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self.tick = look

    def worker_failed(self, failed: Sequence[int], reason: str, text: str) -> None:
        """Fails with what the worker said."""
        raise RuntimeError(text)


def replay(
    curves: Curves,
    setup: Setup,
    seed: int,
    look: Callable[[Controller, float], None] = lambda controller, now: None,
) -> Ended:
    """Runs one search over the curves of a market; the same seed gives the same search.

    Args:
        curves: of the market.
        setup: how it is run.
        seed: of the search.
        look: is shown the controller between two events, with the time on the simulated clock.
    """
    table = Table(curves)
    clock = _Clock(table)
    epochs = curves.returns.shape[1]
    study = SearchStudy.create(None, "replay", seed)
    scored = ScoredRows(
        curves.periods, curves.periods, np.full(len(curves.periods), "A", dtype=object)
    )
    ask = _in_random_order(curves, study, seed)
    if setup.sampler is not None:
        ask = _with_epochs(epochs)
        study.sampler = Sampler(seed, strategy=_of_table(table, study, setup.sampler))
    capacity = capacity_of(setup.trials, SLOTS, None)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # nobody waits for a disk
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        run = RunFolder.create(Path(folder), "replay", False)
        with Prefetcher(study, ask, setup.trials, capacity.in_flight, False) as prefetcher:
            controller = Controller(
                study=study,
                pruner=setup.pruner(curves.periods, epochs),
                reports=ReportStore(run, scored),
                sinks=[],
                prefetcher=prefetcher,
                capacity=capacity,
                finalist_seeds=setup.finalist_seeds,
                n_parameters=lambda trial: 0,
                epochs=epochs,
                patience_trials=setup.patience_trials,
            )
            controller.pace = Pace(lambda: clock.now)
            spec = WorkerSpec(FileStore.of(Path(folder)), "", (), 1.0, 0.0, 60.0, None)
            backend = Local(SLOTS, clock.open, clock.next)
            watch = _Watch(lambda: look(controller, clock.now))
            backend.run(controller, cast(Dataset, None), spec, cast(Observer, watch))
        run.close()
    records = study.rows()
    spent: dict[str, int] = {}
    for row in records:
        kind = "search" if row.kind in SEARCHED else row.kind
        spent[kind] = spent.get(kind, 0) + row.facts["epochs"]
    return Ended(records, table.where, spent, max(worker.clock for worker in clock.workers))


def _in_random_order(curves: Curves, study: SearchStudy, seed: int) -> SpaceFunction:
    """Returns a space of one configuration at a time, in an order that the seed decides."""
    order = np.random.default_rng(seed).permutation(len(curves.params))
    epochs = curves.returns.shape[1]

    def drawn(trial: optuna.Trial) -> dict[str, Any]:
        # By the number of trials: where failure is likely, a space is asked several times for one.
        return {**curves.params[order[study.searched]], "train/epochs": epochs}

    return drawn


def _with_epochs(epochs: int) -> SpaceFunction:
    """Returns the space that the configurations were drawn from."""
    return lambda trial: {**curves_space(trial), "train/epochs": epochs}


def _of_table(table: Table, study: SearchStudy, sampler: str) -> NearestStrategy:
    """Returns a strategy by which a sampler searches the configurations of a table."""
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    curves_space(trial)
    return NearestStrategy(
        strategy_of(sampler),
        table.curves.params,
        trial.distributions,
        lambda: {table.row(record.params) for record in study.rows()},
    )
