"""Checks everything that a search needs, before anything is written or started."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import optuna
import torch
from optuna.distributions import FloatDistribution

from analysis.tries import Tries, count_tries
from analysis.verdict.luck import Luck
from search.planning.data_record import data_record
from search.planning.earlier import Earlier
from search.planning.graphs import graph_seconds
from search.planning.memory import check_memory
from search.pruning.asha import first_rung, rung_epochs
from search.pruning.rung_rules import RULES, RungRule
from search.sampler.sampler import Sampler, SpaceFunction, centre
from search.sampler.strategies import strategy_of
from search.settings.settings import SearchSettings, masked
from search.space.loading import call
from search.space.validation import (
    Space,
    SpaceFacts,
    check_space,
    configured,
    fixed,
    load_space,
)
from trainable.cli.errors import UserError
from trainable.cli.text import counted, listed
from trainable.config import TrialConfig, config_of, to_params
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.epoch_length import epoch_steps
from trainable.data.dataset.placebo import placebo
from trainable.data.ingest.table import cache_if_usable
from trainable.data.market import Market
from trainable.data.sources import load_market
from trainable.io.json_file import read_json
from trainable.losses import LOSSES
from trainable.metrics.scoring import scoring
from trainable.metrics.suspicious_features import with_suspicious_features
from trainable.parts.files import PartsFile
from trainable.parts.first_step import try_features, try_parts, warnings_of
from trainable.validation import check, check_all, check_horizons

OF_TRAINING = {"loss/dead_zone", "loss/rank_temperature"}  # no part of the validation loss


@dataclass(frozen=True)
class PlaceboOf:
    """Which placebo a search is.

    Attributes:
        run: name of the search that it is a placebo of.
        number: from 1.
        of: how many there are.
    """

    run: str
    number: int
    of: int

    def __str__(self) -> str:
        return f"placebo {self.number} of {self.of}"

    @property
    def title(self) -> str:
        """What the display calls it."""
        return f"{self.run}, {self}"


@dataclass(frozen=True)
class Plan:
    """A search that can be started.

    Attributes:
        settings: of the search, checked, with a name.
        space: the search space, as loaded.
        parts: files of the person's own parts, whose entries are in the tables.
        warnings: what is wrong with parts that can be trained all the same.
        facts: what samples of the space showed, with the epochs and steps of this search.
        ask: the space as a function that the study asks: fixed parameters and epochs are set.
        market: the market data, as loaded.
        dataset: built from the market.
        epochs: length of a full training.
        rungs: epochs at which trials are judged.
        warmup_ends: first epoch that ends after the longest warm-up.
        rung_rule: what rungs score trials by.
        periods: [V] datetime64[ns], the validation periods on which every trial is scored.
        data_record: what `run.json` says of the data.
        tries: what the luck line counts: this search's trials, and those of others on these data.
        enqueued: the first trials, chosen by hand; none when a run is resumed.
        default: what the trial after those suggests, the centre of the space; None: the space
            refuses it, or it is not to be trained.
        no_default: why the space refuses its centre; None: it does not.
        earlier: what earlier sessions of a resumed run have left; None for a new run.
        graph_s: seconds in which a worker makes the graphs of all bars; 0 where they are quick.
        placebo: which placebo this search is; None: it is none.
    """

    settings: SearchSettings
    space: Space
    facts: SpaceFacts
    ask: SpaceFunction
    market: Market
    dataset: Dataset
    epochs: int
    rungs: tuple[int, ...]
    warmup_ends: int
    rung_rule: RungRule
    periods: np.ndarray
    data_record: dict[str, Any]
    tries: Tries
    enqueued: tuple[dict[str, Any], ...] = ()
    default: dict[str, Any] | None = None
    no_default: str | None = None
    parts: tuple[PartsFile, ...] = ()
    warnings: tuple[str, ...] = ()
    earlier: Earlier | None = None
    graph_s: float = 0.0
    placebo: PlaceboOf | None = None

    def going_on(self, earlier: Earlier) -> Self:
        """Returns the plan of a session that goes on with a run.

        The luck line counts the trials that are there, also where `trials` are fewer.
        """
        tries = self.tries.with_here(max(self.settings.trials, earlier.trials))
        return replace(self, tries=tries, earlier=earlier)

    @property
    def counted(self) -> int:
        """Searched configurations of this run, once all are asked."""
        return self.tries.here

    @property
    def luck(self) -> float:
        """The luck line of all tries, annual Sharpe ratio."""
        return Luck(self.tries, len(self.periods), self.dataset.periods_per_year).one_seed

    @property
    def title(self) -> str:
        """What the display calls the search."""
        name = self.settings.run_name
        return name if self.placebo is None else self.placebo.title

    def named(self, name: str) -> "Plan":
        """Returns the plan of a search whose run folder has this name."""
        return replace(self, settings=replace(self.settings, name=name))


@cache_if_usable()
def make_plan(
    settings: SearchSettings,
    space: Space | None = None,
    load: Callable[[], Market] | None = None,
    parts: tuple[PartsFile, ...] = (),
    say: Callable[[str], None] = lambda what: None,
) -> Plan:
    """Checks the space, loads the data, builds the dataset and checks that they fit together.

    Args:
        settings: checked.
        space: the search space; None: load the one that the settings name.
        load: a function that loads the market; None: load the one that the settings name.
        parts: files of the person's own parts, whose entries are in the tables already.
        say: is told what begins, in words.

    Raises:
        UserError: the search cannot work.
    """
    say("Checking the space")
    _check_machine(settings)
    strategy_of(settings.sampler)  # raises for one that cannot work here
    space = space or load_space(settings.space)
    steps = settings.steps_per_epoch or space.steps_per_epoch
    settings = replace(settings, steps_per_epoch=steps)
    epochs = settings.epochs or space.epochs
    facts = check_space(space, settings.fix, seed=settings.seed)
    _check_sampler(settings, facts)
    losses_differ = _losses_differ(facts)
    _check_losses(settings, facts, losses_differ)
    ask = _with_epochs(space, settings, epochs)
    enqueued = first_trials(settings, ask)
    say(f"Reading the data {settings.data.path or settings.data.source or ''}".rstrip())
    market = load() if load is not None else load_market(settings.data)
    say("Building features and labels")
    try_features(market)
    dataset = build_dataset(market, settings.data, max_window=facts.max_window)
    say("Looking for features that know the future")
    quality = with_suspicious_features(dataset, generated=market.expected is not None)
    dataset = replace(dataset, quality=quality)
    if settings.placebo:
        placebo(dataset, settings.seed)  # raises where labels cannot be moved: not after the search
    say("Checking the networks on the data")
    rows = len(dataset.train_rows)
    configs = tuple(_full_length(c, epochs, settings.steps_per_epoch) for c in facts.configs)
    facts = replace(facts, configs=configs)
    check_all(configs, dataset)
    check_horizons(configs, dataset)
    check_memory(configs, dataset, settings)
    try_parts(configs, dataset)
    graph_s = graph_seconds(configs, dataset, settings)
    fewest_steps = min([rows, *(epoch_steps(config, dataset) for config in configs)])
    warmup_ends = first_rung(facts.max_warmup, fewest_steps)
    rule = RULES[settings.pruning]
    periods = scoring(dataset, dataset.valid_rows).timestamps
    checked = _checked(ask, dataset, settings)
    default, no_default = _default(settings, checked, len(enqueued))
    record = data_record(dataset, settings, periods)
    return Plan(
        settings=settings,
        space=space,
        facts=facts,
        ask=checked,
        market=market,
        dataset=dataset,
        epochs=epochs,
        rungs=rung_epochs(epochs, warmup_ends, settings.reduction_factor, settings.rungs),
        warmup_ends=warmup_ends,
        rung_rule=rule.without_loss() if losses_differ else rule,
        periods=periods,
        data_record=record,
        tries=_tries(settings, record),
        enqueued=tuple(enqueued),
        default=default,
        no_default=no_default,
        parts=parts,
        warnings=tuple(warnings_of(parts)),
        graph_s=graph_s,
    )


def _tries(settings: SearchSettings, record: Mapping[str, Any]) -> Tries:
    """Returns what the luck line counts once all trials are asked."""
    told = {"settings": masked(settings), **record}
    return count_tries(Path(settings.runs_dir), settings.name, told, settings.trials)


def _check_sampler(settings: SearchSettings, facts: SpaceFacts) -> None:
    """Raises `UserError` where a sampler cannot suggest from the space."""
    endless = [
        name
        for name, one in facts.distributions.items()
        if isinstance(one, FloatDistribution) and one.step is None
    ]
    if settings.sampler == "optuna:BruteForceSampler" and endless:
        raise UserError(
            f"sampler={settings.sampler} tries every value, and {listed(endless)} have no steps; "
            "suggest them with step=…, or sampler=qmc works"
        )


def _losses_differ(facts: SpaceFacts) -> list[str]:
    """Returns the parameters by which the losses of trials are of different kinds."""
    seen: dict[str, set[object]] = {}
    for config in facts.configs:
        for key, value in to_params(replace(config, unused=())).items():
            seen.setdefault(key, set()).add(value)
    differ = {key for key, values in seen.items() if len(values) > 1}  # also those made of helpers
    varied = {*facts.distributions, *differ}
    of_training = OF_TRAINING
    if any("dead_zone" in LOSSES[config.loss.name].columns for config in facts.configs):
        of_training = OF_TRAINING - {"loss/dead_zone"}  # a loss of one's own reads it itself
    losses = {key for key in varied if key.startswith("loss/")} - of_training
    return sorted(losses | (varied & {"data/target"}))


def _check_losses(settings: SearchSettings, facts: SpaceFacts, searched: Sequence[str]) -> None:
    """Raises `UserError` if objective or rungs would compare losses of different kinds."""
    said = works = None
    if settings.objective == "val_loss":
        said, works = "objective=val_loss", "objective=sharpe works"
    elif settings.pruning == "loss":
        said, works = "pruning=loss", "pruning=ranks works"
    if searched and works is not None:
        if facts.distributions.keys() >= set(searched):  # else they are made of helpers
            works += f", or hold them fixed: {' '.join(f'fix.{key}=…' for key in searched)}"
        raise UserError(
            f"{said} cannot compare trials that differ in {', '.join(searched)}; {works}"
        )


def _check_machine(settings: SearchSettings) -> None:
    """Raises `UserError` if this machine is too small for one worker; a cluster may grow."""
    if settings.address is not None:
        return
    cores, gpus = os.cpu_count() or 1, torch.cuda.device_count()
    for key, wanted, available, what in (
        ("cpus_per_trial", settings.cpus_per_trial, cores, "CPU cores"),
        ("gpus_per_trial", settings.gpus_per_trial or 0.0, gpus, "GPUs"),
    ):
        if wanted > available:
            raise UserError(
                f"{key}={wanted:g}: this machine has {available} {what}; {key}={available} works, "
                "or address=HOST:PORT of a larger cluster"
            )


def read_enqueued(path: str) -> list[dict[str, Any]]:
    """Reads the trials chosen by hand from a JSON list of objects with `GROUP/FIELD` names.

    Raises:
        UserError: the file cannot be read, or a trial has an unknown name or a wrong value.
    """
    content = read_json(Path(path), f"enqueue={path}", ": there is no such file")
    trials = content if isinstance(content, list) else [content]
    if not trials or not all(isinstance(trial, dict) for trial in trials):
        raise UserError(
            f'enqueue={path}: expected a list of objects such as [{{"optimizer/lr": 0.0001}}]'
        )
    for number, trial in enumerate(trials, start=1):
        try:
            config_of(trial)  # of helpers the space knows
        except UserError as error:
            raise UserError(f"enqueue={path}: trial {number}: {error}") from error
    return trials


def first_trials(settings: SearchSettings, ask: SpaceFunction) -> list[dict[str, Any]]:
    """Returns the trials chosen by hand with which a search begins; raises `UserError`."""
    if settings.enqueue is None or settings.resume:  # a resumed study has them already
        return []
    trials = read_enqueued(settings.enqueue)
    if len(trials) > settings.trials:
        raise UserError(
            f"enqueue={settings.enqueue} has {counted(len(trials), 'trial')}, more than "
            f"trials={settings.trials}; trials={len(trials)} works"
        )
    for number, trial in enumerate(trials, start=1):
        try:
            Sampler(settings.seed).ask(ask, 0, trial)
        except UserError as error:
            raise UserError(f"enqueue={settings.enqueue}: trial {number}: {error}") from error
    return trials


def _default(
    settings: SearchSettings, ask: SpaceFunction, enqueued: int
) -> tuple[dict[str, Any] | None, str | None]:
    """Returns what the default suggests, and why the space refuses it."""
    if not settings.try_default or settings.trials <= enqueued:
        return None, None
    try:
        return centre(ask).params, None
    except UserError as error:
        return None, str(error)


def _with_epochs(space: Space, settings: SearchSettings, epochs: int) -> SpaceFunction:
    """Returns the space's function with fixed parameters and the epochs of this search."""
    function = fixed(space.function, settings.fix)

    def ask(trial: optuna.Trial) -> dict[str, Any]:
        return {
            **call(space, function, trial),
            "train/epochs": epochs,
            "train/steps_per_epoch": settings.steps_per_epoch,
        }

    return ask


def _checked(ask: SpaceFunction, dataset: Dataset, settings: SearchSettings) -> SpaceFunction:
    """Returns a space function that also checks each configuration against the data.

    The samples before the launch may have missed a rare branch of the space.
    """

    def ask_and_check(trial: optuna.Trial) -> dict[str, Any]:
        constants = ask(trial)
        config = configured(trial.params, constants, settings.fix)
        check(config, dataset)
        check_memory([config], dataset, settings)
        return constants

    return ask_and_check


def _full_length(config: TrialConfig, epochs: int, steps: int) -> TrialConfig:
    return replace(config, train=replace(config.train, epochs=epochs, steps_per_epoch=steps))
