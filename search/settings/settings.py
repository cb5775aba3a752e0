"""The settings of a search, with their defaults."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from search.settings import masking
from trainable.cli.paths import PathText
from trainable.data.settings import DataSettings

# Set by the search alone, since its rungs are epochs: neither a space nor `fix` may set them.
RESERVED = {"train/epochs": "epochs", "train/steps_per_epoch": "steps_per_epoch"}


@dataclass(frozen=True)
class TriesSettings:
    """What was tried on the same data besides the runs of `runs_dir`, which are counted."""

    prior: int = 0  # configurations tried elsewhere on these data, which the luck line counts too


@dataclass(frozen=True)
class SearchSettings:
    """The settings of one search; those of the data are `data.*`."""

    space: PathText = "conservative"  # a name in spaces/, or a path to a .py file with space(trial)
    data: DataSettings = field(default_factory=DataSettings)
    trials: int = 64  # searched configurations; retries, baselines and placebos are not counted
    epochs: int | None = None  # evaluations of a trial that is never stopped; unset: the space's
    steps_per_epoch: int = 0  # optimizer steps of an epoch; 0: as the space says, else one pass
    seed: int = 0  # seed of the sampler and of the trials' weights
    deterministic: bool = False  # a seed repeats the search: workers wait for each other each epoch
    name: str | None = None  # folder in runs_dir; unset: the space with date and time
    runs_dir: PathText = "runs"  # where run folders are
    resume: bool = False  # go on with the run of this name
    time_budget_s: float | None = None  # seconds after which the search ends
    patience_trials: int | None = None  # ask no more once so many more would hardly raise the best
    objective: str = "sharpe"  # what the sampler raises: sharpe, rank_ic or val_loss
    sampler: str = "tpe"  # what suggests configurations: tpe, random, qmc, gp, cmaes, optuna:CLASS
    pruning: str = (
        "ranks"  # what rungs score by: ranks, objective, loss, ic, rank_ic, signal, racing, none
    )
    rungs: tuple[int, ...] | None = None  # epochs at which trials are judged; unset: automatic
    reduction_factor: int = 4  # one in so many trials passes a rung
    finalist_seeds: int = 3  # seeds that a configuration is trained with at most, while it may win
    try_default: bool = True  # the first trial is the space's centre, which the winner must beat
    regret: float = 0.0  # share of the trials stopped by a rule that are finished on the side
    placebo: int = 0  # searches after this one, of the same data with labels and returns moved away
    tries: TriesSettings = field(default_factory=TriesSettings)
    parts: tuple[PathText, ...] = ()  # files of models, losses, features … of one's own
    enqueue: PathText | None = None  # a JSON file with the first trials, chosen by hand
    fix: dict[str, str] = field(default_factory=dict)  # a parameter held fixed: fix.optimizer/lr=…
    max_concurrent: int | None = None  # workers that train at once; unset: what the machines hold
    cohort: str = "auto"  # members of a worker, of whatever shapes: auto or a number
    cpus_per_trial: float = 1.0  # CPU cores of a worker
    gpus_per_trial: float | None = None  # share of a GPU of a worker; unset: a whole one
    patience_s: float = 600.0  # seconds without a sign of life after which a worker hangs
    address: str | None = None  # a Ray cluster: auto or HOST:PORT; unset: this machine
    open_cluster: bool = False  # use a cluster that asks for no token, or shows its dashboard
    dashboard: bool = True  # Ray's dashboard for watching; false saves 600 MB and some seconds
    report: bool = True  # report.html in the run folder, at the end; false saves a second or more
    storage: PathText | None = None  # an Optuna storage URL; unset: a file in the run folder
    storage_path: PathText | None = None  # shared folder or URL of checkpoints; unset: run folder
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
        """The run's name, which is chosen as its folder is made, unless the person named it."""
        assert self.name is not None, "the run folder chooses the name"
        return self.name

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.runs_dir) / self.run_name


def masked(settings: SearchSettings) -> dict[str, Any]:
    """Returns the settings as they may be printed and stored: without passwords and tokens."""
    return masking.masked(asdict(settings))
