"""What the command line of a search can say, checked before anything else happens."""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from search.settings import masking
from trainable.cli.errors import UserError, unknown
from trainable.cli.options import Setting, parse, print_help
from trainable.data.settings import DataSettings, check_data_settings, expand_source

OBJECTIVES = ("sharpe", "rank_ic", "val_loss")
# Set by the search alone, since its rungs are epochs: neither a space nor `fix` may set them.
RESERVED = {"train/epochs": "epochs", "train/steps_per_epoch": "steps_per_epoch"}
NEVER_EMPTY = {
    "data.path": "write the path of a CSV or Parquet file",
    "name": "write a folder name",
    "runs_dir": "write a folder",
    "enqueue": "write the path of a JSON file",
    "address": "write auto or HOST:PORT",
    "storage": "write a URL such as sqlite:///study.db",
    "storage_path": "write a folder or a URL such as s3://bucket/folder",
}
MAX_SEED = 2**32 - 1  # of NumPy's older generator, which the sampler draws from
MOST_TRIALS = 10**6
SHORT = Setting("data", "", "", "short for data.source; not together with data.path")


@dataclass(frozen=True)
class SearchSettings:
    """The settings of one search; those of the data are `data.*`."""

    space: str = "conservative"  # a name in spaces/, or a path to a .py file with space(trial)
    data: DataSettings = field(default_factory=DataSettings)
    trials: int = 64  # searched configurations; retries, baselines and placebos are not counted
    epochs: int | None = None  # evaluations of a trial that is never stopped; unset: the space's
    steps_per_epoch: int = 0  # optimizer steps of an epoch; 0: one pass over the training rows
    seed: int = 0  # seed of the sampler and of the trials' weights
    name: str | None = None  # folder in runs_dir; unset: the space with date and time
    runs_dir: str = "runs"  # where run folders are
    resume: bool = False  # go on with the run of this name
    time_budget_s: float | None = None  # seconds after which the search ends
    objective: str = "sharpe"  # what trials are judged by: sharpe, rank_ic or val_loss
    rungs: tuple[int, ...] | None = None  # epochs at which trials are judged; unset: automatic
    reduction_factor: int = 4  # one in so many trials passes a rung
    finalist_seeds: int = 3  # seeds that each configuration of the last rung is trained with
    enqueue: str | None = None  # a JSON file with the first trials, chosen by hand
    fix: dict[str, str] = field(default_factory=dict)  # a parameter held fixed: fix.optimizer/lr=…
    max_concurrent: int | None = None  # workers that train at once; unset: what the machines hold
    cohort: str = "auto"  # members of a worker, of whatever shapes: auto or a number
    cpus_per_trial: float = 1.0  # CPU cores of a worker
    gpus_per_trial: float | None = None  # share of a GPU of a worker; unset: a whole one
    patience_s: float = 600.0  # seconds without a sign of life after which a worker hangs
    address: str | None = None  # a Ray cluster: auto or HOST:PORT; unset: this machine
    open_cluster: bool = False  # use a cluster that asks for no token, or shows its dashboard
    dashboard: bool = True  # Ray's dashboard for watching; false saves 600 MB and some seconds
    storage: str | None = None  # an Optuna storage URL; unset: a file in the run folder
    storage_path: str | None = None  # shared folder or URL of checkpoints; unset: the run folder
    checkpoint_steps: int | None = None  # steps between checkpoints; unset: 500 of large models
    dry_run: bool = False  # check everything, print the plan, train nothing

    @property
    def cohort_size(self) -> int | None:
        """Members of a worker; None for `auto`."""
        return None if self.cohort == "auto" else int(self.cohort)

    @property
    def own_ray(self) -> bool:
        """Whether the search starts a Ray of its own."""
        return self.address is None and not self.dry_run

    @property
    def run_name(self) -> str:
        """The run's name, which is chosen by now."""
        assert self.name is not None, "settings_from and check choose the name"
        return self.name

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.runs_dir) / self.run_name


def settings_from(argv: Sequence[str], now: datetime | None = None) -> SearchSettings:
    """Returns the checked settings that the tokens of a command line describe.

    Args:
        argv: tokens `key=value`; `data=NAME` is short for `data.source=NAME`.
        now: the time in the default name; unset: the present.

    Raises:
        UserError: with the key, the value and what would work.
    """
    tokens = expand_source(argv)
    for key in NEVER_EMPTY:
        if f"{key}=" in argv:
            # An unset shell variable must not quietly become the default.
            raise UserError(f"{key}= is empty; {NEVER_EMPTY[key]}, or leave it out")
    return check(parse(SearchSettings, tokens), now)


