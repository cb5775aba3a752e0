"""Fixed values: what a person gives for some parameters of a trial; the sampler chooses the rest.

Optuna's own `PartialFixedSampler` does not serve here: a number outside of its range is only a
warning there and is used, text for a number is a bare ValueError, True passes as 1, and the class
itself warns that it is experimental.
"""

import math
from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from trainable.cli.errors import UserError, unknown


class FixedValues(BaseSampler):
    """Suggests fixed values and leaves all other parameters to another sampler.

    Args:
        others: samples the parameters that are not fixed.
        fixed: values by parameter name.
    """

    def __init__(self, others: BaseSampler, fixed: Mapping[str, Any]) -> None:
        self._others = others
        self._fixed = dict(fixed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns the parameters that the other sampler samples jointly, without the fixed ones."""
        space = self._others.infer_relative_search_space(study, trial)
        return {name: value for name, value in space.items() if name not in self._fixed}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns the other sampler's values of `search_space`."""
        return self._others.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns the fixed value of a parameter, or else the other sampler's.

        Raises:
            UserError: the fixed value is outside of the distribution.
        """
        if param_name not in self._fixed:
            return self._others.sample_independent(study, trial, param_name, param_distribution)
        value = self._fixed[param_name]
        if not contains(param_distribution, value):
            raise UserError(
                f"{param_name}={value!r} is outside of the space: expected "
                f"{describe(param_distribution)}"
            )
        return value


def check_used(
    fixed: Mapping[str, Any], suggested: Mapping[str, Any], constants: Mapping[str, Any]
) -> None:
    """Raises `UserError` unless the trial has every fixed value as it was given.

    Args:
        fixed: values by parameter name.
        suggested: what the space suggested.
        constants: what the space returned; a constant wins over a suggestion of the same name.
    """
    params = {**suggested, **constants}
    for name, value in fixed.items():
        if name not in params:
            raise unknown("parameter", name, params)
        if params[name] != value:
            raise UserError(
                f"{name}={value!r} cannot be: the space holds it at {params[name]!r}; leave it out"
            )


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Says whether a distribution can yield a value, of the same type too."""
    if isinstance(distribution, CategoricalDistribution):
        return any(
            type(choice) is type(value) and choice == value for choice in distribution.choices
        )
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if not distribution.low <= value <= distribution.high:
        return False
    if distribution.step is None:
        return True
    steps = (value - distribution.low) / distribution.step
    return abs(steps - round(steps)) < 1e-8


def describe(distribution: BaseDistribution) -> str:
    """Returns in words which values a distribution can yield."""
    if isinstance(distribution, CategoricalDistribution):
        return "one of " + ", ".join(repr(choice) for choice in distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    step = "" if distribution.step in (None, 1) else f" in steps of {distribution.step}"
    return f"{distribution.low} to {distribution.high}{step}"
