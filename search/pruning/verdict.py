"""What a pruning rule answers about one member: go on, done, or stop, and why."""

from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["continue", "complete", "prune"]
STATES = {"complete": "COMPLETE", "prune": "PRUNED"}


@dataclass(frozen=True)
class Verdict:
    """A decision with the figures that it rests on.

    Attributes:
        action: `continue`; `complete` (state COMPLETE) or `prune` (state PRUNED) end the trial.
        reason: a `stop_reason` of the run folder's contract; None while the trial continues.
        evidence: the figures, ready for JSON: names to finite numbers, texts, lists or None.
    """

    action: Action
    reason: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def ends(self) -> bool:
        """Whether the trial ends here."""
        return self.action != "continue"

    @property
    def state(self) -> str:
        """The state in which the trial ends here."""
        return STATES[self.action]

    @property
    def undecided(self) -> bool:
        """Whether a rung had too few values to judge the trial: it goes on unjudged."""
        return not self.ends and "cutoff" in self.evidence and self.evidence["cutoff"] is None


CONTINUE = Verdict("continue")
