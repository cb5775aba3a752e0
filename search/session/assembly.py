"""Puts the parts of a search together: study, pruner, reports, controller, workers."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic

from search.backend.base import Backend, Cluster
from search.backend.resources import fit, room
from search.backend.workers import WorkerSpec, mark_of
from search.monitor.tensorboard import Events
from search.planning.plan import Plan
from search.pruning.pruner import Pruner
from search.run_folder.consistency import check_coherent
from search.run_folder.folder import RunFolder
from search.run_folder.lock import dead_drivers, who_am_i
from search.run_folder.long_tables import ScoredRows
from search.run_folder.reports import ReportStore
from search.scheduling.capacity import Capacity, capacity_of
from search.scheduling.controller import Controller
from search.session.best_model import FinalistModels
from search.session.provenance import check_begun, sessions
from search.settings.checks import default_name
from search.settings.settings import SearchSettings
from search.study.prefetch import Prefetcher
from search.study.storage import can_be_shared, name_of, sqlite_file
from search.study.study import SearchStudy
from search.study.trials import TrialSpec
from trainable.config import TrialConfig, config_of, input_shape
from trainable.executors import why_alone
from trainable.io.file_store import FileStore
from trainable.metrics.baselines import Baseline, baselines
from trainable.models import InputShape, count_parameters
from trainable.worker import checkpoint

RACE_FROM = 0.75  # share of the time budget after which finalists get further seeds


@dataclass(frozen=True)
class Assembly:
    """The parts of a search in this process.

    Attributes:
        settings: of the search.
        backend: where trials train.
        reports: every report of every trial.
        models: of the finalists.
        controller: decides.
        baselines: rules scored beside the trials.
        worker_spec: what each worker is given.
    """

    settings: SearchSettings
    backend: Backend
    reports: ReportStore
    models: FinalistModels
    controller: Controller
    baselines: Sequence[Baseline]
    worker_spec: WorkerSpec

    def follow_machines(self) -> bool:
        """Gives the controller the capacity of the present machines; says if one can train."""
        machines = self.backend.machines()
        gpus = self.worker_spec.gpus
        self.controller.resize(_capacity(self.settings, machines, gpus))
        return any(fit(machine, self.settings.cpus_per_trial, gpus) for machine in machines)


def open_folder(
    settings: SearchSettings, words: Sequence[str] | None, taken: Collection[str] = ()
) -> RunFolder:
    """Opens the run folder, beside other drivers where the storage can be shared.

    Args:
        settings: of the search.
        words: of the command line, without secrets; None from Python. A new run notes them.
        taken: names that a run nobody named cannot have.

    Raises:
        UserError: it cannot be opened, or another process drives it alone.
    """
    if settings.resume:
        check_begun(settings.folder)
    shared = can_be_shared(settings.storage)
    name = settings.name or default_name(settings.space, datetime.now())
    folder = RunFolder.create(
        settings.runs_dir, name, settings.resume, shared, settings.name is None, taken
    )
    if not (folder.resumed or settings.dry_run):
        with folder.discard_on_error():
            folder.start(words, sqlite_file(settings.storage))
    return folder


@contextmanager
def assemble(
    plan: Plan,
    folder: RunFolder,
    cluster: Cluster,
    study: SearchStudy,
    files: FileStore,
    backend: Backend,
) -> Iterator[Assembly]:
    """Puts a search together, new or from what an earlier session left.

    Args:
        plan: of the search.
        folder: of the run.
        cluster: of its workers.
        study: every trial.
        files: of the trials.
        backend: where trials train.

    Raises:
        UserError: something stored is damaged.
    """
    settings = plan.settings
    models = FinalistModels(files, plan.dataset)
    before = study.rows()
    reports = ReportStore(folder, ScoredRows.of(plan.dataset), models.predict, study.shared)
    where = name_of(settings.storage or study_file(folder))
    check_coherent(before, reports, study.rows(), folder.path, where)
    gpus = settings.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if cluster.gpus else 0.0
    capacity = _capacity(settings, backend.machines(), gpus)
    left = max(0, settings.trials - study.searched)
    budget = settings.time_budget_s
    device = "cuda" if gpus else "cpu"
    rounds = settings.deterministic
    with Prefetcher(study, plan.ask, left, capacity.in_flight, not rounds) as prefetcher:
        controller = Controller(
            study=study,
            pruner=_pruner(plan),
            reports=reports,
            sinks=[Events(folder.path)],
            prefetcher=prefetcher,
            capacity=capacity,
            finalist_seeds=settings.finalist_seeds,
            regret=settings.regret,
            n_parameters=_parameter_counter(plan),
            epochs=plan.epochs,
            deadline=None if budget is None else monotonic() + budget,
            why_alone=_why_alone(plan, device),
            newest_checkpoint=lambda number: checkpoint.newest(files.within(number)),
            race_from=None if budget is None else monotonic() + RACE_FROM * budget,
            patience_trials=settings.patience_trials,
            judged=sessions(folder.path).judged() if folder.resumed else (),
            in_rounds=rounds,
        )
        controller.restore()
        # Not before the controller has seen which trials were there already.
        prefetcher.want(capacity.in_flight)
        spec = WorkerSpec(
            files=files,
            mark=mark_of(folder.driver),
            rungs=plan.rungs,
            cpus=settings.cpus_per_trial,
            gpus=gpus,
            patience_s=settings.patience_s,
            save_every=settings.checkpoint_steps,
            in_rounds=rounds,
            parts=plan.parts,
        )
        references = baselines(plan.dataset) if plan.placebo is None else ()
        yield Assembly(settings, backend, reports, models, controller, references, spec)


def study_file(folder: RunFolder) -> Path:
    """Returns where the study of a run is, unless it is in a database."""
    return folder.path / "study.log"


def slots_here(settings: SearchSettings) -> int:
    """Returns how many workers this machine's cores hold at once."""
    here = {"CPU": float(os.cpu_count() or 1)}
    return room([here], settings.cpus_per_trial, 0.0, settings.max_concurrent)


