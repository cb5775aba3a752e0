"""Ends of a space: of helpers and the fields made of them, and of what data can be too short for.

A helper must change a field.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, cast

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.space.draws import Draws, Pick, Sample

# The larger they are, the more data or epochs a trial needs.
DEMANDING = ("schedule/warmup_steps", "train/batch_size", "loss/dead_zone")


def has_effect(draw: Draws, drawn: Sequence[Sample], helper: str) -> bool:
    """Says whether another value of a helper changes anything else that a space says."""
    for sample in drawn:
        if helper not in sample.suggested:
            continue
        others = [v for v in _ends(sample.distributions[helper]) if v != sample.suggested[helper]]
        if not others:
            return True  # it has one value only
        for value in others:
            changed = draw(_with(sample, helper, value))
            if _without(helper, changed) != _without(helper, sample):
                return True
    return False


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


def most_demanding(drawn: Sequence[Sample], helpers: Collection[str]) -> Iterator[Pick]:
    """Returns what repeats samples with the longest warm-up, largest batch and widest dead zone.

    Each range of them that the samples have is met once: a space may choose it by another value.
    """
    met = set()
    for sample in drawn:
        there = [name for name in DEMANDING if name in sample.distributions]
        ranges = tuple((name, sample.distributions[name]) for name in there)
        if there and ranges not in met:
            met.add(ranges)
            for names in ({there[0]}, {*there, *helpers}):
                yield _at_high_end(sample, names)


def _at_high_end(sample: Sample, names: Collection[str]) -> Pick:
    """Returns what repeats a sample with the highest value of some parameters."""

    def pick(name: str, distribution: BaseDistribution, suggested: Any) -> Any:
        if name in names:
            return _ends(distribution)[-1]
        same = sample.distributions.get(name) == distribution
        return sample.suggested[name] if same else suggested

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
