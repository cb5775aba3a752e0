"""The text of `loss/phases`: the parts of a weighted sum, and their weights from an epoch on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from trainable.cli.errors import UserError
from trainable.cli.json_text import loads
from trainable.cli.text import shown

WORKS = '{"0": {"huber": 1}, "10": {"huber": 0.5, "rank_ic": 0.5}} works'


class Part(NamedTuple):
    """A term of the sum.

    Attributes:
        loss: its entry in the table of losses.
        horizon: the only one it is of, in bars; None: of all, or of an action that of the data.
    """

    loss: str
    horizon: int | None = None

    def __str__(self) -> str:
        return self.loss if self.horizon is None else f"{self.loss}@{self.horizon}"


@dataclass(frozen=True)
class Phase:
    """Weights from an epoch on.

    Attributes:
        start: epochs that have ended when it begins.
        weights: at least 0, one or more above 0.
    """

    start: int
    weights: dict[Part, float]


@cache
def phases_of(text: str) -> tuple[Phase, ...]:
    """Returns the phases that a text describes, in their order.

    Args:
        text: JSON such as {"0": {"huber": 0.3}, "10": {"sharpe": 0.5, "ic@5": 0.1}}.

    Raises:
        UserError: it is no such text.
    """
    key = f"loss/phases={shown(text)}"
    try:
        found = loads(text, _Pairs)
    except ValueError as error:
        raise UserError(f"{key} is not JSON: {error}; {WORKS}") from None
    if not isinstance(found, _Pairs) or not found:
        raise UserError(f"{key} must be an object of phases by the epoch they begin at; {WORKS}")
    phases = [Phase(_start(key, start), _weights(key, start, of)) for start, of in found]
    starts = [phase.start for phase in phases]
    if len(set(starts)) < len(starts):
        raise UserError(f"{key}: two phases begin at one epoch; {WORKS}")
    if 0 not in starts:
        raise UserError(f'{key}: no phase begins at "0", the first epoch; {WORKS}')
    idle = {str(part) for each in phases for part in each.weights} - {
        str(part) for each in phases for part, weight in each.weights.items() if weight
    }
    if idle:
        raise UserError(
            f"{key}: {', '.join(sorted(idle))} never has a weight above 0; leave it out"
        )
    return tuple(sorted(phases, key=lambda phase: phase.start))


def parts_of(text: str) -> tuple[Part, ...]:
    """Returns the parts of all phases, each once, in the order of their names."""
    return tuple(sorted({part for phase in phases_of(text) for part in phase.weights}, key=str))


def weights_at(text: str, epoch: int) -> dict[Part, float]:
    """Returns the weight of each part after so many epochs; 0 where a phase does not name it."""
    now = [phase for phase in phases_of(text) if phase.start <= epoch][-1]
    return {part: now.weights.get(part, 0.0) for part in parts_of(text)}


def horizons_of(text: str) -> tuple[int, ...]:
    """Returns the horizons that "1-5-10-20" stands for; none for an empty text.

    Raises:
        UserError: they are no increasing whole numbers above 0.
    """
    if not text:
        return ()
    numbers = tuple(_whole(part) for part in text.split("-"))
    if any(low >= high for low, high in zip((0, *numbers), numbers, strict=False)):
        raise UserError(
            f"loss/horizons={text!r} must be increasing whole numbers of bars joined by '-', or "
            "empty for data.horizon alone; 1-5-20 works"
        )
    return numbers


def shares_of(horizons: Sequence[int]) -> list[float]:
    """Returns the share of each horizon in a part of all: ∝ 1/√h, together 1."""
    sizes = [1 / math.sqrt(horizon) for horizon in horizons]
    return [size / sum(sizes) for size in sizes]


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all its keys, also those that stand twice."""


def _start(key: str, text: str) -> int:
    start = _whole(text)
    if start < 0:
        raise UserError(f"{key}: phase {text!r} must be a whole number of epochs; {WORKS}")
    return start


def _weights(key: str, start: str, of: object) -> dict[Part, float]:
    """Returns the weights of one phase; raises `UserError` for what is none."""
    if not isinstance(of, _Pairs) or not of:
        raise UserError(f"{key}: phase {start} must be an object of weights by loss; {WORKS}")
    weights: dict[Part, float] = {}
    for name, weight in of:
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 <= weight <= 1e9:
            raise UserError(
                f"{key}: weight {shown(weight)} of {name} in phase {start} must be a finite "
                f"number of at least 0; {WORKS}"
            )
        part = _part(key, name)
        if part in weights:
            raise UserError(f"{key}: {name} stands twice in phase {start}; write it once")
        weights[part] = float(weight)
    if not any(weights.values()):
        raise UserError(f"{key}: phase {start} has no weight above 0; {WORKS}")
    return weights


def _part(key: str, name: str) -> Part:
    loss, at, text = name.partition("@")
    horizon = _whole(text)
    if at and horizon < 1:
        raise UserError(f"{key}: {name!r} must end with a horizon in bars, such as {loss}@5")
    return Part(loss, horizon if at else None)


def _whole(text: str) -> int:
    """Returns the whole number that a text is; −1 where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
