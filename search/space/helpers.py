"""Helpers of a space: whether each changes a field, and the ends of the fields made of them."""

from collections.abc import Collection, Sequence
from typing import Any, cast

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.space.draws import Draws, Pick, Sample
from search.space.names import unknown_name
from trainable.cli.errors import UserError


def check_effect(where: str, draw: Draws, drawn: Sequence[Sample], helper: str) -> None:
    """Raises where a helper changes nothing: a misspelt field, which would be searched in vain."""
    for sample in drawn:
        if helper not in sample.suggested:
            continue
        others = [v for v in _ends(sample.distributions[helper]) if v != sample.suggested[helper]]
        if not others:
            return  # it has one value only
        for value in others:
            changed = draw(_with(sample, helper, value))
            if _without(helper, changed) != _without(helper, sample):
                return
    raise UserError(f"{where}: {unknown_name(helper)}")


def _without(helper: str, sample: Sample) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what a call suggested and returned, but for a helper."""
    suggested, returned = (
        {name: value for name, value in values.items() if name != helper}
        for values in (sample.suggested, sample.returned)
    )
    return suggested, returned


def _with(sample: Sample, helper: str, value: object) -> Pick:
    """Returns what repeats a sample with another value of a helper."""

    def pick(name: str, distribution: BaseDistribution, suggested: Any) -> Any:
        if name == helper:
            return value
        same = sample.distributions.get(name) == distribution
        return sample.suggested[name] if same else suggested

    return pick


def at_end(names: Collection[str], high: bool) -> Pick:
    """Returns what gives helpers their highest value, or their lowest."""

    def pick(name: str, distribution: BaseDistribution, suggested: Any) -> Any:
        return _ends(distribution)[-1 if high else 0] if name in names else suggested

    return pick


def together(helpers: Sequence[str]) -> list[Sequence[str]]:
    """Returns the helpers all together, then one by one; nothing where there are none."""
    return [helpers, *([name] for name in helpers)] if helpers else []


def _ends(distribution: BaseDistribution) -> tuple[Any, ...]:
    """Returns the lowest and the highest value, or all choices, numbers in their order."""
    if not isinstance(distribution, CategoricalDistribution):
        return cast(Any, distribution).low, cast(Any, distribution).high
    choices = distribution.choices
    numbers = all(isinstance(choice, int | float) for choice in choices)
    return tuple(sorted(cast(Any, choices))) if numbers else tuple(choices)
