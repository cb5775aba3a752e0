"""A search space as the search uses it: parameters held fixed, sampled before any launch."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import optuna
from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.settings.settings import RESERVED
from search.space.loading import Space, SpaceFunction, call, load_space
from trainable.cli.errors import UserError, unknown
from trainable.cli.options import Kind, convert
from trainable.config import (
    FIELDS,
    TrialConfig,
    config_of,
    from_params,
    from_text,
    is_field_name,
    shape_key,
    to_params,
)
from trainable.validation import check_value, validate

__all__ = ["Space", "SpaceFacts", "SpaceFunction", "check_space", "fixed", "load_space"]


@dataclass(frozen=True)
class SpaceFacts:
    """What sampling a space showed.

    Attributes:
        distributions: what is searched, by parameter, helpers included; fixed and overruled ones
            are not.
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
        fix: what was typed, by parameter; read as the type of `TrialConfig`'s field, or as what
            the space suggests where it is a helper.
    """
    constants = {key: from_text(key, text) for key, text in fix.items() if is_field_name(key)}
    helpers = {key: text for key, text in fix.items() if not is_field_name(key)}

    def space(trial: Trial) -> dict[str, object]:
        fixing = _Fixing(trial, constants, helpers)
        returned = function(cast(Trial, fixing))
        if not isinstance(returned, Mapping):
            raise TypeError(
                f"space(trial) returned {returned!r} instead of a dict of constants; "
                "return {} where there are none"
            )
        return {**returned, **fixing.constants}

    return space


def configured(
    suggested: Mapping[str, Any], returned: Mapping[str, Any], fix: Collection[str] = ()
) -> TrialConfig:
    """Returns the configuration that one call of a space makes.

    A suggested name with `/` is that of a field; one without is a helper, which fields are made of.
    A returned name is that of a field. A space may return a helper as well, as it was suggested.

    Args:
        suggested: values by name.
        returned: constants by name; they win over suggestions of the same name.
        fix: names of the parameters held fixed.

    Raises:
        UserError: for an unknown name or a value of the wrong type.
    """
    for name, value in returned.items():
        own = name in fix or (name in suggested and suggested[name] == value)
        if not is_field_name(str(name)) and not own:
            raise _unknown(str(name))
    return config_of({**suggested, **returned})


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
    draw = _Draws(space, fix, seed)
    drawn = [draw() for _ in range(samples)]
    searched = _searched(drawn)
    helpers = sorted(name for name in searched if not is_field_name(name))
    for name in fix:
        if not is_field_name(name) and not any(name in sample.returned for sample in drawn):
            raise UserError(f"fix.{name}: {_unknown(name, helpers)}")
    for name in helpers:
        _check_effect(space, draw, drawn, name)
    # A field that is made of helpers has no range of its own: its ends are those of the helpers.
    drawn += [draw(_at_end(names, high)) for names in _together(helpers) for high in (False, True)]
    first: dict[str, BaseDistribution] = {}
    for sample in drawn:
        for name in searched & sample.distributions.keys() - first.keys():
            first[name] = sample.distributions[name]
            if is_field_name(name):
                _check_edges(space, name, first[name])
    windows, warmups = [1], [0]
    for sample in drawn:
        own = {name: d for name, d in sample.distributions.items() if name in searched}
        windows.append(_largest("data/window", own, sample.config.data.window))
        if warmup := sample.config.schedule.warmup_steps:
            warmups.append(_largest("schedule/warmup_steps", own, warmup))
    configs = [sample.config for sample in drawn]
    return SpaceFacts(
        distributions={name: first[name] for name in sorted(first)},
        max_window=max(windows),
        max_warmup=max(warmups),
        shapes=frozenset(map(shape_key, configs)),
        batch_sizes=tuple(sorted({config.train.batch_size for config in configs})),
        configs=tuple(configs),
    )


class _Fixing:
    """A trial that answers for fixed parameters by itself.

    Args:
        trial: of the study.
        constants: fixed fields.
        helpers: fixed helpers, as they were typed.

    Attributes:
        constants: what is fixed, helpers among it once the space has asked for them.
    """

    def __init__(
        self, trial: Trial, constants: Mapping[str, object], helpers: Mapping[str, str]
    ) -> None:
        self._trial = trial
        self._helpers = helpers
        self.constants = dict(constants)

    @property
    def params(self) -> dict[str, Any]:
        """What is settled so far, the fixed parameters included."""
        return {**self._trial.params, **self.constants}

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self._trial, attribute)
        if not attribute.startswith("suggest_"):
            return found

        def suggest(name: str, *args: Any, **kwargs: Any) -> Any:
            if name in self._helpers and name not in self.constants:
                choices = args[0] if args else kwargs.get("choices", ())
                self.constants[name] = _helper(attribute, name, self._helpers[name], choices)
            if name in self.constants:
                return self.constants[name]
            return found(name, *args, **kwargs)

        return suggest


def _helper(method: str, name: str, text: str, choices: Any) -> object:
    """Returns what was typed for a helper, as what a method of a trial suggests."""
    key = f"fix.{name}"
    if method != "suggest_categorical":
        return convert(Kind(int if method == "suggest_int" else float), text, key)
    for choice in choices:
        if text in (str(choice), str(choice).lower()):
            return choice
    raise UserError(f"{key}={text}: expected one of {', '.join(map(str, choices))}")


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
class _Sample:
    """One call of a space: what it suggested, from what, what it returned and what that makes."""

    suggested: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    returned: dict[str, object]
    config: TrialConfig


class _Draws:
    """Draws random configurations of a space."""

    def __init__(self, space: Space, fix: Mapping[str, str], seed: int) -> None:
        self._space, self._fix = space, fix
        self._function = fixed(space.function, fix)
        self._study = _quiet_study(seed)

    def __call__(self, pick: Pick | None = None) -> _Sample:
        trial = self._study.ask()
        picking = trial if pick is None else _Picking(trial, pick)
        returned = call(self._space, self._function, cast(Trial, picking))
        suggested = dict(picking.params)
        config = _checked(self._space, suggested, returned, self._fix)
        return _Sample(suggested, trial.distributions, returned, config)


def _searched(drawn: Sequence[_Sample]) -> set[str]:
    """Returns the parameters whose suggestions reach the trials: no constant overrules them.

    A space may return what it suggested.
    """
    free: set[str] = set()
    overruled: set[str] = set()
    for sample in drawn:
        for name, value in sample.suggested.items():
            if name not in sample.returned:
                free.add(name)
            elif sample.returned[name] != value:
                overruled.add(name)
    return free | ({name for sample in drawn for name in sample.suggested} - overruled)


def _check_effect(space: Space, draw: _Draws, drawn: Sequence[_Sample], helper: str) -> None:
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
    raise UserError(f"{space.path or space.name}: {_unknown(helper)}")


def _without(helper: str, sample: _Sample) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what a call suggested and returned, but for a helper."""
    suggested, returned = (
        {name: value for name, value in values.items() if name != helper}
        for values in (sample.suggested, sample.returned)
    )
    return suggested, returned


