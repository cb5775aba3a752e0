"""Checks of the settings of a search, before anything else happens."""

import math
import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from search.settings.settings import RESERVED, SearchSettings
from trainable.cli.errors import UserError, unknown
from trainable.data.settings import check_data_settings
from trainable.run_format import MOST_PRIOR

OBJECTIVES = ("sharpe", "rank_ic", "val_loss")
SAMPLERS = ("tpe", "random", "qmc", "gp", "cmaes")
OF_OPTUNA = "optuna:"  # and the name of a class of optuna.samplers
PRUNING = ("ranks", "objective", "loss", "ic", "rank_ic", "signal", "racing", "none")
MAX_SEED = 2**32 - 1  # of NumPy's older generator, which the sampler draws from
MOST_TRIALS = 10**6
MOST_PLACEBOS = 999


def check(settings: SearchSettings) -> SearchSettings:
    """Returns the settings; raises `UserError` for a value that cannot work."""
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
    _at_least("patience_trials", settings.patience_trials, 1, 64)
    _require(0 <= settings.regret <= 1, "regret", settings.regret, "at least 0, at most 1", 0.05)
    _at_least("placebo", settings.placebo, 0, 19)
    most = f"at most {MOST_PLACEBOS}"
    _require(settings.placebo <= MOST_PLACEBOS, "placebo", settings.placebo, most, 19)
    prior = settings.tries.prior
    wanted = f"at least 0, at most {MOST_PRIOR:,}"
    _require(0 <= prior <= MOST_PRIOR, "tries.prior", prior, wanted, 0)
    _at_least("max_concurrent", settings.max_concurrent, 1, 2)
    _at_least("checkpoint_steps", settings.checkpoint_steps, 1, 500)
    _at_least("cpus_per_trial", settings.cpus_per_trial, 0, 1)
    _at_least("gpus_per_trial", settings.gpus_per_trial, 0, 0.25)
    _above_zero("time_budget_s", settings.time_budget_s, 3600)
    _above_zero("patience_s", settings.patience_s, 600)
    if settings.data.symbols == ():
        raise UserError("data.symbols names no symbol; leave it out to have all of them")
    check_data_settings(settings.data)
    if settings.objective not in OBJECTIVES:
        raise unknown("objective", settings.objective, OBJECTIVES)
    if settings.sampler not in SAMPLERS and not settings.sampler.startswith(OF_OPTUNA):
        raise unknown("sampler", settings.sampler, [*SAMPLERS, f"{OF_OPTUNA}TPESampler"])
    if settings.pruning not in PRUNING:
        raise unknown("pruning", settings.pruning, PRUNING)
    if settings.storage is not None and "://" not in settings.storage:
        raise UserError(
            f"storage={settings.storage} must be a URL; sqlite:///study.db or "
            "postgresql://user@host/name works"
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
            raise UserError(f"fix.{key} is set by the search; write {RESERVED[key]}={text}")
    _check_name(settings)
    return settings


def default_name(space: str, now: datetime) -> str:
    """Returns the name of a run nobody named, such as `conservative-20261120-101500`."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', Path(space).stem)}-{now:%Y%m%d-%H%M%S}"


def _check_name(settings: SearchSettings) -> None:
    name = settings.name
    if name is None:
        if settings.resume:
            raise UserError("resume=true needs the run to go on with; write name=NAME")
        return
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
