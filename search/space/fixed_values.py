"""Parameters of a space that a person holds fixed: never suggested, and the last word."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, cast

from optuna import Trial

from search.space.loading import SpaceFunction
from trainable.cli.errors import UserError
from trainable.cli.options import Kind, convert
from trainable.config import from_text, is_field_name


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
                asked = signature(found).bind(name, *args, **kwargs).arguments
                self.constants[name] = _helper(attribute, name, self._helpers[name], asked)
            if name in self.constants:
                return self.constants[name]
            return found(name, *args, **kwargs)

        return suggest


def _helper(method: str, name: str, text: str, asked: Mapping[str, Any]) -> object:
    """Returns what was typed for a helper, as what a method of a trial suggests.

    Raises:
        UserError: the space never suggests this value.
    """
    key = f"fix.{name}"
    if method == "suggest_categorical":
        choices = asked["choices"]
        for choice in choices:
            if text in (str(choice), str(choice).lower()):
                return choice
        raise UserError(f"{key}={text}: expected one of {', '.join(map(str, choices))}")
    value: Any = convert(Kind(int if method == "suggest_int" else float), text, key)
    low, high, step = asked["low"], asked["high"], asked.get("step")
    if not low <= value <= high:
        works = low if value < low else high
        raise UserError(
            f"{key}={text} is outside of what the space suggests, {low} … {high}; {key}={works} "
            "works"
        )
    if step is not None and abs((steps := (value - low) / step) - round(steps)) > 1e-9:
        works = low + step * int(steps)
        raise UserError(
            f"{key}={text} is none of what the space suggests, {low} … {high} in steps of {step}; "
            f"{key}={works} works"
        )
    return value
