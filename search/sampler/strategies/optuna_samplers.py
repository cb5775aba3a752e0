"""`optuna:CLASS`: a sampler of Optuna by the name of its class."""

import inspect
import logging
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search.sampler.history import History
from search.sampler.strategies.base import Ask, Proposal
from search.sampler.strategies.frozen_trials import frozen_trials
from trainable.cli.errors import UserError, unknown

PREFIX = "optuna:"
# What they remember stands in attributes of a study or of trials, not in what trials were.
STATEFUL = {
    "CmaEsSampler": "cmaes",
    "QMCSampler": "qmc",
    "NSGAIISampler": "tpe",
    "NSGAIIISampler": "tpe",
}


class OptunaStrategy:
    """Shows a sampler of Optuna all known trials and asks it for one more.

    Args:
        name: of a class of `optuna.samplers`.

    Raises:
        UserError: there is no such sampler, or it cannot work here.
    """

    def __init__(self, name: str) -> None:
        self._class = _class_of(name)
        self._takes = inspect.signature(self._class).parameters
        # What Optuna says of it would stand among the search's own lines: that the sampler is new,
        # or that it would be quicker with another package.
        warnings.filterwarnings("ignore", category=ExperimentalWarning, message=f"{name} is exp")
        logging.getLogger("optuna._gp").setLevel(logging.ERROR)

    def propose(self, history: History, ask: Ask) -> Proposal:
        """Returns a new sampler with the seed of this suggestion, and the known trials."""
        ours = {"seed": ask.seed, "n_startup_trials": ask.startup, "constant_liar": True}
        ours |= {key: False for key, one in self._takes.items() if _warns(key, one.default)}
        given = {key: value for key, value in ours.items() if key in self._takes}
        trials = frozen_trials(history)
        return Proposal(WithOtherChoices(self._class(**given), trials, ask.seed), trials)


class WithOtherChoices(BaseSampler):
    """Draws at random the parameters whose choices differ from those of a known trial.

    A branch of a space may offer other choices under the same name. Samplers of Optuna look up
    known values among the new choices, and fail.

    Args:
        of: samples all other parameters.
        trials: that are known.
        seed: of the random values.
    """

    def __init__(self, of: BaseSampler, trials: Sequence[FrozenTrial], seed: int) -> None:
        self._of, self._trials, self._random = of, trials, RandomSampler(seed)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns what the other sampler samples jointly: what all trials have alike."""
        return self._of.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns the other sampler's values of `search_space`."""
        return self._of.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns the other sampler's value, or a random one where choices differ."""
        differ = isinstance(param_distribution, CategoricalDistribution) and any(
            known.distributions.get(param_name, param_distribution) != param_distribution
            for known in self._trials
        )
        sampler = self._random if differ else self._of
        return sampler.sample_independent(study, trial, param_name, param_distribution)


def _class_of(name: str) -> type[BaseSampler]:
    """Returns the class; raises `UserError` for one that cannot work."""
    found = {
        each: kind
        for each in optuna.samplers.__all__
        if isinstance(kind := getattr(optuna.samplers, each), type)
        and issubclass(kind, BaseSampler)
        and not inspect.isabstract(kind)
    }
    usable = [each for each, kind in found.items() if each not in STATEFUL and not _needed_by(kind)]
    if name not in found:
        raise unknown("sampler of Optuna", name, usable)
    if name in STATEFUL:
        raise UserError(
            f"sampler={PREFIX}{name} keeps state that a resumed search would lose; "
            f"sampler={STATEFUL[name]} works"
        )
    if needed := _needed_by(found[name]):
        raise UserError(
            f"sampler={PREFIX}{name} needs {' and '.join(needed)}, which cannot be given here; "
            f"sampler={PREFIX}{usable[-1]} works"
        )
    return found[name]


def _warns(argument: str, default: object) -> bool:
    """Says whether an argument turns on warnings, which would stand among a search's own lines."""
    return argument.startswith("warn_") and default is True


def _needed_by(kind: type[BaseSampler]) -> list[str]:
    """Returns the arguments without which a sampler cannot be made."""
    parameters = inspect.signature(kind).parameters.values()
    return [one.name for one in parameters if one.default is inspect.Parameter.empty]