def check(settings: SearchSettings, now: datetime | None = None) -> SearchSettings:
    """Returns the settings with a name; raises `UserError` for a value that cannot work."""
    _at_least("trials", settings.trials, 1, 64)
    _require(
        settings.trials <= MOST_TRIALS, "trials", settings.trials, f"at most {MOST_TRIALS}", 64
    )
    _at_least("epochs", settings.epochs, 1, 50)
    _at_least("steps_per_epoch", settings.steps_per_epoch, 0, 0)
    _require(
        0 <= settings.seed <= MAX_SEED, "seed", settings.seed, f"at least 0, at most {MAX_SEED}", 0
    )
    _at_least("reduction_factor", settings.reduction_factor, 2, 4)
    _at_least("finalist_seeds", settings.finalist_seeds, 1, 3)
    _at_least("max_concurrent", settings.max_concurrent, 1, 2)
    _at_least("checkpoint_steps", settings.checkpoint_steps, 1, 500)
    _at_least("cpus_per_trial", settings.cpus_per_trial, 0, 1)
    _at_least("gpus_per_trial", settings.gpus_per_trial, 0, 0.25)
    _above_zero("time_budget_s", settings.time_budget_s, 3600)
    _above_zero("patience_s", settings.patience_s, 600)
    check_data_settings(settings.data)
    if settings.objective not in OBJECTIVES:
        raise unknown("objective", settings.objective, OBJECTIVES)
    if settings.storage is not None and "://" not in settings.storage:
        raise UserError(
            f"storage={settings.storage} must be a URL; sqlite:///study.db or "
            "postgresql://user:password@host/name works"
        )
    if settings.address is not None and not settings.dashboard:
        raise UserError(
            f"dashboard=false is for a Ray of our own; that at address={settings.address} has its "
            "own or none: leave one of them out"
        )
    if settings.address is None and settings.open_cluster:
        raise UserError("open_cluster=true is for a cluster that runs: write its address=, too")
    _check_rungs(settings)
    sized = settings.cohort.isascii() and settings.cohort.isdigit() and int(settings.cohort) > 0
    if settings.cohort != "auto" and not sized:
        raise UserError(
            f"cohort={settings.cohort} must be auto or a number above 0; cohort=32 works"
        )
    for key, text in settings.fix.items():
        if key in RESERVED:
            raise UserError(f"fix.{key} is set by the search; {RESERVED[key]}={text} works")
    return replace(settings, name=_checked_name(settings, now))


def default_name(space: str, now: datetime) -> str:
    """Returns the name of a run nobody named, such as `conservative-20261120-101500`."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', Path(space).stem)}-{now:%Y%m%d-%H%M%S}"


def masked(settings: SearchSettings) -> dict[str, Any]:
    """Returns the settings as they may be printed and stored: without passwords and tokens."""
    return masking.masked(asdict(settings))


def help_for_search() -> None:
    """Prints every key of `python -m search.run` with its meaning and default."""
    print_help(
        SearchSettings, "usage: python -m search.run space=NAME [key=value …]", notes=[SHORT]
    )


def _checked_name(settings: SearchSettings, now: datetime | None) -> str:
    name = settings.name
    if name is None:
        if settings.resume:
            raise UserError("resume=true needs the run to go on with; write name=NAME")
        return default_name(settings.space, now or datetime.now())
    if (
        not name.strip()
        or name.startswith((".", "-"))
        or re.search(r"[/\\\x00-\x1f]", name)
        or len(name.encode()) > 150
    ):
        raise UserError(
            f"name={name!r} must be one folder name, at most 150 bytes, not starting with . or -; "
            "where run folders are is runs_dir=FOLDER"
        )
    return name


def _check_rungs(settings: SearchSettings) -> None:
    rungs = settings.rungs
    if rungs is None:
        return
    shown = ",".join(map(str, rungs))
    if not rungs or rungs[0] < 1 or any(b <= a for a, b in pairwise(rungs)):
        raise UserError(f"rungs={shown} must be rising epochs of at least 1; rungs=1,4,10 works")
    if settings.epochs is not None and rungs[-1] > settings.epochs:
        raise UserError(
            f"rungs={shown} go past epochs={settings.epochs}; epochs={rungs[-1]} or earlier rungs"
        )


def _at_least(key: str, value: float | None, low: float, works: float) -> None:
    _require(value is None or value >= low, key, value, f"at least {low}", works)


def _above_zero(key: str, value: float | None, works: float) -> None:
    _require(value is None or value > 0, key, value, "above 0", works)


def _require(good: bool, key: str, value: float | None, wanted: str, works: float) -> None:
    # From Python, a value may be NaN or infinite although the command line refuses both.
    if not good or (isinstance(value, float) and not math.isfinite(value)):
        raise UserError(f"{key}={value} must be {wanted}; {key}={works} works")
