"""Trials given by hand: values that a space must suggest, checked where the space asks for them."""

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
    """Suggests the values given by hand and leaves all others to another sampler.

    Args:
        others: samples what is not given.
        fixed: values by parameter name.
    """

    def __init__(self, others: BaseSampler, fixed: Mapping[str, Any]) -> None:
        self._others = others
        self._fixed = dict(fixed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns the space that is sampled jointly, without what is given by hand."""
        space = self._others.infer_relative_search_space(study, trial)
        return {name: value for name, value in space.items() if name not in self._fixed}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Samples jointly what is not given by hand."""
        return self._others.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns the value given by hand, or another sampler's.

        Raises:
            UserError: the value by hand is outside of the distribution.
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
    """Raises `UserError` unless the space took every value by hand as it was given."""
    taken = {**suggested, **constants}
    for name, value in fixed.items():
        if name not in taken:
            raise unknown("parameter", name, taken)
        if taken[name] != value:
            raise UserError(
                f"{name}={value!r} cannot be: the space holds it at {taken[name]!r}; leave it out"
            )


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Returns whether a value, of the right type too, can be drawn from a distribution."""
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
    """Returns what can be drawn from a distribution, in words."""
    if isinstance(distribution, CategoricalDistribution):
        return "one of " + ", ".join(repr(choice) for choice in distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    step = "" if distribution.step in (None, 1) else f" in steps of {distribution.step}"
    return f"{distribution.low} to {distribution.high}{step}"
