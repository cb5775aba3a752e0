"""What a check found: nothing, a fault in plain words, or a note."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from trainable.cli.errors import UserError, located

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
) -> list[Finding]:
    """Returns what checks find; after an exception of the part's own the others are left out.

    Args:
        part: such as `model my_gru`.
        file: that the part stands in, as tracebacks call it; None: ours.
        checks: their names and functions, the most basic first.
        subject: what they look at.
        notes: further checks that find no faults, but what is worth knowing.
    """
    findings: list[Finding] = []
    for name, check in [*checks, *notes]:
        fault = (name, check) in checks
        try:
            findings.append(Finding(part, name, check(subject), fault))
        except Exception as error:  # noqa: BLE001 - of the part, and it is told
            if file is not None and not isinstance(error, UserError):
                error = located(file, None, error)
            said = str(error) or type(error).__name__
            findings.append(Finding(part, name, f"it fails: {said}", fault))
            break
    return findings
