"""Random configurations of a space, drawn in memory to see what it can ask for."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import optuna
from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)
from optuna.samplers import BaseSampler, RandomSampler

from search.settings.settings import RESERVED
from search.space.fixed_values import fixed
from search.space.loading import Space, call
from search.space.names import configured
from trainable.cli.errors import UserError
from trainable.config import TrialConfig
from trainable.validation import validate

Pick = Callable[[str, BaseDistribution, Any], Any]  # name, distribution, suggested value → value


class TwiceError(UserError):
    """One call of a space suggests a parameter from two ranges; Optuna would only warn."""


class _RandomTrial:
    """A trial of no study: it suggests at random, and `pick` has the last word.

    A trial of a study keeps every value in its storage, which takes longer than the space itself.
    """

    def __init__(self, sampler: BaseSampler, pick: Pick | None) -> None:
        self._sampler, self._pick = sampler, pick
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return self._suggest(name, FloatDistribution(low, high, log=log, step=step))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        return self._suggest(name, IntDistribution(low, high, log=log, step=step))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._suggest(name, CategoricalDistribution(choices))

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self.distributions:
            check_distribution_compatibility(self.distributions[name], distribution)
            if distribution != self.distributions[name]:
                raise TwiceError(
                    f"{name} is suggested twice in one trial, from {self.distributions[name]} and "
                    f"from {distribution}, of which the first alone counts: suggest it once"
                )
            return self.params[name]
        unused = cast(Any, None)  # a random sampler looks at no study
        value = self._sampler.sample_independent(unused, unused, name, distribution)
        self.distributions[name] = distribution
        self.params[name] = value if self._pick is None else self._pick(name, distribution, value)
        return self.params[name]

    def __getattr__(self, attribute: str) -> Any:
        """What else a trial has is that of a real one."""
        if attribute.startswith("suggest_"):
            return getattr(optuna.Trial, attribute).__get__(self)  # older names, made of the above
        return getattr(_quiet_study().ask(), attribute)


@dataclass(frozen=True)
class Sample:
    """One call of a space: what it suggested, from what, what it returned and what that makes."""

    suggested: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    returned: dict[str, object]
    config: TrialConfig


class Draws:
    """Draws random configurations of a space."""

    def __init__(self, space: Space, fix: Mapping[str, str], seed: int) -> None:
        self._space, self._fix = space, fix
        self._function = fixed(space.function, fix)
        self._sampler = RandomSampler(seed=seed)

    def __call__(self, pick: Pick | None = None) -> Sample:
        """Returns one more; `pick` has the last word on each suggestion."""
        trial = _RandomTrial(self._sampler, pick)
        try:
            returned = call(self._space, self._function, cast(Trial, trial))
        except TwiceError as error:
            raise UserError(f"{self._space.path or self._space.name}: {error}") from error
        config = _checked(self._space, trial.params, returned, self._fix)
        return Sample(trial.params, trial.distributions, returned, config)


def _quiet_study() -> optuna.Study:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study()
    finally:
        optuna.logging.set_verbosity(before)


def _checked(
    space: Space, suggested: dict[str, Any], returned: dict[str, object], fix: Collection[str]
) -> TrialConfig:
    """Returns the configuration of one sample, or raises with the sample's parameters."""
    where, params = space.path or space.name, {**suggested, **returned}
    try:
        for key, instead in RESERVED.items():
            if key in params:
                raise UserError(f"{key} is set by the search; use {instead.upper()} or {instead}=")
        config = configured(suggested, returned, fix)
        validate(config)
    except UserError as error:
        listed = ", ".join(f"{key}={value}" for key, value in params.items())
        raise UserError(f"{where}: {error} (sampled: {listed})") from error
    return config
