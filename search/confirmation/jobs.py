"""The trainings of a confirmation: which are missing, in which order, and what they cost."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from search.confirmation.finalists import Finalist
from search.confirmation.scored_folds import COMPARED, FoldScores, score_baseline, score_model
from search.study.trials import SEED
from trainable.config import config_of, shape_key
from trainable.data.dataset.dataset import Dataset
from trainable.data.folds.folds import Fold
from trainable.training.fixed_length import train_for

NONE = -1  # number and seed of a baseline


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
    """What one process does at a time: one fold, for members of one shape, or for baselines.

    Attributes:
        fold: name of it.
        keys: of its trainings.
        params: of each; None for baselines.
    """

    fold: str
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
) -> list[Job]:
    """Returns what is left to do, fold by fold; members of one shape train together."""
    jobs: list[Job] = []
    for fold in folds:
        left = tuple(key for key in baseline_keys(fold) if key not in done)
        if left:
            jobs.append(Job(fold.name, left, None))
        by_shape: dict[Any, list[tuple[Key, dict[str, Any]]]] = {}
        for finalist in finalists:
            for seed in seeds:
                key = key_of(finalist, seed, fold)
                if key not in done:
                    config = finalist.config(seed)
                    member = key, {**finalist.params, SEED: seed}
                    by_shape.setdefault(shape_key(config), []).append(member)
        for members in by_shape.values():
            params = tuple(params for _, params in members)
            jobs.append(Job(fold.name, tuple(key for key, _ in members), params))
    return jobs


def key_of(finalist: Finalist, seed: int, fold: Fold) -> Key:
    """Returns the key of one training."""
    return Key(finalist.number, "trial", seed, fold.sha256, finalist.epochs)


def baseline_keys(fold: Fold) -> list[Key]:
    """Returns the keys of the baselines of a fold."""
    return [Key(NONE, name, NONE, fold.sha256, 0) for name in COMPARED]


def expected_seconds(
    jobs: Sequence[Job], finalists: Sequence[Finalist], folds: Sequence[Fold], dataset: Dataset
) -> float:
    """Returns the seconds of training on one core, from what an epoch took in the search.

    In proportion to the rows that are learned from.
    """
    of = {finalist.number: finalist for finalist in finalists}
    share = {fold.name: len(fold.dataset.train_rows) / len(dataset.train_rows) for fold in folds}
    return sum(
        of[key.number].epoch_s * key.epochs * share[job.fold]
        for job in jobs
        if job.params is not None
        for key in job.keys
    )


def do(job: Job, fold: Fold, device: str, look: Callable[[], None]) -> list[FoldResult]:
    """Does a job; returns its outcomes.

    Args:
        job: to do.
        fold: that it names.
        device: where members train.
        look: is called every second or so, and may raise to end it.
    """
    if job.params is None:
        return [
            FoldResult(key, job.fold, "COMPLETE", "completed", score_baseline(fold, key.name), 0.0)
            for key in job.keys
        ]
    configs = {place: config_of(params) for place, params in enumerate(job.params)}
    found: list[FoldResult] = []
    rows = len(fold.train.train_rows)
    for place, config in list(configs.items()):
        if config.train.batch_size > rows:
            del configs[place]
            why = f"a batch of {config.train.batch_size} is more than {rows} rows"
            found.append(FoldResult(job.keys[place], job.fold, "FAIL", why, None, 0.0))
    if not configs:
        return found
    epochs = {place: job.keys[place].epochs for place in configs}
    for trained in train_for(configs, epochs, fold.train, device, look):
        key = job.keys[trained.number]
        if trained.predictor is None:
            reason = trained.stop.reason if trained.stop is not None else "error"
            found.append(FoldResult(key, job.fold, "PRUNED", reason, None, trained.seconds))
        else:
            scored = score_model(fold, trained.predictor)
            done = "COMPLETE", "completed", scored, trained.seconds
            found.append(FoldResult(key, job.fold, *done))
    return found