@contextmanager
def open_study(plan: Plan, folder: RunFolder) -> Iterator[SearchStudy]:
    """Opens the study of a resumed run, or makes one, which goes again if the run leaves nothing.

    Raises:
        UserError: the storage cannot be opened, or holds a study of this name already.
    """
    settings = plan.settings
    storage = settings.storage or study_file(folder)
    if folder.resumed:
        study = SearchStudy.open(storage, settings.run_name)
        with _driven(study, settings.trials, folder):
            yield study
        return
    file = sqlite_file(storage)
    fresh = file is not None and not file.exists()
    study = SearchStudy.create(
        storage,
        settings.run_name,
        settings.seed,
        try_default=settings.try_default,
        sampler=settings.sampler,
        driver=folder.driver,
        dead=folder.dead,
    )
    try:
        for params in plan.enqueued:
            study.enqueue(params, plan.ask)
        with _driven(study, settings.trials, folder):
            yield study
    except BaseException:
        if not folder.holds_results:
            study.remove()
            if file is not None and fresh:
                file.unlink(missing_ok=True)
        raise


@contextmanager
def _driven(study: SearchStudy, most: int, folder: RunFolder) -> Iterator[None]:
    """Drives a study; afterwards others may take up what is left of it."""
    try:
        study.join(most, folder.driver, who_am_i(), dead_drivers(folder.path))
        yield
    finally:
        study.close()


def _capacity(
    settings: SearchSettings, machines: Sequence[dict[str, float]], gpus: float
) -> Capacity:
    slots = room(machines, settings.cpus_per_trial, gpus, settings.max_concurrent)
    wanted = 0
    if settings.address is not None:  # more machines may come, where trials wait for them
        wanted = settings.max_concurrent or 2 * slots
    return capacity_of(settings.trials, slots, settings.cohort_size, wanted)


def _pruner(plan: Plan) -> Pruner:
    return Pruner(
        plan.rungs,
        plan.periods,
        plan.dataset.periods_per_year,
        reduction_factor=plan.settings.reduction_factor,
        objective=plan.settings.objective,
        rule=plan.rung_rule,
        warmup_ends=plan.warmup_ends,
    )


def _input_shape(plan: Plan, config: TrialConfig) -> InputShape:
    """Returns the shape of one input."""
    return input_shape(config, plan.dataset.groups_of(config.data.features))


def _why_alone(plan: Plan, device: str) -> Callable[[TrialConfig], str | None]:
    """Returns a function from a configuration to why it trains alone; None: it does not.

    In rounds none does: how many train at once would depend on the number of workers, and with it
    what the sampler knows.
    """
    if plan.settings.deterministic:
        return lambda config: None
    return lambda config: why_alone(config, _input_shape(plan, config), device)


def _parameter_counter(plan: Plan) -> Callable[[TrialSpec], int]:
    """Returns a function from a trial to the number of parameters of its model."""

    def count(trial: TrialSpec) -> int:
        config = config_of(trial.params)
        return count_parameters(config.model, _input_shape(plan, config))

    return count
