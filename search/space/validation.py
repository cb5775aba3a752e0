"""A search space as the search uses it: parameters held fixed, sampled before any launch."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import optuna
from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.settings.settings import RESERVED
from search.space.loading import Space, SpaceFunction, call, load_space
from trainable.cli.errors import UserError
from trainable.config import TrialConfig, from_params, from_text, shape_key, to_params
from trainable.validation import check_value, validate

__all__ = ["Space", "SpaceFacts", "SpaceFunction", "check_space", "fixed", "load_space"]


@dataclass(frozen=True)
class SpaceFacts:
    """What sampling a space showed.

    Attributes:
        distributions: what is searched, by parameter; fixed and overruled ones are not.
        max_window: the longest window any trial can ask for, in rows of a symbol.
        max_warmup: the longest warm-up any trial can ask for, in optimizer steps.
        shapes: the shapes seen; members of a cohort share one.
        batch_sizes: the batch sizes seen, rising.
        configs: every configuration sampled, to be held against the data.
    """

    distributions: dict[str, BaseDistribution]
    max_window: int
    max_warmup: int
    shapes: frozenset[tuple[tuple[str, Any], ...]]
    batch_sizes: tuple[int, ...]
    configs: tuple[TrialConfig, ...]

    @property
    def n_searched(self) -> int:
        """How many parameters are searched."""
        return len(self.distributions)


def fixed(function: SpaceFunction, fix: Mapping[str, str]) -> Callable[[Trial], dict[str, object]]:
    """Returns the space with parameters held fixed: never suggested, and the last word.

    Args:
        function: the space.
        fix: what was typed, by parameter; read as the type of `TrialConfig`'s field.
    """
    constants = {key: from_text(key, text) for key, text in fix.items()}

    def space(trial: Trial) -> dict[str, object]:
        returned = function(cast(Trial, _Fixing(trial, constants)))
        if not isinstance(returned, Mapping):
            raise TypeError(
                f"space(trial) returned {returned!r} instead of a dict of constants; "
                "return {} where there are none"
            )
        return {**returned, **constants}

    return space


def check_space(
    space: Space, fix: Mapping[str, str], samples: int = 200, seed: int = 0
) -> SpaceFacts:
    """Samples the space in memory and returns what it can ask for.

    Args:
        space: the space.
        fix: parameters held fixed.
        samples: random configurations to draw; conditional parameters need a good many.
        seed: of the draws.

    Raises:
        UserError: for the first configuration that cannot be trained, with its parameters, and for
            an exception of the space itself, with its file and line.
    """
    function = fixed(space.function, fix)
    study = _quiet_study(seed)
    distributions: dict[str, BaseDistribution] = {}
    configs: list[TrialConfig] = []
    windows, warmups = [1], [0]
    for _ in range(samples):
        trial = study.ask()
        constants = call(space, function, trial)
        params = {**trial.params, **constants}
        config = _checked(space, params)
        searched = {k: d for k, d in trial.distributions.items() if k not in constants}
        for key in searched.keys() - distributions.keys():
            _check_edges(space, key, searched[key])
        distributions |= searched
        windows.append(_largest("data/window", searched, config.data.window))
        if warmup := config.schedule.warmup_steps:
            warmups.append(_largest("schedule/warmup_steps", searched, warmup))
        configs.append(config)
    return SpaceFacts(
        distributions=dict(sorted(distributions.items())),
        max_window=max(windows),
        max_warmup=max(warmups),
        shapes=frozenset(map(shape_key, configs)),
        batch_sizes=tuple(sorted({config.train.batch_size for config in configs})),
        configs=tuple(configs),
    )


class _Fixing:
    """A trial that answers for fixed parameters by itself."""

    def __init__(self, trial: Trial, constants: Mapping[str, object]) -> None:
        self._trial = trial
        self._constants = constants

    @property
    def params(self) -> dict[str, Any]:
        """What is settled so far, the fixed parameters included."""
        return {**self._trial.params, **self._constants}

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._trial, attribute)
        if not attribute.startswith("suggest_"):
            return found

        def suggest(name: str, *args: Any, **kwargs: Any) -> Any:
            if name in self._constants:
                return self._constants[name]
            return found(name, *args, **kwargs)

        return suggest


def _quiet_study(seed: int) -> optuna.Study:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    finally:
        optuna.logging.set_verbosity(before)


def _checked(space: Space, params: dict[str, object]) -> TrialConfig:
    """Returns the configuration of one sample, or raises with the sample's parameters."""
    where = space.path or space.name
    try:
        for key, instead in RESERVED.items():
            if key in params:
                raise UserError(f"{key} is set by the search; use EPOCHS or {instead}=")
        config = from_params(params)
        validate(config)
    except UserError as error:
        listed = ", ".join(f"{key}={value}" for key, value in params.items())
        raise UserError(f"{where}: {error} (sampled: {listed})") from error
    return config


def _check_edges(space: Space, key: str, distribution: BaseDistribution) -> None:
    """Raises where an end of the range is out of bounds, which samples may not show."""
    if isinstance(distribution, CategoricalDistribution):
        values: tuple[Any, ...] = distribution.choices
    else:
        values = (cast(Any, distribution).low, cast(Any, distribution).high)
    for value in values:
        try:
            check_value(key, to_params(from_params({key: value}))[key])
        except UserError as error:
            raise UserError(f"{space.path or space.name}: {error}") from error


def _largest(key: str, searched: Mapping[str, BaseDistribution], value: int) -> int:
    """Returns the largest value this parameter can take where it was sampled as `value`."""
    distribution = searched.get(key)
    if distribution is None:
        return value
    if isinstance(distribution, CategoricalDistribution):
        return max(cast(tuple[int, ...], distribution.choices))
    return math.floor(cast(Any, distribution).high)
