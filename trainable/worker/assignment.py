"""What a worker is told of a member that it takes in."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Assignment:
    """A member on its way to a worker.

    Attributes:
        number: of the trial.
        params: all of them by `GROUP/FIELD`.
        known: the last epoch whose report is kept; 0 before there is one.
    """

    number: int
    params: dict[str, Any]
    known: int = 0
