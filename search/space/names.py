"""What the names in a space mean: `GROUP/FIELD` is a field, a name without `/` is a helper."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from trainable.cli.errors import UserError
from trainable.config import FIELDS, TrialConfig, config_of, is_field_name


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
            raise unknown_name(str(name))
    return config_of({**suggested, **returned})


def unknown_name(name: str, helpers: Collection[str] = ()) -> UserError:
    """Returns the error for a name without `/` that is no field, and of which no field is made."""
    close = get_close_matches(name, helpers, n=1) or _fields_like(name)
    hint = f"did you mean {close[0]!r}?" if close else f"Fields: {', '.join(FIELDS)}"
    return UserError(
        f"unknown parameter {name!r}: it is no GROUP/FIELD, and no field that the space returns is "
        f"made of it; {hint}"
    )


def _fields_like(name: str) -> list[str]:
    """Returns the field whose last part is like a name, if there is one."""
    last = {field.partition("/")[2]: field for field in FIELDS}
    return [last[found] for found in get_close_matches(name, last, n=1, cutoff=0.8)]