def _with(sample: _Sample, helper: str, value: object) -> Pick:
    """Returns what repeats a sample with another value of a helper."""

    def pick(name: str, distribution: BaseDistribution, suggested: Any) -> Any:
        if name == helper:
            return value
        same = sample.distributions.get(name) == distribution
        return sample.suggested[name] if same else suggested

    return pick


def _at_end(names: Collection[str], high: bool) -> Pick:
    """Returns what gives helpers their highest value, or their lowest."""

    def pick(name: str, distribution: BaseDistribution, suggested: Any) -> Any:
        return _ends(distribution)[-1 if high else 0] if name in names else suggested

    return pick


def _together(helpers: Sequence[str]) -> list[Sequence[str]]:
    """Returns the helpers all together, then one by one; nothing where there are none."""
    return [helpers, *([name] for name in helpers)] if helpers else []


def _ends(distribution: BaseDistribution) -> tuple[Any, ...]:
    """Returns the lowest and the highest value, or all choices, numbers in their order."""
    if not isinstance(distribution, CategoricalDistribution):
        return cast(Any, distribution).low, cast(Any, distribution).high
    choices = distribution.choices
    numbers = all(isinstance(choice, int | float) for choice in choices)
    return tuple(sorted(cast(Any, choices))) if numbers else tuple(choices)


def _unknown(name: str, helpers: Collection[str] = ()) -> UserError:
    """Returns the error for a name without `/` that is neither a field nor a helper of use."""
    for field in FIELDS:
        if field.partition("/")[2] == name:
            return UserError(
                f"unknown parameter {name!r}; did you mean {field!r}? A name without / is one "
                "that the fields a space returns are made of"
            )
    return unknown("parameter", name, [*helpers, *FIELDS])


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
