"""A search space as the search uses it: parameters held fixed, sampled before any launch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.space.draws import Draws, Sample
from search.space.fixed_values import fixed
from search.space.helpers import (
    Looked,
    all_but,
    at_end,
    configuration,
    has_effect,
    most_demanding,
    together,
    trained,
)
from search.space.loading import Space, SpaceFunction, load_space
from search.space.names import configured, unknown_name
from trainable.cli.errors import UserError
from trainable.config import (
    TrialConfig,
    from_params,
    is_field_name,
    shape_key,
    to_params,
    without_effect,
)
from trainable.validation import check_value

__all__ = [
    "Space",
    "SpaceFacts",
    "SpaceFunction",
    "check_space",
    "configured",
    "fixed",
    "load_space",
]


@dataclass(frozen=True)
class SpaceFacts:
    """What sampling a space showed.

    Attributes:
        distributions: what is searched, by parameter, helpers included; fixed ones are not, nor is
            what has no effect.
        without_effect: what is suggested and changes no trial, such as `optimizer/momentum` where
            each optimizer is adamw, or `train/time_mask` where each window is 1.
        fixed_without_effect: what is held fixed and changes no trial, likewise.
        max_window: the longest window any trial can ask for, in rows of a symbol.
        max_warmup: the longest warm-up any trial can ask for, in optimizer steps.
        shapes: the shapes seen; members of a cohort share one.
        configs: every configuration sampled, and those that ask most of the data and the epochs;
            to be held against both.
    """

    distributions: dict[str, BaseDistribution]
    without_effect: tuple[str, ...]
    fixed_without_effect: tuple[str, ...]
    max_window: int
    max_warmup: int
    shapes: frozenset[tuple[tuple[str, Any], ...]]
    configs: tuple[TrialConfig, ...]

    @property
    def n_searched(self) -> int:
        """How many parameters are searched."""
        return len(self.distributions)


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
    where = space.path or space.name
    draw = Draws(space, fix, seed)
    drawn = [draw() for _ in range(samples)]
    searched = {name for sample in drawn for name in sample.suggested}
    overruled = _overruled(drawn)
    for name, value in overruled.items():
        if not has_effect(draw, drawn, name, configuration):
            if not _has_effect_unless_fixed(space, fix, name, configuration, samples, seed):
                raise UserError(
                    f"{where} suggests {name} and returns {value!r} for it, so that nothing is "
                    "searched there: leave it out of what is returned to search it, or suggest it "
                    "no longer to hold it constant"
                )
            searched.remove(name)
    helpers = sorted(name for name in searched if not is_field_name(name))
    for name in fix:
        if not is_field_name(name) and not any(name in sample.returned for sample in drawn):
            raise UserError(f"fix.{name}: {unknown_name(name, helpers)}")
    for name in helpers:
        if not has_effect(draw, drawn, name, all_but(name)):
            if not _has_effect_unless_fixed(space, fix, name, all_but(name), samples, seed):
                raise UserError(f"{where}: {unknown_name(name)}")
            searched.remove(name)
    idle = {name for name in searched if not _is_trained(draw, drawn, name, name in overruled)}
    searched -= idle
    # A field that is made of helpers, or is sometimes overruled, has no range of its own: its ends
    # are those of what it is made of.
    helpers = [*helpers, *sorted(searched & overruled.keys())]
    drawn += [draw(at_end(names, high)) for names in together(helpers) for high in (False, True)]
    drawn += [draw(pick) for pick in most_demanding(drawn[:samples], helpers)]
    first: dict[str, BaseDistribution] = {}
    for sample in drawn:
        for name in searched & sample.distributions.keys() - first.keys():
            first[name] = sample.distributions[name]
            if is_field_name(name) and name not in overruled:
                _check_edges(space, name, first[name])
    windows, warmups = [1], [0]
    for sample in drawn:
        ranged = searched - (overruled.keys() & sample.returned.keys())
        own = {name: d for name, d in sample.distributions.items() if name in ranged}
        windows.append(_largest("data/window", own, sample.config.data.window))
        if warmup := sample.config.schedule.warmup_steps:
            warmups.append(_largest("schedule/warmup_steps", own, warmup))
    configs = [sample.config for sample in drawn]
    return SpaceFacts(
        distributions={name: first[name] for name in sorted(first)},
        without_effect=tuple(sorted(idle)),
        fixed_without_effect=_fixed_without_effect(fix, drawn),
        max_window=max(windows),
        max_warmup=max(warmups),
        shapes=frozenset(map(shape_key, configs)),
        configs=tuple(configs),
    )


def _has_effect_unless_fixed(
    space: Space, fix: Mapping[str, str], name: str, look: Looked, samples: int, seed: int
) -> bool:
    """Says whether a parameter without effect has one where no field is held fixed."""
    helpers = {helper: text for helper, text in fix.items() if not is_field_name(helper)}
    if len(helpers) == len(fix):
        return False
    free = Draws(space, helpers, seed)
    return has_effect(free, [free() for _ in range(samples)], name, look)


def _overruled(drawn: Sequence[Sample]) -> dict[str, object]:
    """Returns the fields for which some sample returns another value than it suggested, with that.

    A space may return what it suggested, and overrule it under some conditions.
    """
    found: dict[str, object] = {}
    for sample in drawn:
        for name, value in sample.suggested.items():
            if is_field_name(name) and sample.returned.get(name, value) != value:
                found.setdefault(name, sample.returned[name])
    return dict(sorted(found.items()))


def _is_trained(draw: Draws, drawn: Sequence[Sample], name: str, overruled: bool) -> bool:
    """Says whether a searched parameter changes how any sampled configuration is trained."""
    if is_field_name(name) and not overruled:
        having = [sample for sample in drawn if name in sample.suggested]
        return any(name not in without_effect(sample.config) for sample in having)
    return has_effect(draw, drawn, name, trained)


def _fixed_without_effect(fix: Mapping[str, str], drawn: Sequence[Sample]) -> tuple[str, ...]:
    """Returns the fields held fixed that change no sampled configuration."""
    idle = set.intersection(*(without_effect(sample.config) for sample in drawn))
    return tuple(sorted(idle & fix.keys()))


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
