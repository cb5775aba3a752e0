"""The parts of a running search, put together: study, judge, results, asker, driver."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from search.backend.cluster import Cluster, machines
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
from search.scheduling.cohorts import Capacity, sizes
from search.scheduling.controller import Controller
from search.session.best_model import Finalists
from search.session.provenance import check_begun
from search.settings.settings import SearchSettings
from search.study.prefetch import Prefetcher
from search.study.storage import can_be_shared, name_of, sqlite_file
from search.study.study import SearchStudy, TrialSpec
from trainable.config import TrialConfig, from_params
from trainable.executors import why_alone
from trainable.io.file_store import FileStore
from trainable.metrics.baselines import Baseline, baselines
from trainable.models import InputShape, count_parameters
from trainable.worker import checkpoint


@dataclass(frozen=True)
class Session:
    """What one process searches with.

    `look` says to its driver how many machines there are, and returns whether one can train.
    """

    study: SearchStudy
    results: ReportStore
    finalists: Finalists
    driver: Controller
    references: Sequence[Baseline]
    workers: WorkerSpec
    look: Callable[[], bool]


def open_folder(settings: SearchSettings, words: Sequence[str] | None) -> RunFolder:
    """Opens the run folder, beside other drivers where the storage can be shared.

    Args:
        settings: of the search.
        words: of the command line, without secrets; None from Python. A new run notes them.

    Raises:
        UserError: it cannot be opened, or another process drives it alone.
    """
    if settings.resume:
        check_begun(settings.folder)
    shared = can_be_shared(settings.storage)
    folder = RunFolder.create(settings.runs_dir, settings.run_name, settings.resume, shared)
    if not (folder.resumed or settings.dry_run):
        with folder.worth_keeping():
            folder.note(words, sqlite_file(settings.storage))
    return folder


@contextmanager
def open_session(
    plan: Plan,
    folder: RunFolder,
    cluster: Cluster,
    study: SearchStudy,
    place: FileStore,
    hasty: Callable[[], bool],
) -> Iterator[Session]:
    """Puts a search together, new or from what an earlier session left.

    Args:
        plan: of the search.
        folder: of the run.
        cluster: of its workers.
        study: every trial.
        place: of the trials' models.
        hasty: whether the person waits for the end.

    Raises:
        UserError: something stored is damaged.
    """
    settings = plan.settings
    judge = Pruner(
        plan.rungs,
        plan.periods,
        plan.dataset.periods_per_year,
        reduction_factor=settings.reduction_factor,
        objective=settings.objective,
        warmup_ends=plan.warmup_ends,
    )
    finalists = Finalists(place, plan.dataset, study, plan.epochs, hasty)
    before = study.rows()
    results = ReportStore(folder, ScoredRows.of(plan.dataset), finalists.predict, study.shared)
    where = name_of(settings.storage or study_file(folder))
    check_coherent(before, results, study.rows(), folder.path, where)
    gpus = settings.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if cluster.gpus else 0.0

    def size_now() -> Capacity:
        places = room(machines(), settings.cpus_per_trial, gpus, settings.max_concurrent)
        wanted = 0
        if settings.address is not None:  # more machines may come, where somebody waits for them
            wanted = settings.max_concurrent or 2 * places
        return sizes(settings.trials, places, settings.cohort_size, wanted)

    size = size_now()
    left = max(0, settings.trials - study.searched)
    budget = settings.time_budget_s
    device = "cuda" if gpus else "cpu"
    with Prefetcher(study, plan.ask, left, size.untold) as asker:
        driver = Controller(
            study,
            judge,
            results,
            Events(folder.path),
            asker,
            size,
            settings.finalist_seeds,
            _parameter_counter(plan),
            plan.epochs,
            None if budget is None else monotonic() + budget,
            lambda config: why_alone(config, _input_shape(plan, config), device),
            lambda number: checkpoint.newest(place.within(number)),
        )
        driver.go_on()
        asker.want(size.untold)  # not before the driver has seen which trials were there already
        workers = WorkerSpec(
            place,
            mark_of(folder.driver),
            plan.rungs,
            settings.cpus_per_trial,
            gpus,
            settings.patience_s,
            settings.checkpoint_steps,
        )

        def look() -> bool:
            driver.resize(size_now())
            return any(fit(there, settings.cpus_per_trial, gpus) for there in machines())

        references = baselines(plan.dataset)
        yield Session(study, results, finalists, driver, references, workers, look)


def study_file(folder: RunFolder) -> Path:
    """Returns where the study of a run is, unless it is in a database."""
    return folder.path / "study.log"


def slots_here(settings: SearchSettings) -> int:
    """Returns how many workers this machine's cores hold at once."""
    there = {"CPU": float(os.cpu_count() or 1)}
    return room([there], settings.cpus_per_trial, 0.0, settings.max_concurrent)


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
        storage, settings.run_name, settings.seed, driver=folder.driver, dead=folder.gone
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


def _input_shape(plan: Plan, config: TrialConfig) -> InputShape:
    """Returns the shape of one input."""
    return InputShape(config.data.window, len(plan.dataset.columns(config.data.features)))


def _parameter_counter(plan: Plan) -> Callable[[TrialSpec], int]:
    """Returns a function from a trial to the parameters of its model."""

    def count(asked: TrialSpec) -> int:
        config = from_params(asked.params)
        return count_parameters(config.model, _input_shape(plan, config))

    return count
