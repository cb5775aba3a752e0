"""The trainings of a confirmation: which are missing, in which order, and what they cost."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from analysis.verdict.confirm_folder import NONE
from search.confirmation.finalists import Finalist
from search.confirmation.scored_folds import COMPARED, FoldScores, score_baseline, score_model
from search.study.trials import SEED
from trainable.config import config_of, shape_key
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.epoch_length import epoch_steps
from trainable.data.dataset.windows import make_windows
from trainable.data.folds.folds import Fold
from trainable.executors.calibration import step_seconds
from trainable.training.fixed_length import LARGEST, Trained
from trainable.training.several_datasets import can_share, train_on_each

WHOLE = 1.6  # time of a training for that of its timed steps, as measured: draws, scores, start-up
COHORTS = 2  # of each process at least, so that none waits long for the last


class Key(NamedTuple):
    """What tells one training from another: where it is equal, it needs no repetition.

    Attributes:
        number: of the configuration's first trial; −1 for a baseline.
        name: of a baseline; `trial`.
        seed: of the training; −1 for a baseline.
        fold: `Fold.sha256`.
        epochs: trained; 0 for a baseline.
    """

    number: int
    name: str
    seed: int
    fold: str
    epochs: int


@dataclass(frozen=True)
class Job:
    """What one process does at a time: members of one shape on several folds, or baselines.

    Attributes:
        folds: the name of that of each training.
        keys: of the trainings.
        params: of each; None for baselines.
    """

    folds: tuple[str, ...]
    keys: tuple[Key, ...]
    params: tuple[dict[str, Any], ...] | None


@dataclass(frozen=True)
class FoldResult:
    """One training on one fold.

    Attributes:
        key: of it.
        fold: its name.
        state: COMPLETE; PRUNED after a numeric failure; FAIL where it cannot be trained there.
        reason: completed, the numeric failure, or what does not fit.
        scored: None unless COMPLETE.
        seconds: of training.
    """

    key: Key
    fold: str
    state: str
    reason: str
    scored: FoldScores | None
    seconds: float


def missing_jobs(
    finalists: Sequence[Finalist],
    seeds: Sequence[int],
    folds: Sequence[Fold],
    done: Collection[Key],
    processes: int = 1,
) -> list[Job]:
    """Returns what is left to do, what takes longest first.

    Members of one shape train together on all folds, those of about the same length, so that they
    end together; where there are few, in smaller cohorts, so that every process has some.
    """
    by_shape: dict[Any, list[_Missing]] = {}
    for finalist in finalists:
        for seed in seeds:
            for fold in folds:
                key = key_of(finalist, seed, fold)
                if key not in done:
                    one = _Missing(key, {**finalist.params, SEED: seed}, finalist, fold)
                    by_shape.setdefault(shape_key(finalist.config(seed)), []).append(one)
    count = sum(map(len, by_shape.values()))
    largest = max(1, min(LARGEST, count // (COHORTS * processes)))
    cohorts = [
        cohort
        for members in by_shape.values()
        for cohort in _parts(sorted(members, key=lambda one: -one.rows), largest)
    ]
    cohorts.sort(
        key=lambda cohort: -sum(one.rows * (one.finalist.epoch_s or 1.0) for one in cohort)
    )
    jobs = [
        Job(
            tuple(one.fold.name for one in cohort),
            tuple(one.key for one in cohort),
            tuple(one.params for one in cohort),
        )
        for cohort in cohorts
    ]
    for fold in folds:
        if left := tuple(key for key in baseline_keys(fold) if key not in done):
            jobs.append(Job((fold.name,) * len(left), left, None))
    return jobs


@dataclass(frozen=True)
class _Missing:
    """A training that is left to do."""

    key: Key
    params: dict[str, Any]
    finalist: Finalist
    fold: Fold

    @property
    def rows(self) -> int:
        """Rows that it learns from, in all of its epochs."""
        return self.key.epochs * len(self.fold.dataset.train_rows)

    @property
    def work(self) -> float:
        """How long it takes beside others."""
        return self.rows * (self.finalist.epoch_s or 1.0)


def _parts(members: Sequence[_Missing], largest: int) -> Iterator[Sequence[_Missing]]:
    """Yields the members in parts of about one size, none above the largest."""
    size = -(-len(members) // -(-len(members) // largest))
    for begin in range(0, len(members), size):
        yield members[begin : begin + size]


def key_of(finalist: Finalist, seed: int, fold: Fold) -> Key:
    """Returns the key of one training."""
    return Key(finalist.number, "trial", seed, fold.sha256, finalist.epochs)


def baseline_keys(fold: Fold) -> list[Key]:
    """Returns the keys of the baselines of a fold."""
    return [Key(NONE, name, NONE, fold.sha256, 0) for name in COMPARED]


def expected_seconds(
    jobs: Sequence[Job], folds: Sequence[Fold], dataset: Dataset, device: str
) -> float:
    """Returns the seconds of training in one process, as long as a step takes here and now.

    It is timed once for each shape, in a cohort as large as the largest; what comes on top of the
    steps is a share of them.

    Args:
        jobs: to do.
        folds: of them.
        dataset: of the search.
        device: where members train.
    """
    of = {fold.name: fold for fold in folds}
    step_s: dict[Any, float] = {}
    found = 0.0
    for job in sorted(jobs, key=lambda job: -len(job.keys)):
        if job.params is None:
            continue
        configs = [config_of(params) for params in job.params]
        shape = shape_key(configs[0])
        if shape not in step_s:
            together = configs if can_share(configs[0], dataset, device) else configs[:1]
            windows = make_windows(dataset, configs[0].data, device)
            step_s[shape] = step_seconds(together, windows, device)
        for name, key, config in zip(job.folds, job.keys, configs, strict=True):
            found += WHOLE * step_s[shape] * key.epochs * epoch_steps(config, of[name].train)
    return found


def do(
    job: Job, folds: Mapping[str, Fold], device: str, look: Callable[[], None]
) -> Iterator[list[FoldResult]]:
    """Does a job; yields its outcomes, some at a time, as they are there.

    Args:
        job: to do.
        folds: by name.
        device: where members train.
        look: is called every second or so, and may raise to end it.
    """
    if job.params is None:
        for name, key in zip(job.folds, job.keys, strict=True):
            scored = score_baseline(folds[name], key.name)
            yield [FoldResult(key, name, "COMPLETE", "completed", scored, 0.0)]
        return
    configs = {place: config_of(params) for place, params in enumerate(job.params)}
    too_small: list[FoldResult] = []
    for place, config in list(configs.items()):
        rows = len(folds[job.folds[place]].train.train_rows)
        if config.train.batch_size > rows:
            del configs[place]
            why = f"a batch of {config.train.batch_size} is more than {rows} rows"
            too_small.append(FoldResult(job.keys[place], job.folds[place], "FAIL", why, None, 0.0))
    if too_small:
        yield too_small
    epochs = {place: job.keys[place].epochs for place in configs}
    datasets = {place: folds[job.folds[place]].train for place in configs}
    for several in train_on_each(configs, epochs, datasets, device, look):
        yield [_result(job, one, folds) for one in several]


def _result(job: Job, trained: Trained, folds: Mapping[str, Fold]) -> FoldResult:
    """Returns what a training of a job has come to."""
    key, name = job.keys[trained.number], job.folds[trained.number]
    if trained.predictor is None:
        reason = trained.stop.reason if trained.stop is not None else "error"
        return FoldResult(key, name, "PRUNED", reason, None, trained.seconds)
    scored = score_model(folds[name], trained.predictor)
    return FoldResult(key, name, "COMPLETE", "completed", scored, trained.seconds)
