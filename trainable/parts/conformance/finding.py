"""What a check found: nothing, a fault in plain words, or a note."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from trainable.cli.errors import UserError, located
from trainable.parts.faults import MORE

T = TypeVar("T")
Check = Callable[[T], str | None]  # a subject → what is wrong with it; None: nothing


@dataclass(frozen=True)
class Finding:
    """The outcome of one check of one part.

    Attributes:
        part: such as `model my_gru`.
        check: what was looked at, in a few words.
        said: what was found; None: nothing is wrong.
        fault: whether that is a fault, or only worth knowing.
    """

    part: str
    check: str
    said: str | None
    fault: bool = True

    @property
    def is_fault(self) -> bool:
        """Whether something is wrong."""
        return self.fault and self.said is not None


def found(
    part: str,
    file: str | None,
    checks: Sequence[tuple[str, Check[T]]],
    subject: T,
    notes: Sequence[tuple[str, Check[T]]] = (),
    basic: int = 1,
) -> list[Finding]:
    """Returns what checks find; the others are left out after what they build on.

    That is an exception of the part's own, or a fault that one of the first checks finds.

    Args:
        part: such as `model my_gru`.
        file: that the part stands in, as tracebacks call it; None: ours.
        checks: their names and functions, the most basic first.
        subject: what they look at.
        notes: further checks that find no faults, but what is worth knowing.
        basic: how many of the checks the others build on.
    """
    findings: list[Finding] = []
    for number, (name, check) in enumerate([*checks, *notes]):
        fault = number < len(checks)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # what they lead to is told
                said = check(subject)
        except Exception as error:  # noqa: BLE001 - of the part, and it is told
            findings.append(Finding(part, name, failure(file, error), fault))
            break
        findings.append(Finding(part, name, said, fault))
        if said is not None and number < basic:
            break
    return findings


def failure(file: str | None, error: Exception) -> str:
    """Returns an exception of a part in words, with the line of its file."""
    if isinstance(error, UserError):
        return str(error).partition(MORE)[0]
    if file is not None:
        error = located(file, None, error)
    return f"it fails: {str(error) or type(error).__name__}"
