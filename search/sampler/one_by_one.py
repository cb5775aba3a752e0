"""Suggests each parameter on its own, by a function."""

from collections.abc import Callable
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

ValueOf = Callable[[Study, FrozenTrial, str, BaseDistribution], Any]


class OneByOne(BaseSampler):
    """Suggests each parameter as the space comes to it; none jointly.

    Args:
        value_of: what `sample_independent` of a sampler of Optuna is.
    """

    def __init__(self, value_of: ValueOf) -> None:
        self._value_of = value_of

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns nothing: parameters are known when the space suggests them."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns nothing."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns the function's value."""
        return self._value_of(study, trial, param_name, param_distribution)
