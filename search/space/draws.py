"""Random configurations of a space, drawn in memory to see what it can ask for."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

import optuna
from optuna import Trial
from optuna.distributions import BaseDistribution

from search.settings.settings import RESERVED
from search.space.fixed_values import fixed
from search.space.loading import Space, call
from search.space.names import configured
from trainable.cli.errors import UserError
from trainable.config import TrialConfig
from trainable.validation import validate

Pick = Callable[[str, BaseDistribution, Any], Any]  # name, distribution, suggested value → value


class _Picking:
    """A trial whose suggestions somebody else has the last word on."""

    def __init__(self, trial: Trial, pick: Pick) -> None:
        self._trial, self._pick = trial, pick
        self.params: dict[str, Any] = {}

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._trial, attribute)
        if not attribute.startswith("suggest_"):
            return found

        def suggest(name: str, *args: Any, **kwargs: Any) -> Any:
            value = found(name, *args, **kwargs)
            self.params[name] = self._pick(name, self._trial.distributions[name], value)
            return self.params[name]

        return suggest


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
        self._study = _quiet_study(seed)

    def __call__(self, pick: Pick | None = None) -> Sample:
        """Returns one more; `pick` has the last word on each suggestion."""
        trial = self._study.ask()
        picking = trial if pick is None else _Picking(trial, pick)
        returned = call(self._space, self._function, cast(Trial, picking))
        suggested = dict(picking.params)
        config = _checked(self._space, suggested, returned, self._fix)
        return Sample(suggested, trial.distributions, returned, config)


def _quiet_study(seed: int) -> optuna.Study:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
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
                raise UserError(f"{key} is set by the search; use EPOCHS or {instead}=")
        config = configured(suggested, returned, fix)
        validate(config)
    except UserError as error:
        listed = ", ".join(f"{key}={value}" for key, value in params.items())
        raise UserError(f"{where}: {error} (sampled: {listed})") from error
    return config
