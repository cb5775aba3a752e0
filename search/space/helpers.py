"""Ends of a space: of helpers and the fields made of them, and of what data can be too short for.

A helper must change a field.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, cast

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.space.draws import Draws, Pick, Sample
from trainable.config import to_params, without_effect

# The larger they are, the more data or epochs a trial needs.
DEMANDING = ("schedule/warmup_steps", "train/batch_size", "loss/dead_zone")


Looked = Callable[[Sample], object]  # what may differ where a parameter has another value


def has_effect(draw: Draws, drawn: Sequence[Sample], name: str, look: Looked) -> bool:
    """Says whether another value of a suggested parameter changes what `look` sees of a sample."""
    for sample in drawn:
        if name not in sample.suggested:
            continue
        others = [v for v in _ends(sample.distributions[name]) if v != sample.suggested[name]]
        if not others:
            return True  # it has one value only
        for value in others:
            if look(draw(_with(sample, name, value))) != look(sample):
                return True
    return False


def all_but(helper: str) -> Looked:
    """Returns what a call suggested and returned, but for a helper."""

    def look(sample: Sample) -> object:
        return [
            {name: value for name, value in values.items() if name != helper}
            for values in (sample.suggested, sample.returned)
        ]

    return look


def configuration(sample: Sample) -> object:
    """Returns the configuration that a call makes."""
    return sample.config


def trained(sample: Sample) -> object:
    """Returns the values of the configuration that have an effect."""
    idle = without_effect(sample.config)
    return {key: value for key, value in to_params(sample.config).items() if key not in idle}


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
