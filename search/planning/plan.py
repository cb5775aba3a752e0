"""Everything a search needs, checked before anything is written or started."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from analysis.statistics.luck_line import luck_line
from search.pruning.asha import first_rung, rung_levels
from search.sampler.sampler import Sampler, SpaceFunction
from search.settings.settings import SearchSettings
from search.space.loading import call
from search.space.validation import Space, SpaceFacts, check_space, fixed, load_space
from trainable.cli.errors import UserError
from trainable.config import TrialConfig, from_params
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.ingest.table import cache_if_usable
from trainable.data.market import Market
from trainable.data.sources import load_market
from trainable.io.json_file import read_json
from trainable.metrics.scoring import scoring
from trainable.train import check


@dataclass(frozen=True)
class Plan:
    """A search that can be started.

    Attributes:
        settings: checked, with a name.
        space: as loaded. facts: what sampling it showed, with the epochs and steps of the search.
        ask: the space as the study asks it: parameters held fixed, epochs set.
        market: as loaded. dataset: built of it.
        epochs: of a full training. levels: epochs of the rungs. warm: the first epoch that ends
            after the longest warm-up.
        periods: [V] datetime64[ns], that every trial is scored on.
        luck: the luck line of all trials, annual Sharpe ratio.
        enqueued: the trials by hand, which the space takes; none when a run is resumed.
    """

    settings: SearchSettings
    space: Space
    facts: SpaceFacts
    ask: SpaceFunction
    market: Market
    dataset: Dataset
    epochs: int
    levels: tuple[int, ...]
    warm: int
    periods: np.ndarray
    luck: float
    enqueued: tuple[dict[str, Any], ...] = ()


@cache_if_usable()
def make_plan(
    settings: SearchSettings,
    space: Space | None = None,
    load: Callable[[], Market] | None = None,
) -> Plan:
    """Checks the space, loads the data, builds the dataset, holds one against the other.

    Args:
        settings: checked.
        space: given as a function; unset: the one that the settings name.
        load: loads the market; unset: the one that the settings name.

    Raises:
        UserError: whatever cannot work.
    """
    _check_machine(settings)
    space = space or load_space(settings.space)
    epochs = settings.epochs or space.epochs
    facts = check_space(space, settings.fix, seed=settings.seed)
    _check_objective(settings, facts)
    ask = _asking(space, settings, epochs)
    enqueued = _enqueued(settings, ask)
    market = load() if load is not None else load_market(settings.data)
    dataset = build_dataset(market, settings.data, max_window=facts.max_window)
    rows = len(dataset.train_rows)
    full = tuple(_full(config, epochs, settings.steps_per_epoch) for config in facts.configs)
    facts = replace(facts, configs=full)
    for config in full:
        check(config, dataset)
    smallest = min([rows, *(config.train.batches(rows) for config in full)])
    warm = first_rung(facts.max_warmup, smallest)
    levels = rung_levels(epochs, warm, settings.reduction_factor, settings.rungs)
    periods = scoring(dataset, dataset.valid_rows).timestamps
    return Plan(
        settings=settings,
        space=space,
        facts=facts,
        ask=_checking(ask, dataset),
        market=market,
        dataset=dataset,
        epochs=epochs,
        levels=levels,
        warm=warm,
        periods=periods,
        luck=luck_line(settings.trials, len(periods), dataset.periods_per_year),
        enqueued=tuple(enqueued),
    )


def _check_objective(settings: SearchSettings, facts: SpaceFacts) -> None:
    """Raises where the objective would compare losses of different kinds."""
    searched = [key for key in facts.distributions if key.startswith("loss/")]
    if settings.objective == "val_loss" and searched:
        raise UserError(
            f"objective=val_loss cannot compare trials that differ in {', '.join(searched)}; "
            f"objective=sharpe works, or fix.{searched[0]}=…"
        )


def _check_machine(settings: SearchSettings) -> None:
    """Raises where a worker could never be placed here; a cluster may grow."""
    if settings.address is not None:
        return
    cores, gpus = os.cpu_count() or 1, torch.cuda.device_count()
    for key, wanted, there, what in (
        ("cpus_per_trial", settings.cpus_per_trial, cores, "CPU cores"),
        ("gpus_per_trial", settings.gpus_per_trial or 0.0, gpus, "GPUs"),
    ):
        if wanted > there:
            raise UserError(
                f"{key}={wanted:g}: this machine has {there} {what}; {key}={there} works, or "
                "address=HOST:PORT of a larger cluster"
            )


def read_enqueued(path: str) -> list[dict[str, Any]]:
    """Reads the trials chosen by hand: a JSON list of objects of `GROUP/FIELD` names."""
    content = read_json(Path(path), f"enqueue={path}", ": there is no such file")
    trials = content if isinstance(content, list) else [content]
    if not trials or not all(isinstance(trial, dict) for trial in trials):
        raise UserError(
            f'enqueue={path}: expected a list of objects such as [{{"optimizer/lr": 0.0001}}]'
        )
    for number, trial in enumerate(trials, start=1):
        try:
            from_params(trial)
        except UserError as error:
            raise UserError(f"enqueue={path}: trial {number}: {error}") from error
    return trials


def _enqueued(settings: SearchSettings, ask: SpaceFunction) -> list[dict[str, Any]]:
    if settings.enqueue is None or settings.resume:  # a resumed study has them already
        return []
    trials = read_enqueued(settings.enqueue)
    if len(trials) > settings.trials:
        raise UserError(
            f"enqueue={settings.enqueue} has {len(trials)} trials, more than "
            f"trials={settings.trials}; trials={len(trials)} works"
        )
    for number, trial in enumerate(trials, start=1):
        try:
            Sampler(settings.seed).ask(ask, 0, trial)
        except UserError as error:
            raise UserError(f"enqueue={settings.enqueue}: trial {number}: {error}") from error
    return trials


def _asking(space: Space, settings: SearchSettings, epochs: int) -> SpaceFunction:
    function = fixed(space.function, settings.fix)

    def ask(trial: optuna.Trial) -> dict[str, Any]:
        return {
            **call(space, function, trial),
            "train/epochs": epochs,
            "train/steps_per_epoch": settings.steps_per_epoch,
        }

    return ask


def _checking(ask: SpaceFunction, dataset: Dataset) -> SpaceFunction:
    """Returns the space's asking with each configuration held against the data.

    The samples before the launch may not have shown a rare branch.
    """

    def checked(trial: optuna.Trial) -> dict[str, Any]:
        constants = ask(trial)
        check(from_params({**trial.params, **constants}), dataset)
        return constants

    return checked


def _full(config: TrialConfig, epochs: int, steps: int) -> TrialConfig:
    return replace(config, train=replace(config.train, epochs=epochs, steps_per_epoch=steps))
