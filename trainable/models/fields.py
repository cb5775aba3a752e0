"""Fields that several models have: a name means one thing, with one range, in all of them."""

from typing import Any

from trainable.cli.errors import UserError
from trainable.hyperparameter import hyperparameter


def hidden_dims(text: str) -> tuple[int, ...]:
    """Returns the widths that "64-32-16" stands for."""
    parts = text.split("-")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise UserError(
            f"model/hidden_dims={text!r} must be widths above 0 joined by '-'; 64-32-16 works"
        )
    return tuple(int(part) for part in parts)


def _check_hidden_dims(key: str, value: str) -> None:
    hidden_dims(value)


def hidden_dims_field(default: str) -> Any:
    """Returns the field `hidden_dims` of perceptrons."""
    return hyperparameter(
        default, 'widths of the hidden layers, joined by "-"', check=_check_hidden_dims
    )


def dropout_field(default: float, meaning: str) -> Any:
    """Returns the field `dropout`; every model has it."""
    return hyperparameter(default, meaning, low=0, high=0.9, per_member=True)


def norm_field() -> Any:
    """Returns the field `norm` of perceptrons."""
    return hyperparameter(True, "LayerNorm at the input and after each linear layer")


def hidden_field(default: int) -> Any:
    """Returns the field `hidden` of models over a window."""
    return hyperparameter(default, "values that a layer has of each row of the window", low=1)


def layers_field(default: int) -> Any:
    """Returns the field `layers` of models over a window."""
    return hyperparameter(default, "layers, one on the other", low=1)
